/** rsync's rolling search, which finds blocks of the basis at any offset of a file. */
import { BlockIndex } from './block-index.ts';
import type { StrongSums } from '../wire/checksums.ts';
import { FALSE_ALARM_BYTES_BASE, FALSE_ALARM_BYTES_PER_BYTE } from '../wire/limits.ts';
import type { DeltaSink, Matcher } from './matcher.ts';
import { RollingWindow } from './rolling-window.ts';
import { blockLengthAt } from '../wire/sum-head.ts';
import type { SumTable } from './sum-table.ts';
import { weakSum } from '../wire/weak-sum.ts';

/** Literal bytes are flushed when this many have collected in front of the window. */
const GATHER_LENGTH = 256 * 1024;

/**
 * rsync's search: slides a window of one block over the file byte by byte, looks up its weak sum
 * among those of the basis, and confirms a hit by the strong sum.
 *
 * @see Tridgell, Efficient Algorithms for Sorting and Synchronization, chapter 3
 */
export class RollingMatcher implements Matcher {
  readonly #table: SumTable;
  readonly #index: BlockIndex;
  readonly #strong: StrongSums;
  readonly #sink: DeltaSink;
  readonly #window: RollingWindow;
  #buffer = new Uint8Array(0);
  #signed = new Int8Array(0);
  /** Bytes from here to the window are literal and not flushed yet. */
  #literalStart = 0;
  #end = 0;
  /** Whether the window's sum is valid for its position. */
  #placed = false;
  /** The block after the last match: the most likely next match. */
  #nextBlock = 0;
  /** The budget for failed searches: bytes hashed for strong sums, and steps of the index. */
  #falseAlarmBytesLeft = FALSE_ALARM_BYTES_BASE;
  #stepsMax = FALSE_ALARM_BYTES_BASE;

  constructor(table: SumTable, strong: StrongSums, sink: DeltaSink) {
    this.#table = table;
    this.#index = new BlockIndex(table);
    this.#strong = strong;
    this.#sink = sink;
    this.#window = new RollingWindow(table.head.blockLength);
  }

  push(data: Uint8Array, last: boolean): void {
    this.#falseAlarmBytesLeft += data.length * FALSE_ALARM_BYTES_PER_BYTE;
    this.#stepsMax += data.length * FALSE_ALARM_BYTES_PER_BYTE;
    this.#append(data);
    this.#search();
    if (last) this.#finish();
    else if (this.#window.position - this.#literalStart >= GATHER_LENGTH) {
      this.#flushLiteral(this.#window.position);
    }
  }

  /** Appends data to the bytes that are left, and moves those to the front when space runs out. */
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
      this.#window.position -= this.#literalStart;
      this.#end -= this.#literalStart;
      this.#literalStart = 0;
    }
    this.#buffer.set(data, this.#end);
    this.#end += data.length;
  }

  /** Slides the window over all positions at which it is full. */
  #search(): void {
    const window = this.#window;
    const { length } = window;
    while (window.position + length <= this.#end) {
      if (!this.#hasBudget()) {
        window.position = this.#end - length + 1;
        this.#placed = false;
        return;
      }
      if (!this.#placed) window.place(this.#buffer, window.position);
      this.#placed = true;
      const last = this.#end - length;
      if (
        window.seek(this.#signed, last, this.#index.filter) &&
        this.#confirm(window.weak, length)
      ) {
        this.#placed = false;
      } else if (window.position < last) {
        window.step(this.#signed);
      } else {
        // The next position does not have enough bytes yet; its sum is computed when it has.
        window.position++;
        this.#placed = false;
      }
    }
  }

  #hasBudget(): boolean {
    return this.#falseAlarmBytesLeft > 0 && this.#index.steps <= this.#stepsMax;
  }

  /** Compares the bytes at the window with the blocks that have this weak sum; emits a match. */
  #confirm(weak: number, length: number): boolean {
    const start = this.#window.position;
    const { head } = this.#table;
    let strong: Uint8Array | undefined;
    const matches = (block: number): boolean => {
      if (blockLengthAt(head, block) !== length) return false;
      strong ??= this.#strong.block(this.#buffer.subarray(start, start + length));
      return this.#table.strongEquals(block, strong);
    };
    let block = this.#index.find(weak, matches);
    if (block === -1) {
      if (strong !== undefined) this.#falseAlarmBytesLeft -= length;
      return false;
    }
    const nextBlock = this.#nextBlock;
    if (nextBlock < head.count && this.#index.weak(nextBlock) === weak && matches(nextBlock))
      block = nextBlock;
    this.#flushLiteral(start);
    this.#sink.block(block, length);
    this.#literalStart = start + length;
    this.#window.position = this.#literalStart;
    this.#nextBlock = block + 1;
    return true;
  }

  /** At the end of the file: a short last block of the basis can only match the very end. */
  #finish(): void {
    const { remainder, blockLength } = this.#table.head;
    const start = this.#end - remainder;
    if (remainder > 0 && remainder < blockLength && start >= this.#literalStart) {
      this.#window.position = start;
      this.#confirm(weakSum(this.#buffer, start, this.#end), remainder);
    }
    this.#flushLiteral(this.#end);
  }

  #flushLiteral(end: number): void {
    if (this.#literalStart < end) {
      this.#sink.literal(this.#buffer.subarray(this.#literalStart, end));
    }
    this.#literalStart = end;
  }
}
