import { WEAK_CANDIDATES_MAX } from './limits.ts';
import type { SumTable } from './sum-table.ts';

const NONE = -1;
/** 2^32 divided by the golden ratio: spreads the weak sums, whose low half has little variety. */
const SPREAD = 0x9e3779b1;
const BITS_MIN = 12;
const BITS_MAX = 22;

/** Finds the blocks of a table by weak sum: a hash table of chains, in block order. */
export class BlockIndex {
  /** First block of each chain, or −1. Exposed for the matcher's innermost loop. */
  readonly heads: Int32Array;
  /** A weak sum's chain is `Math.imul(sum, SPREAD) >>> shift`. */
  readonly shift: number;
  /** Blocks looked at so far. */
  steps = 0;
  readonly #next: Int32Array;
  readonly #weak: Uint32Array;

  constructor(table: SumTable) {
    const { count } = table.head;
    const bits = Math.min(Math.max(Math.ceil(Math.log2(count + 1)) + 2, BITS_MIN), BITS_MAX);
    this.shift = 32 - bits;
    this.heads = new Int32Array(2 ** bits).fill(NONE);
    this.#next = new Int32Array(count);
    this.#weak = new Uint32Array(count);
    for (let block = count - 1; block >= 0; block--) {
      const weak = table.weak(block);
      const chain = chainOf(weak, this.shift);
      this.#weak[block] = weak;
      this.#next[block] = this.heads[chain] ?? NONE;
      this.heads[chain] = block;
    }
  }

  weak(block: number): number {
    return this.#weak[block] ?? 0;
  }

  /**
   * The first block with this weak sum for which `accept` is true, or −1. Looks at a limited number
   * of blocks, whatever their weak sums.
   */
  find(weak: number, accept: (block: number) => boolean): number {
    let block = this.heads[chainOf(weak, this.shift)] ?? NONE;
    for (let tried = 0; block !== NONE && tried < WEAK_CANDIDATES_MAX; tried++) {
      this.steps++;
      if (this.#weak[block] === weak && accept(block)) return block;
      block = this.#next[block] ?? NONE;
    }
    return NONE;
  }
}

/** The chain of a weak sum. */
export function chainOf(weak: number, shift: number): number {
  return Math.imul(weak, SPREAD) >>> shift;
}
