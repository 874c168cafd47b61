import type { OpenFile } from '../tree/entry.ts';

/**
 * A file as a sequence of chunks, read one ahead: while one chunk is being sent, the next one is
 * being read.
 */
export class FileChunks {
  readonly #file: OpenFile;
  readonly #chunkLength: number;
  #offset = 0;
  #ahead: Promise<Uint8Array> | undefined;
  /** The file's own array is only valid until its next read, so chunks move to two of ours. */
  readonly #buffers: [Uint8Array?, Uint8Array?] = [];
  #turn: 0 | 1 = 0;

  /** Starts reading at once. @param chunkLength - of every chunk but the last, in bytes */
  constructor(file: OpenFile, chunkLength: number) {
    this.#file = file;
    this.#chunkLength = chunkLength;
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
    const complete = chunk.length < this.#chunkLength || this.#offset >= this.#file.size;
    if (complete) {
      this.#ahead = undefined;
      return chunk;
    }
    const own = this.#keep(chunk);
    this.#readAhead();
    return own;
  }

  /** Settles when no read is under way any more, whatever came of it. */
  async settled(): Promise<void> {
    await this.#ahead?.catch(() => undefined); // reported to whoever calls `next`, if anyone does
  }

  #readAhead(): void {
    const length = Math.min(this.#chunkLength, this.#file.size - this.#offset);
    this.#ahead = length > 0 ? this.#file.read(this.#offset, length) : undefined;
    // A failure is for `next` to throw; until then it must not count as unhandled.
    this.#ahead?.catch(() => undefined);
  }

  #keep(chunk: Uint8Array): Uint8Array {
    this.#turn = this.#turn === 0 ? 1 : 0;
    let buffer = this.#buffers[this.#turn];
    if (buffer === undefined) {
      buffer = Buffer.allocUnsafeSlow(this.#chunkLength);
      this.#buffers[this.#turn] = buffer;
    }
    buffer.set(chunk, 0);
    return buffer.subarray(0, chunk.length);
  }
}
