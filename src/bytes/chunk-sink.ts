/** The sending end of a connection, which writes whole chunks and reports back-pressure. */
import type { Writable } from 'node:stream';
import { asConnectionError } from './chunk-source.ts';

/**
 * Event of our own streams: the peer took this number of the bytes written. 'drain' comes only when
 * the peer has taken all of them, which takes long on a slow line.
 */
export const TAKEN = 'taken';

/** The sending end of a connection. Back-pressure shows as a flag and as a promise. */
export class ChunkSink {
  /** Bytes handed to the stream so far. */
  bytesWritten = 0;
  /** `performance.now()` when the last chunk was handed to the stream. */
  lastWriteMs = performance.now();
  /**
   * Grows with every chunk handed to the stream and with every part that the peer takes. Our own
   * keep-alives do not count.
   */
  progress = 0;
  readonly #stream: Writable;
  /** Bytes that the peer took so far, as reported by the stream. */
  #bytesTaken = 0;
  /** Where the last content ends; keep-alives are not content. */
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

  /** True while the peer does not take the bytes written: wait with {@link drained}. */
  get blocked(): boolean {
    return this.#blocked && !this.#stopped();
  }

  /** The error that broke the sending direction, if one did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Hands a chunk to the stream, which owns it from then on. After a failure it is silently
   * dropped.
   *
   * @param kind - a keep-alive is not progress: it fits into a buffer even if the peer is gone
   */
  write(chunk: Uint8Array, kind: 'content' | 'keep-alive' = 'content'): void {
    if (this.#stopped()) return;
    this.bytesWritten += chunk.length;
    this.lastWriteMs = performance.now();
    if (kind === 'content') {
      this.#contentEnd = this.bytesWritten;
      this.progress++;
    }
    if (!this.#stream.write(chunk)) this.#blocked = true;
  }

  /** Resolves when the peer takes bytes again, or never will: then `write` drops its chunks. */
  async drained(): Promise<void> {
    while (this.blocked) {
      await new Promise<void>((resolve) => {
        this.#wakers.push(resolve);
      });
    }
  }

  /** Gives up on the sending direction; the first failure counts. */
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
