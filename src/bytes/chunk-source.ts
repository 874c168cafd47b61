/** The receiving end of a connection, read chunk by chunk. */
import type { Readable } from 'node:stream';
import { ConnectionError, EcsyncError } from '../errors.ts';
import { reasonOf } from '../system-errors.ts';

/**
 * The receiving end of a connection, read chunk by chunk. Bytes not read stay in the stream and
 * cause back-pressure.
 */
export class ChunkSource {
  /** Bytes received so far. */
  bytesRead = 0;
  readonly #stream: Readable;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onEvent = (): void => this.#wake?.();
  readonly #onError = (error: Error): void => this.fail(asConnectionError(error));

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on('readable', this.#onEvent);
    stream.on('end', this.#onEvent);
    stream.on('close', this.#onEvent);
    stream.on('error', this.#onError);
  }

  /**
   * The next bytes, or undefined once the peer has closed.
   *
   * @throws {ConnectionError} `connection-lost` — the stream broke
   * @throws whatever {@link fail} was given
   */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const chunk = this.#stream.read() as Buffer | null;
      if (chunk !== null) {
        this.bytesRead += chunk.length;
        return chunk;
      }
      if (this.#stream.readableEnded || this.#stream.destroyed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  /** Makes the pending and every later {@link next} throw `error`; the first failure counts. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** Detaches from the stream, so that its owner can go on using it. */
  release(): void {
    this.#stream.off('readable', this.#onEvent);
    this.#stream.off('end', this.#onEvent);
    this.#stream.off('close', this.#onEvent);
    // The error listener stays: an error after the conversation must not crash the process.
  }
}

/** One of our own errors unchanged; any other error wrapped as a lost connection. */
export function asConnectionError(error: Error): Error {
  if (error instanceof EcsyncError) return error;
  return new ConnectionError('connection-lost', `the connection was lost: ${reasonOf(error)}`, {
    hint: 'Run the same command again to continue.',
    cause: error,
  });
}
