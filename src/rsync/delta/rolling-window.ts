/** A window over bytes that updates its weak sum as it slides. */
import type { WeakFilter } from './weak-filter.ts';
import { weakSum } from '../wire/weak-sum.ts';

/** A window of one block's length and its weak sum, sliding over bytes. */
export class RollingWindow {
  /** Offset of the window in the bytes. */
  position = 0;
  readonly length: number;
  #s1 = 0;
  #s2 = 0;

  /** @param length - of the window, in bytes */
  constructor(length: number) {
    this.length = length;
  }

  /** Weak sum of the bytes in the window, unsigned. */
  get weak(): number {
    return ((this.#s1 & 0xffff) | (this.#s2 << 16)) >>> 0;
  }

  /** Puts the window at a position and computes its sum there. */
  place(bytes: Uint8Array, position: number): void {
    const sum = weakSum(bytes, position, position + this.length);
    this.position = position;
    this.#s1 = sum & 0xffff;
    this.#s2 = sum >>> 16;
  }

  /** Slides the window by one byte. */
  step(signed: Int8Array): void {
    const removed = signed[this.position] ?? 0;
    this.#s1 = (this.#s1 - removed + (signed[this.position + this.length] ?? 0)) | 0;
    this.#s2 = (((this.#s2 - Math.imul(this.length, removed)) | 0) + this.#s1) | 0;
    this.position++;
  }

  /**
   * Slides the window until the filter passes its weak sum. This loop runs once per byte of a file,
   * so it uses local variables and 32-bit integers only.
   *
   * @param last - the last position to try
   * @returns false when the filter passed no sum up to and including `last`
   */
  seek(signed: Int8Array, last: number, filter: WeakFilter): boolean {
    const { bits, shift, spread } = filter;
    const { length } = this;
    let { position } = this;
    let s1 = this.#s1;
    let s2 = this.#s2;
    let found: boolean;
    for (;;) {
      const slot = Math.imul((s1 & 0xffff) | (s2 << 16), spread) >>> shift;
      found = (((bits[slot >>> 5] ?? 0) >>> (slot & 31)) & 1) !== 0;
      if (found || position >= last) break;
      const removed = signed[position] ?? 0;
      s1 = (s1 - removed + (signed[position + length] ?? 0)) | 0;
      s2 = (((s2 - Math.imul(length, removed)) | 0) + s1) | 0;
      position++;
    }
    this.position = position;
    this.#s1 = s1;
    this.#s2 = s2;
    return found;
  }
}
