/** The block sums of one basis, as they came over the wire. */
import type { SumHead } from '../wire/sum-head.ts';

/** The block sums of one basis as they came: per block 4 bytes weak, `s2length` bytes strong. */
export class SumTable {
  readonly head: SumHead;
  readonly #bytes: Buffer;
  readonly #stride: number;

  /** @param bytes - `count * (4 + s2length)` of them */
  constructor(head: SumHead, bytes: Buffer) {
    this.head = head;
    this.#bytes = bytes;
    this.#stride = sumStride(head);
  }

  /** Memory held. */
  get byteLength(): number {
    return this.#bytes.length;
  }

  /** Weak sum of a block, unsigned. */
  weak(index: number): number {
    return this.#bytes.readUInt32LE(index * this.#stride);
  }

  /** Whether the first `s2length` bytes of a strong sum are those of the block. */
  strongEquals(index: number, strong: Uint8Array): boolean {
    const start = index * this.#stride + 4;
    for (let i = 0; i < this.head.s2length; i++) {
      if (this.#bytes[start + i] !== strong[i]) return false;
    }
    return true;
  }
}

/** Bytes per block on the wire. */
export function sumStride(head: SumHead): number {
  return 4 + head.s2length;
}
