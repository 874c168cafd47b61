/** A copy as the plaintext tree that it contains. */
import { EcsyncError, FileError, IntegrityError } from '../../errors.ts';
import type { Layout } from '../../gocryptfs/layout.ts';
import { DIR_IV_LENGTH, NAME_FILE_LENGTH_MAX } from '../../gocryptfs/format/limits.ts';
import {
  CONF_NAME,
  DIR_IV_NAME_BYTES,
  NAME_FILE_SUFFIX,
  TEMPORARY_DIRECTORY,
} from '../../gocryptfs/names/names.ts';
import { isDirectory, isRegularFile, isSymlink, type Entry, type Tree } from '../../tree/entry.ts';
import { isSystemName } from '../../tree/filter/system-names.ts';
import {
  hasNameShape,
  readSmallFile,
  sortListing,
  type CipherListing,
} from './decrypted-view-listing.ts';
import {
  copyProblem,
  isDirIVProblem,
  objectKindOf,
  type CopyProblem,
} from './decrypted-view-problem.ts';
import { dirIVPlace, DirectoryIVs, type DirectoryIVOptions } from './directory-ivs.ts';
import { holeRuleFor, type HoleRule } from '../hole-rule.ts';
import { PlainFile } from './plain-file.ts';
import { plainSizeOf } from './plain-file-errors.ts';
import { isRootPath, joinPath, pathKey, ROOT_PATH, splitPath } from '../../bytes/paths.ts';
import { plainEntry, type PlainEntry } from '../plain-entry.ts';

const NO_DIR_IV = Buffer.alloc(DIR_IV_LENGTH);
const NOTHING = new Uint8Array(0);
const SLASH = 0x2f;
/** The longest plaintext name of two AES blocks. */
const TWO_BLOCK_NAME = Buffer.alloc(31, 'n');

/** How a copy is decrypted. */
export interface DecryptedViewOptions extends DirectoryIVOptions {
  /** As in `PlainFileOptions`. Use `strict` for copies that only ecsync has written. */
  readonly holes?: HoleRule;
}

/**
 * A gocryptfs filesystem as the plaintext tree that it contains. Inverse of `EncryptedView`. Names
 * and targets are decrypted when a directory is listed, content when it is read. Objects that
 * cannot be decrypted are left out and reported; a directory with an unusable IV is listed without
 * content. The conf in the copy is neither read nor obeyed.
 */
export class DecryptedView<C extends Entry = Entry> implements Tree<PlainEntry<C>> {
  readonly #cipher: Tree<C>;
  readonly #layout: Layout;
  readonly #options: DecryptedViewOptions;
  /** Stored names of at most this length are never hashed here, so their form needs no check. */
  readonly #directUpTo: number;
  readonly #dirIVs: DirectoryIVs<C>;

  /** @param cipher - reports what it cannot read to its own problem callback */
  constructor(cipher: Tree<C>, layout: Layout, options: DecryptedViewOptions = {}) {
    this.#cipher = cipher;
    this.#layout = layout;
    this.#options = options;
    this.#dirIVs = new DirectoryIVs(cipher, layout.names, options);
    const { name, fullName } = layout.names.encryptName(TWO_BLOCK_NAME, NO_DIR_IV);
    this.#directUpTo = fullName === undefined ? name.length : 0;
  }

  async root(): Promise<PlainEntry<C>> {
    return this.#decryptEntry(await this.#cipher.root(), ROOT_PATH);
  }

  async children(directory: PlainEntry<C>): Promise<readonly PlainEntry<C>[]> {
    const cipherChildren = await this.#cipher.children(directory.cipher);
    if (directory.cipher.contentUnknown === true) {
      directory.contentUnknown = true;
      return [];
    }
    const listing = sortListing(this.#layout.names, directory.path, {
      children: cipherChildren,
      report: (code, cipher) => this.#report(code, directory, { cipher }),
    });
    const dirIV = await this.#dirIVOrReport(directory, listing);
    if (dirIV === undefined) return [];
    const entries: PlainEntry<C>[] = [];
    const add = (cipher: C, plainName: Uint8Array | undefined): void => {
      const entry = plainName && this.#entryOrReport(cipher, joinPath(directory.path, plainName));
      if (entry !== undefined) entries.push(entry);
    };
    for (const cipher of listing.direct) {
      add(cipher, this.#directNameOrReport(directory, cipher, dirIV));
    }
    for (const cipher of listing.long) {
      const key = pathKey(cipher.path) + NAME_FILE_SUFFIX;
      const nameFile = listing.nameFiles.get(key);
      listing.nameFiles.delete(key);
      add(cipher, await this.#longNameOrReport(directory, { cipher, nameFile, dirIV }));
    }
    for (const orphan of listing.nameFiles.values()) {
      await this.#reportOrphan(directory, orphan, dirIV);
    }
    return entries;
  }

  /**
   * Opens the plaintext of a regular file.
   *
   * @throws {IntegrityError} `cipher-size-illegal`
   * @throws {VanishedError} `vanished`, {@link FileError} `open-failed` — from the tree below
   */
  async open(entry: PlainEntry<C>): Promise<PlainFile> {
    const cipher = await this.#cipher.open(entry.cipher);
    const { holes = 'allowed', identities } = this.#options;
    const { path, cipher: stored } = entry;
    const file = { plainPath: path, cipherPath: stored.path, size: stored.size };
    const admit = (fileID: Uint8Array): HoleRule => {
      const { own, refusal } = identities?.file(file, fileID) ?? {};
      if (refusal !== undefined) throw refusal;
      const isOnlyEcsync = holes === 'strict';
      return holeRuleFor({ isOnlyEcsync, isOwnFile: own !== undefined });
    };
    try {
      return new PlainFile(cipher, this.#layout.content, { path, admit });
    } catch (error) {
      await cipher.close();
      throw error;
    }
  }

  /**
   * Finds one object by its plaintext path. Encrypts the names on the way and looks them up,
   * without listing where the underlying tree can look up a name. Like stock, finds an object whose
   * `.name` file is missing or damaged.
   *
   * @param plainPath - components joined by `/`; the root is `.`
   * @returns undefined when there is no such object
   * @throws {IntegrityError} `diriv-missing`, `diriv-invalid` — of a directory on the way;
   *   `target-invalid`, `cipher-size-illegal` — of the object itself
   * @throws {FileError} `open-failed`, `read-failed`, {@link VanishedError} `vanished`
   */
  async find(plainPath: Uint8Array): Promise<PlainEntry<C> | undefined> {
    let entry = await this.root();
    if (isRootPath(plainPath)) return entry;
    for (let start = 0; start <= plainPath.length;) {
      const slash = plainPath.indexOf(SLASH, start);
      const end = slash === -1 ? plainPath.length : slash;
      const found = await this.child(entry, plainPath.subarray(start, end));
      if (found === undefined) return undefined;
      entry = found;
      start = end + 1;
    }
    return entry;
  }

  /** One step of {@link find}, with the same errors. */
  async child(directory: PlainEntry<C>, plainName: Uint8Array): Promise<PlainEntry<C> | undefined> {
    if (!isDirectory(directory)) return undefined;
    const dirIV = await this.#dirIV(directory);
    let name: Uint8Array;
    try {
      ({ name } = this.#layout.names.encryptName(plainName, dirIV));
    } catch (error) {
      // A name that cannot be encrypted cannot be in a copy.
      if (error instanceof FileError) return undefined;
      throw error;
    }
    if (this.#isReserved(directory, name)) return undefined;
    const cipher = await this.#lookUp(directory.cipher, name);
    return cipher && this.#decryptEntry(cipher, joinPath(directory.path, plainName));
  }

  /** Root objects that do not belong to the plaintext even where names are not encrypted. */
  #isReserved(directory: PlainEntry<C>, cipherName: Uint8Array): boolean {
    if (!isRootPath(directory.path)) return false;
    const text = pathKey(cipherName);
    return text === CONF_NAME || text === TEMPORARY_DIRECTORY;
  }

  async #lookUp(directory: C, name: Uint8Array): Promise<C | undefined> {
    if (this.#cipher.child !== undefined) return this.#cipher.child(directory, name);
    const wanted = joinPath(directory.path, name);
    const children = await this.#cipher.children(directory);
    return children.find(({ path }) => Buffer.compare(path, wanted) === 0);
  }

  /** The IV of the names in a directory; throws when it is unusable. */
  async #dirIV(directory: PlainEntry<C>): Promise<Uint8Array> {
    if (!this.#layout.names.hasDirIVs) return NO_DIR_IV;
    const file = await this.#lookUp(directory.cipher, DIR_IV_NAME_BYTES);
    return this.#dirIVs.of(directory, file, async () =>
      sortListing(this.#layout.names, directory.path, {
        children: await this.#cipher.children(directory.cipher),
        report: () => undefined,
      }),
    );
  }

  async #dirIVOrReport(
    directory: PlainEntry<C>,
    listing: CipherListing<C>,
  ): Promise<Uint8Array | undefined> {
    if (!this.#layout.names.hasDirIVs) return NO_DIR_IV;
    try {
      const list = (): Promise<CipherListing<C>> => Promise.resolve(listing);
      return await this.#dirIVs.of(directory, listing.dirIVFile, list);
    } catch (error) {
      if (!(error instanceof EcsyncError)) throw error;
      directory.contentUnknown = true;
      this.#options.onProblem?.({
        code: isDirIVProblem(error.code) ? error.code : 'unreadable',
        error,
        ...dirIVPlace(directory),
      });
      return undefined;
    }
  }

  #directNameOrReport(
    directory: PlainEntry<C>,
    cipher: C,
    dirIV: Uint8Array,
  ): Uint8Array | undefined {
    const { names } = this.#layout;
    const { name } = splitPath(cipher.path);
    try {
      const plainName = names.decryptName(name, dirIV);
      if (names.isPlain || name.length <= this.#directUpTo) return plainName;
      const expected = names.encryptName(plainName, dirIV).name;
      if (Buffer.compare(expected, name) === 0) return plainName;
      const plainPath = joinPath(directory.path, plainName);
      this.#report('name-form-invalid', directory, { cipher, plainPath });
    } catch (cause) {
      if (!(cause instanceof IntegrityError)) throw cause;
      if (isSystemName(cipher.path, isDirectory(cipher))) return undefined;
      const code = hasNameShape(name) ? 'name-invalid' : 'foreign-object';
      this.#report(code, directory, { cipher, cause });
    }
    return undefined;
  }

  async #longNameOrReport(
    directory: PlainEntry<C>,
    { cipher, nameFile, dirIV }: { cipher: C; nameFile: C | undefined; dirIV: Uint8Array },
  ): Promise<Uint8Array | undefined> {
    if (nameFile === undefined) {
      this.#report('name-file-missing', directory, { cipher });
      return undefined;
    }
    try {
      return await this.#readLongName(splitPath(cipher.path).name, nameFile, dirIV);
    } catch (cause) {
      if (!(cause instanceof EcsyncError)) throw cause;
      this.#report(longNameProblem(cause), directory, { cipher, cause });
      return undefined;
    }
  }

  async #readLongName(hashedName: Uint8Array, nameFile: C, dirIV: Uint8Array): Promise<Uint8Array> {
    const fullName = await readSmallFile(this.#cipher, nameFile, NAME_FILE_LENGTH_MAX);
    return this.#layout.names.decryptLongName(hashedName, fullName ?? NOTHING, dirIV);
  }

  /** Reports the lost object, with its plaintext name if the `.name` file is intact. */
  async #reportOrphan(directory: PlainEntry<C>, nameFile: C, dirIV: Uint8Array): Promise<void> {
    const { name } = splitPath(nameFile.path);
    const hashedName = name.subarray(0, name.length - NAME_FILE_SUFFIX.length);
    try {
      const plainName = await this.#readLongName(hashedName, nameFile, dirIV);
      const plainPath = joinPath(directory.path, plainName);
      this.#report('name-file-orphan', directory, { cipher: nameFile, plainPath });
    } catch (cause) {
      if (!(cause instanceof EcsyncError)) throw cause;
      const code = cause instanceof IntegrityError ? 'name-file-orphan' : 'unreadable';
      this.#report(code, directory, { cipher: nameFile, cause });
    }
  }

  #entryOrReport(cipher: C, plainPath: Uint8Array): PlainEntry<C> | undefined {
    try {
      return this.#decryptEntry(cipher, plainPath);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      const code = error.code === 'target-invalid' ? error.code : 'cipher-size-illegal';
      this.#options.onProblem?.({
        code,
        error,
        cipherPath: cipher.path,
        plainPath,
        plainDirectory: splitPath(plainPath).directory,
        kind: objectKindOf(cipher),
      });
      return undefined;
    }
  }

  /** @throws {IntegrityError} `target-invalid`, `cipher-size-illegal` */
  #decryptEntry(cipher: C, path: Uint8Array): PlainEntry<C> {
    const target = isSymlink(cipher) ? this.#decryptTarget(cipher, path) : undefined;
    const { overhead } = this.#layout.content;
    const size = isRegularFile(cipher)
      ? plainSizeOf(cipher.size, overhead, path)
      : (target?.length ?? cipher.size);
    const entry = plainEntry(cipher, { path, size, ...(target && { target }) });
    if (cipher.linkGroup !== undefined) entry.linkGroup = cipher.linkGroup;
    if (target !== undefined) this.#options.identities?.link(entry);
    return entry;
  }

  #decryptTarget(cipher: C, plainPath: Uint8Array): Uint8Array {
    try {
      return this.#layout.content.decryptTarget(cipher.target ?? NOTHING);
    } catch (cause) {
      if (!(cause instanceof IntegrityError)) throw cause;
      const plainDirectory = splitPath(plainPath).directory;
      const place = { cipherPath: cipher.path, plainPath, plainDirectory, cause };
      throw copyProblem('target-invalid', { ...place, kind: 'symlink' }).error;
    }
  }

  #report(
    code: CopyProblem['code'],
    directory: PlainEntry<C>,
    about: { cipher: C; plainPath?: Uint8Array; cause?: unknown },
  ): void {
    const { cipher, ...rest } = about;
    const place = { cipherPath: cipher.path, plainDirectory: directory.path };
    const kind = objectKindOf(cipher);
    this.#options.onProblem?.(copyProblem(code, { ...place, kind, ...rest }));
  }
}

/** The `.name` file may fit the hash while the name in it belongs to another directory. */
function longNameProblem(cause: EcsyncError): CopyProblem['code'] {
  if (!(cause instanceof IntegrityError)) return 'unreadable';
  return cause.code === 'name-invalid' ? 'name-invalid' : 'name-file-invalid';
}
