/** A window over bytes that keeps its weak sum while it slides. */
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

  /** Puts the window somewhere. */
  place(bytes: Uint8Array, position: number): void {
    const sum = weakSum(bytes, position, position + this.length);
    this.position = position;
    this.#s1 = sum & 0xffff;
    this.#s2 = sum >>> 16;
  }

  /** Slides the window on by one byte. */
  step(signed: Int8Array): void {
    const gone = signed[this.position] ?? 0;
    this.#s1 = (this.#s1 - gone + (signed[this.position + this.length] ?? 0)) | 0;
    this.#s2 = (((this.#s2 - Math.imul(this.length, gone)) | 0) + this.#s1) | 0;
    this.position++;
  }

  /**
   * Slides the window on until the filter lets its weak sum pass. This is the loop that runs once per
   * byte of a file: everything in it is a local variable and a 32-bit integer.
   *
   * @param last - where to stop at the latest
   * @returns false when the window stands at `last` and the filter let nothing pass, not even there
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
      const gone = signed[position] ?? 0;
      s1 = (s1 - gone + (signed[position + length] ?? 0)) | 0;
      s2 = (((s2 - Math.imul(length, gone)) | 0) + s1) | 0;
      position++;
    }
    this.position = position;
    this.#s1 = s1;
    this.#s2 = s2;
    return found;
  }
}
