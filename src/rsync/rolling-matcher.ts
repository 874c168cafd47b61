import { BlockIndex, chainOf } from './block-index.ts';
import type { StrongSums } from './checksums.ts';
import { FALSE_ALARM_BYTES_BASE, FALSE_ALARM_BYTES_PER_BYTE } from './limits.ts';
import type { DeltaSink, Matcher } from './matcher.ts';
import { blockLengthAt } from './sum-head.ts';
import type { SumTable } from './sum-table.ts';
import { weakSum } from './weak-sum.ts';

/** Literal bytes are handed on when this many have gathered in front of the window. */
const GATHER_LENGTH = 256 * 1024;

/**
 * rsync's search: slides a window of one block over the file byte by byte, looks its weak sum up
 * among those of the basis, and confirms by the strong sum.
 *
 * @see Tridgell, Efficient Algorithms for Sorting and Synchronization, chapter 3
 */
export class RollingMatcher implements Matcher {
  readonly #table: SumTable;
  readonly #index: BlockIndex;
  readonly #strong: StrongSums;
  readonly #sink: DeltaSink;
  readonly #blockLength: number;
  #buffer: Uint8Array;
  #signed: Int8Array;
  /** Bytes from here to the window are literal and not handed on yet. */
  #literalStart = 0;
  #window = 0;
  #end = 0;
  /** The block after the one that matched last: the most likely next match. */
  #wanted = 0;
  #falseAlarmBytesLeft = FALSE_ALARM_BYTES_BASE;
  #stepsMax = FALSE_ALARM_BYTES_BASE;

  constructor(table: SumTable, strong: StrongSums, sink: DeltaSink) {
    this.#table = table;
    this.#index = new BlockIndex(table);
    this.#strong = strong;
    this.#sink = sink;
    this.#blockLength = table.head.blockLength;
    this.#buffer = new Uint8Array(0);
    this.#signed = new Int8Array(0);
  }

  push(data: Uint8Array, last: boolean): void {
    this.#falseAlarmBytesLeft += data.length * FALSE_ALARM_BYTES_PER_BYTE;
    this.#stepsMax += data.length * FALSE_ALARM_BYTES_PER_BYTE;
    this.#append(data);
    this.#search();
    if (last) this.#finish();
    else if (this.#window - this.#literalStart >= GATHER_LENGTH) this.#flushLiteral(this.#window);
  }

  /** Puts data behind what is left, moving that to the front when there is no room. */
  #append(data: Uint8Array): void {
    if (this.#end + data.length > this.#buffer.length) {
      const kept = this.#buffer.subarray(this.#literalStart, this.#end);
      const needed = kept.length + data.length;
      if (needed > this.#buffer.length) {
        const grown = new Uint8Array(needed + 2 * GATHER_LENGTH);
        grown.set(kept, 0);
        this.#buffer = grown;
        this.#signed = new Int8Array(grown.buffer);
      } else {
        this.#buffer.copyWithin(0, this.#literalStart, this.#end);
      }
      this.#window -= this.#literalStart;
      this.#end -= this.#literalStart;
      this.#literalStart = 0;
    }
    this.#buffer.set(data, this.#end);
    this.#end += data.length;
  }

  /** Slides the window as far as there are whole blocks of bytes. */
  #search(): void {
    const length = this.#blockLength;
    while (this.#window + length <= this.#end) {
      const hopeful = this.#falseAlarmBytesLeft > 0 && this.#index.steps <= this.#stepsMax;
      if (!hopeful || !this.#nextCandidate()) {
        this.#window = this.#end - length + 1;
        return;
      }
      this.#window += this.#confirm(length) ? length : 1;
    }
  }

  /**
   * Moves the window to the next offset whose weak sum is in the basis's table; false when there is
   * none. This is the loop that runs once per byte.
   */
  #nextCandidate(): boolean {
    const length = this.#blockLength;
    const signed = this.#signed;
    const { heads, shift } = this.#index;
    const lastWindow = this.#end - length;
    let window = this.#window;
    const first = weakSum(this.#buffer, window, window + length);
    let s1 = first & 0xffff;
    let s2 = first >>> 16;
    for (;;) {
      const block = heads[chainOf((s1 & 0xffff) | (s2 << 16), shift)] ?? -1;
      if (block !== -1) {
        const weak = ((s1 & 0xffff) | (s2 << 16)) >>> 0;
        if (this.#index.find(weak, anyBlock) !== -1) {
          this.#window = window;
          return true;
        }
        if (this.#index.steps > this.#stepsMax) return false;
      }
      if (window === lastWindow) return false;
      const gone = signed[window] ?? 0;
      s1 = (s1 - gone + (signed[window + length] ?? 0)) | 0;
      s2 = (s2 - length * gone + s1) | 0;
      window++;
    }
  }

  /** Compares the window with the blocks of its weak sum; on a match, hands it on. */
  #confirm(length: number): boolean {
    const start = this.#window;
    const data = this.#buffer.subarray(start, start + length);
    const weak = weakSum(data);
    const { head } = this.#table;
    let strong: Uint8Array | undefined;
    const matches = (block: number): boolean => {
      if (blockLengthAt(head, block) !== length) return false;
      strong ??= this.#strong.block(data);
      return this.#table.strongEquals(block, strong);
    };
    let block = this.#index.find(weak, matches);
    if (block === -1) {
      if (strong !== undefined) this.#falseAlarmBytesLeft -= length;
      return false;
    }
    const wanted = this.#wanted;
    if (wanted < head.count && this.#index.weak(wanted) === weak && matches(wanted)) block = wanted;
    this.#flushLiteral(start);
    this.#sink.block(block, length);
    this.#literalStart = start + length;
    this.#wanted = block + 1;
    return true;
  }

  /** The file ends here: a short last block of the basis can only match the very end. */
  #finish(): void {
    const { head } = this.#table;
    const { remainder } = head;
    if (
      remainder > 0 &&
      remainder < head.blockLength &&
      this.#end - remainder >= this.#literalStart
    ) {
      this.#window = this.#end - remainder;
      this.#confirm(remainder);
    }
    this.#flushLiteral(this.#end);
  }

  #flushLiteral(end: number): void {
    if (this.#literalStart < end)
      this.#sink.literal(this.#buffer.subarray(this.#literalStart, end));
    this.#literalStart = end;
  }
}

function anyBlock(): boolean {
  return true;
}
