import { isRegularFile } from '../tree/entry.ts';
import type { Moves } from './moves.ts';
import type { PushEntry } from './push-entry.ts';
import type { RacyFile } from './push-state.ts';

/**
 * rsync decides by size and whole second whether a file changed. An edit that keeps the size, made
 * in the second in which the file was last written, is invisible to it. So a push remembers the
 * files that were written about when it read them, and the next push sends those again whose exact
 * times moved: one small extra run, with `-I`.
 */

/** Kernel clocks tick this coarsely: equal change times this close to our look prove nothing. */
const CLOCK_GRAIN_MS = 20;
const MS_PER_SEC = 1000;

/** A plaintext path as it stands in {@link RacyFile}. */
export function racyKey(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('base64');
}

/** Change time of the plaintext inode, milliseconds; 0 where a tree does not know it. */
function ctimeMsOf(entry: PushEntry): number {
  const plain: { readonly ctimeMs?: number } | undefined = entry.plain;
  return plain?.ctimeMs ?? 0;
}

/** Files of this snapshot that a later edit could change unseen. */
export function recentFiles(
  entries: readonly PushEntry[],
  snapshotMs: number,
  changed: ReadonlySet<PushEntry>,
): RacyFile[] {
  const firstSec = Math.floor(snapshotMs / MS_PER_SEC) - 1;
  const recent: RacyFile[] = [];
  for (const entry of entries) {
    const { plain, mtimeSec, mtimeNsec } = entry;
    if (mtimeSec < firstSec && !changed.has(entry)) continue;
    if (plain === undefined || !isRegularFile(entry)) continue;
    const ctimeMs = ctimeMsOf(entry);
    const doubtful = changed.has(entry) || ctimeMs >= snapshotMs - CLOCK_GRAIN_MS;
    recent.push({
      path: racyKey(plain.path),
      size: plain.size,
      mtimeSec,
      mtimeNsec,
      ctimeMs,
      doubtful,
    });
  }
  return recent;
}

/** Files whose content the destination does not have, though size and second may not show it. */
export function doubtfulFiles(files: Iterable<PushEntry>): RacyFile[] {
  return [...files].flatMap((entry) => {
    const { plain, mtimeSec, mtimeNsec } = entry;
    if (plain === undefined) return [];
    const { path, size } = plain;
    const ctimeMs = ctimeMsOf(entry);
    return [{ path: racyKey(path), size, mtimeSec, mtimeNsec, ctimeMs, doubtful: true }];
  });
}

/**
 * What is remembered of files, under the names that they have now. A new name is a change of the
 * inode, too: of a file that moved, only its content's exact time still tells.
 */
export function afterMoves(
  remembered: readonly RacyFile[],
  { origins }: Pick<Moves, 'origins'>,
): readonly RacyFile[] {
  if (remembered.length === 0 || origins.size === 0) return remembered;
  const present = new Map<string, PushEntry>();
  for (const [entry, origin] of origins) present.set(racyKey(origin), entry);
  return remembered.map((file) => {
    const entry = present.get(file.path);
    if (entry?.plain === undefined) return file;
    return { ...file, path: racyKey(entry.plain.path), ctimeMs: ctimeMsOf(entry) };
  });
}

/** Remembered files that look the same to rsync now and yet may have been edited since. */
export function staleSuspects(
  entries: readonly PushEntry[],
  remembered: readonly RacyFile[],
  alreadySent: ReadonlySet<PushEntry>,
): Set<PushEntry> {
  const suspects = new Set<PushEntry>();
  if (remembered.length === 0) return suspects;
  const byPath = new Map(remembered.map((file) => [file.path, file]));
  for (const entry of entries) {
    if (entry.plain === undefined || alreadySent.has(entry)) continue;
    const before = byPath.get(racyKey(entry.plain.path));
    if (before === undefined) continue;
    const looksSame = before.size === entry.plain.size && before.mtimeSec === entry.mtimeSec;
    const isSame =
      !before.doubtful &&
      before.mtimeNsec === entry.mtimeNsec &&
      before.ctimeMs === ctimeMsOf(entry);
    if (looksSame && !isSame) suspects.add(entry);
  }
  return suspects;
}
