/** A connection to a server that runs in this process. */
import type { Readable, Writable } from 'node:stream';
import type { EcsyncError } from '../../errors.ts';
import type { Connection, ExitStatus } from '../../transport/connection.ts';
import type { PairEnd } from '../../transport/pair.ts';

/** Text of the server's standard error that is kept. */
const STDERR_LENGTH_MAX = 65_536;
/** Exit status of a server that died of something it has no number for. */
const EXIT_CRASHED = 15;

/** A connection to a server that runs in this process. */
export class LocalConnection implements Connection {
  readonly input: Readable;
  readonly output: Writable;
  readonly exited: Promise<ExitStatus>;
  failure: EcsyncError | undefined;
  readonly #far: PairEnd;
  #settle: (status: ExitStatus) => void = () => undefined;
  #stderr = '';

  constructor(near: PairEnd, far: PairEnd) {
    this.input = near.input;
    this.output = near.output;
    this.#far = far;
    this.exited = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** @param server - settles with the exit status */
  run(server: Promise<number>): void {
    server.then(
      (code) => this.#settle({ code, signal: null }),
      (error: unknown) => {
        this.addStderr(error instanceof Error ? (error.stack ?? error.message) : String(error));
        this.#far.output.end();
        this.#settle({ code: EXIT_CRASHED, signal: null });
      },
    );
  }

  addStderr(line: string): void {
    this.#stderr = `${this.#stderr}${line}\n`.slice(-STDERR_LENGTH_MAX);
  }

  stderrText(): string {
    return this.#stderr;
  }

  destroy(): void {
    this.output.destroy();
    this.input.destroy();
  }
}
