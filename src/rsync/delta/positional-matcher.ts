/**
 * Finds blocks that equal the basis at their own offset, for content that cannot move inside a
 * file.
 */
import { areZeros } from '../../bytes/zeros.ts';
import type { StrongSums } from '../wire/checksums.ts';
import type { DeltaSink, Matcher } from './matcher.ts';
import { blockLengthAt } from '../wire/sum-head.ts';
import type { SumTable } from './sum-table.ts';
import { weakSum } from '../wire/weak-sum.ts';

/** The weak sum of any number of zeros. */
const WEAK_OF_ZEROS = 0;

/**
 * A matcher for files whose bytes can only equal those at the same offset of the basis: each block
 * is compared at its own offset and nowhere else. A block that differs costs one weak sum.
 *
 * Holes are the exception: a block of zeros may be copied from any block of zeros in the basis, so
 * that a hole of any length costs a few bytes. A receiver that overwrites its basis must still find
 * zeros in that block. It does if the new file has zeros there too, or if it has not been reached
 * yet.
 */
export class PositionalMatcher implements Matcher {
  readonly #table: SumTable;
  readonly #strong: StrongSums;
  readonly #sink: DeltaSink;
  #index = 0;
  /** A block that is zero in both files, if one has been found. */
  #commonZeros: number | undefined;
  /** Where the search for a block of zeros ahead in the basis has got to. */
  #zerosAhead = 0;
  #sumOfZeros: Uint8Array | undefined;

  constructor(table: SumTable, strong: StrongSums, sink: DeltaSink) {
    this.#table = table;
    this.#strong = strong;
    this.#sink = sink;
  }

  /** Every piece but the last must consist of whole blocks. */
  push(data: Uint8Array): void {
    const { head } = this.#table;
    let literalStart = 0;
    for (let offset = 0; offset < data.length; this.#index++) {
      const isInside = this.#index < head.count;
      const length = isInside ? blockLengthAt(head, this.#index) : head.blockLength;
      const end = offset + length;
      const match = end <= data.length ? this.#find(data, offset, end) : undefined;
      if (match !== undefined) {
        if (literalStart < offset) this.#sink.literal(data.subarray(literalStart, offset));
        this.#sink.block(match, length);
        literalStart = end;
      }
      offset = end;
    }
    if (literalStart < data.length) this.#sink.literal(data.subarray(literalStart));
  }

  /** @returns the block of the basis that equals these bytes */
  #find(data: Uint8Array, start: number, end: number): number | undefined {
    const { blockLength } = this.#table.head;
    if (end - start === blockLength && areZeros(data, start, blockLength)) return this.#findZeros();
    return this.#index < this.#table.head.count && this.#matches(data, start, end)
      ? this.#index
      : undefined;
  }

  #findZeros(): number | undefined {
    if (this.#isZeros(this.#index)) {
      this.#commonZeros = this.#index;
      return this.#index;
    }
    if (this.#commonZeros !== undefined) return this.#commonZeros;
    const { count } = this.#table.head;
    this.#zerosAhead = Math.max(this.#zerosAhead, this.#index);
    while (this.#zerosAhead < count && !this.#isZeros(this.#zerosAhead)) this.#zerosAhead++;
    return this.#zerosAhead < count ? this.#zerosAhead : undefined;
  }

  /** Whether a block of the basis has the full length and is all zeros. */
  #isZeros(index: number): boolean {
    const { head } = this.#table;
    if (index >= head.count || blockLengthAt(head, index) !== head.blockLength) return false;
    if (this.#table.weak(index) !== WEAK_OF_ZEROS) return false;
    this.#sumOfZeros ??= Buffer.from(this.#strong.block(new Uint8Array(head.blockLength)));
    return this.#table.strongEquals(index, this.#sumOfZeros);
  }

  #matches(data: Uint8Array, start: number, end: number): boolean {
    if (weakSum(data, start, end) !== this.#table.weak(this.#index)) return false;
    return this.#table.strongEquals(this.#index, this.#strong.block(data.subarray(start, end)));
  }
}
