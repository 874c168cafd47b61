/** What a check of a whole copy comes to. */
import type { FsckSummary } from '../sync/check/fsck-summary.ts';

/** What a check came to, and what it was made of. */
export interface FsckRunSummary extends FsckSummary {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** What picks the same files again. */
  readonly seed?: string;
  readonly comparedWithPush: boolean;
  /** Why there was nothing to compare with, as part of a sentence. */
  readonly pushUnknown?: string;
}
