/**
 * Messages between the thread that restores and a thread that decrypts. Every message is answered,
 * in order.
 */
import type { IntegrityCode } from '../../errors.ts';
import type { FeatureFlag } from '../../gocryptfs/conf/feature-flags.ts';
import type { ContentKeys } from '../../gocryptfs/layout.ts';
import type { DecryptedRun, SealedRun } from './decryption-run.ts';

/** What a worker starts with: the content keys, and no keys of names. */
export interface DecryptionKeys extends Omit<ContentKeys, 'flags'> {
  readonly flags: readonly FeatureFlag[];
}

/** A run in memory that is transferred with it, and the file to write it to. */
export interface DecryptionJob extends Omit<SealedRun, 'buffer'> {
  readonly memory: ArrayBuffer;
  /** A descriptor of this process; stays open until the answer arrives. */
  readonly fd: number;
}

/** The outcome, and the memory of the job. */
export interface DecryptionAnswer {
  readonly outcome: DecryptionOutcome;
  readonly memory: ArrayBuffer;
}

/** The outcome of a run: the decrypted run, or its first damaged block, or a write error. */
export type DecryptionOutcome =
  | ({ readonly kind: 'written' } & DecryptedRun)
  | {
      readonly kind: 'damaged';
      readonly blockNo: number;
      readonly code: IntegrityCode;
      readonly message: string;
      readonly hint?: string;
    }
  /** The file could not be written. */
  | { readonly kind: 'failed'; readonly errno: string; readonly message: string };
