/** The source as a push scanned it once, for all its runs. */
import { setImmediate } from 'node:timers/promises';
import { isDirectory, isRegularFile } from '../../../tree/entry.ts';
import { walk } from '../../../tree/walk.ts';
import type { PushEntry, PushView } from './push-entry.ts';

/** The walk yields to the event loop after this many objects. */
const ENTRIES_PER_TURN = 256;

/** The encrypted view at the time of the scan. All later runs list parts of it. */
export interface Snapshot {
  /** In rsync's order, the root first. */
  readonly entries: readonly PushEntry[];
  /** Plaintext objects, without the root. */
  readonly plainCount: number;
  /** Bytes of all plaintext files. */
  readonly plainBytes: number;
  /** Bytes of all cipher files, including virtual ones. */
  readonly cipherBytes: number;
  /** A folder could not be listed or an object not examined, so nothing may be deleted. */
  readonly incomplete: boolean;
  /** `entries` are only a part of what the settings select. Default false. */
  readonly isPart?: boolean;
  /** Wall-clock time at which the walk began, milliseconds since 1970. */
  readonly startedMs: number;
}

/**
 * Walks the whole view once.
 *
 * @param options.sawFailure - whether a problem was reported during the walk
 */
export async function takeSnapshot(
  view: PushView,
  options: {
    signal: AbortSignal;
    hardLinks: boolean;
    /** A time before a frozen source was frozen. Absent: the source is not frozen. */
    takenMs?: number;
    sawFailure(): boolean;
    onCount(n: number): void;
  },
): Promise<Snapshot> {
  const startedMs = options.takenMs ?? Date.now();
  const entries: PushEntry[] = [];
  let plainCount = -1;
  let plainBytes = 0;
  let cipherBytes = 0;
  let nextTurn = ENTRIES_PER_TURN;
  for await (const part of walk(view, options.signal)) {
    for (const entry of part) {
      entries.push(entry);
      if (isRegularFile(entry)) cipherBytes += entry.size;
      if (entry.plain === undefined) continue;
      plainCount++;
      if (isRegularFile(entry)) plainBytes += entry.plain.size;
    }
    options.onCount(plainCount);
    // The walk itself never awaits I/O, so without this a login under way would stand still.
    if (entries.length < nextTurn) continue;
    nextTurn = entries.length + ENTRIES_PER_TURN;
    await setImmediate();
  }
  if (options.hardLinks) view.groupHardLinks(entries);
  const unlisted = entries.some((entry) => isDirectory(entry) && entry.contentUnknown === true);
  const incomplete = unlisted || options.sawFailure();
  return { entries, plainCount, plainBytes, cipherBytes, incomplete, startedMs };
}
