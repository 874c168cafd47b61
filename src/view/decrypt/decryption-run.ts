/** Decrypts consecutive blocks of one file. */
import { IntegrityError } from '../../errors.ts';
import type { BlockDamage } from '../../gocryptfs/content/block-runs.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import { checkHoles, type HoleRule } from '../hole-rule.ts';

/** Blocks decrypted together: 256 KiB of plaintext. */
export const DECRYPTED_BLOCKS = 64;

/** Consecutive sealed blocks of one file; only the last block of a file may be shorter. */
export interface SealedRun {
  /** Begins with the sealed bytes. */
  readonly buffer: Buffer;
  /** Number of sealed bytes. */
  readonly length: number;
  readonly firstBlock: number;
  readonly fileID: Uint8Array;
  readonly holes: HoleRule;
  /** Length, in blocks, of the hole that ends at the first block. */
  readonly holesBefore: number;
}

/** A run without damage. */
export interface DecryptedRun {
  /** Bytes of plaintext. */
  readonly length: number;
  /** Number of blocks in allowed holes that end in the run and that no block vouches for. */
  readonly unvouched: number;
}

/**
 * Decrypts a run.
 *
 * @param out - as long as the run's plaintext; not the run's own buffer
 * @returns the plaintext at the start of `out`, all authenticated; or the damage, which leaves
 *   `out` undefined
 */
export function decryptRun(
  content: ContentEncryption,
  { buffer, length, holes, ...run }: SealedRun,
  out: Uint8Array,
): DecryptedRun | BlockDamage {
  const sealed = buffer.subarray(0, length);
  const outcome = content.decryptBlocks({ ...run, sealed }, out);
  if (typeof outcome !== 'number') return outcome;
  const { unvouched, filled } = checkHoles(content, { ...run, sealed }, out.subarray(0, outcome));
  const [hole] = unvouched;
  if (hole !== undefined && holes !== 'allowed') {
    return { blockNo: hole.first, error: holeError(hole.count) };
  }
  const [block] = filled;
  if (block !== undefined && holes === 'strict')
    return { blockNo: block, error: filledHoleError() };
  return { length: outcome, unvouched: unvouched.reduce((sum, { count }) => sum + count, 0) };
}

/** The error for an unvouched hole where that is damage. */
export function holeError(count: number): IntegrityError {
  const what = count === 1 ? 'a block of zeros' : `${count} blocks of zeros`;
  return new IntegrityError('hole', `${what} that ecsync did not write`);
}

/** The error for a block that vouches for a missing hole. */
export function filledHoleError(): IntegrityError {
  return new IntegrityError('hole-filled', 'there was a hole before the block when it was written');
}
