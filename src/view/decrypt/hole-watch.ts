/**
 * Checks the holes of a file that is read at any position against the blocks that vouch for them.
 */
import { areZeros } from '../../bytes/zeros.ts';
import { IntegrityError } from '../../errors.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import { PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import type { BlockAfterHole } from '../../gocryptfs/content/nonces.ts';
import {
  checkHoles,
  holesAtEnd,
  type BlockSpan,
  type CheckedHoles,
  type SealedSpan,
} from '../hole-rule.ts';

/** Blocks read at a time: forwards, and backwards at first; then backwards at most. */
const AHEAD_BLOCKS = 64;
const BACK_BLOCKS_MAX = 1024;

/** The file whose holes are checked. */
export interface WatchedFile {
  readonly content: ContentEncryption;
  readonly blockCount: number;
  /** The stored bytes of blocks; valid until the next call. */
  read(first: number, count: number): Promise<Uint8Array>;
}

/** The first problem among some blocks. */
export type HoleProblem = BlockSpan & { readonly code: 'hole' | 'hole-filled' };

/**
 * The holes of one file. When a read meets a hole, the whole hole is checked before any of it is
 * returned. Each of its blocks is fetched once, and no block that was read ahead is fetched again:
 * going backwards in some files means reading them again from their start.
 */
export class HoleWatch {
  readonly #file: WatchedFile;
  readonly #isStrict: boolean;
  /** A hole, or its rest, that is known to be vouched for. */
  #known: BlockSpan = { first: 0, count: 0 };
  /** Sealed blocks from the end of that hole on. */
  #ahead: { readonly first: number; readonly sealed: Buffer } | undefined;
  /** The block after those checked last, and the length of the hole that ends there. */
  #next = 0;
  #holesBefore = 0;
  /** A filled hole. Only a reader that comes from before it can see the problem. */
  #filled: HoleProblem | undefined;

  constructor(file: WatchedFile, isStrict: boolean) {
    this.#file = file;
    this.#isStrict = isStrict;
  }

  /** @returns length, in blocks, of a known hole from this block on */
  knownHoles(block: number): number {
    const { first, count } = this.#known;
    return block >= first ? Math.max(0, first + count - block) : 0;
  }

  /** @returns at most `count` sealed blocks from this one on, if they were read ahead */
  cachedAhead(block: number, count: number): Uint8Array | undefined {
    const step = PLAIN_BLOCK_SIZE + this.#file.content.overhead;
    if (this.#ahead?.first !== block) return undefined;
    return this.#ahead.sealed.subarray(0, count * step);
  }

  /**
   * Checks decrypted blocks.
   *
   * @param plain - their plaintext, valid throughout; the sealed bytes need be valid only at the
   *   call
   */
  async check(
    run: Omit<SealedSpan, 'holesBefore'>,
    plain: Uint8Array,
  ): Promise<HoleProblem | undefined> {
    if (run.firstBlock === this.#filled?.first) return this.#filled;
    const { content } = this.#file;
    const step = PLAIN_BLOCK_SIZE + content.overhead;
    const isInHole = run.sealed.length >= step && areZeros(run.sealed, 0, step);
    const isSequential = run.firstBlock === this.#next;
    const sealed = isInHole && !isSequential ? Buffer.from(run.sealed) : run.sealed;
    const count = Math.ceil(sealed.length / step);
    const holesBefore = isSequential
      ? this.#holesBefore
      : isInHole
        ? await this.#scanBackwards(run.firstBlock)
        : 0;
    const checked = checkHoles(content, { ...run, sealed, holesBefore }, plain);
    const filled = checked.filled.find((block) => isSequential || block !== run.firstBlock);
    const problem = this.#problemOf({ ...checked, filled: filled === undefined ? [] : [filled] });
    this.#next = problem === undefined ? run.firstBlock + count : Number.NaN;
    this.#holesBefore = checked.holesAfter;
    if (problem !== undefined || checked.holesAfter === 0) return problem;
    return this.#scanForwards(run.fileID);
  }

  #problemOf({ unvouched: [hole], filled: [block] }: CheckedHoles): HoleProblem | undefined {
    const isFirst = block === undefined || (hole !== undefined && hole.first < block);
    if (hole !== undefined && isFirst) return { ...hole, code: 'hole' };
    if (block === undefined || !this.#isStrict) return hole && { ...hole, code: 'hole' };
    this.#filled = { first: block, count: 1, code: 'hole-filled' };
    return this.#filled;
  }

  /** @returns length, in blocks, of the hole that ends before a block */
  async #scanBackwards(block: number): Promise<number> {
    const { content } = this.#file;
    let end = block;
    for (let width = AHEAD_BLOCKS; end > 0; width = Math.min(width * 4, BACK_BLOCKS_MAX)) {
      const first = Math.max(0, end - width);
      const sealed = await this.#file.read(first, end - first);
      const { count, isAll } = holesAtEnd(sealed, content.overhead);
      end -= count;
      if (!isAll) break;
    }
    return block - end;
  }

  /** Follows a hole to its end. */
  async #scanForwards(fileID: Uint8Array): Promise<HoleProblem | undefined> {
    const { content, blockCount } = this.#file;
    const step = PLAIN_BLOCK_SIZE + content.overhead;
    const start = this.#next;
    let holes = this.#holesBefore;
    const hole = (): HoleProblem => ({
      first: start - this.#holesBefore,
      count: holes,
      code: 'hole',
    });
    for (let first = start; first < blockCount; first += AHEAD_BLOCKS) {
      const sealed = await this.#file.read(first, Math.min(AHEAD_BLOCKS, blockCount - first));
      let at = 0;
      while (at < sealed.length && sealed.length - at >= step && areZeros(sealed, at, step)) {
        at += step;
        holes++;
      }
      if (at >= sealed.length) continue;
      const blockNo = first + at / step;
      const block = sealed.subarray(at, at + step);
      if (!this.#isVouchedBy({ blockNo, fileID, holes }, block)) return hole();
      this.#known = { first: start, count: blockNo - start };
      this.#ahead = { first: blockNo, sealed: Buffer.from(sealed.subarray(at)) };
      this.#next = blockNo;
      this.#holesBefore = holes;
      return undefined;
    }
    return hole();
  }

  #isVouchedBy(block: Omit<BlockAfterHole, 'plain'>, sealed: Uint8Array): boolean {
    const { content } = this.#file;
    try {
      const plain = content.decryptBlock(block.blockNo, block.fileID, sealed);
      return content.isAfterHole({ ...block, plain }, sealed);
    } catch (error) {
      if (error instanceof IntegrityError) return false;
      throw error;
    }
  }
}
