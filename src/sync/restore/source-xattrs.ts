/** Extended attributes of a local copy, as a sending server provides them. */
import { FileError, type EcsyncError } from '../../errors.ts';
import { isPassedThroughXattr } from '../../gocryptfs/names/xattrs.ts';
import { isDirectory, isRegularFile } from '../../tree/entry.ts';
import type { LocalEntry } from '../../tree/local/local-entry.ts';
import { pathKey } from '../../bytes/paths.ts';
import { dottedPath, readListXattrs } from '../push/source/list-xattrs.ts';

/**
 * Adds their attributes to the files and folders of a list. They include access control lists,
 * which rsync never sends among the attributes.
 *
 * @param onProblem - receives what could not be read
 * @throws {FileError} `xattrs-unreadable` — nothing could be read
 */
export async function readSourceXattrs(
  folder: string,
  entries: readonly LocalEntry[],
  onProblem: (error: EcsyncError) => void,
): Promise<void> {
  let next = 0;
  await readListXattrs(folder, entries, {
    onlyUser: false,
    signal: new AbortController().signal,
    onObject: ({ path, xattrs }) => {
      // Results come in the order of the list.
      const key = pathKey(path);
      let found = entries[next];
      while (found !== undefined && pathKey(dottedPath(found.path)) !== key)
        found = entries[++next];
      if (found === undefined || !(isRegularFile(found) || isDirectory(found))) return;
      const carried = xattrs.filter(({ name }) => isCarried(name));
      if (carried.length === 0) return;
      found.xattrs = carried.sort((a, b) => Buffer.compare(a.name, b.name));
    },
    onFailure: ({ message, isGone }) => {
      if (!isGone) onProblem(new FileError('xattrs-unreadable', message));
    },
  });
}

function isCarried(name: Buffer): boolean {
  return isPassedThroughXattr(name) || !name.toString('latin1').startsWith('system.');
}
