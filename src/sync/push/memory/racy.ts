/** Racy files: files that may have changed without a difference for rsync's quick check. */
import { isRegularFile } from '../../../tree/entry.ts';
import type { Moves } from './moves.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { RacyFile } from './push-state.ts';

/**
 * rsync decides by size and whole second whether a file changed. It does not see an edit that keeps
 * the size in the second of the last write, nor one after which a program restores the old time. So
 * a push remembers the files that were written or changed around the time it read them. The next
 * push sends those whose exact times changed again, in one small extra run with `-I`.
 */

/**
 * Equal change times this close to the read prove nothing: kernel clocks are coarse, and a write
 * sets the time before it writes.
 */
const CLOCK_GRAIN_MS = 100;
const MS_PER_SEC = 1000;

/** A plaintext path as it is stored in {@link RacyFile}. */
function racyKey(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('base64');
}

/** Change time of the plaintext inode, milliseconds. 0 if the tree does not know it. */
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
    // An empty file that stays empty has not changed.
    if (plain === undefined || !isRegularFile(entry) || plain.size === 0) continue;
    const ctimeMs = ctimeMsOf(entry);
    const isRecent = mtimeSec >= firstSec || ctimeMs >= firstSec * MS_PER_SEC;
    if (!isRecent && !changed.has(entry)) continue;
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

/** Files whose content the destination may lack, although size and second are equal. */
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
 * The remembered files under their present names. A rename changes the inode's change time, so for
 * a moved file only the exact time of its content counts.
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

/** Remembered files that look the same to rsync now, but may have been edited since. */
export function staleSuspects(
  entries: readonly PushEntry[],
  remembered: readonly RacyFile[],
  alreadySent: ReadonlySet<PushEntry>,
): Set<PushEntry> {
  const suspects = new Set<PushEntry>();
  if (remembered.length === 0) return suspects;
  const byPath = groupByPath(remembered);
  for (const entry of entries) {
    if (entry.plain === undefined || alreadySent.has(entry)) continue;
    const before = byPath.get(racyKey(entry.plain.path)) ?? [];
    if (before.some((file) => looksSame(file, entry) && !isSame(file, entry))) suspects.add(entry);
  }
  return suspects;
}

function groupByPath(files: readonly RacyFile[]): ReadonlyMap<string, readonly RacyFile[]> {
  const byPath = new Map<string, RacyFile[]>();
  for (const file of files) {
    const others = byPath.get(file.path);
    if (others === undefined) byPath.set(file.path, [file]);
    else others.push(file);
  }
  return byPath;
}

/** Whether rsync's quick check cannot distinguish a file from the remembered one. */
function looksSame(file: RacyFile, { plain, mtimeSec }: PushEntry): boolean {
  return file.size === plain?.size && file.mtimeSec === mtimeSec;
}

function isSame(file: RacyFile, entry: PushEntry): boolean {
  const { doubtful, mtimeNsec, ctimeMs } = file;
  return !doubtful && mtimeNsec === entry.mtimeNsec && ctimeMs === ctimeMsOf(entry);
}

/**
 * The remembered files that a completed push did not list, and that stay remembered.
 *
 * @param mayExist - whether a file that the push does not list may still exist
 */
export function unlistedFiles(
  remembered: readonly RacyFile[],
  entries: readonly PushEntry[],
  mayExist: (file: RacyFile) => boolean,
): RacyFile[] {
  if (remembered.length === 0) return [];
  const listed = listedAmong(remembered, entries);
  return remembered.filter((file) => !listed.has(file.path) && mayExist(file));
}

/**
 * The files that stay remembered after a push was cut off. For files that still look the same it is
 * unknown whether the server has stored what was sent.
 */
export function undecidedFiles(
  remembered: readonly RacyFile[],
  entries: readonly PushEntry[],
): RacyFile[] {
  if (remembered.length === 0) return [];
  const listed = listedAmong(remembered, entries);
  return remembered.flatMap((file) => {
    const entry = listed.get(file.path);
    if (entry === undefined) return [file];
    return looksSame(file, entry) ? [{ ...file, doubtful: true }] : [];
  });
}

/** Entries by the paths of remembered files. */
function listedAmong(
  files: readonly RacyFile[],
  entries: readonly PushEntry[],
): ReadonlyMap<string, PushEntry> {
  const paths = new Set(files.map(({ path }) => path));
  const listed = new Map<string, PushEntry>();
  for (const entry of entries) {
    if (entry.plain === undefined) continue;
    const key = racyKey(entry.plain.path);
    if (paths.has(key)) listed.set(key, entry);
  }
  return listed;
}
