/** Sorts the stored objects of one directory of a copy by the form of their names. */
import { TEMPORARY_DIRECTORY, type NameScheme } from '../../gocryptfs/names/names.ts';
import { isDirectory, isRegularFile, type Entry, type Tree } from '../../tree/entry.ts';
import type { CopyProblemCode } from './decrypted-view-problem.ts';
import { isRootPath, pathKey, splitPath } from '../../bytes/paths.ts';

/** Base64url, padded or not: the shape of an encrypted name, whatever its key. */
const NAME_SHAPE = /^[A-Za-z0-9_-]{20,}={0,2}$/;

/** The objects in a directory of a copy. */
export interface CipherListing<C extends Entry> {
  dirIVFile: C | undefined;
  /** Objects whose own name is encrypted in it. */
  readonly direct: C[];
  /** Objects with a hashed name. */
  readonly long: C[];
  /** `.name` files by the key of their path. */
  readonly nameFiles: Map<string, C>;
}

/**
 * Sorts the objects in a directory of a copy.
 *
 * @param directory - path of the directory, plain or encrypted; only the root is treated specially
 * @param report - called for each object that does not belong there, whatever it contains
 */
export function sortListing<C extends Entry>(
  names: NameScheme,
  directory: Uint8Array,
  {
    children,
    report,
  }: {
    readonly children: readonly C[];
    readonly report: (code: CopyProblemCode, cipher: C) => void;
  },
): CipherListing<C> {
  const isRoot = isRootPath(directory);
  const listing: CipherListing<C> = {
    dirIVFile: undefined,
    direct: [],
    long: [],
    nameFiles: new Map(),
  };
  for (const cipher of children) {
    const { name } = splitPath(cipher.path);
    if (isRoot && isDirectory(cipher) && pathKey(name) === TEMPORARY_DIRECTORY) {
      report('temporary-directory', cipher);
      continue;
    }
    switch (names.kindOf(name)) {
      case 'conf':
        if (isRoot) break;
        if (names.isPlain) listing.direct.push(cipher);
        else report('conf-misplaced', cipher);
        break;
      case 'diriv':
        if (names.hasDirIVs) listing.dirIVFile = cipher;
        else report('diriv-unexpected', cipher);
        break;
      case 'name-file':
        listing.nameFiles.set(pathKey(cipher.path), cipher);
        break;
      case 'long':
        listing.long.push(cipher);
        break;
      case 'direct':
        listing.direct.push(cipher);
        break;
    }
  }
  return listing;
}

/** Whether a name has the shape of an encrypted name, intact or not, of any directory. */
export function hasNameShape(name: Uint8Array): boolean {
  return NAME_SHAPE.test(pathKey(name));
}

/**
 * Reads one of the format's own small files.
 *
 * @returns undefined for anything but a regular file of at most `lengthMax` bytes
 * @throws {FileError} `open-failed`, `read-failed`; {@link VanishedError} `vanished`
 */
export async function readSmallFile<C extends Entry>(
  tree: Tree<C>,
  file: C,
  lengthMax: number,
): Promise<Uint8Array | undefined> {
  if (!isRegularFile(file) || file.size > lengthMax) return undefined;
  const opened = await tree.open(file);
  try {
    const bytes = await opened.read(0, lengthMax + 1);
    return bytes.length > lengthMax ? undefined : Buffer.from(bytes);
  } finally {
    await opened.close();
  }
}
