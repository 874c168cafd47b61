/** Judges full blocks of zeros in the files of a copy. No other file decides this. */
import { areZeros } from '../bytes/zeros.ts';
import type { ContentEncryption } from '../gocryptfs/content/content.ts';
import { PLAIN_BLOCK_SIZE } from '../gocryptfs/format/limits.ts';

/**
 * gocryptfs reads a full block of zeros as 4096 zeros, and leaves such holes in sparse files;
 * nothing authenticates them. When ecsync makes a hole, the block after it vouches for the hole's
 * length.
 *
 * - `allowed`: unvouched holes are counted and accepted, since gocryptfs may have made them.
 * - `refused`: unvouched holes are damage, since ecsync wrote the file.
 * - `strict`: blocks that vouch for a missing hole are damage too. This is only possible where
 *   nothing else has ever written, because one in 256 of gocryptfs's own blocks looks like that.
 */
export type HoleRule = 'allowed' | 'refused' | 'strict';

/**
 * @param writer.isOnlyEcsync - nothing else has ever written to the copy
 * @param writer.isOwnFile - the file's ID shows that ecsync wrote it
 */
export function holeRuleFor(writer: {
  readonly isOnlyEcsync: boolean;
  readonly isOwnFile: boolean;
}): HoleRule {
  if (writer.isOnlyEcsync) return 'strict';
  return writer.isOwnFile ? 'refused' : 'allowed';
}

/** Consecutive blocks of a file. */
export interface BlockSpan {
  readonly first: number;
  readonly count: number;
}

/** Consecutive sealed blocks, as {@link checkHoles} takes them. */
export interface SealedSpan {
  readonly firstBlock: number;
  readonly fileID: Uint8Array;
  readonly sealed: Uint8Array;
  /** Blocks of the hole that ends at the first block; 0 when there is none. */
  readonly holesBefore: number;
}

/** What {@link checkHoles} found. */
export interface CheckedHoles {
  /** Holes that end among these blocks, and that no block vouches for. */
  readonly unvouched: readonly BlockSpan[];
  /** Blocks that vouch for a hole which is not there. */
  readonly filled: readonly number[];
  /** Length, in blocks, of the hole that continues after the last block. */
  readonly holesAfter: number;
}

/**
 * Checks whether the blocks after holes vouch for them.
 *
 * @param plain - the plaintext of all blocks, each of which is authentic or a hole
 */
export function checkHoles(
  content: ContentEncryption,
  { firstBlock, fileID, sealed, holesBefore }: SealedSpan,
  plain: Uint8Array,
): CheckedHoles {
  const step = PLAIN_BLOCK_SIZE + content.overhead;
  const unvouched: BlockSpan[] = [];
  const filled: number[] = [];
  let holes = holesBefore;
  let blockNo = firstBlock;
  for (let at = 0, from = 0; at < sealed.length; at += step, from += PLAIN_BLOCK_SIZE, blockNo++) {
    if (holes === 0 && sealed[at] !== 0) continue;
    const length = Math.min(step, sealed.length - at);
    if (length === step && areZeros(sealed, at, step)) {
      holes++;
      continue;
    }
    const block = {
      blockNo,
      fileID,
      holes,
      plain: plain.subarray(from, from + length - content.overhead),
    };
    const isAfterHole = content.isAfterHole(block, sealed.subarray(at, at + length));
    if (holes === 0 && isAfterHole) filled.push(blockNo);
    if (holes > 0 && !isAfterHole) unvouched.push({ first: blockNo - holes, count: holes });
    holes = 0;
  }
  return { unvouched, filled, holesAfter: holes };
}

/**
 * Counts the holes at the end of sealed blocks.
 *
 * @param overhead - bytes that encryption adds to each block
 * @returns how many of the last blocks are holes, and whether all blocks are
 */
export function holesAtEnd(
  sealed: Uint8Array,
  overhead: number,
): { readonly count: number; readonly isAll: boolean } {
  const step = PLAIN_BLOCK_SIZE + overhead;
  let end = sealed.length;
  if (end % step !== 0) return { count: 0, isAll: false };
  while (end > 0 && areZeros(sealed, end - step, step)) end -= step;
  return { count: (sealed.length - end) / step, isAll: end === 0 };
}

/**
 * Finds the content in a run of blocks.
 *
 * @returns start and end of each piece of plaintext between holes, in bytes from the run's start
 */
export function contentPieces(
  sealed: Uint8Array,
  overhead: number,
): { readonly from: number; readonly to: number }[] {
  const step = PLAIN_BLOCK_SIZE + overhead;
  const pieces: { from: number; to: number }[] = [];
  for (let at = 0, from = 0; at < sealed.length; at += step, from += PLAIN_BLOCK_SIZE) {
    const length = Math.min(step, sealed.length - at);
    if (length === step && areZeros(sealed, at, step)) continue;
    const to = from + length - overhead;
    const last = pieces.at(-1);
    if (last?.to === from) last.to = to;
    else pieces.push({ from, to });
  }
  return pieces;
}
