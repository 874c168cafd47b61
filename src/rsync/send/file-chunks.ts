/** Reads a file in chunks, one chunk ahead. */
import type { OpenFile } from '../../tree/entry.ts';

/** How a file is divided into chunks. */
export interface ChunkLength {
  /** Bytes of every chunk but the last. */
  readonly length: number;
  /** Any other length is as good. */
  readonly isFree: boolean;
}

/**
 * A file as a sequence of chunks. While one chunk is being sent, the next one is being read.
 */
export class FileChunks {
  readonly #file: OpenFile;
  readonly #length: number;
  /** Chunks have the lengths that the file's `readRun` returns. */
  readonly #byRuns: boolean;
  #offset = 0;
  #ahead: Promise<Uint8Array> | undefined;
  /**
   * The result of `read` is valid only until its next call, so chunks are copied to two buffers.
   */
  readonly #buffers: [Uint8Array?, Uint8Array?] = [];
  #turn: 0 | 1 = 0;

  /** Starts reading at once. */
  constructor(file: OpenFile, { length, isFree }: ChunkLength) {
    this.#file = file;
    this.#length = length;
    this.#byRuns = isFree && file.readRun !== undefined;
    this.#readAhead();
  }

  /**
   * The next chunk, valid until the next call; undefined at the end.
   *
   * @throws {FileError} `read-failed`
   */
  async next(): Promise<Uint8Array | undefined> {
    const chunk = await this.#ahead;
    if (chunk === undefined || chunk.length === 0) return undefined;
    this.#offset += chunk.length;
    const isLast = !this.#byRuns && chunk.length < this.#length;
    if (isLast || this.#offset >= this.#file.size) {
      this.#ahead = undefined;
      return chunk;
    }
    const own = this.#byRuns ? chunk : this.#copy(chunk);
    this.#readAhead();
    return own;
  }

  /** Resolves when no read is in progress any more, whether it succeeded or failed. */
  async settled(): Promise<void> {
    await this.#ahead?.catch(() => undefined); // `next` throws it, if it is called
  }

  #readAhead(): void {
    this.#ahead = this.#offset < this.#file.size ? this.#read() : undefined;
    // `next` throws a failure; until then it must not count as an unhandled rejection.
    this.#ahead?.catch(() => undefined);
  }

  #read(): Promise<Uint8Array> {
    if (this.#byRuns && this.#file.readRun !== undefined) return this.#file.readRun(this.#offset);
    return this.#file.read(this.#offset, Math.min(this.#length, this.#file.size - this.#offset));
  }

  #copy(chunk: Uint8Array): Uint8Array {
    this.#turn = this.#turn === 0 ? 1 : 0;
    let buffer = this.#buffers[this.#turn];
    if (buffer === undefined) {
      buffer = Buffer.allocUnsafeSlow(this.#length);
      this.#buffers[this.#turn] = buffer;
    }
    buffer.set(chunk, 0);
    return buffer.subarray(0, chunk.length);
  }
}
