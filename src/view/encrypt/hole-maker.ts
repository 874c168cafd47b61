/** Makes holes of the blocks of zeros in a sparse file, each with a block behind it that vouches for it. */
import { areZeros } from '../../bytes/zeros.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import { PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import { blockCountOf } from '../../gocryptfs/format/sizes.ts';
import type { BlockSpan } from '../hole-rule.ts';

/** Blocks that are looked at in one go. */
const SEARCHED_BLOCKS = 64;

/** What is encrypted next: blocks from {@link HoleMaker.seek} on. */
export interface PlainBlocks {
  readonly plain: Uint8Array;
  /** The file ends here, earlier than it was long when it was opened. */
  readonly isCut: boolean;
}

/**
 * Encrypts one sparse file. What is stored for a block depends on the hole before it, which is known to
 * whoever comes from the file's start, and is looked for backwards otherwise:
 *
 *     maker.seek(block); for (let span; (span = maker.missing()); ) maker.look(await read(span));
 *     maker.encrypt(…)
 */
export class HoleMaker {
  readonly #content: ContentEncryption;
  readonly #identity: FileIdentity;
  readonly #lastBlock: number;
  /** The block that is next. */
  #next = 0;
  /** Blocks of the hole that ends there, as far as it is known. */
  #holes = 0;
  #isSearching = false;

  constructor(content: ContentEncryption, identity: FileIdentity, plainSize: number) {
    this.#content = content;
    this.#identity = identity;
    this.#lastBlock = blockCountOf(plainSize) - 1;
  }

  seek(block: number): void {
    if (block === this.#next) return;
    this.#next = block;
    this.#holes = 0;
    this.#isSearching = true;
  }

  /** @returns blocks of which the plaintext has to be known first; undefined when enough is known */
  missing(): BlockSpan | undefined {
    const end = this.#next - this.#holes;
    // The first block of a file is no hole.
    if (!this.#isSearching || end <= 1) return undefined;
    const first = Math.max(1, end - SEARCHED_BLOCKS);
    return { first, count: end - first };
  }

  /** Takes the plaintext of what is {@link missing}. */
  look(plain: Uint8Array): void {
    let end = plain.length;
    while (end > 0 && areZeros(plain, end - PLAIN_BLOCK_SIZE, PLAIN_BLOCK_SIZE)) {
      end -= PLAIN_BLOCK_SIZE;
      this.#holes++;
    }
    if (end > 0 || plain.length === 0) this.#isSearching = false;
  }

  /** As `ContentEncryption.encryptBlocks`, from the block on that is next. */
  encrypt({ plain, isCut }: PlainBlocks, out: Uint8Array): number {
    this.#isSearching = false;
    const step = PLAIN_BLOCK_SIZE + this.#content.overhead;
    // The last block of a file is no hole, so that each has a block behind it.
    const lastAt = isCut ? plain.length - 1 : (this.#lastBlock - this.#next) * PLAIN_BLOCK_SIZE;
    let written = 0;
    let start = 0;
    for (let at = this.#next === 0 ? PLAIN_BLOCK_SIZE : 0; at < plain.length;) {
      const end = at + PLAIN_BLOCK_SIZE;
      if (end <= Math.min(plain.length, lastAt) && areZeros(plain, at, PLAIN_BLOCK_SIZE)) {
        written += this.#seal(plain.subarray(start, at), out.subarray(written));
        out.fill(0, written, written + step);
        written += step;
        this.#holes++;
        this.#next++;
        start = end;
      }
      at = end;
    }
    return written + this.#seal(plain.subarray(start), out.subarray(written));
  }

  /** Encrypts blocks with content. */
  #seal(plain: Uint8Array, out: Uint8Array): number {
    if (plain.length === 0) return 0;
    const identity = this.#identity;
    let written = 0;
    let rest = plain;
    if (this.#holes > 0) {
      const { fileID } = identity;
      const first = plain.subarray(0, PLAIN_BLOCK_SIZE);
      const block = { blockNo: this.#next++, fileID, plain: first, holes: this.#holes };
      written = this.#content.encryptAfterHole(block, out);
      rest = plain.subarray(PLAIN_BLOCK_SIZE);
      this.#holes = 0;
    }
    const run = { firstBlock: this.#next, identity, plain: rest };
    this.#next += blockCountOf(rest.length);
    return written + this.#content.encryptBlocks(run, out.subarray(written));
  }
}
