import type { BlockDamage } from '../gocryptfs/block-runs.ts';
import type { ContentEncryption } from '../gocryptfs/content.ts';

export type { BlockDamage } from '../gocryptfs/block-runs.ts';

/** Blocks decrypted in one go: 256 KiB of plaintext. */
export const DECRYPTED_BLOCKS = 64;

/** Sealed blocks of one file that follow one another; only the last block of a file may be shorter. */
export interface SealedRun {
  /** Begins with the sealed bytes. */
  readonly buffer: Buffer;
  /** Sealed bytes. */
  readonly length: number;
  readonly firstBlock: number;
  readonly fileID: Uint8Array;
  /** What a full block of zeros is; as in `PlainFileOptions`. */
  readonly holes: 'allowed' | 'refused';
}

/**
 * Decrypts a run.
 *
 * @param out - as long as the run's plaintext; may be the run's own buffer
 * @returns bytes of plaintext at the start of `out`, all authenticated; or the damage, and anything
 *   may be in `out`
 */
export function decryptRun(
  content: ContentEncryption,
  { buffer, length, firstBlock, fileID, holes }: SealedRun,
  out: Uint8Array,
): number | BlockDamage {
  const sealed = buffer.subarray(0, length);
  return content.decryptBlocks({ firstBlock, fileID, sealed, holes }, out);
}
