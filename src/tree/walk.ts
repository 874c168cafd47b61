import { isDirectory, type Entry, type Tree } from './entry.ts';

/** Position of the last path component. */
function nameStart(path: Uint8Array): number {
  return path.lastIndexOf(0x2f) + 1;
}

/** Byte `i` of the last component, with the slash that rsync imagines after a directory's name. */
function byteAt(entry: Entry, start: number, i: number): number {
  const at = start + i;
  if (at < entry.path.length) return entry.path[at] ?? -1;
  return at === entry.path.length && isDirectory(entry) ? 0x2f : -1;
}

/**
 * Order of two entries of one folder in rsync's file list (protocol ≥ 29): non-directories before
 * directories, each kind by unsigned bytes, a directory compared as if its name ended in a slash.
 * Sorting every folder this way and walking depth first gives the order of the whole list.
 *
 * @see rsync flist.c f_name_cmp (3.5.0)
 */
export function compareSiblings(a: Entry, b: Entry): number {
  const kind = Number(isDirectory(a)) - Number(isDirectory(b));
  if (kind !== 0) return kind;
  const startA = nameStart(a.path);
  const startB = nameStart(b.path);
  for (let i = 0; ; i++) {
    const byteA = byteAt(a, startA, i);
    const byteB = byteAt(b, startB, i);
    if (byteA !== byteB) return byteA - byteB;
    if (byteA === -1) return 0;
  }
}

/**
 * Every entry of a tree in rsync's order: the root first, then folder by folder. Yields one array
 * per folder part (its files, then each sub-folder before its contents).
 *
 * @param signal - stops the walk between two folders by throwing the signal's reason
 */
export async function* walk<E extends Entry>(
  tree: Tree<E>,
  signal?: AbortSignal,
): AsyncGenerator<readonly E[]> {
  const root = await tree.root();
  yield [root];
  const pending: E[] = [root];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    signal?.throwIfAborted();
    if (directory !== root) yield [directory];
    const children = [...(await tree.children(directory))].sort(compareSiblings);
    const firstDirectory = children.findIndex(isDirectory);
    const files = firstDirectory === -1 ? children : children.slice(0, firstDirectory);
    if (files.length > 0) yield files;
    if (firstDirectory !== -1) pending.push(...children.slice(firstDirectory).reverse());
  }
}
