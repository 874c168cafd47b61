/** Reads the lines of text at the start of a daemon's conversation. */
import type { Readable } from 'node:stream';
import { ProtocolError } from '../../errors.ts';

/** Longest line that a daemon may send, in bytes. rsync itself stops at about 4 KiB. */
const LINE_LENGTH_MAX = 8192;
/** Limit for all lines together; no message of the day needs more. */
const TEXT_LENGTH_MAX = 65_536;
const NEWLINE = 0x0a;

/**
 * The lines of text before the binary part of a daemon's conversation. Bytes after the last line
 * are not lost: {@link release} returns them to the stream.
 */
export class DaemonLines {
  readonly #input: Readable;
  readonly #shownName: string;
  #rest: Buffer = Buffer.alloc(0);
  /** Where the search for the next line end continues. */
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
   * The next line without its line end, as latin1 text; undefined when the daemon has closed. Bytes
   * after its last line are then in {@link remainder}.
   *
   * @throws {ProtocolError} `daemon-text-too-long`
   * @throws {ConnectionError} the stream's error, or the error given to {@link fail}
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

  /** Bytes received that are not part of a complete line, as latin1 text. */
  get remainder(): string {
    return this.#rest.toString('latin1');
  }

  /** Makes the pending and every later {@link next} throw `error`; the first failure counts. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** Detaches from the stream and returns the bytes after the last line to it. */
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
      `${this.#shownName}: the server sends more text than an rsync daemon would`,
      { hint: 'Check that this is the port of an rsync daemon.' },
    );
  }
}
