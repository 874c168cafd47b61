/** The result of a check of a whole copy. */
import type { FsckSummary } from '../sync/check/fsck-summary.ts';

/** The result of a check, and its sample. */
export interface FsckRunSummary extends FsckSummary {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Repeats the same sample of files. */
  readonly seed?: string;
  readonly comparedWithPush: boolean;
  /** Why there was no last push to compare with, as part of a sentence. */
  readonly pushUnknown?: string;
}
