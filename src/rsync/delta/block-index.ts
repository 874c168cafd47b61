/** Looks up blocks of the basis by their weak sum. */
import { WEAK_CANDIDATES_MAX } from '../wire/limits.ts';
import type { SumTable } from './sum-table.ts';
import { WeakFilter } from './weak-filter.ts';

const NONE = -1;
const SPREAD = 0x9e3779b1 | 0;
const CHAINS_LOG2_MAX = 22;

/** A hash table from weak sums to blocks, with a chain in block order for each slot. */
export class BlockIndex {
  /** Passes the weak sums of the blocks, and few others. */
  readonly filter: WeakFilter;
  /** Blocks visited so far. */
  steps = 0;
  readonly #heads: Int32Array;
  readonly #shift: number;
  readonly #next: Int32Array;
  readonly #weak: Uint32Array;

  constructor(table: SumTable) {
    const { count } = table.head;
    const log2 = Math.min(Math.ceil(Math.log2(count + 1)) + 1, CHAINS_LOG2_MAX);
    this.filter = new WeakFilter(count);
    this.#shift = 32 - log2;
    this.#heads = new Int32Array(2 ** log2).fill(NONE);
    this.#next = new Int32Array(count);
    this.#weak = new Uint32Array(count);
    for (let block = count - 1; block >= 0; block--) {
      const weak = table.weak(block);
      const chain = this.#chain(weak);
      this.filter.add(weak);
      this.#weak[block] = weak;
      this.#next[block] = this.#heads[chain] ?? NONE;
      this.#heads[chain] = block;
    }
  }

  weak(block: number): number {
    return this.#weak[block] ?? 0;
  }

  /**
   * The first block with this weak sum for which `accept` is true, or −1. Visits a limited number
   * of blocks of the chain.
   */
  find(weak: number, accept: (block: number) => boolean): number {
    let block = this.#heads[this.#chain(weak)] ?? NONE;
    for (let tried = 0; block !== NONE && tried < WEAK_CANDIDATES_MAX; tried++) {
      this.steps++;
      if (this.#weak[block] === weak && accept(block)) return block;
      block = this.#next[block] ?? NONE;
    }
    return NONE;
  }

  #chain(weak: number): number {
    return Math.imul(weak, SPREAD) >>> this.#shift;
  }
}
