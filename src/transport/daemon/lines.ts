/** Reads the lines of text at the start of a daemon's conversation. */
import type { Readable } from 'node:stream';
import { ProtocolError } from '../../errors.ts';

/** Longest line a daemon may send, in bytes. rsync itself stops at about 4 KiB. */
const LINE_LENGTH_MAX = 8192;
/** All its lines together; a message of the day has no use for more. */
const TEXT_LENGTH_MAX = 65_536;
const NEWLINE = 0x0a;

/**
 * The lines of text before the binary part of a daemon's conversation. Not a byte behind the last
 * line is taken: {@link release} gives them back to the stream.
 */
export class DaemonLines {
  readonly #input: Readable;
  readonly #shownName: string;
  #rest: Buffer = Buffer.alloc(0);
  /** Where the search for the next line's end goes on. */
  #searched = 0;
  #total = 0;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onEvent = (): void => this.#wake?.();
  readonly #onError = (error: Error): void => this.fail(error);

  constructor(input: Readable, shownName: string) {
    this.#input = input;
    this.#shownName = shownName;
    input.on('readable', this.#onEvent);
    input.on('end', this.#onEvent);
    input.on('close', this.#onEvent);
    input.on('error', this.#onError);
  }

  /**
   * The next line without its end, as latin1 text; undefined when the daemon has closed. What it
   * said after its last line is then in {@link remainder}.
   *
   * @throws {ProtocolError} `daemon-text-too-long`
   * @throws {ConnectionError} the stream's, or what {@link fail} was given
   */
  async next(): Promise<string | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const end = this.#rest.indexOf(NEWLINE, this.#searched);
      if (end !== -1) return this.#take(end);
      this.#searched = this.#rest.length;
      if (this.#searched > LINE_LENGTH_MAX) throw this.#tooLong();
      const chunk = this.#input.read() as Buffer | null;
      if (chunk !== null) this.#rest = Buffer.concat([this.#rest, chunk]);
      else if (this.#input.readableEnded || this.#input.destroyed) return undefined;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }

  /** Bytes that came and are part of no line yet, as latin1 text. */
  get remainder(): string {
    return this.#rest.toString('latin1');
  }

  /** Makes the pending and every later {@link next} throw `error`; the first failure counts. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** Lets go of the stream; what follows the last line is the next thing that is read from it. */
  release(): void {
    this.#input.off('readable', this.#onEvent);
    this.#input.off('end', this.#onEvent);
    this.#input.off('close', this.#onEvent);
    this.#input.off('error', this.#onError);
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    if (rest.length > 0 && !this.#input.destroyed && !this.#input.readableEnded) {
      this.#input.unshift(rest);
    }
  }

  #take(end: number): string {
    this.#total += end + 1;
    if (end > LINE_LENGTH_MAX || this.#total > TEXT_LENGTH_MAX) throw this.#tooLong();
    const line = this.#rest.toString('latin1', 0, end);
    this.#rest = this.#rest.subarray(end + 1);
    this.#searched = 0;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  }

  #tooLong(): ProtocolError {
    return new ProtocolError(
      'daemon-text-too-long',
      `${this.#shownName}: the server sends more text than an rsync daemon has to say`,
      { hint: 'Is this the port of an rsync daemon?' },
    );
  }
}
