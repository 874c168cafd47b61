/** The skeleton of a copy: its folders, their diriv, the conf and the `.name` files. */
import { isDirectory } from '../../../tree/entry.ts';
import { parentKey, pathKey } from '../../../bytes/paths.ts';
import type { PushEntry } from './push-entry.ts';
import { structureKey } from './structure-key.ts';

/**
 * The skeleton of a cipher tree: everything that must exist before any content, so that at any
 * moment of a push stock gocryptfs finds a clean tree. It consists of the folders, each with its
 * diriv, the conf, and the `.name` file of every long name.
 */

export function isStructural(entry: PushEntry): boolean {
  return isDirectory(entry) || entry.virtual !== undefined;
}

/** The key by which a later push knows that this object is stored. */
export function knownKey(entry: PushEntry): number {
  return structureKey(entry.path, entry.virtual === 'conf' ? entry.bytes : undefined);
}

/** Whether this is one of the two files that identify a copy. */
export function isRootFile({ path, virtual }: PushEntry): boolean {
  return (virtual === 'conf' || virtual === 'diriv') && !path.includes(0x2f);
}

/** The directory IV of the root, hex. Undefined without directory IVs. */
export function rootIVOf(entries: readonly PushEntry[]): string | undefined {
  const diriv = entries.find((e) => e.virtual === 'diriv' && isRootFile(e));
  return diriv?.bytes && Buffer.from(diriv.bytes).toString('hex');
}

/** Structural entries that no earlier push has stored according to this state, in list order. */
export function newStructure(
  entries: readonly PushEntry[],
  known: ReadonlySet<number>,
): PushEntry[] {
  return entries.filter((entry) => isStructural(entry) && !known.has(knownKey(entry)));
}

/**
 * The part of a list that holds `wanted` and every folder above them, in list order. It is a valid
 * list, since each entry's parent is in it.
 */
export function withAncestors(
  entries: readonly PushEntry[],
  wanted: ReadonlySet<PushEntry>,
): PushEntry[] {
  const folders = new Set<string>(['.']);
  for (const entry of wanted) {
    let key = parentKey(pathKey(entry.path));
    while (!folders.has(key)) {
      folders.add(key);
      key = parentKey(key);
    }
  }
  return entries.filter(
    (entry) => wanted.has(entry) || (isDirectory(entry) && folders.has(pathKey(entry.path))),
  );
}
