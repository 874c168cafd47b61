/** A connection to a server that runs in this process. */
import type { Readable, Writable } from 'node:stream';
import type { EcsyncError } from '../../errors.ts';
import type { Connection, ExitStatus } from '../../transport/connection.ts';
import type { PairEnd } from '../../transport/pair.ts';

/** How much of the server's standard error is kept, in UTF-16 units. */
const STDERR_LENGTH_MAX = 65_536;
/** Exit status of a server that failed with an error that has no status of its own. */
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

  /** @param server - resolves with the exit status */
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
