/** The sending end of a connection: it writes whole chunks and reports back-pressure. */
import type { Writable } from 'node:stream';
import { asConnectionError } from './chunk-source.ts';

/**
 * What a stream of ours emits, with the number of bytes, whenever its peer took a part of what was
 * written: 'drain' comes only when all of it is gone, which takes long on a slow line.
 */
export const TAKEN = 'taken';

/** The sending end of a connection: whole chunks out, back-pressure as a flag and a promise. */
export class ChunkSink {
  /** Bytes handed to the stream so far. */
  bytesWritten = 0;
  /** `performance.now()` of the last chunk that was handed over. */
  lastWriteMs = performance.now();
  /**
   * Grows with every chunk that is handed over and with every part that the peer takes, but not by
   * signs of our own life.
   */
  progress = 0;
  readonly #stream: Writable;
  /** Bytes that the peer took so far, as far as the stream tells. */
  #bytesTaken = 0;
  /** Where the last bytes end that are no mere sign of life. */
  #contentEnd = 0;
  #blocked = false;
  #failure: Error | undefined;
  #wakers: (() => void)[] = [];

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('drain', () => {
      this.#blocked = false;
      this.#took(this.bytesWritten - this.#bytesTaken);
      this.#wake();
    });
    stream.on(TAKEN, (bytes: number) => this.#took(bytes));
    stream.on('close', () => this.#wake());
    stream.on('error', (error: Error) => this.fail(asConnectionError(error)));
  }

  /** True while the peer does not take what was written: wait with {@link drained}. */
  get blocked(): boolean {
    return this.#blocked && !this.#stopped();
  }

  /** What broke the sending direction, if anything did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Hands a chunk over; it belongs to the stream from now on. Silently dropped after a failure.
   *
   * @param kind - a sign of life is no progress: it finds room in a buffer when nobody is there
   */
  write(chunk: Uint8Array, kind: 'content' | 'sign-of-life' = 'content'): void {
    if (this.#stopped()) return;
    this.bytesWritten += chunk.length;
    this.lastWriteMs = performance.now();
    if (kind === 'content') {
      this.#contentEnd = this.bytesWritten;
      this.progress++;
    }
    if (!this.#stream.write(chunk)) this.#blocked = true;
  }

  /** Settles when writing makes sense again, or when it never will (then `write` drops). */
  async drained(): Promise<void> {
    while (this.blocked) {
      await new Promise<void>((resolve) => {
        this.#wakers.push(resolve);
      });
    }
  }

  /** Gives the sending direction up; the first failure counts. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  #took(bytes: number): void {
    if (this.#bytesTaken < this.#contentEnd) this.progress++;
    this.#bytesTaken = Math.min(this.#bytesTaken + bytes, this.bytesWritten);
  }

  #stopped(): boolean {
    return this.#failure !== undefined || this.#stream.destroyed || this.#stream.writableEnded;
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}
