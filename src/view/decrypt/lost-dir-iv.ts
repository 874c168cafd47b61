/** Decides whether a directory with a lost `gocryptfs.diriv` can be read under its expected IV. */
import { IntegrityError } from '../../errors.ts';
import { NAME_FILE_SUFFIX, type NameScheme } from '../../gocryptfs/names/names.ts';
import type { Entry } from '../../tree/entry.ts';
import { hasNameShape, type CipherListing } from './decrypted-view-listing.ts';
import { pathKey, splitPath } from '../../bytes/paths.ts';

/** Number of names in a directory that are tried. */
const NAMES_MAX = 64;
/** Number of `.name` files that are read and tried. */
const NAME_FILES_MAX = 16;

/** Decrypts one name; throws an {@link IntegrityError} when it is not valid under this IV. */
type Attempt = (dirIV: Uint8Array) => unknown;

/**
 * Whether the names in a directory are encrypted under its expected IV, rather than under its
 * stored one. A directory that was moved to the place of another one keeps its own IV.
 *
 * @param ivs.stored - absent when there is no usable one
 * @param readNameFile - the content of a `.name` file; undefined if it cannot be read
 * @returns undefined when no names can show it
 */
export async function isUnderExpectedIV<C extends Entry>(
  names: NameScheme,
  listing: CipherListing<C>,
  {
    ivs,
    readNameFile,
  }: {
    readonly ivs: { readonly expected: Uint8Array; readonly stored?: Uint8Array | undefined };
    readonly readNameFile: (file: C) => Promise<Uint8Array | undefined>;
  },
): Promise<boolean | undefined> {
  const attempts = directAttempts(names, listing);
  if (attempts.length === 0) attempts.push(...(await longAttempts(names, listing, readNameFile)));
  if (attempts.length === 0) return undefined;
  const { expected, stored } = ivs;
  const opened = countOpened(attempts, expected);
  // One name in 255 decrypts under any IV.
  const byStored = stored === undefined ? 0 : countOpened(attempts, stored);
  return opened > byStored && opened * 2 >= attempts.length;
}

function directAttempts<C extends Entry>(
  names: NameScheme,
  { direct }: CipherListing<C>,
): Attempt[] {
  const stored = direct.map(({ path }) => splitPath(path).name).filter(hasNameShape);
  return stored
    .slice(0, NAMES_MAX)
    .map((name) => (dirIV: Uint8Array) => names.decryptName(name, dirIV));
}

async function longAttempts<C extends Entry>(
  names: NameScheme,
  { long, nameFiles }: CipherListing<C>,
  readNameFile: (file: C) => Promise<Uint8Array | undefined>,
): Promise<Attempt[]> {
  const attempts: Attempt[] = [];
  for (const { path } of long.slice(0, NAME_FILES_MAX)) {
    const file = nameFiles.get(pathKey(path) + NAME_FILE_SUFFIX);
    const fullName = file && (await readNameFile(file));
    if (fullName === undefined) continue;
    const { name } = splitPath(path);
    attempts.push((dirIV) => names.decryptLongName(name, fullName, dirIV));
  }
  return attempts;
}

function countOpened(attempts: readonly Attempt[], dirIV: Uint8Array): number {
  return attempts.filter((attempt) => opens(attempt, dirIV)).length;
}

/** Whether a name can be decrypted under an IV. */
export function opens(attempt: Attempt, dirIV: Uint8Array): boolean {
  try {
    attempt(dirIV);
    return true;
  } catch (error) {
    if (error instanceof IntegrityError) return false;
    throw error;
  }
}
