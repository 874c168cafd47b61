import { isRegularFile } from '../tree/entry.ts';
import type { PushEntry } from './push-entry.ts';
import type { PushJob } from './push-job.ts';
import type { PushProgress } from './push-settings.ts';

/** Follows the main run through the list: the server works through it in order. */
export interface ProgressMeter {
  /** The server has come to this position of the snapshot. */
  reached(ndx: number): void;
  /** So many bytes of this file were handled. */
  within(entry: PushEntry, bytes: number): void;
  now(): PushProgress;
}

const meters = new WeakMap<PushJob, ProgressMeter>();

/** Cipher bytes before each position of the list. */
function bytesBefore(entries: readonly PushEntry[]): Float64Array {
  const before = new Float64Array(entries.length + 1);
  let sum = 0;
  entries.forEach((entry, ndx) => {
    before[ndx] = sum;
    if (isRegularFile(entry)) sum += entry.size;
  });
  before[entries.length] = sum;
  return before;
}

function createMeter(job: PushJob): ProgressMeter {
  const { entries, plainCount, cipherBytes } = job.snapshot;
  const before = bytesBefore(entries);
  let position = 0;
  const now = (extraBytes = 0, entry?: PushEntry): PushProgress => ({
    stage: 'send',
    filesDone: Math.min(position, plainCount),
    filesTotal: plainCount,
    bytesDone: Math.min((before[position] ?? 0) + extraBytes, cipherBytes),
    bytesTotal: cipherBytes,
    ...(entry?.plain && { current: entry.plain.path }),
  });
  return {
    reached: (ndx) => {
      position = Math.max(position, Math.min(ndx, entries.length));
      job.reporter.progress(now());
    },
    within: (entry, bytes) => job.reporter.progress(now(bytes, entry)),
    now,
  };
}

/** The one meter of a push. */
export function progressOf(job: PushJob): ProgressMeter {
  const meter = meters.get(job) ?? createMeter(job);
  meters.set(job, meter);
  return meter;
}
