/** The block sums of one basis, in their wire format. */
import type { SumHead } from '../wire/sum-head.ts';

/**
 * The block sums of one basis: 4 bytes of weak sum and `s2length` bytes of strong sum per block.
 */
export class SumTable {
  readonly head: SumHead;
  readonly #bytes: Buffer;
  readonly #stride: number;

  /** @param bytes - `count * (4 + s2length)` bytes */
  constructor(head: SumHead, bytes: Buffer) {
    this.head = head;
    this.#bytes = bytes;
    this.#stride = sumStride(head);
  }

  /** Bytes of memory held. */
  get byteLength(): number {
    return this.#bytes.length;
  }

  /** Weak sum of a block, unsigned. */
  weak(index: number): number {
    return this.#bytes.readUInt32LE(index * this.#stride);
  }

  /** Whether the first `s2length` bytes of a strong sum equal those of the block. */
  strongEquals(index: number, strong: Uint8Array): boolean {
    const start = index * this.#stride + 4;
    for (let i = 0; i < this.head.s2length; i++) {
      if (this.#bytes[start + i] !== strong[i]) return false;
    }
    return true;
  }
}

/** Bytes of the sums of one block on the wire. */
export function sumStride(head: SumHead): number {
  return 4 + head.s2length;
}
