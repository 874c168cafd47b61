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

/** Nonces and tags are hashed together when there are so many bytes of them. */
const BATCH_LENGTH = 8192;

/**
 * Computes the content id of a file from its ciphertext, in order, in pieces of any size: the first
 * 16 bytes of SHA-256 over the header, and the nonce and tag of each block. A block cannot be replaced
 * without another tag, and two files with the same header, nonces and tags are the same.
 */
export class ContentIdHash {
  readonly #geometry: StoredGeometry;
  readonly #batch: Buffer;
  #batched = 0;
  #hash: Hash | undefined;
  /** Bytes so far. */
  #at = 0;
  /** The end of an unfinished block: it may be the tag of a short last one. */
  #tail: Buffer;
  #tailLength = 0;

  /** @param sizeHint - of the stored file */
  constructor(geometry: StoredGeometry, sizeHint = Number.MAX_SAFE_INTEGER) {
    const { headerLength, blockLength, nonceLength, tagLength } = geometry;
    this.#geometry = geometry;
    const blocks = Math.ceil(sizeHint / blockLength);
    const length = headerLength + blocks * (nonceLength + tagLength);
    this.#batch = Buffer.allocUnsafe(Math.min(BATCH_LENGTH, length));
    this.#tail = Buffer.allocUnsafe(tagLength);
  }

  /** The next bytes of the stored file. They are not kept. */
  update(bytes: Uint8Array): void {
    const { headerLength, blockLength, nonceLength, tagLength } = this.#geometry;
    let from = 0;
    while (from < bytes.length) {
      if (this.#at < headerLength) {
        from += this.#take(bytes, from, headerLength - this.#at);
        continue;
      }
      const inBlock = (this.#at - headerLength) % blockLength;
      if (inBlock === 0 && bytes.length - from >= blockLength) {
        this.#put(bytes, from, nonceLength);
        this.#put(bytes, from + blockLength - tagLength, tagLength);
        from += blockLength;
        this.#at += blockLength;
      } else if (inBlock < nonceLength) {
        from += this.#take(bytes, from, nonceLength - inBlock);
      } else {
        const part = bytes.subarray(from, from + blockLength - inBlock);
        this.#keepTail(part);
        from += part.length;
        this.#at += part.length;
        if (inBlock + part.length === blockLength) this.#endBlock();
      }
    }
  }

  /** Ends the file. @returns 16 bytes */
  digest(): Buffer {
    this.#endBlock();
    const rest = this.#batch.subarray(0, this.#batched);
    const hash = this.#hash ?? createHash('sha256');
    return hash.update(rest).digest().subarray(0, CONTENT_ID_LENGTH);
  }

  /** Bytes that count, as many as there are. */
  #take(bytes: Uint8Array, from: number, lengthMax: number): number {
    const length = Math.min(lengthMax, bytes.length - from);
    this.#put(bytes, from, length);
    this.#at += length;
    return length;
  }

  #put(bytes: Uint8Array, from: number, length: number): void {
    if (this.#batched + length > this.#batch.length) this.#flush();
    if (length > this.#batch.length) {
      this.#running().update(bytes.subarray(from, from + length));
      return;
    }
    this.#batch.set(bytes.subarray(from, from + length), this.#batched);
    this.#batched += length;
  }

  #flush(): void {
    this.#running().update(this.#batch.subarray(0, this.#batched));
    this.#batched = 0;
  }

  #running(): Hash {
    return (this.#hash ??= createHash('sha256'));
  }

  #keepTail(part: Uint8Array): void {
    const tail = this.#tail;
    const kept = Math.max(0, Math.min(this.#tailLength, tail.length - part.length));
    tail.copyWithin(0, this.#tailLength - kept, this.#tailLength);
    const added = part.subarray(Math.max(0, part.length - tail.length));
    tail.set(added, kept);
    this.#tailLength = kept + added.length;
  }

  #endBlock(): void {
    this.#put(this.#tail, 0, this.#tailLength);
    this.#tailLength = 0;
  }
}
