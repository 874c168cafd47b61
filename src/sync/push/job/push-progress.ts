/** Measures the progress of a push. */
import { isRegularFile } from '../../../tree/entry.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushJob } from './push-job.ts';
import type { PushProgress } from '../source/push-settings.ts';

/** Tracks the main run, in which the server works through the list in order. */
export interface ProgressMeter {
  /** The server has reached this position of the snapshot. */
  reached(ndx: number): void;
  /** A file was sent before its turn. */
  sentAhead(entry: PushEntry): void;
  /** This many bytes of the file were handled. */
  within(entry: PushEntry, bytes: number): void;
  now(): PushProgress;
}

const meters = new WeakMap<PushJob, ProgressMeter>();

function createMeter(job: PushJob): ProgressMeter {
  const { entries, plainCount, cipherBytes } = job.snapshot;
  let position = 0;
  /** Cipher bytes before that. */
  let bytesBefore = 0;
  /** Files at later positions that were sent already, and their bytes. */
  const ahead = new Set<PushEntry>();
  let bytesAhead = 0;
  const moveTo = (ndx: number): void => {
    const end = Math.min(ndx, entries.length);
    for (; position < end; position++) {
      const entry = entries[position];
      if (entry === undefined || !isRegularFile(entry)) continue;
      bytesBefore += entry.size;
      if (ahead.delete(entry)) bytesAhead -= entry.size;
    }
  };
  const now = (extraBytes = 0, entry?: PushEntry): PushProgress => ({
    stage: 'send',
    filesDone: Math.min(position, plainCount),
    filesTotal: plainCount,
    bytesDone: Math.min(bytesBefore + bytesAhead + extraBytes, cipherBytes),
    bytesTotal: cipherBytes,
    ...(entry?.plain && { current: entry.plain.path }),
  });
  return {
    reached: (ndx) => {
      moveTo(ndx);
      job.reporter.progress(now());
    },
    sentAhead: (entry) => {
      ahead.add(entry);
      bytesAhead += entry.size;
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

/** The progress after everything was sent, unless `--max-bytes` has ended the push. */
export function finishing(job: PushJob, isSpent: boolean): PushProgress {
  const now = progressOf(job).now();
  const { filesTotal, bytesTotal } = now;
  const all = isSpent ? {} : { filesDone: filesTotal, bytesDone: bytesTotal };
  return { ...now, ...all, stage: 'finish' };
}
