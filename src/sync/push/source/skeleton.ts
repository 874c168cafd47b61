/** The skeleton of a copy: its folders, their diriv, the conf and the `.name` files. */
import { isDirectory } from '../../../tree/entry.ts';
import { parentKey, pathKey } from '../../../bytes/paths.ts';
import type { PushEntry } from './push-entry.ts';
import { structureKey } from './structure-key.ts';

/**
 * The skeleton of a cipher tree: what must be in place before any content so that every moment of
 * a push is a tree stock gocryptfs calls clean. Folders, each with its diriv, the conf, and the
 * `.name` file of every long name.
 */

export function isStructural(entry: PushEntry): boolean {
  return isDirectory(entry) || entry.virtual !== undefined;
}

/** The key by which a later push recognises this object as stored. */
export function knownKey(entry: PushEntry): number {
  return structureKey(entry.path, entry.virtual === 'conf' ? entry.bytes : undefined);
}

/** Whether this is one of the two files by which a copy is recognised. */
export function isRootFile({ path, virtual }: PushEntry): boolean {
  return (virtual === 'conf' || virtual === 'diriv') && !path.includes(0x2f);
}

/** The directory IV of the root, hex; undefined where names have none. */
export function rootIVOf(entries: readonly PushEntry[]): string | undefined {
  const diriv = entries.find((e) => e.virtual === 'diriv' && isRootFile(e));
  return diriv?.bytes && Buffer.from(diriv.bytes).toString('hex');
}

/** Structural entries that no earlier push of this state has stored, in list order. */
export function newStructure(
  entries: readonly PushEntry[],
  known: ReadonlySet<number>,
): PushEntry[] {
  return entries.filter((entry) => isStructural(entry) && !known.has(knownKey(entry)));
}

/**
 * The part of a list that holds `wanted` and every folder above them, in list order: a complete
 * list of its own, since each entry's parent is in it.
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
