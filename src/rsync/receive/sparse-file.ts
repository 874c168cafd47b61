/** A new file in which zeros become holes. */
import { areZeros } from '../../bytes/zeros.ts';
import type { FileError } from '../../errors.ts';
import type { Attributes, NewFile } from '../../tree/store.ts';

/** Zeros are detected in pieces of this length. */
const PIECE_LENGTH = 1024;
/** Shorter runs of zeros are written as bytes. */
const HOLE_LENGTH_MIN = 4096;

/** Wraps a file so that long runs of zeros become holes, if the file supports them. */
export function withHoles(file: NewFile): NewFile {
  return file.zeroTo === undefined ? file : new SparseFile(file);
}

class SparseFile implements NewFile {
  readonly #file: NewFile;
  /** Bytes received; the last {@link #zeros} of them are zeros that are not written yet. */
  #length = 0;
  #zeros = 0;

  constructor(file: NewFile) {
    this.#file = file;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    // Nearly all data has content at both ends and no long runs of zeros in between.
    const hasZeros = this.#zeros > 0 || this.#nextZeros(bytes, 0) < bytes.length;
    if (hasZeros) return this.#writeParts(bytes);
    this.#length += bytes.length;
    return this.#file.write(bytes);
  }

  async skipTo(position: number): Promise<void> {
    await this.#flushZeros();
    this.#length = position;
    await this.#file.skipTo?.(position);
  }

  async commit(attributes: Attributes): Promise<FileError | undefined> {
    await this.#flushZeros();
    return this.#file.commit(attributes);
  }

  discard(): Promise<void> {
    return this.#file.discard();
  }

  async #writeParts(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const zerosAt = this.#nextZeros(bytes, at);
      if (zerosAt > at) {
        await this.#flushZeros();
        await this.#file.write(bytes.subarray(at, zerosAt));
        this.#length += zerosAt - at;
      }
      at = zerosAt;
      while (at < bytes.length && isPieceOfZeros(bytes, at)) {
        const end = Math.min(at + PIECE_LENGTH, bytes.length);
        this.#zeros += end - at;
        this.#length += end - at;
        at = end;
      }
    }
  }

  /** @returns where the next piece of zeros begins, or the end */
  #nextZeros(bytes: Uint8Array, from: number): number {
    let at = from;
    while (at < bytes.length && !isPieceOfZeros(bytes, at)) at += PIECE_LENGTH;
    return Math.min(at, bytes.length);
  }

  async #flushZeros(): Promise<void> {
    const count = this.#zeros;
    this.#zeros = 0;
    if (count >= HOLE_LENGTH_MIN) await this.#file.zeroTo?.(this.#length);
    else if (count > 0) await this.#file.write(Buffer.alloc(count));
  }
}

function isPieceOfZeros(bytes: Uint8Array, at: number): boolean {
  return areZeros(bytes, at, Math.min(PIECE_LENGTH, bytes.length - at));
}
