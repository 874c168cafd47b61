/** The content id of a stored file: what identifies its content without reading the plaintext. */
import { createHash, type Hash } from 'node:crypto';
import { CONTENT_ID_LENGTH } from './sealed-object.ts';

/** How a stored file is divided. */
export interface StoredGeometry {
  /** Bytes before the first block. */
  readonly headerLength: number;
  /** Bytes of a whole stored block. */
  readonly blockLength: number;
  /** Bytes at the beginning of each block: the nonce. */
  readonly nonceLength: number;
  /** Bytes at the end of each block: the tag. */
  readonly tagLength: number;
}

/**
 * Computes the content id of a file from its ciphertext, in order, in pieces of any size: the first
 * 16 bytes of SHA-256 over the header, and the nonce and tag of each block. A block cannot be replaced
 * without another tag, and two files with the same header, nonces and tags are the same.
 */
export class ContentIdHash {
  readonly #geometry: StoredGeometry;
  readonly #hash: Hash = createHash('sha256');
  /** Bytes so far. */
  #at = 0;
  /** The end of the bytes so far: it may be the tag of a short last block. */
  #tail: Buffer = Buffer.alloc(0);

  constructor(geometry: StoredGeometry) {
    this.#geometry = geometry;
  }

  /** The next bytes of the stored file. They are not kept. */
  update(bytes: Uint8Array): void {
    const { headerLength, blockLength, nonceLength, tagLength } = this.#geometry;
    let from = 0;
    while (from < bytes.length) {
      const at = this.#at;
      if (at < headerLength) {
        from += this.#take(bytes, from, headerLength - at);
        continue;
      }
      const inBlock = (at - headerLength) % blockLength;
      if (inBlock === 0) this.#tail = Buffer.alloc(0);
      if (inBlock < nonceLength) {
        from += this.#take(bytes, from, nonceLength - inBlock);
        continue;
      }
      const part = bytes.subarray(from, from + blockLength - inBlock);
      this.#keepTail(part, tagLength);
      from += part.length;
      this.#at += part.length;
      if (inBlock + part.length === blockLength) this.#endBlock();
    }
  }

  /** Ends the file. @returns 16 bytes */
  digest(): Buffer {
    this.#endBlock();
    return this.#hash.digest().subarray(0, CONTENT_ID_LENGTH);
  }

  #take(bytes: Uint8Array, from: number, lengthMax: number): number {
    const part = bytes.subarray(from, from + lengthMax);
    this.#hash.update(part);
    this.#at += part.length;
    return part.length;
  }

  #keepTail(part: Uint8Array, tagLength: number): void {
    const isEnough = part.length >= tagLength;
    const joined = isEnough ? part : Buffer.concat([this.#tail, part]);
    this.#tail = Buffer.from(joined.subarray(-tagLength));
  }

  #endBlock(): void {
    this.#hash.update(this.#tail);
    this.#tail = Buffer.alloc(0);
  }
}
