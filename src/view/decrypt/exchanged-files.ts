/** Tells files that were exchanged or copied from those that may have been renamed. */
import { pathKey } from '../path-bytes.ts';
import type { Place } from '../path-translation.ts';

/** A file whose ID is not that of its path. */
export interface FoundFile extends Place {
  readonly fileID: Uint8Array;
  /** Of the stored file. */
  readonly size: number;
}

/** A file of the copy whose path gives an identity, as its birth of this number. */
export interface IdentityOwner extends Place {
  readonly size: number;
  readonly counter: number;
  readonly linkGroup: number | undefined;
}

/** A file whose identity belongs elsewhere. */
export interface MisplacedFile {
  readonly file: FoundFile;
  /**
   * `exchanged`: following whose identity each file has leads back to it. `copied`: another file has
   * the same identity and size. `moved`: what a file looks like that was renamed, too.
   */
  readonly how: 'exchanged' | 'copied' | 'moved';
  /** Whose identity it is, when that path is in the copy, or who else has it. */
  readonly other: Uint8Array | undefined;
}

/** What is known of the whole copy. */
export interface CopyIdentities {
  /** By the key of the file ID. */
  readonly owners: ReadonlyMap<string, IdentityOwner>;
  /** Of a file whose own path gives its identity: which birth at that path it is. */
  counterOf(plainPath: Uint8Array): number;
  /** Number of the hard-linked object that a path is a name of. */
  groupOf(plainPath: Uint8Array): number | undefined;
}

/**
 * Judges files whose IDs are not those of their paths. Renaming explains a single one: the old name is
 * gone, or another file was born there since, with another ID. Pushes that delete nothing explain two
 * with one ID, where the server cannot link. Nothing explains a ring of exchanged files, unless
 * somebody exchanged their names before they were pushed.
 *
 * @returns none for names of hard-linked files, which share the identity of one of them
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
    const isAtHome =
      owner !== undefined &&
      !byPath.has(pathKey(owner.plainPath)) &&
      copy.counterOf(owner.plainPath) === owner.counter;
    const other = owner?.plainPath ?? twins.get(file);
    if (rings.has(file)) return [{ file, how: 'exchanged', other }];
    const isCopied = (isAtHome && owner.size === file.size) || twins.has(file);
    return [{ file, how: isCopied ? 'copied' : 'moved', other }];
  });
}

/** Everything from which `follow` leads back to where it began. */
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

/** Files that share ID and size with another one and are no hard links of it, with one such path. */
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
