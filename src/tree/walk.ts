/** Walks a tree in the order of rsync's file list. */
import { isDirectory, type Entry, type Tree } from './entry.ts';

/**
 * The last component of a path, one character a byte; for a directory with the slash that rsync
 * adds.
 */
function sortedName(entry: Entry): string {
  const { path } = entry;
  const start = path.lastIndexOf(0x2f) + 1;
  const bytes = Buffer.from(path.buffer, path.byteOffset + start, path.length - start);
  const name = bytes.toString('latin1');
  return isDirectory(entry) ? `${name}/` : name;
}

/**
 * Order of two entries of one folder in rsync's file list (protocol ≥ 29): non-directories before
 * directories, each kind by unsigned bytes, a directory as if its name ended in a slash. Sorting
 * every folder this way and walking depth first gives the order of the whole list.
 *
 * @see rsync flist.c f_name_cmp (3.5.0)
 */
export function compareSiblings(a: Entry, b: Entry): number {
  const kind = Number(isDirectory(a)) - Number(isDirectory(b));
  return kind === 0 ? compareNames(sortedName(a), sortedName(b)) : kind;
}

function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Sorts entries of one kind as {@link compareSiblings} does, but computes each name once. */
function sorted<E extends Entry>(entries: readonly E[]): E[] {
  return entries
    .map((entry) => ({ entry, name: sortedName(entry) }))
    .sort((a, b) => compareNames(a.name, b.name))
    .map(({ entry }) => entry);
}

/**
 * Every entry of a tree in rsync's order: the root first, then folder by folder. Yields one array
 * for the files of a folder, and one for each of its subfolders before their content.
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
    const children = await tree.children(directory);
    const files = sorted(children.filter((child) => !isDirectory(child)));
    if (files.length > 0) yield files;
    for (const folder of sorted(children.filter(isDirectory)).reverse()) pending.push(folder);
  }
}
