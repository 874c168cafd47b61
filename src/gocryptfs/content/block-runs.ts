/** Runs of content blocks: what is encrypted and decrypted in one go. */
import type { IntegrityError } from '../../errors.ts';
import type { FileIdentity } from './identity.ts';

/** Consecutive blocks of one file. */
export interface BlockRun {
  readonly firstBlock: number;
  readonly identity: FileIdentity;
  readonly plain: Uint8Array;
}

/** Sealed blocks of one file that follow one another; only the last block of a file may be shorter. */
export interface SealedBlocks {
  readonly firstBlock: number;
  /** 16 bytes. */
  readonly fileID: Uint8Array;
  readonly sealed: Uint8Array;
}

/** The first block of a run that is not what the key wrote. */
export interface BlockDamage {
  readonly blockNo: number;
  readonly error: IntegrityError;
}

/** A quicker way for runs of blocks, with the same bytes as one block after the other. */
export interface QuickBlocks {
  /** As {@link ContentEncryption.encryptBlocks}; undefined where it cannot make nonces. */
  readonly seal: ((run: BlockRun, out: Uint8Array) => number) | undefined;
  /**
   * Opens some blocks from the start of `sealed` on, and writes their plaintext to `out`, which may
   * begin where `sealed` does.
   *
   * @returns blocks opened, all authentic; 0 when the first one is not, or is anything but a sealed
   *   block
   */
  open(blocks: SealedBlocks, out: Uint8Array): number;
}
