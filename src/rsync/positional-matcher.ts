import type { StrongSums } from './checksums.ts';
import type { DeltaSink, Matcher } from './matcher.ts';
import { blockLengthAt } from './sum-head.ts';
import type { SumTable } from './sum-table.ts';
import { weakSum } from './weak-sum.ts';

/**
 * Matcher for files whose bytes can only equal those at the same offset of the basis: each block is
 * tested where it belongs and nowhere else. Blocks that differ cost one weak sum.
 */
export class PositionalMatcher implements Matcher {
  readonly #table: SumTable;
  readonly #strong: StrongSums;
  readonly #sink: DeltaSink;
  #index = 0;

  constructor(table: SumTable, strong: StrongSums, sink: DeltaSink) {
    this.#table = table;
    this.#strong = strong;
    this.#sink = sink;
  }

  /** Pieces must be whole blocks, but for the last one. */
  push(data: Uint8Array): void {
    const { head } = this.#table;
    let literalStart = 0;
    let offset = 0;
    while (offset < data.length && this.#index < head.count) {
      const length = blockLengthAt(head, this.#index);
      const end = offset + length;
      if (end <= data.length && this.#matches(data, offset, end)) {
        if (literalStart < offset) this.#sink.literal(data.subarray(literalStart, offset));
        this.#sink.block(this.#index, length);
        literalStart = end;
      }
      offset = end;
      this.#index++;
    }
    if (literalStart < data.length) this.#sink.literal(data.subarray(literalStart));
  }

  #matches(data: Uint8Array, start: number, end: number): boolean {
    if (weakSum(data, start, end) !== this.#table.weak(this.#index)) return false;
    return this.#table.strongEquals(this.#index, this.#strong.block(data.subarray(start, end)));
  }
}
