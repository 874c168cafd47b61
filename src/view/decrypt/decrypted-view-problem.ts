/** Problems of single objects of a copy. */
import { EcsyncError, IntegrityError } from '../../errors.ts';
import { isDevice, isDirectory, isRegularFile, isSymlink, type Entry } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';

/** The kind of an object of a copy, by its mode. */
export type ObjectKind = 'directory' | 'file' | 'symlink' | 'device' | 'special';

export function objectKindOf(entry: Pick<Entry, 'mode'>): ObjectKind {
  if (isDirectory(entry)) return 'directory';
  if (isRegularFile(entry)) return 'file';
  if (isSymlink(entry)) return 'symlink';
  return isDevice(entry) ? 'device' : 'special';
}

/** Every problem that the structure of a copy can have, in words. */
const MESSAGES = {
  'diriv-missing': 'the folder has no gocryptfs.diriv: nothing in it can be read',
  'diriv-invalid': 'the gocryptfs.diriv of the folder is invalid: nothing in it can be read',
  'diriv-lost':
    'the gocryptfs.diriv of the folder is lost or damaged; the folder was read with the IV that it must hold',
  'diriv-misplaced': 'the gocryptfs.diriv of the folder belongs to another folder',
  'diriv-repeated': 'the folder has the same gocryptfs.diriv as another folder',
  'diriv-unexpected': 'a gocryptfs.diriv, though names in this copy do not depend on the folder',
  'conf-misplaced': 'a gocryptfs.conf below the top folder',
  'foreign-object': 'gocryptfs does not write such an object',
  'name-invalid': 'the name cannot be decrypted here',
  'name-form-invalid': 'the name is stored in a form that gocryptfs does not look up',
  'name-file-missing': 'a hashed name without its .name file',
  'name-file-invalid': 'the .name file does not belong to the hashed name',
  'name-file-orphan': 'a .name file whose object is missing',
  'target-invalid': "the link's target cannot be decrypted",
  'cipher-size-illegal': 'no file has this encrypted size',
  'temporary-directory': 'pushes keep unfinished files here; it is not part of the copy',
  unreadable: 'cannot be read',
} as const;

/**
 * The problem of one object of a copy. `diriv-lost` alone loses nothing in the folder.
 * `temporary-directory` is no damage: every copy that ecsync has pushed has one. For `unreadable`,
 * the error of the underlying tree says why.
 */
export type CopyProblemCode = keyof typeof MESSAGES;

const DIR_IV_PROBLEMS: ReadonlySet<string> = new Set<CopyProblemCode>([
  'diriv-missing',
  'diriv-invalid',
  'diriv-misplaced',
  'diriv-repeated',
]);

/** Whether the problem is a directory's IV itself, rather than a failure to read it. */
export function isDirIVProblem(code: string): code is CopyProblemCode {
  return DIR_IV_PROBLEMS.has(code);
}

/** An object that the plaintext tree leaves out, or a directory whose content it leaves out. */
export interface CopyProblem {
  readonly code: CopyProblemCode;
  /** An IntegrityError of the same code, or the error that made the object unreadable. */
  readonly error: EcsyncError;
  /** Path in the copy. */
  readonly cipherPath: Uint8Array;
  /** Plaintext path of the object, where it is known. */
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
 * @param where.cause - the underlying failure; for `unreadable` it becomes the error itself
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
