/** Recognises whether the identities of a copy are those of `gocryptfs -reverse`. */
import { FileError, IntegrityError, VanishedError } from '../../errors.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import { isAllZero, parseFileHeader } from '../../gocryptfs/format/file-header.ts';
import { ReverseIdentities } from '../../gocryptfs/content/identity.ts';
import type { Derivation } from '../../gocryptfs/layout.ts';
import { DIR_IV_LENGTH, FILE_HEADER_LENGTH } from '../../gocryptfs/format/limits.ts';
import { DIR_IV_NAME_BYTES, kindOfCipherName } from '../../gocryptfs/names/names.ts';
import { isDirectory, isRegularFile, type Entry, type Tree } from '../../tree/entry.ts';
import { walk } from '../../tree/walk.ts';
import { readSmallFile } from '../../view/decrypt/decrypted-view-listing.ts';
import { isRootPath, splitPath } from '../../bytes/paths.ts';

/** How many file headers are examined where directories have no IV. */
const HEADERS_MAX = 16;
/** Larger files are not fetched for their headers. */
const FILE_LENGTH_MAX = 64 * 1024;

const IDENTITIES = new ReverseIdentities();

/** A copy that may be able to fetch several files at once. */
export interface CopyTree<C extends Entry> extends Tree<C> {
  prefetch?(files: readonly C[], lengthMax: number): Promise<void>;
}

/** The IV that `gocryptfs -reverse` gives a directory. */
export function reverseDirIV(cipherPath: Uint8Array): Uint8Array {
  return IDENTITIES.dirIV({
    path: isRootPath(cipherPath) ? new Uint8Array(0) : cipherPath,
    counter: 0,
  });
}

/**
 * Decides whether a copy is what `gocryptfs -reverse` shows: it uses AES-SIV, and most stored
 * identities follow from their cipher paths. It examines the IVs of directories if there are any,
 * else the headers of a few small files. A filesystem that was mounted and written to has random
 * identities.
 */
export async function recogniseDerivation<C extends Entry>(
  copy: CopyTree<C>,
  conf: Pick<Conf, 'flags'>,
  signal: AbortSignal,
): Promise<Derivation> {
  if (!conf.flags.has('AESSIV')) return 'keyed';
  const votes = conf.flags.has('DirIV')
    ? await dirIVVotes(copy, signal)
    : await headerVotes(copy, signal);
  const own = votes.filter((isDerived) => isDerived).length;
  return own > 0 && own * 2 >= votes.length ? 'reverse' : 'keyed';
}

/**
 * The same decision from the root alone, if directories have IVs and the root has its own. Only
 * layout `reverse` can derive a lost IV.
 *
 * @param signal - absent: only the root is examined, and without directory IVs the result is
 *   unknown
 */
export async function derivationByRoot<C extends Entry>(
  copy: CopyTree<C>,
  conf: Pick<Conf, 'flags'>,
  signal?: AbortSignal,
): Promise<Derivation> {
  if (!conf.flags.has('AESSIV')) return 'keyed';
  if (!conf.flags.has('DirIV')) {
    return signal === undefined ? 'keyed' : recogniseDerivation(copy, conf, signal);
  }
  const root = await copy.root();
  const file =
    copy.child === undefined
      ? (await copy.children(root)).find(({ path }) => DIR_IV_NAME_BYTES.equals(path))
      : await copy.child(root, DIR_IV_NAME_BYTES);
  const bytes = file && (await tryRead(copy, file, DIR_IV_LENGTH));
  if (bytes?.length !== DIR_IV_LENGTH || isAllZero(bytes)) return 'reverse';
  if (Buffer.compare(bytes, reverseDirIV(root.path)) === 0) return 'reverse';
  return signal === undefined ? 'keyed' : recogniseDerivation(copy, conf, signal);
}

async function dirIVVotes<C extends Entry>(
  copy: CopyTree<C>,
  signal: AbortSignal,
): Promise<boolean[]> {
  const votes: boolean[] = [];
  for await (const part of walk(copy, signal)) {
    for (const file of part) {
      const { directory, name } = splitPath(file.path);
      if (isDirectory(file) || !DIR_IV_NAME_BYTES.equals(name)) continue;
      const bytes = await tryRead(copy, file, DIR_IV_LENGTH);
      if (bytes?.length !== DIR_IV_LENGTH) continue;
      votes.push(Buffer.compare(bytes, reverseDirIV(directory)) === 0);
    }
  }
  return votes;
}

async function headerVotes<C extends Entry>(
  copy: CopyTree<C>,
  signal: AbortSignal,
): Promise<boolean[]> {
  const files: C[] = [];
  for await (const part of walk(copy, signal)) {
    const { length } = files;
    if (length >= HEADERS_MAX) break;
    // Hard-linked names share the identity of the name that was opened first.
    const fitting = part.filter((entry) => hasHeader(entry) && entry.linkGroup === undefined);
    files.push(...fitting.slice(0, HEADERS_MAX - length));
  }
  await copy.prefetch?.(files, FILE_LENGTH_MAX);
  const votes: boolean[] = [];
  for (const file of files) {
    const bytes = await tryRead(copy, file, FILE_LENGTH_MAX);
    const fileID = bytes && tryFileID(bytes);
    if (fileID === undefined) continue;
    const derived = IDENTITIES.file({ path: file.path, counter: 0 }).fileID;
    votes.push(Buffer.compare(fileID, derived) === 0);
  }
  return votes;
}

/** Whether an entry is a small encrypted file. */
function hasHeader(entry: Entry): boolean {
  const { size } = entry;
  const kind = kindOfCipherName(splitPath(entry.path).name);
  const isContent = isRegularFile(entry) && (kind === 'direct' || kind === 'long');
  return isContent && size > FILE_HEADER_LENGTH && size <= FILE_LENGTH_MAX;
}

function tryFileID(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return parseFileHeader(bytes.subarray(0, FILE_HEADER_LENGTH));
  } catch (error) {
    if (error instanceof IntegrityError) return undefined;
    throw error;
  }
}

/** A file that cannot be read does not vote. */
async function tryRead<C extends Entry>(
  copy: Tree<C>,
  file: C,
  lengthMax: number,
): Promise<Uint8Array | undefined> {
  try {
    return await readSmallFile(copy, file, lengthMax);
  } catch (error) {
    if (error instanceof FileError || error instanceof VanishedError) return undefined;
    throw error;
  }
}
