/** Tells exchanged or copied files from files that may have been renamed. */
import { pathKey } from '../../bytes/paths.ts';
import type { PathPair } from '../path-translation.ts';

/** A file whose ID does not follow from its path. */
export interface FoundFile extends PathPair {
  readonly fileID: Uint8Array;
  /** Size of the stored file. */
  readonly size: number;
}

/**
 * A file of the copy whose path, with this birth counter, gives an identity that was found
 * elsewhere.
 */
export interface IdentityOwner extends PathPair {
  readonly size: number;
  readonly counter: number;
  readonly linkGroup: number | undefined;
}

/** A file with an identity of another path. */
export interface MisplacedFile {
  readonly file: FoundFile;
  /**
   * `exchanged`: going from each file to the owner of its identity leads back to it. `copied`:
   * another file has the same identity and size. `moved`: neither; a renamed file looks like this,
   * too.
   */
  readonly how: 'exchanged' | 'copied' | 'moved';
  /** The path that owns the identity, when the copy has it, or another file with the same ID. */
  readonly other: Uint8Array | undefined;
}

/** Facts about the whole copy. */
export interface CopyIdentities {
  /** By the key of the file ID. */
  readonly owners: ReadonlyMap<string, IdentityOwner>;
  /** The birth counter of a file whose own path gives its identity. */
  counterOf(plainPath: Uint8Array): number;
  /** The `linkGroup` of a path, when it is one of several names of an object. */
  groupOf(plainPath: Uint8Array): number | undefined;
}

/**
 * Judges files whose IDs do not follow from their paths. A rename explains a single one: the old
 * name is gone, or another file was born there since, with another ID. Pushes without deletion
 * explain two files with one ID, where the server cannot link. Nothing explains a ring of exchanged
 * files, unless someone exchanged their names before they were pushed.
 *
 * @returns nothing for names of hard-linked files, which share the identity of one of them
 */
export function judgeFiles(
  files: readonly FoundFile[],
  copy: CopyIdentities,
): readonly MisplacedFile[] {
  const byPath = new Map(files.map((file) => [pathKey(file.plainPath), file]));
  const owners = new Map(files.map((file) => [file, copy.owners.get(pathKey(file.fileID))]));
  const follow = (file: FoundFile): FoundFile | undefined => {
    const owner = owners.get(file);
    return owner && byPath.get(pathKey(owner.plainPath));
  };
  const rings = ringsOf(files, follow);
  const twins = twinsOf(files, copy);
  return files.flatMap((file): MisplacedFile[] => {
    const owner = owners.get(file);
    const group = copy.groupOf(file.plainPath);
    if (group !== undefined && group === owner?.linkGroup) return [];
    const isInPlace =
      owner !== undefined &&
      !byPath.has(pathKey(owner.plainPath)) &&
      copy.counterOf(owner.plainPath) === owner.counter;
    const other = owner?.plainPath ?? twins.get(file);
    if (rings.has(file)) return [{ file, how: 'exchanged', other }];
    const isCopied = (isInPlace && owner.size === file.size) || twins.has(file);
    return [{ file, how: isCopied ? 'copied' : 'moved', other }];
  });
}

/** All items from which `follow` leads back to the item itself. */
function ringsOf<T>(items: readonly T[], follow: (item: T) => T | undefined): ReadonlySet<T> {
  const rings = new Set<T>();
  const visited = new Map<T, T>();
  for (const start of items) {
    let at: T | undefined = start;
    while (at !== undefined && !visited.has(at)) {
      visited.set(at, start);
      at = follow(at);
    }
    if (at === undefined || visited.get(at) !== start) continue;
    for (let member: T | undefined = at; member !== undefined && !rings.has(member);) {
      rings.add(member);
      member = follow(member);
    }
  }
  return rings;
}

/**
 * Files that share ID and size with another file and are no hard links of it, each with one such
 * path.
 */
function twinsOf(
  files: readonly FoundFile[],
  { groupOf }: Pick<CopyIdentities, 'groupOf'>,
): ReadonlyMap<FoundFile, Uint8Array> {
  const first = new Map<string, FoundFile>();
  const twins = new Map<FoundFile, Uint8Array>();
  for (const file of files) {
    const key = `${pathKey(file.fileID)}${file.size}`;
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, file);
      continue;
    }
    const group = groupOf(file.plainPath);
    if (group !== undefined && group === groupOf(other.plainPath)) continue;
    twins.set(file, other.plainPath);
    twins.set(other, file.plainPath);
  }
  return twins;
}
