/** Runs of content blocks, which are encrypted and decrypted together. */
import type { IntegrityError } from '../../errors.ts';
import type { FileIdentity } from './identity.ts';

/** Consecutive blocks of one file. */
export interface BlockRun {
  readonly firstBlock: number;
  readonly identity: FileIdentity;
  readonly plain: Uint8Array;
}

/** Consecutive sealed blocks of one file; only the last block of a file may be shorter. */
export interface SealedBlocks {
  readonly firstBlock: number;
  /** 16 bytes. */
  readonly fileID: Uint8Array;
  readonly sealed: Uint8Array;
}

/** The first block of a run that the key did not write. */
export interface BlockDamage {
  readonly blockNo: number;
  readonly error: IntegrityError;
}

/** A quicker implementation for runs of blocks, with the same bytes as block by block. */
export interface QuickBlocks {
  /** As {@link ContentEncryption.encryptBlocks}; undefined where it cannot make nonces. */
  readonly seal: ((run: BlockRun, out: Uint8Array) => number) | undefined;
  /**
   * Opens blocks from the start of `sealed`, and writes their plaintext to `out`, which may start
   * where `sealed` does.
   *
   * @returns number of opened blocks, all authentic; 0 when the first one is not authentic or is
   *   not a sealed block
   */
  open(blocks: SealedBlocks, out: Uint8Array): number;
}
