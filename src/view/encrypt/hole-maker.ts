/** Turns blocks of zeros in a sparse file into holes, each vouched for by the block after it. */
import { areZeros } from '../../bytes/zeros.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import { PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import { blockCountOf } from '../../gocryptfs/format/sizes.ts';
import type { BlockSpan } from '../hole-rule.ts';

/** Blocks read at a time when searching backwards. */
const SEARCHED_BLOCKS = 64;

/** Blocks to encrypt, from the position of {@link HoleMaker.seek} on. */
export interface PlainBlocks {
  readonly plain: Uint8Array;
  /** The file ends here, earlier than when it was opened. */
  readonly isCut: boolean;
}

/**
 * Encrypts one sparse file. The ciphertext of a block depends on the length of the hole before it.
 * A sequential reader knows that length; otherwise the maker searches backwards:
 *
 *     maker.seek(block); for (let span; (span = maker.missing()); ) maker.examine(await read(span));
 *     maker.encrypt(…)
 */
export class HoleMaker {
  readonly #content: ContentEncryption;
  readonly #identity: FileIdentity;
  readonly #lastBlock: number;
  /** The next block. */
  #next = 0;
  /** Blocks of the hole that ends at the next block, as far as known. */
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

  /** @returns blocks whose plaintext must be examined first; undefined when enough is known */
  missing(): BlockSpan | undefined {
    const end = this.#next - this.#holes;
    // The first block of a file is no hole.
    if (!this.#isSearching || end <= 1) return undefined;
    const first = Math.max(1, end - SEARCHED_BLOCKS);
    return { first, count: end - first };
  }

  /** Examines the plaintext of the {@link missing} blocks. */
  examine(plain: Uint8Array): void {
    let end = plain.length;
    while (end > 0 && areZeros(plain, end - PLAIN_BLOCK_SIZE, PLAIN_BLOCK_SIZE)) {
      end -= PLAIN_BLOCK_SIZE;
      this.#holes++;
    }
    if (end > 0 || plain.length === 0) this.#isSearching = false;
  }

  /** As `ContentEncryption.encryptBlocks`, starting at the next block. */
  encrypt({ plain, isCut }: PlainBlocks, out: Uint8Array): number {
    this.#isSearching = false;
    const step = PLAIN_BLOCK_SIZE + this.#content.overhead;
    // The last block of a file is no hole, so every hole has a block after it.
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

  /** Encrypts consecutive blocks that are not holes. */
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
