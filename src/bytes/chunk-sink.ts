import type { Writable } from 'node:stream';
import { asConnectionError } from './chunk-source.ts';

/** The sending end of a connection: whole chunks out, back-pressure as a flag and a promise. */
export class ChunkSink {
  /** Bytes handed to the stream so far. */
  bytesWritten = 0;
  /** `performance.now()` of the last chunk that was handed over. */
  lastActivityMs = performance.now();
  readonly #stream: Writable;
  #blocked = false;
  #failure: Error | undefined;
  #wakers: (() => void)[] = [];

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('drain', () => {
      this.#blocked = false;
      this.lastActivityMs = performance.now();
      this.#wake();
    });
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

  /** Hands a chunk over; it belongs to the stream from now on. Silently dropped after a failure. */
  write(chunk: Uint8Array): void {
    if (this.#stopped()) return;
    this.bytesWritten += chunk.length;
    this.lastActivityMs = performance.now();
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

  #stopped(): boolean {
    return this.#failure !== undefined || this.#stream.destroyed || this.#stream.writableEnded;
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}
