/** The temporary directory in the root of a copy, and the lists that stage files there. */
import { CIPHER_PATH_LENGTH_MAX } from '../../../gocryptfs/format/limits.ts';
import { TEMPORARY_DIRECTORY } from '../../../gocryptfs/names/names.ts';
import { isDirectory, S_IFDIR, type Draft, type Entry } from '../../../tree/entry.ts';
import { compareSiblings } from '../../../tree/walk.ts';
import type { PushEntry, PushView } from '../source/push-entry.ts';
import { parentKey, pathKey } from '../../../bytes/paths.ts';

/**
 * The server's temporary directory. A folder `gocryptfs.longname.ecsync-tmp.name` in the cipher
 * root is on the destination's file system and can be named inside a restricted shell. gocryptfs
 * does not show it, since it skips every `gocryptfs.longname.*.name` entry when it lists. rsync's
 * temporary files are stored there, so a killed server leaves nothing that would disturb a mount.
 *
 * New folders are staged there too. The server creates a folder long before the content of its
 * diriv can arrive, but with `--link-dest` it links an existing diriv right after it made the
 * folder.
 */

/** Spellings of the temporary directory as option values, in the order to try them. */
export function tempDirSpellings(destination: string): readonly string[] {
  const base = destination.replace(/\/+$/, '');
  // rsync resolves a relative value against the destination folder, rrsync against its restricted
  // root.
  if (base === '' || base === '.') {
    return destination.startsWith('/') ? ['/' + TEMPORARY_DIRECTORY] : [TEMPORARY_DIRECTORY];
  }
  // rsync 3.5 examines every folder of a full path, five times for each file it receives.
  return [TEMPORARY_DIRECTORY, `${base}/${TEMPORARY_DIRECTORY}`];
}

/** The temporary directory as a list entry, owned like the root and closed to others. */
export function tempDirEntry(root: Entry): PushEntry {
  return {
    path: Buffer.from(TEMPORARY_DIRECTORY),
    mode: S_IFDIR | 0o700,
    size: 0,
    mtimeSec: root.mtimeSec,
    mtimeNsec: root.mtimeNsec,
    uid: root.uid,
    gid: root.gid,
  };
}

/**
 * Inserts the temporary directory, which mirrors do without, at its place among the root's folders.
 */
export function withTempDir(
  entries: readonly PushEntry[],
  { isEncrypted }: Pick<PushView, 'isEncrypted'>,
): readonly PushEntry[] {
  const [root] = entries;
  if (root === undefined || !isEncrypted) return entries;
  const tempDir = tempDirEntry(root);
  const at = entries.findIndex(
    (entry) =>
      isDirectory(entry) &&
      !entry.path.includes(0x2f) &&
      entry !== root &&
      compareSiblings(tempDir, entry) < 0,
  );
  const before = at === -1 ? entries.length : at;
  return entries.toSpliced(before, 0, tempDir);
}

/**
 * An unusual mode for staged folders. If a new folder were equal to its staged double in every
 * respect, the server would not report its creation.
 */
const STAGED_FOLDER_MODE = S_IFDIR | 0o701;

function moved(entry: PushEntry): PushEntry {
  const path =
    pathKey(entry.path) === '.'
      ? Buffer.from(TEMPORARY_DIRECTORY)
      : Buffer.concat([Buffer.from(TEMPORARY_DIRECTORY + '/'), entry.path]);
  const mode = isDirectory(entry) ? STAGED_FOLDER_MODE : entry.mode;
  const { size, mtimeSec, mtimeNsec, uid, gid, plain, virtual, bytes } = entry;
  const copy: Draft<PushEntry> = { path, mode, size, mtimeSec, mtimeNsec, uid, gid };
  // Only holders and virtual files are copied.
  if (plain !== undefined) copy.plain = plain;
  if (virtual !== undefined) copy.virtual = virtual;
  if (bytes !== undefined) copy.bytes = bytes;
  return copy;
}

/** Whether a path stays within the length limit below the temporary directory. */
export function fitsWhenStaged({ path }: Pick<Entry, 'path'>, folder = ''): boolean {
  const above = TEMPORARY_DIRECTORY.length + 1 + (folder === '' ? 0 : folder.length + 1);
  return above + path.length <= CIPHER_PATH_LENGTH_MAX;
}

/** A folder that only holds staged files. */
export function stagedFolder({ path, mtimeSec, mtimeNsec, uid, gid }: PushEntry): PushEntry {
  return { path, mode: STAGED_FOLDER_MODE, size: 0, mtimeSec, mtimeNsec, uid, gid };
}

/**
 * Copies of the virtual files of new folders below the temporary directory, at the same relative
 * paths: their diriv and, for folders with long names, the `.name` files. If the path of a copy
 * would be too long, the folder gets these files a moment after it is made.
 */
function stagedCopies(
  list: readonly PushEntry[],
  wanted: ReadonlySet<PushEntry>,
  newFolders: ReadonlySet<string>,
): PushEntry[] {
  const belongsToFolder = (entry: PushEntry): boolean => {
    const key = pathKey(entry.path);
    if (entry.virtual === 'diriv') return newFolders.has(parentKey(key));
    return entry.virtual === 'name' && newFolders.has(key.slice(0, -'.name'.length));
  };
  const isAtRoot = (entry: PushEntry): boolean => !entry.path.includes(0x2f);
  const files = new Set(
    list.filter(
      (entry) =>
        wanted.has(entry) &&
        belongsToFolder(entry) &&
        fitsWhenStaged(entry) &&
        !(entry.virtual === 'diriv' && isAtRoot(entry)),
    ),
  );
  const holders = new Set<string>();
  for (const file of files) {
    for (let key = parentKey(pathKey(file.path)); key !== '.'; key = parentKey(key)) {
      holders.add(key);
    }
  }
  return list.filter((entry) => files.has(entry) || holders.has(pathKey(entry.path))).map(moved);
}

/**
 * The lists of the runs that come before the skeleton. A new root gets its diriv, and in the next
 * run its conf. From then on it is an empty filesystem, and never a conf without a diriv. The
 * staged copies for all other new folders are sent with the conf, or alone if the root is known. In
 * layouts without diriv the conf founds the filesystem, and only `.name` files are staged.
 *
 * @param list - new structural entries with all their ancestors, in list order, root first
 * @param wanted - the new structural entries themselves
 * @returns no list if no folder is new
 */
export function foundingRuns(
  list: readonly PushEntry[],
  wanted: ReadonlySet<PushEntry>,
): PushEntry[][] {
  const [root] = list;
  if (root === undefined) return [];
  const newFolders = new Set(
    list.filter((entry) => isDirectory(entry) && wanted.has(entry)).map((e) => pathKey(e.path)),
  );
  if (newFolders.size === 0) return [];
  const rootFile = (kind: PushEntry['virtual']): PushEntry[] =>
    list.filter((entry) => entry.virtual === kind && !entry.path.includes(0x2f));
  const copies = stagedCopies(list, wanted, newFolders);
  const staging = [tempDirEntry(root), ...copies];
  if (!wanted.has(root)) return copies.length === 0 ? [] : [[root, ...staging]];
  const dirIV = rootFile('diriv');
  const founding = [root, ...rootFile('conf'), ...staging];
  return dirIV.length === 0 ? [founding] : [[root, ...dirIV], founding];
}
