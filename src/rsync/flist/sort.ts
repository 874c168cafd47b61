/** The sort order of the file list, for protocols below 29 and from 29 on. */
import { isDirectory, type Entry } from '../../tree/entry.ts';

const SLASH = 0x2f;

/** The fields that the order depends on: the path's bytes and whether it is a directory. */
type Named = Pick<Entry, 'path' | 'mode'>;

/** Byte `i` of a path, with a virtual slash after a directory's; −1 past its end. */
function byteAt(path: Uint8Array, directory: boolean, i: number): number {
  if (i < path.length) return path[i] ?? -1;
  return i === path.length && directory ? SLASH : -1;
}

function isRoot(path: Uint8Array, directory: boolean): boolean {
  return directory && path.length === 1 && path[0] === 0x2e;
}

/** Whether the component that begins at `start` is the name of a non-directory. */
function endsInFile(path: Uint8Array, directory: boolean, start: number): boolean {
  return !directory && path.indexOf(SLASH, start) === -1;
}

/**
 * The order of a file list for protocols ≥ 29: the root first, then component by component. Names
 * of non-directories come before names of directories. Names compare by unsigned bytes, with a
 * slash after directories.
 *
 * @see rsync flist.c f_name_cmp (3.5.0)
 */
export function compareFlist(a: Named, b: Named): number {
  const directoryA = isDirectory(a);
  const directoryB = isDirectory(b);
  const { path: pathA } = a;
  const { path: pathB } = b;
  const roots = Number(isRoot(pathB, directoryB)) - Number(isRoot(pathA, directoryA));
  if (roots !== 0) return roots;
  let start = 0;
  for (let i = 0; ; i++) {
    const byteA = byteAt(pathA, directoryA, i);
    const byteB = byteAt(pathB, directoryB, i);
    if (byteA === byteB) {
      if (byteA === -1) return 0;
      if (byteA === SLASH) start = i + 1;
      continue;
    }
    // The path that ends where the other continues is the parent directory.
    if (i === start && (byteA === -1 || byteB === -1)) return byteA - byteB;
    const kind =
      Number(endsInFile(pathB, directoryB, start)) - Number(endsInFile(pathA, directoryA, start));
    return kind !== 0 ? kind : byteA - byteB;
  }
}

/** The order of a file list for protocols 27 and 28: unsigned bytes of the whole path. */
export function compareFlistPre29(a: Named, b: Named): number {
  return Buffer.compare(a.path, b.path);
}

/** Sorts a list stably into the order of its indexes. */
export function sortFlist<E extends Named>(entries: readonly E[], protocol: number): E[] {
  return [...entries].sort(protocol >= 29 ? compareFlist : compareFlistPre29);
}
