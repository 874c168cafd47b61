/** What can be wrong with one object of a copy. */
import { EcsyncError, IntegrityError } from '../../errors.ts';
import { isDevice, isDirectory, isRegularFile, isSymlink, type Entry } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';

/** What an object of a copy is, by its mode. */
export type ObjectKind = 'directory' | 'file' | 'symlink' | 'device' | 'special';

export function objectKindOf(entry: Pick<Entry, 'mode'>): ObjectKind {
  if (isDirectory(entry)) return 'directory';
  if (isRegularFile(entry)) return 'file';
  if (isSymlink(entry)) return 'symlink';
  return isDevice(entry) ? 'device' : 'special';
}

/** Everything that can be wrong with the structure of a copy, and what it is called in a sentence. */
const MESSAGES = {
  'diriv-missing': 'the folder has no gocryptfs.diriv: nothing in it can be read',
  'diriv-invalid': 'the gocryptfs.diriv of the folder is not one: nothing in it can be read',
  'diriv-lost':
    'the gocryptfs.diriv of the folder is lost or damaged; what it must hold is known, and the folder was read with that',
  'diriv-misplaced': 'the gocryptfs.diriv of the folder is that of another folder',
  'diriv-repeated': 'the folder has the same gocryptfs.diriv as another one',
  'diriv-unexpected': 'a gocryptfs.diriv where names do not depend on the folder',
  'conf-misplaced': 'a gocryptfs.conf below the top folder',
  'foreign-object': 'not something gocryptfs writes',
  'name-invalid': 'the name cannot be decrypted here',
  'name-form-invalid': 'the name is stored in a form in which gocryptfs does not look for it',
  'name-file-missing': 'a hashed name without its .name file',
  'name-file-invalid': 'the .name file does not belong to the hashed name',
  'name-file-orphan': 'a .name file whose object is missing',
  'target-invalid': 'where the link leads cannot be decrypted',
  'cipher-size-illegal': 'no file has this encrypted size',
  'temporary-directory': 'where pushes keep unfinished files, no part of the copy',
  unreadable: 'cannot be read',
} as const;

/**
 * What is wrong with one object of a copy. `diriv-lost` alone costs nothing of what is in it;
 * `temporary-directory` is no damage: it is in
 * every copy that ecsync has pushed. `unreadable`: the error of the tree below says why.
 */
export type CopyProblemCode = keyof typeof MESSAGES;

const DIR_IV_PROBLEMS: ReadonlySet<string> = new Set<CopyProblemCode>([
  'diriv-missing',
  'diriv-invalid',
  'diriv-misplaced',
  'diriv-repeated',
]);

/** Whether something is wrong with the IV of a directory, rather than with reading it. */
export function isDirIVProblem(code: string): code is CopyProblemCode {
  return DIR_IV_PROBLEMS.has(code);
}

/** An object of a copy that has no place in the plaintext tree, or a directory without its content. */
export interface CopyProblem {
  readonly code: CopyProblemCode;
  /** What to throw or to count: an IntegrityError of the same code, or why it is unreadable. */
  readonly error: EcsyncError;
  /** Where in the copy. */
  readonly cipherPath: Uint8Array;
  /** Plaintext path of the object, where it can be told. */
  readonly plainPath?: Uint8Array;
  /** Plaintext path of the directory that holds the object. */
  readonly plainDirectory: Uint8Array;
  readonly kind: ObjectKind;
}

const HINT = 'The copy is damaged or was changed. Push again from the source.';
const HINTS: Partial<Record<CopyProblemCode, string>> = {
  'temporary-directory': 'Leave it: ecsync made it and uses it.',
  'diriv-lost':
    'Put it back from the source: ecsync verify --repair. gocryptfs cannot read the folder without it.',
};

/**
 * @param where.cause - the failure behind it; of an `unreadable` object it is the error itself
 */
export function copyProblem(
  code: CopyProblemCode,
  where: Omit<CopyProblem, 'code' | 'error'> & { readonly cause?: unknown },
): CopyProblem {
  const { cause, ...place } = where;
  return { code, ...place, error: errorOf(code, place, cause) };
}

function errorOf(
  code: CopyProblemCode,
  { plainPath, cipherPath }: Pick<CopyProblem, 'plainPath' | 'cipherPath'>,
  cause: unknown,
): EcsyncError {
  if (code === 'unreadable' && cause instanceof EcsyncError) return cause;
  const shownCipherPath = showPath(cipherPath);
  const shown = plainPath === undefined ? `${shownCipherPath} in the copy` : showPath(plainPath);
  return new IntegrityError(code, `${shown}: ${MESSAGES[code]}`, {
    hint: HINTS[code] ?? HINT,
    facts: { cipherPath: shownCipherPath },
    ...(cause === undefined ? {} : { cause }),
  });
}
