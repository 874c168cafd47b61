/**
 * The beginning of a sparse file, up to a hole. Once the server has it, holes cost nearly nothing.
 */
import { areZeros } from '../../../bytes/zeros.ts';
import type { OpenFile } from '../../../tree/entry.ts';

/** Maximum number of blocks in the delta of one file. Each block of a hole costs four bytes. */
const BLOCKS_MAX = 2 ** 19;
/** The longest block that every server accepts. */
const BLOCK_LENGTH_MAX = 131_072;

/** Length of the blocks in which sparse files are compared. */
export function sparseBlockLength(sizes: readonly number[], usual: number): number {
  const longest = Math.max(0, ...sizes);
  return Math.min(BLOCK_LENGTH_MAX, Math.max(usual, Math.ceil(longest / BLOCKS_MAX)));
}

/**
 * A file that ends after its first whole block of zeros, or at its own end. It is read sequentially
 * from the start.
 *
 * @param file - owned from now on
 * @param blockLength - that of the delta
 * @param lengthMin - what the server already has; the result must be longer
 */
export function upToHole(file: OpenFile, blockLength: number, lengthMin: number): OpenFile {
  return new Beginning(file, blockLength, lengthMin);
}

class Beginning implements OpenFile {
  readonly size: number;
  readonly positional: boolean;
  readonly #file: OpenFile;
  readonly #blockLength: number;
  readonly #lengthMin: number;
  #end: number;
  /** The end of the current block of the delta, and whether all bytes read of it are zeros. */
  #blockEnd: number;
  #isHole = true;
  #at = 0;

  constructor(file: OpenFile, blockLength: number, lengthMin: number) {
    this.#file = file;
    this.#lengthMin = lengthMin;
    this.size = file.size;
    this.positional = file.positional;
    this.#blockLength = blockLength;
    this.#blockEnd = blockLength;
    this.#end = file.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset >= this.#end) return new Uint8Array(0);
    const bytes = await this.#file.read(offset, Math.min(length, this.#end - offset));
    if (offset === this.#at) this.#look(bytes);
    return bytes.subarray(0, this.#end - offset);
  }

  #look(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = Math.min(bytes.length - at, this.#blockEnd - this.#at);
      this.#isHole &&= areZeros(bytes, at, part);
      at += part;
      this.#at += part;
      if (this.#at < this.#blockEnd) continue;
      if (this.#isHole && this.#at > this.#lengthMin) {
        this.#end = this.#at;
        return;
      }
      this.#isHole = true;
      this.#blockEnd += this.#blockLength;
    }
  }

  close(): Promise<'unchanged' | 'changed'> {
    return this.#file.close();
  }
}
