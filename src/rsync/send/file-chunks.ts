/** Reads a file chunk by chunk, one chunk ahead. */
import type { OpenFile } from '../../tree/entry.ts';

/** How a file is cut into chunks. */
export interface ChunkLength {
  /** Of every chunk but the last, in bytes. */
  readonly length: number;
  /** Any other length will do as well. */
  readonly isFree: boolean;
}

/**
 * A file as a sequence of chunks, read one ahead: while one chunk is being sent, the next one is
 * being read.
 */
export class FileChunks {
  readonly #file: OpenFile;
  readonly #length: number;
  /** Chunks come as the file has them. */
  readonly #byRuns: boolean;
  #offset = 0;
  #ahead: Promise<Uint8Array> | undefined;
  /** What `read` gives is only valid until its next call, so chunks move to two buffers of ours. */
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
    const own = this.#byRuns ? chunk : this.#keep(chunk);
    this.#readAhead();
    return own;
  }

  /** Settles when no read is under way any more, whatever came of it. */
  async settled(): Promise<void> {
    await this.#ahead?.catch(() => undefined); // reported to whoever calls `next`, if anyone does
  }

  #readAhead(): void {
    this.#ahead = this.#offset < this.#file.size ? this.#read() : undefined;
    // A failure is for `next` to throw; until then it must not count as unhandled.
    this.#ahead?.catch(() => undefined);
  }

  #read(): Promise<Uint8Array> {
    if (this.#byRuns && this.#file.readRun !== undefined) return this.#file.readRun(this.#offset);
    return this.#file.read(this.#offset, Math.min(this.#length, this.#file.size - this.#offset));
  }

  #keep(chunk: Uint8Array): Uint8Array {
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
