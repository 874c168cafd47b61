/** Findings of an adoption, and how each can be repaired. */
import { IntegrityError } from '../../errors.ts';
import { showPath } from '../../tree/file-failure.ts';
import type { CopyProblem } from '../../view/decrypt/decrypted-view-problem.ts';

/** A finding about a copy that its new owner should know. */
export interface AdoptFinding {
  /** Stable, for scripts: `diriv-stale`, `name-file-missing`, … */
  readonly code: string;
  readonly message: string;
  /**
   * `repair`: damage that `--repair` repairs. `resend`: damage that the next push repairs by
   * sending content again. `lost`: damage to something the source does not have. `none`: no damage.
   */
  readonly mending: 'repair' | 'resend' | 'lost' | 'none';
  /** Path of the damaged file in the copy. */
  readonly cipherPath: Uint8Array;
  /** Plaintext path of the object it belongs to, if it is known. */
  readonly plainPath?: Uint8Array;
  /** Plaintext path of the directory that holds the object. */
  readonly plainDirectory: Uint8Array;
}

/** How each kind of problem can be repaired if nothing is known beyond the copy. */
const MENDING: Readonly<Record<string, AdoptFinding['mending']>> = {
  'diriv-missing': 'resend',
  'diriv-invalid': 'resend',
  'diriv-misplaced': 'resend',
  'diriv-repeated': 'resend',
  'name-file-missing': 'lost',
  'name-file-invalid': 'lost',
  'target-invalid': 'resend',
  'cipher-size-illegal': 'resend',
};

/** A finding for an object that a decrypted view left out. */
export function adoptFindingOf(problem: CopyProblem): AdoptFinding {
  const { code, error, cipherPath, plainPath, plainDirectory } = problem;
  return {
    code,
    message: error.message,
    mending: MENDING[code] ?? 'none',
    cipherPath,
    ...(plainPath !== undefined && { plainPath }),
    plainDirectory,
  };
}

/** A `gocryptfs.diriv` that is missing or does not match its place. */
export function wrongDerivedDirIV(
  plainPath: Uint8Array,
  cipherPath: Uint8Array,
  isMissing: boolean,
): AdoptFinding {
  const what = isMissing ? 'is missing' : 'belongs elsewhere';
  return {
    code: isMissing ? 'diriv-missing' : 'diriv-stale',
    message: `${showPath(plainPath)}: the gocryptfs.diriv of the folder ${what}: nothing in it can be read`,
    mending: 'repair',
    cipherPath,
    plainPath,
    plainDirectory: plainPath,
  };
}

/** A directory whose names were all encrypted with another IV than the stored one. */
export function wrongDirIV(plainPath: Uint8Array, cipherPath: Uint8Array): AdoptFinding {
  return {
    code: 'diriv-wrong',
    message: `${showPath(plainPath)}: no name in the folder can be decrypted with its gocryptfs.diriv`,
    mending: 'resend',
    cipherPath,
    plainPath,
    plainDirectory: plainPath,
  };
}

/** The error for damage that prevents adopting without repair. */
export function damageError(findings: readonly AdoptFinding[], shownCopy: string): IntegrityError {
  const count = findings.length;
  const what = count === 1 ? '1 thing in it is damaged' : `${count} things in it are damaged`;
  return new IntegrityError('copy-damaged', `${shownCopy}: ${what}; nothing was made`, {
    hint: 'Add --repair: what can be mended is mended, and the next push sends the rest anew.',
    facts: { damaged: count },
  });
}
