import { IntegrityError } from '../errors.ts';
import type { ContentEncryption } from '../gocryptfs/content.ts';
import { isAllZero } from '../gocryptfs/file-header.ts';
import { PLAIN_BLOCK_SIZE } from '../gocryptfs/limits.ts';

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

/** The first block of a run that is not what the key wrote. */
export interface BlockDamage {
  readonly blockNo: number;
  readonly error: IntegrityError;
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
  run: SealedRun,
  out: Uint8Array,
): number | BlockDamage {
  const { buffer, length, firstBlock, fileID, holes } = run;
  const step = PLAIN_BLOCK_SIZE + content.overhead;
  let blockNo = firstBlock;
  let written = 0;
  try {
    for (let at = 0; at < length; at += step) {
      const sealed = buffer.subarray(at, Math.min(at + step, length));
      if (holes === 'refused' && isHole(sealed, step)) {
        throw new IntegrityError('hole', 'a block of zeros');
      }
      const plain = content.decryptBlock(blockNo, fileID, sealed);
      // Shorter than its sealed form: the next one is not reached, even in the same buffer.
      out.set(plain, written);
      written += plain.length;
      blockNo++;
    }
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    return { blockNo, error };
  }
  return written;
}

function isHole(sealed: Buffer, step: number): boolean {
  // A real nonce nearly always shows in its first bytes that it is not zero.
  return sealed[0] === 0 && sealed.length === step && isAllZero(sealed);
}
