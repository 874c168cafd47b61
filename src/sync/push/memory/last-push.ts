/** Compares a copy with the objects, sizes, times and modes that the last push remembered. */
import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSpecial,
  S_IFMT,
  type Entry,
} from '../../../tree/entry.ts';
import { showPath } from '../../../tree/file-failure.ts';
import { objectKindOf } from '../../../view/decrypt/decrypted-view-problem.ts';
import { isRootPath, pathKey, splitPath } from '../../../bytes/paths.ts';
import type { PlainEntry } from '../../../view/plain-entry.ts';
import type { FsckFinding } from '../../copy/fsck-finding.ts';
import { readLocations } from './locations.ts';
import type { PushMark } from './push-mark.ts';

const PERMISSION_BITS = 0o7777;
/** Some file systems store times in steps of two seconds. */
const TIME_GRAIN_SEC = 1;
/** Times that every file system can hold. */
const TIME_MAX_SEC = 2 ** 31 - 1;
/**
 * If this many objects and this share of all differ in one attribute, the destination does not keep
 * it.
 */
const UNKEPT_MIN = 8;
const UNKEPT_SHARE = 0.9;

/** An object as a push left it. */
interface Pushed {
  isMet: boolean;
  readonly mode: number;
  readonly size: number;
  readonly mtimeSec: number;
}

/** An attribute: the objects that differ in it, and how many were compared. */
interface Attribute {
  compared: number;
  readonly differing: FsckFinding[];
}

/** Compares the objects that the last push left at a destination with the existing ones. */
export class LastPush {
  readonly #mark: PushMark;
  readonly #cipherPathOf: (plainPath: Uint8Array) => Uint8Array;
  /** By the key of the plaintext path. */
  readonly #pushed = new Map<string, Pushed>();
  /** Keys of folders whose content was listed. Elsewhere objects are not known to be missing. */
  readonly #listed = new Set<string>();
  /** Keys of folders that were added to the copy. */
  readonly #added = new Set<string>();
  readonly #attributes = {
    'mode-differs': { compared: 0, differing: [] },
    'folder-mode-differs': { compared: 0, differing: [] },
    'time-differs': { compared: 0, differing: [] },
    'folder-time-differs': { compared: 0, differing: [] },
  } satisfies Record<string, Attribute>;

  /**
   * @param remembered - from `encodeLocations`; what `mark` is about
   * @throws {VaultError} `memory-damaged`
   */
  constructor(
    remembered: Uint8Array,
    mark: PushMark,
    cipherPathOf: (plainPath: Uint8Array) => Uint8Array,
  ) {
    this.#mark = mark;
    this.#cipherPathOf = cipherPathOf;
    for (const { path, mode, size, mtimeSec } of readLocations(remembered)) {
      if (!this.#isCarried({ mode })) continue;
      this.#pushed.set(pathKey(path), { isMet: false, mode, size, mtimeSec });
    }
  }

  /** Whether the ID of the file at a path must follow from its birth or its path. */
  isExactAt(plainPath: Uint8Array): boolean {
    return this.#mark.filesAreExact && this.#pushed.has(pathKey(plainPath));
  }

  /** @returns what is wrong with an object of the copy, as far as it shows by itself */
  meet(entry: PlainEntry): FsckFinding | undefined {
    if (isRootPath(entry.path)) return undefined;
    const key = pathKey(entry.path);
    const pushed = this.#pushed.get(key);
    if (pushed === undefined) return this.#unexpected(entry);
    pushed.isMet = true;
    if ((pushed.mode & S_IFMT) !== (entry.mode & S_IFMT)) {
      return about(entry, 'kind-differs', `was a ${kindOf(pushed)} when it was pushed`);
    }
    const { size, target } = entry.cipher;
    if (target !== undefined && target.length !== pushed.size) {
      return about(entry, 'size-differs', 'leads elsewhere than when it was pushed');
    }
    if (isRegularFile(entry) && size !== pushed.size) {
      return about(
        entry,
        'size-differs',
        `has ${size} encrypted bytes in place of the ${pushed.size} that were pushed`,
      );
    }
    this.#compareAttributes(entry, pushed);
    if (isRegularFile(entry) && this.#mark.filesAreExact && entry.cipher.linkGroup !== undefined) {
      return about(entry, 'linked', 'is one file with another one; they were pushed as two');
    }
    return undefined;
  }

  /** Everything in a folder was listed. */
  listed(folder: Uint8Array): void {
    this.#listed.add(pathKey(folder));
  }

  /** A problem of this object was reported already. */
  pass(plainPath: Uint8Array): void {
    const pushed = this.#pushed.get(pathKey(plainPath));
    if (pushed !== undefined) pushed.isMet = true;
  }

  /**
   * Missing objects, and differences that only show in the whole.
   *
   * @param isWanted - by plaintext path: whether the object should have been listed
   */
  conclude(
    isWanted: (plainPath: Uint8Array, isFolder: boolean) => boolean = () => true,
  ): FsckFinding[] {
    const findings: FsckFinding[] = [];
    for (const [key, pushed] of this.#pushed) {
      if (pushed.isMet) continue;
      const path = Buffer.from(key, 'latin1');
      if (!this.#listed.has(pathKey(splitPath(path).directory))) continue;
      if (!isWanted(path, isDirectory(pushed))) continue;
      findings.push(this.#missing(path, pushed));
    }
    return [...findings, ...Object.entries(this.#attributes).flatMap(([, one]) => judge(one))];
  }

  #compareAttributes(entry: PlainEntry, pushed: Pushed): void {
    const isFolder = isDirectory(entry);
    if (!isFolder && !isRegularFile(entry)) return;
    if (this.#mark.perms) {
      const attribute = this.#attributes[isFolder ? 'folder-mode-differs' : 'mode-differs'];
      const [was, is] = [pushed.mode & PERMISSION_BITS, entry.mode & PERMISSION_BITS];
      note(attribute, was === is, () =>
        about(entry, 'mode-differs', `has mode ${octal(is)}; it was pushed with ${octal(was)}`),
      );
    }
    if (pushed.mtimeSec < 0 || pushed.mtimeSec > TIME_MAX_SEC) return;
    const attribute = this.#attributes[isFolder ? 'folder-time-differs' : 'time-differs'];
    const isSame = Math.abs(pushed.mtimeSec - entry.mtimeSec) <= TIME_GRAIN_SEC;
    note(attribute, isSame, () =>
      about(entry, 'time-differs', 'has another modification time than it was pushed with'),
    );
  }

  #unexpected(entry: PlainEntry): FsckFinding | undefined {
    if (!this.#mark.isAll || !this.#isCarried(entry)) return undefined;
    const isSaid = this.#added.has(pathKey(splitPath(entry.path).directory));
    if (isDirectory(entry)) this.#added.add(pathKey(entry.path));
    if (isSaid) return undefined;
    return about(entry, 'unexpected', 'was not there after the last push');
  }

  #missing(path: Uint8Array, pushed: Pushed): FsckFinding {
    const what = isDirectory(pushed)
      ? 'the folder is missing, with all that was in it'
      : 'is missing';
    return {
      severity: 'damage',
      code: 'missing',
      message: `${showPath(path)}: ${what}; the last push left it there`,
      cipherPath: this.#cipherPathOf(path),
      plainPath: path,
      plainDirectory: splitPath(path).directory,
      kind: objectKindOf(pushed),
    };
  }

  #isCarried(entry: Pick<Entry, 'mode'>): boolean {
    if (isDevice(entry)) return this.#mark.devices;
    return isSpecial(entry) ? this.#mark.specials : true;
  }
}

function note(attribute: Attribute, isSame: boolean, finding: () => FsckFinding): void {
  attribute.compared++;
  if (!isSame) attribute.differing.push(finding());
}

/** If nearly everything differs, the destination does not keep this attribute. */
function judge({ compared, differing }: Attribute): readonly FsckFinding[] {
  const [first] = differing;
  const isUnkept = differing.length >= UNKEPT_MIN && differing.length > compared * UNKEPT_SHARE;
  if (first === undefined || !isUnkept) return differing;
  const what = first.code === 'mode-differs' ? 'permissions' : 'times';
  return [
    {
      severity: 'note',
      code: `${first.code}-everywhere`,
      message: `${differing.length} of ${compared} objects have other ${what} than they were pushed with: either the destination does not keep them, or somebody has changed them`,
      cipherPath: Buffer.from('.'),
      plainDirectory: Buffer.from('.'),
      kind: 'directory',
    },
  ];
}

function about(entry: PlainEntry, code: string, what: string): FsckFinding {
  return {
    severity: 'damage',
    code,
    message: `${showPath(entry.path)} ${what}`,
    cipherPath: entry.cipher.path,
    plainPath: entry.path,
    plainDirectory: splitPath(entry.path).directory,
    kind: objectKindOf(entry),
  };
}

function kindOf(pushed: Pushed): string {
  const kind = objectKindOf(pushed);
  return kind === 'directory' ? 'folder' : kind === 'special' ? 'pipe or socket' : kind;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
