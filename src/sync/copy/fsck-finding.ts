/** Findings of a check of a copy, one per object. */
import {
  IntegrityError,
  type EcsyncError,
  type FileError,
  type VanishedError,
} from '../../errors.ts';
import type { PlainEntry } from '../../view/plain-entry.ts';
import {
  objectKindOf,
  type CopyProblem,
  type ObjectKind,
} from '../../view/decrypt/decrypted-view-problem.ts';
import type { Misplaced } from '../../view/decrypt/identity-check.ts';
import { splitPath } from '../../bytes/paths.ts';
import type { ContentDamage } from '../../view/decrypt/plain-file.ts';

/** Consecutive blocks of one file, both ends included. */
export interface BlockRange {
  readonly first: number;
  readonly last: number;
}

/** One finding of a check. */
export interface FsckFinding {
  /**
   * `damage`: the key did not write this, or wrote it elsewhere. `unread`: it could not be
   * examined. `note`: worth knowing, but nothing is wrong.
   */
  readonly severity: 'damage' | 'unread' | 'note';
  /** Stable, for scripts: `tag-mismatch`, `name-invalid`, `diriv-missing`, … */
  readonly code: string;
  readonly message: string;
  /** Path in the copy. */
  readonly cipherPath: Uint8Array;
  /** Plaintext path of the object, if it is known. */
  readonly plainPath?: Uint8Array;
  /** Plaintext path of the directory that holds the object. */
  readonly plainDirectory: Uint8Array;
  readonly kind: ObjectKind;
  /**
   * The damaged blocks, 4096 bytes of plaintext each. Absent if the finding is not about blocks.
   */
  readonly blocks?: BlockRange;
}

function severityOf(error: EcsyncError): FsckFinding['severity'] {
  return error instanceof IntegrityError ? 'damage' : 'unread';
}

/** A finding for an object that a decrypted view left out. */
export function findingOfProblem(problem: CopyProblem): FsckFinding {
  const { error, ...place } = problem;
  return { ...place, severity: severityOf(error), code: error.code, message: error.message };
}

/** A finding about an object as a whole. */
export function findingAbout(
  entry: PlainEntry,
  error: FileError | VanishedError | IntegrityError,
): FsckFinding {
  return {
    ...placeOf(entry),
    severity: severityOf(error),
    code: error.code,
    message: error.message,
  };
}

/** Damage in the content of one file. Neighbouring blocks with the same damage are merged. */
export class DamageList {
  readonly #entry: PlainEntry;
  readonly #severityOf: (code: string) => FsckFinding['severity'];
  readonly #findings: FsckFinding[] = [];

  /** @param severityOf - called when the file's header is known */
  constructor(entry: PlainEntry, severityOf: (code: string) => FsckFinding['severity']) {
    this.#entry = entry;
    this.#severityOf = severityOf;
  }

  add({ blockNo, blockCount = 1, error }: ContentDamage): void {
    const last = this.#findings.at(-1);
    if (blockNo === undefined) this.#findings.push(findingAbout(this.#entry, error));
    else if (last?.blocks?.last === blockNo - 1 && last.code === error.code) {
      const blocks = { first: last.blocks.first, last: blockNo + blockCount - 1 };
      this.#findings[this.#findings.length - 1] = { ...last, blocks };
    } else {
      const finding = findingAbout(this.#entry, error);
      const severity = this.#severityOf(error.code);
      this.#findings.push({
        ...finding,
        severity,
        blocks: { first: blockNo, last: blockNo + blockCount - 1 },
      });
    }
  }

  get findings(): readonly FsckFinding[] {
    return this.#findings;
  }
}

/** The one message about all files that may have been renamed. */
export function movedFilesText(count: number): string {
  const files = count === 1 ? '1 file was' : `${count} files were`;
  return `${files} encrypted under another name than now. Renaming does that; so does somebody who moves files in the copy. If nobody has renamed them, compare them with the source (-v names them)`;
}

/** A finding for an object that has the identity of another place. */
export function findingOfMisplaced({ severity, error, entry }: Misplaced): FsckFinding {
  const isNote = severity === 'moved';
  return { ...findingAbout(entry, error), severity: isNote ? 'note' : 'damage' };
}

/** The same findings for another name of the same object. */
export function findingsElsewhere(
  findings: readonly FsckFinding[],
  entry: PlainEntry,
): FsckFinding[] {
  return findings.map((finding) => ({ ...finding, ...placeOf(entry) }));
}

function placeOf(
  entry: PlainEntry,
): Pick<FsckFinding, 'cipherPath' | 'plainPath' | 'plainDirectory' | 'kind'> {
  return {
    cipherPath: entry.cipher.path,
    plainPath: entry.path,
    plainDirectory: splitPath(entry.path).directory,
    kind: objectKindOf(entry),
  };
}

/** A finding for what the tree of ciphertext could not read while it listed `directory`. */
export function findingOfUnread(
  cipherPath: Uint8Array,
  error: EcsyncError,
  directory: PlainEntry,
): FsckFinding {
  const isDirectoryItself = Buffer.compare(cipherPath, directory.cipher.path) === 0;
  return {
    severity: 'unread',
    code: error.code,
    message: error.message,
    cipherPath,
    ...(isDirectoryItself ? { plainPath: directory.path } : {}),
    plainDirectory: directory.path,
    kind: isDirectoryItself ? 'directory' : 'file',
  };
}
