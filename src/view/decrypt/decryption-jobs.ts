/** What the thread that restores asks of a thread that decrypts. Every message is answered, in order. */
import type { FeatureFlag } from '../../gocryptfs/conf/feature-flags.ts';
import type { ContentKeys } from '../../gocryptfs/layout.ts';
import type { DecryptedRun, SealedRun } from './decryption-run.ts';

/** What a worker is started with: the keys of the content, and nothing that encrypts names. */
export interface DecryptionKeys extends Omit<ContentKeys, 'flags'> {
  readonly flags: readonly FeatureFlag[];
}

/** A run, in memory that is handed over with it, and the file it belongs to. */
export interface DecryptionJob extends Omit<SealedRun, 'buffer'> {
  readonly memory: ArrayBuffer;
  /** Of this process; stays open until the answer is there. */
  readonly fd: number;
}

/** The outcome, and the memory of the job. */
export interface DecryptionAnswer {
  readonly outcome: DecryptionOutcome;
  readonly memory: ArrayBuffer;
}

/** What became of a run: what is written, or its first damaged block. */
export type DecryptionOutcome =
  | ({ readonly kind: 'written' } & DecryptedRun)
  | {
      readonly kind: 'damaged';
      readonly blockNo: number;
      readonly code: string;
      readonly message: string;
      readonly hint?: string;
    }
  /** The file could not be written. */
  | { readonly kind: 'failed'; readonly errno: string; readonly message: string };
