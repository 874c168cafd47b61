/** How a push ended: what kept it from doing all that was asked. */
import type { TooManyChanges } from './change-limit.ts';

/** What kept a push from doing all of it, beside what the books tell. */
export interface PushEnd {
  /** More deletions were due than may be made: how many. */
  readonly overLimit?: number;
  /** More files would be replaced than may be: nothing was sent. */
  readonly tooManyChanges?: TooManyChanges;
  /** Keys of folders whose disk is not mounted: what was on it stays in the copy. */
  readonly lostMounts?: readonly string[];
  /** `--max-bytes` was reached. */
  readonly isSpent?: boolean;
  /** The server takes no update of what it has. */
  readonly ignoresUpdates?: boolean;
}
