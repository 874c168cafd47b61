/** What kept a push from completing. */
import type { TooManyChanges } from './change-limit.ts';

/** What kept a push from completing, beside what the ledger records. */
export interface PushEnd {
  /** The number of deletions, if it was more than the limit. */
  readonly overLimit?: number;
  /** More files would be replaced than allowed, so nothing was sent. */
  readonly tooManyChanges?: TooManyChanges;
  /** Keys of folders whose disk is not mounted. Their content stays in the copy. */
  readonly lostMounts?: readonly string[];
  /** `--max-bytes` was reached. */
  readonly isSpent?: boolean;
  /** The server ignores updates of existing files. */
  readonly ignoresUpdates?: boolean;
}
