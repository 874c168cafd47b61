/** A set of weak sums that tells quickly when a sum is certainly absent. */
const SLOTS_LOG2_MIN = 14;
/** 2^22 bits are half a mebibyte: more would not fit into the processor's cache. */
const SLOTS_LOG2_MAX = 22;

/** A set of weak sums that is never wrong about absence: a bitmap indexed by a hash of the sum. */
export class WeakFilter {
  /** The bitmap and the parameters of the hash, exposed for the matcher's innermost loop. */
  readonly bits: Int32Array;
  readonly shift: number;
  /** 2^32 divided by the golden ratio: the low half of a weak sum has little variety. */
  readonly spread = 0x9e3779b1 | 0;

  /** @param count - number of weak sums that will be added */
  constructor(count: number) {
    const wanted = Math.ceil(Math.log2(count + 1)) + 4;
    const log2 = Math.min(Math.max(wanted, SLOTS_LOG2_MIN), SLOTS_LOG2_MAX);
    this.shift = 32 - log2;
    this.bits = new Int32Array(2 ** (log2 - 5));
  }

  add(weak: number): void {
    const slot = Math.imul(weak, this.spread) >>> this.shift;
    this.bits[slot >>> 5] = (this.bits[slot >>> 5] ?? 0) | (1 << (slot & 31));
  }
}
