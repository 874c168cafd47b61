/** The source as a push saw it once, for all its runs. */
import { setImmediate } from 'node:timers/promises';
import { isDirectory, isRegularFile } from '../../../tree/entry.ts';
import { walk } from '../../../tree/walk.ts';
import type { PushEntry, PushView } from './push-entry.ts';

/** After so many objects everything else gets a turn. */
const ENTRIES_PER_TURN = 256;

/** The encrypted view as it was when this push looked: every later run lists parts of it. */
export interface Snapshot {
  /** In rsync's order, the root first. */
  readonly entries: readonly PushEntry[];
  /** Plaintext objects, the root left out. */
  readonly plainCount: number;
  /** Bytes of all plaintext files. */
  readonly plainBytes: number;
  /** Bytes of all cipher files, virtual ones included. */
  readonly cipherBytes: number;
  /** A folder could not be listed or an object not examined: nothing may be deleted. */
  readonly incomplete: boolean;
  /** `entries` are only some of what the settings of the push select. Default false. */
  readonly isPart?: boolean;
  /** Wall-clock time at which the walk began, milliseconds since 1970. */
  readonly startedMs: number;
}

/** Walks the whole view once. `sawFailure` tells whether a problem was reported meanwhile. */
export async function takeSnapshot(
  view: PushView,
  options: {
    signal: AbortSignal;
    hardLinks: boolean;
    /** A moment before which nothing of the source has been frozen; absent: it is as it is now. */
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
    // Nothing in the walk waits for anything: a login under way would stand still.
    if (entries.length < nextTurn) continue;
    nextTurn = entries.length + ENTRIES_PER_TURN;
    await setImmediate();
  }
  if (options.hardLinks) view.groupHardLinks(entries);
  const unlisted = entries.some((entry) => isDirectory(entry) && entry.contentUnknown === true);
  const incomplete = unlisted || options.sawFailure();
  return { entries, plainCount, plainBytes, cipherBytes, incomplete, startedMs };
}
