/** Measures the progress of a push. */
import { isRegularFile } from '../../../tree/entry.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushProgress, PushReporter } from '../source/push-settings.ts';
import type { Snapshot } from '../source/snapshot.ts';

/** Tracks the main run, in which the server works through the list in order, and reports it. */
export class ProgressMeter {
  readonly #snapshot: Snapshot;
  readonly #reporter: PushReporter;
  #position = 0;
  /** Cipher bytes before that. */
  #bytesBefore = 0;
  /** Files at later positions that were sent already, and their bytes. */
  readonly #ahead = new Set<PushEntry>();
  #bytesAhead = 0;

  constructor(snapshot: Snapshot, reporter: PushReporter) {
    this.#snapshot = snapshot;
    this.#reporter = reporter;
  }

  /** The server has reached this position of the snapshot. */
  reached(ndx: number): void {
    const { entries } = this.#snapshot;
    const end = Math.min(ndx, entries.length);
    for (; this.#position < end; this.#position++) {
      const entry = entries[this.#position];
      if (entry === undefined || !isRegularFile(entry)) continue;
      this.#bytesBefore += entry.size;
      if (this.#ahead.delete(entry)) this.#bytesAhead -= entry.size;
    }
    this.#reporter.progress(this.#now());
  }

  /** A file was sent before its turn. */
  sentAhead(entry: PushEntry): void {
    this.#ahead.add(entry);
    this.#bytesAhead += entry.size;
  }

  /** This many bytes of the file were handled. */
  within(entry: PushEntry, bytes: number): void {
    const current = entry.plain && { current: entry.plain.path };
    this.#reporter.progress({ ...this.#now(bytes), ...current });
  }

  /** Another part of the push begins. */
  enter(stage: PushProgress['stage']): void {
    this.#reporter.progress({ ...this.#now(), stage });
  }

  /** Everything was sent, unless `--max-bytes` has ended the push. */
  finish(isSpent: boolean): void {
    const now = this.#now();
    const { filesTotal, bytesTotal } = now;
    const all = isSpent ? {} : { filesDone: filesTotal, bytesDone: bytesTotal };
    this.#reporter.progress({ ...now, ...all, stage: 'finish' });
  }

  #now(extraBytes = 0): PushProgress {
    const { plainCount, cipherBytes } = this.#snapshot;
    const bytesDone = this.#bytesBefore + this.#bytesAhead + extraBytes;
    return {
      stage: 'send',
      filesDone: Math.min(this.#position, plainCount),
      filesTotal: plainCount,
      bytesDone: Math.min(bytesDone, cipherBytes),
      bytesTotal: cipherBytes,
    };
  }
}
