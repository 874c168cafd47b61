/** Compares the identities stored in a copy with those of their places. */
import { IntegrityError } from '../../errors.ts';
import type { Birth, FileIdentity } from '../../gocryptfs/content/identity.ts';
import type { Layout } from '../../gocryptfs/layout.ts';
import { isRegularFile, isSymlink, type Entry } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import {
  judgeFiles,
  type FoundFile,
  type IdentityOwner,
  type MisplacedFile,
} from './exchanged-files.ts';
import type { Inherited } from '../inherited.ts';
import { isRootPath, pathKey, splitPath } from '../../bytes/paths.ts';
import { PathTranslation, type BirthOf, type PathPair } from '../path-translation.ts';
import type { PlainEntry } from '../plain-entry.ts';

/**
 * Birth counters tried for a file's own path: each file that was renamed away while in use took
 * one.
 */
const OWN_COUNTERS = 256;
/** Birth counters tried for other paths, only to name the owner of an identity. */
const OTHER_COUNTERS = 4;

/** A counter that no birth at a file's own path has. */
const BORN_ELSEWHERE = -1;

/** What a vault knows about the identities in its copies. */
export interface KnownIdentities {
  readonly birthOf: BirthOf;
  /** Set for a copy that was adopted. */
  readonly inherited?: Inherited;
}

/** An object of a copy with the identity of another place. */
export interface Misplaced {
  /**
   * `damage`: no push has left it there. `moved`: it was renamed before the push, or left behind
   * under its old name, or someone else put it there; the key cannot tell which.
   */
  readonly severity: 'damage' | 'moved';
  readonly error: IntegrityError;
  readonly entry: PlainEntry;
}

/** Lists a whole copy, from the start at each call. */
export type Listing = () => AsyncIterable<readonly PlainEntry[]>;

/** The verdict on a file after its header was read. */
export interface FileIdentityVerdict {
  /** Set when the ID is that of the file's own path or birth: ecsync wrote the file. */
  readonly own?: FileIdentity;
  /** Why none of the file may pass for what was pushed. */
  readonly refusal?: IntegrityError;
}

/** Knowledge about a copy, and how to treat its misplaced objects. */
export interface IdentityCheckOptions {
  readonly known?: KnownIdentities | undefined;
  readonly isExactAt?: ((plainPath: Uint8Array) => boolean) | undefined;
  /** Misplaced objects are returned all the same, and only reported. */
  readonly keepsMisplaced?: boolean;
}

/**
 * Checks one copy. Directories must be checked from the root down. Without {@link KnownIdentities}
 * the root's IV decides whether ecsync made the copy; a copy that gocryptfs made cannot be checked.
 */
export class IdentityCheck {
  /** Whether the file at a path must have the identity of its birth, or of a birth at its path. */
  readonly #isExactAt: (plainPath: Uint8Array) => boolean;
  /** Keys of files that were refused when they were recorded. */
  readonly #refused = new Set<string>();
  /** Misplaced objects are returned all the same, and only reported. */
  readonly keepsMisplaced: boolean;
  readonly #layout: Layout;
  readonly #known: KnownIdentities | undefined;
  readonly #places: PathTranslation;
  #isOurs: boolean | undefined;
  #fitting = 0;
  readonly #misplacedFolders = new Set<string>();
  /** IVs that follow from no path, each with the key of the first directory that had it. */
  readonly #foreignDirIVs = new Map<string, string>();
  readonly #files = new Map<string, FoundFile>();
  /** The birth counter of files that fit, where it is not 0. */
  readonly #counters = new Map<string, number>();
  readonly #links = new Map<string, PlainEntry>();

  /**
   * @param options.isExactAt - for plaintext paths of files: whether this vault wrote the file,
   *   under its current birth or a birth at its path, and not as a hard link. Elsewhere, a file
   *   with another identity may have been renamed, or left behind by a rename.
   */
  constructor(layout: Layout, options: IdentityCheckOptions = {}) {
    this.#layout = layout;
    this.#isExactAt = options.isExactAt ?? (() => false);
    this.#known = options.known;
    this.keepsMisplaced = options.keepsMisplaced ?? false;
    this.#places = new PathTranslation(layout, options.known ?? {});
    if (options.known !== undefined) this.#isOurs = true;
  }

  /**
   * Whether the identities in this copy follow from paths; undefined while nothing has shown it.
   */
  get isOurs(): boolean | undefined {
    return this.#isOurs ?? (this.#fitting > 0 ? true : undefined);
  }

  /**
   * Judges a directory's IV. In a copy that gocryptfs made, the only rule is that no two IVs are
   * equal. Nothing below a misplaced directory is checked.
   */
  directory(place: PathPair, dirIV: Uint8Array): 'fits' | 'misplaced' | 'repeated' {
    const { plainPath } = place;
    const key = pathKey(plainPath);
    if (this.#misplacedFolders.has(key)) return 'misplaced';
    const fits = Buffer.compare(dirIV, this.#places.dirIV(place)) === 0;
    if (isRootPath(plainPath)) this.#isOurs ??= fits;
    if (fits || this.#isBelowMisplaced(plainPath)) return 'fits';
    if (this.#isOurs !== true) return this.#isRepeated(key, dirIV) ? 'repeated' : 'fits';
    this.#misplacedFolders.add(key);
    return 'misplaced';
  }

  /** The IV that a directory must have; undefined where neither the copy nor the vault shows it. */
  expectedDirIV(place: PathPair): Uint8Array | undefined {
    const { plainPath } = place;
    if (this.#isOurs !== true && (this.#isOurs === false || !isRootPath(plainPath)))
      return undefined;
    const isElsewhere = this.#misplacedFolders.has(pathKey(plainPath));
    if (isElsewhere || this.#isBelowMisplaced(plainPath)) return undefined;
    return this.#places.dirIV(place);
  }

  #isRepeated(key: string, dirIV: Uint8Array): boolean {
    const first = this.#foreignDirIVs.get(pathKey(dirIV)) ?? key;
    this.#foreignDirIVs.set(pathKey(dirIV), first);
    return first !== key;
  }

  /** Checks a symlink with its decrypted target, and records it if it does not fit. */
  link(entry: PlainEntry): void {
    const { path: plainPath, cipher, target } = entry;
    if (target === undefined || cipher.target === undefined || this.#layout.names.isPlain) return;
    if (this.#isOurs === false || this.#isBelowMisplaced(plainPath)) return;
    if (this.#isTargetOf(entry, { plainPath, cipherPath: cipher.path })) this.#fitting++;
    else if (!isInherited(this.#known?.inherited, entry)) {
      this.#links.set(pathKey(plainPath), entry);
    }
  }

  /**
   * Checks a file's ID, and records the file if it does not fit.
   *
   * @param file.size - size of the stored file
   */
  file(file: PathPair & { readonly size: number }, fileID: Uint8Array): FileIdentityVerdict {
    const { plainPath } = file;
    const own = this.#ownBirth(file, fileID);
    if (own !== undefined) {
      this.#fitting++;
      const isOwnPath = Buffer.compare(own.path, this.#places.birth(file).path) === 0;
      if (!isOwnPath) this.#counters.set(pathKey(plainPath), BORN_ELSEWHERE);
      else if (own.counter > 0) this.#counters.set(pathKey(plainPath), own.counter);
      return { own: this.#layout.identities.file(own) };
    }
    if (this.#isOurs === false || this.#isBelowMisplaced(plainPath)) return {};
    this.#files.set(pathKey(plainPath), { ...file, fileID: Buffer.from(fileID) });
    if (this.keepsMisplaced || !this.#isExactAt(plainPath)) return {};
    this.#refused.add(pathKey(plainPath));
    return { refusal: misplacedFile({ plainPath }) };
  }

  /**
   * Judges the recorded links.
   *
   * @param copy - lists the copy once more, only when hard links may explain a link; absent: links
   *   that may have other names are accepted
   */
  async judgeLinks(copy?: Listing): Promise<readonly Misplaced[]> {
    if (this.#links.size === 0 || this.isOurs !== true) return [];
    const doubtful = [...this.#links.values()].some(({ cipher }) => mayHaveOtherNames(cipher));
    const names = doubtful && copy !== undefined ? await linkedNames(copy()) : undefined;
    // Without directory IVs one fitting identity shows that ecsync wrote here, but not that only it
    // did.
    const hasDirIVs = this.#layout.names.hasDirIVs || this.#known !== undefined;
    return [...this.#links.values()].flatMap((entry) => {
      if (names === undefined && mayHaveOtherNames(entry.cipher)) return [];
      const others = names?.get(pathKey(entry.path)) ?? [];
      const fits = others.some(({ path, cipher }) =>
        this.#isTargetOf(entry, { plainPath: path, cipherPath: cipher.path }),
      );
      if (fits) return [];
      const severity = hasDirIVs ? ('damage' as const) : ('moved' as const);
      return [{ severity, error: misplacedLink(entry), entry }];
    });
  }

  /**
   * Judges the recorded files that were not refused.
   *
   * @param copy - lists the copy once more: only the whole copy shows which files were exchanged,
   *   and which are hard links
   */
  async judgeFiles(copy: Listing): Promise<readonly Misplaced[]> {
    if (this.#files.size === 0 || this.isOurs !== true) return [];
    const wanted = new Set([...this.#files.values()].map(({ fileID }) => pathKey(fileID)));
    const owners = new Map<string, IdentityOwner>();
    const entries = new Map<string, PlainEntry>();
    for await (const part of copy()) {
      for (const entry of part) {
        if (!isRegularFile(entry)) continue;
        const key = pathKey(entry.path);
        if (this.#files.has(key)) entries.set(key, entry);
        this.#recordOwner(entry, wanted, owners);
      }
    }
    const judged = judgeFiles([...this.#files.values()], {
      owners,
      counterOf: (plainPath) => this.#counters.get(pathKey(plainPath)) ?? 0,
      groupOf: (plainPath) => entries.get(pathKey(plainPath))?.cipher.linkGroup,
    });
    return judged.flatMap((one) => {
      const key = pathKey(one.file.plainPath);
      return this.#refused.has(key) ? [] : [this.#judgeFile(one, entries.get(key))];
    });
  }

  #judgeFile(misplaced: MisplacedFile, entry: PlainEntry | undefined): Misplaced {
    const { file } = misplaced;
    const error = misplacedFile({ plainPath: file.plainPath, of: misplaced });
    const isDamage = misplaced.how === 'exchanged' || this.#isExactAt(file.plainPath);
    return {
      severity: isDamage ? 'damage' : 'moved',
      error,
      entry: entry ?? entryOf(file),
    };
  }

  #recordOwner(
    { path: plainPath, cipher }: PlainEntry,
    wanted: ReadonlySet<string>,
    owners: Map<string, IdentityOwner>,
  ): void {
    const { size, linkGroup } = cipher;
    const place = { plainPath, cipherPath: cipher.path };
    const isKeyed = this.#layout.identities.derivedFrom === 'plaintext path';
    for (let counter = 0; counter < (isKeyed ? OTHER_COUNTERS : 1); counter++) {
      const key = pathKey(this.#fileID(place, counter));
      if (wanted.has(key)) owners.set(key, { ...place, size, counter, linkGroup });
    }
  }

  /**
   * The birth that a file's ID follows from, if that is at its own path or recorded in the vault.
   */
  #ownBirth(place: PathPair, fileID: Uint8Array): Birth | undefined {
    const { identities } = this.#layout;
    const isOf = (birth: Birth): boolean =>
      Buffer.compare(identities.file(birth).fileID, fileID) === 0;
    const own = this.#places.birth(place);
    if (isOf(own)) return own;
    const known = this.#places.fileBirth(place);
    if (isOf(known)) return known;
    if (identities.derivedFrom === 'cipher path') return undefined;
    for (let counter = 1; counter < OWN_COUNTERS; counter++) {
      const birth = { path: own.path, counter };
      if (isOf(birth)) return birth;
    }
    return undefined;
  }

  #fileID(place: PathPair, counter: number): Uint8Array {
    const { path } = this.#places.birth(place);
    return this.#layout.identities.file({ path, counter }).fileID;
  }

  /**
   * The nonce of a target follows from the link and the target, so the whole ciphertext is
   * comparable.
   */
  #isTargetOf({ target, cipher }: PlainEntry, place: PathPair): boolean {
    if (target === undefined || cipher.target === undefined) return false;
    const linkID = this.#layout.identities.linkID(this.#places.birth(place));
    const { content } = this.#layout;
    return Buffer.compare(content.encryptTarget(linkID, target), cipher.target) === 0;
  }

  #isBelowMisplaced(plainPath: Uint8Array): boolean {
    if (this.#misplacedFolders.size === 0) return false;
    for (let at = plainPath; !isRootPath(at);) {
      at = splitPath(at).directory;
      if (this.#misplacedFolders.has(pathKey(at))) return true;
    }
    return false;
  }
}

/** The names of hard-linked symlinks: for the key of each path, all names of its object. */
async function linkedNames(
  copy: AsyncIterable<readonly PlainEntry[]>,
): Promise<ReadonlyMap<string, readonly PlainEntry[]>> {
  const groups = new Map<number, PlainEntry[]>();
  const links: PlainEntry[] = [];
  for await (const part of copy) links.push(...part.filter(isSymlink));
  const byPath = new Map<string, readonly PlainEntry[]>();
  for (const link of links) {
    // The first name of an object has a group only after the second was listed.
    const { linkGroup } = link.cipher;
    if (linkGroup === undefined) continue;
    const names = groups.get(linkGroup) ?? [];
    names.push(link);
    groups.set(linkGroup, names);
    byPath.set(pathKey(link.path), names);
  }
  return byPath;
}

function isInherited(inherited: Inherited | undefined, { path, cipher }: PlainEntry): boolean {
  const stored = inherited?.target(path);
  return (
    stored !== undefined &&
    cipher.target !== undefined &&
    Buffer.compare(stored, cipher.target) === 0
  );
}

/**
 * Whether an object may have other names; a local tree knows its link count before listing them.
 */
function mayHaveOtherNames(cipher: Entry): boolean {
  if (cipher.linkGroup !== undefined) return true;
  return 'nlink' in cipher && typeof cipher.nlink === 'number' && cipher.nlink > 1;
}

function entryOf({
  plainPath,
  cipherPath,
  size,
}: PathPair & { readonly size: number }): PlainEntry {
  const unknown = { mtimeSec: 0, mtimeNsec: 0, uid: 0, gid: 0, mode: 0o100600, size };
  return { ...unknown, path: plainPath, cipher: { ...unknown, path: cipherPath } };
}

const HINT =
  'Someone may have moved, exchanged or replaced objects in the copy. Compare it with the source.';

function misplacedLink({ path }: PlainEntry): IntegrityError {
  const shown = showPath(path);
  return new IntegrityError(
    'target-misplaced',
    `${shown}: the link has the target of another link`,
    {
      hint: HINT,
      facts: { path: shown },
    },
  );
}

function misplacedFile({
  plainPath,
  of,
}: {
  readonly plainPath: Uint8Array;
  readonly of?: MisplacedFile;
}): IntegrityError {
  const shown = showPath(plainPath);
  const other = of?.other === undefined ? undefined : showPath(of.other);
  const details = {
    hint: HINT,
    facts: { path: shown, ...(other !== undefined && { other }) },
  };
  switch (of?.how) {
    case 'exchanged':
      return new IntegrityError(
        'file-exchanged',
        `${shown} holds the encrypted file of ${other ?? 'another file'}: they were exchanged`,
        details,
      );
    case 'copied':
      return new IntegrityError(
        'file-copied',
        `${shown} and ${other ?? 'another file'} hold the same encrypted file`,
        details,
      );
    case 'moved':
    case undefined:
      return new IntegrityError(
        'file-moved',
        other === undefined
          ? `${shown} was encrypted under another name`
          : `${shown} holds the encrypted file of ${other}`,
        details,
      );
  }
}
