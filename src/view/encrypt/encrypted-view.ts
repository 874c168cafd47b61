/** A plaintext tree as the gocryptfs filesystem that decrypts to it. */
import { BugError, FileError, IntegrityError, type EcsyncError } from '../../errors.ts';
import { parseConf } from '../../gocryptfs/conf/config.ts';
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import { openLayout, type Derivation, type Layout } from '../../gocryptfs/layout.ts';
import { CIPHER_PATH_LENGTH_MAX, PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import {
  CONF_NAME,
  DIR_IV_NAME_BYTES,
  REVERSE_CONF_NAME,
  TEMPORARY_DIRECTORY,
  type CipherName,
  type NameScheme,
} from '../../gocryptfs/names/names.ts';
import { plainSizeToCipherSize } from '../../gocryptfs/format/sizes.ts';
import {
  isDirectory,
  isRegularFile,
  isSymlink,
  type Entry,
  type OpenFile,
  type Tree,
  type WholeFile,
  type Xattr,
} from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import { EncryptedEntry, type CipherEntry } from './cipher-entry.ts';
import { BytesFile, CipherFile } from './cipher-file.ts';
import { CipherXattrs } from './cipher-xattrs.ts';
import { EncryptionThreads, type ThreadOptions } from './encryption-threads.ts';
import type { Inherited } from '../inherited.ts';
import { isRootPath, pathKey, ROOT_PATH, splitPath } from '../../bytes/paths.ts';
import {
  PathTranslation,
  type BirthOf,
  type PlainPath,
  type PathPair,
} from '../path-translation.ts';
import {
  NAME_FILE_SUFFIX_BYTES,
  VirtualFiles,
  type ConfFile,
  type VirtualTimes,
} from './virtual-files.ts';

/** Names that the copy reserves in its root when names are not encrypted. */
const RESERVED_NAMES: readonly string[] = [CONF_NAME, TEMPORARY_DIRECTORY];

/** Number of names that are encrypted together. */
const NAMES_AT_ONCE = 512;
const NOTHING = Buffer.alloc(0);
const SLASH = Buffer.from('/');

/** How a plaintext tree is encrypted. */
export interface EncryptedViewOptions<P extends Entry = Entry> {
  readonly conf: ConfFile;
  /** 32 bytes. Not kept. */
  readonly masterkey: Uint8Array;
  /** Default `keyed`. */
  readonly derivation?: Derivation;
  /** Default `fixed`. */
  readonly virtualTimes?: VirtualTimes;
  /** Properties of an adopted copy; everything else is derived. */
  readonly inherited?: Inherited;
  /** Called for each object that cannot be encrypted and is therefore missing from the view. */
  readonly onProblem?: (plainPath: Uint8Array, error: EcsyncError) => void;
  /** Births of renamed files; without it, every file was born where it is. */
  readonly birthOf?: BirthOf;
  /** Lets other threads encrypt when there is much to do; then call {@link EncryptedView.close}. */
  readonly threads?: ThreadOptions<P>;
}

/**
 * A plaintext tree as the gocryptfs filesystem that decrypts to it. Nothing is stored: names are
 * encrypted when a directory is listed, content when it is read, and the same tree under the same
 * master key always gives the same bytes.
 */
export class EncryptedView<P extends Entry = Entry> implements Tree<CipherEntry<P>> {
  readonly #plain: Tree<P>;
  readonly #layout: Layout;
  readonly #paths: PathTranslation;
  readonly #xattrs: CipherXattrs;
  readonly #virtual: VirtualFiles;
  readonly #inherited: Inherited | undefined;
  readonly #hidesReverseConf: boolean;
  readonly #onProblem: EncryptedViewOptions<P>['onProblem'];
  readonly #threads: EncryptionThreads<P> | undefined;

  /**
   * @throws {VaultError} `layout-unsupported`, and every code of `parseConf`
   * @throws {BugError} `invariant` — a master key of another length
   */
  constructor(plain: Tree<P>, options: EncryptedViewOptions<P>) {
    const { conf, masterkey, derivation = 'keyed', birthOf, inherited, virtualTimes } = options;
    this.#plain = plain;
    this.#layout = openLayout(parseConf(conf.bytes), masterkey, derivation);
    this.#xattrs = new CipherXattrs(this.#layout.xattrs);
    this.#paths = new PathTranslation(this.#layout, { birthOf, inherited });
    this.#virtual = new VirtualFiles(conf, { times: virtualTimes, inherited });
    this.#inherited = inherited;
    this.#hidesReverseConf = derivation === 'reverse';
    this.#onProblem = options.onProblem;
    this.#threads = options.threads && new EncryptionThreads(this.#layout, options.threads);
  }

  /** Whether the owner of the destination cannot read the copy. */
  readonly isEncrypted = true;

  /** How names are stored, as far as a receiver of the copy must know. */
  get names(): Pick<NameScheme, 'isPlain' | 'hasDirIVs'> {
    return this.#layout.names;
  }

  /**
   * Whether a renamed file keeps its identity: only when identities are not bound to cipher paths.
   */
  get keepsIdentities(): boolean {
    return this.#layout.identities.derivedFrom === 'plaintext path';
  }

  /** Length of a full encrypted block: 4128 bytes, with XChaCha20 4136. */
  get cipherBlockLength(): number {
    return PLAIN_BLOCK_SIZE + this.#layout.content.overhead;
  }

  async root(): Promise<CipherEntry<P>> {
    const plain = await this.#plain.root();
    return this.#encryptEntry(plain, ROOT_PATH);
  }

  /** The directory's plaintext children, encrypted, and the virtual files that belong to them. */
  async children(directory: CipherEntry<P>): Promise<readonly CipherEntry<P>[]> {
    const plainDirectory = plainOf(directory);
    const plainChildren = await this.#plain.children(plainDirectory);
    if (plainDirectory.contentUnknown === true) directory.contentUnknown = true;
    const place = placeOf(directory);
    const isRoot = isRootPath(place.cipherPath);
    const prefix = isRoot ? NOTHING : Buffer.concat([place.cipherPath, SLASH]);
    const dirIV = this.#paths.dirIV(place);
    const entries: CipherEntry<P>[] = [];
    if (this.#layout.names.hasDirIVs) entries.push(this.#virtual.dirIV(directory, dirIV));
    if (isRoot) entries.push(this.#virtual.conf(directory));
    for (let at = 0; at < plainChildren.length; at += NAMES_AT_ONCE) {
      const some = plainChildren.slice(at, at + NAMES_AT_ONCE);
      const names = some.map((plain) => splitPath(plain.path).name);
      const cipherNames = this.#layout.names.encryptNames(names, dirIV);
      for (const [i, plain] of some.entries()) {
        const name = names[i] ?? NOTHING;
        const cipherName = cipherNames[i];
        this.#addChild(entries, { directory, prefix, dirIV, plain, name, cipherName });
      }
    }
    return entries;
  }

  /**
   * Opens the ciphertext of a regular file, or a virtual file.
   *
   * @throws {VanishedError} `vanished`, {@link FileError} `open-failed` — from the plaintext tree
   */
  async open(entry: CipherEntry<P>): Promise<OpenFile> {
    if (entry.bytes !== undefined) return new BytesFile(entry.bytes);
    const identity = this.identity(entry);
    const inThread = this.#threads?.open({ plain: plainOf(entry), size: entry.size, identity });
    const file = inThread && (await inThread);
    if (file !== undefined) return file;
    const { isSparse } = plainOf(entry);
    const plain = await this.#plain.open(plainOf(entry));
    return CipherFile.over({ plain, identity, isSparse }, this.#layout.content);
  }

  /** A small file, whole; undefined when opening costs less, or when anything is wrong with it. */
  openWhole(entry: CipherEntry<P>): WholeFile | undefined {
    const { bytes, size } = entry;
    if (bytes !== undefined) return { bytes, release: () => undefined };
    const identity = this.identity(entry);
    return this.#threads?.openWhole({ plain: plainOf(entry), size, identity });
  }

  /** Ends the threads that encrypt; their open files can no longer be read. */
  async close(): Promise<void> {
    await this.#threads?.close();
  }

  /** What the ciphertext of a regular file depends on besides its content. */
  identity(entry: CipherEntry<P>): FileIdentity {
    const place = entry.identityPlace ?? placeOf(entry);
    return this.#layout.identities.file(this.#paths.fileBirth(place));
  }

  /**
   * The extended attributes of an object as the copy stores them. Attributes that cannot be
   * encrypted are reported and left out.
   *
   * @param entry - not a virtual file; after `groupHardLinks`, if that is called at all
   */
  encryptXattrs(entry: CipherEntry<P>, xattrs: readonly Xattr[]): readonly Xattr[] {
    const place = entry.identityPlace ?? placeOf(entry);
    return this.#xattrs.encrypt(xattrs, {
      object: this.#xattrObject(entry, place),
      onProblem: (error) => {
        const { path } = plainOf(entry);
        this.#onProblem?.(path, withPath(error, path));
      },
    });
  }

  /**
   * Joins the names of hard-linked objects: they get a common `linkGroup`, and the identity of the
   * bytewise smallest plaintext path among them. So the group has one ciphertext, in whatever order
   * its names are found. Without this call every name has an identity of its own.
   *
   * @param entries - all entries of a complete walk
   * @param inodeKey - equal for all names of one object, undefined for an object with one name
   */
  groupHardLinks(
    entries: Iterable<CipherEntry<P>>,
    inodeKey: (plain: P) => string | number | undefined = (plain) => plain.linkGroup,
  ): void {
    const groups = new Map<string | number, CipherEntry<P>[]>();
    for (const entry of entries) {
      if (entry.plain === undefined || isDirectory(entry)) continue;
      const key = inodeKey(entry.plain);
      if (key === undefined) continue;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [entry]);
      else group.push(entry);
    }
    let number = 0;
    for (const group of groups.values()) if (group.length > 1) this.#joinGroup(group, ++number);
  }

  /**
   * The plaintext path of an object in the copy, whether or not the source still has it.
   *
   * @returns undefined for foreign names, and for hashed names that this view has not listed
   */
  plainPath(cipherPath: Uint8Array): PlainPath | undefined {
    return this.#paths.plainPath(cipherPath);
  }

  /** Lets {@link plainPath} recognise an object that the tree no longer has. */
  rememberPath(plainPath: Uint8Array): void {
    this.#paths.rememberPath(plainPath);
  }

  /**
   * The path in the copy of a plaintext path. Inverse of {@link plainPath}.
   *
   * @throws {FileError} `name-unsupported` — a component cannot be encrypted
   */
  cipherPath(plainPath: Uint8Array): Uint8Array {
    return this.#paths.cipherPath(plainPath);
  }

  /** The object that extended attributes are bound to: its derived identity, or its cipher path. */
  #xattrObject(entry: CipherEntry<P>, place: PathPair): Uint8Array {
    const { identities } = this.#layout;
    const birth = this.#paths.birth(place);
    if (identities.derivedFrom === 'cipher path') return birth.path;
    if (isDirectory(entry)) return identities.dirIV(birth);
    if (isSymlink(entry)) return identities.linkID(birth);
    return identities.file(this.#paths.fileBirth(place)).fileID;
  }

  #addChild(
    entries: CipherEntry<P>[],
    child: {
      readonly directory: CipherEntry<P>;
      /** The directory part of the cipher path. */
      readonly prefix: Uint8Array;
      readonly dirIV: Uint8Array;
      readonly plain: P;
      readonly name: Uint8Array;
      /** Undefined for a name that cannot be encrypted. */
      readonly cipherName: CipherName | undefined;
    },
  ): void {
    const { directory, prefix, dirIV, plain, name } = child;
    try {
      if (prefix.length === 0 && !this.#belongsToView(name)) return;
      const cipherName = child.cipherName ?? this.#layout.names.encryptName(name, dirIV);
      const path = Buffer.concat([prefix, cipherName.name]);
      assertPathFits(path, cipherName, isDirectory(plain) && this.#layout.names.hasDirIVs);
      const entry = this.#encryptEntry(plain, path);
      if (cipherName.fullName !== undefined) {
        entries.push(this.#virtual.nameFile(directory, entry, cipherName.fullName));
        this.#paths.rememberLongName(placeOf(entry));
      }
      entries.push(entry);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.#onProblem?.(plain.path, withPath(error, plain.path));
    }
  }

  /**
   * Whether an object of this name in the root directory belongs to the view. Stock's reverse conf
   * does not: the view shows it as gocryptfs.conf.
   *
   * @throws {FileError} `name-reserved`
   */
  #belongsToView(name: Uint8Array): boolean {
    const key = pathKey(name);
    if (this.#hidesReverseConf && key === REVERSE_CONF_NAME) return false;
    if (!this.#layout.names.isPlain || !RESERVED_NAMES.includes(key)) return true;
    throw new FileError('name-reserved', 'the copy needs this name for a file of its own', {
      hint: `Rename it, or leave it out: --exclude=/${key}. Names are not encrypted in this vault.`,
    });
  }

  #encryptEntry(plain: P, path: Uint8Array): CipherEntry<P> {
    const target = isSymlink(plain)
      ? this.#encryptTarget(plain, { plainPath: plain.path, cipherPath: path })
      : undefined;
    const entry = new EncryptedEntry(plain, path, target?.length ?? this.#cipherSize(plain));
    if (target !== undefined) entry.target = target;
    return entry;
  }

  /** Size of any stored object except a symlink. */
  #cipherSize(plain: P): number {
    if (isRegularFile(plain)) {
      return plainSizeToCipherSize(plain.size, this.#layout.content.overhead);
    }
    return plain.rdev === undefined ? plain.size : 0;
  }

  #encryptTarget({ target }: P, identityPlace: PathPair): Uint8Array {
    if (target === undefined) throw new BugError('invariant', 'a symlink without a target');
    const birth = this.#paths.birth(identityPlace);
    const inherited = this.#inherited?.target(identityPlace.plainPath);
    if (inherited !== undefined && this.#decryptsTo(inherited, target)) return inherited;
    return this.#layout.content.encryptTarget(this.#layout.identities.linkID(birth), target);
  }

  #decryptsTo(cipherTarget: Uint8Array, target: Uint8Array): boolean {
    try {
      return Buffer.compare(this.#layout.content.decryptTarget(cipherTarget), target) === 0;
    } catch (error) {
      // Damaged, or encrypted with another key: encrypt the target again.
      if (error instanceof IntegrityError) return false;
      throw error;
    }
  }

  #joinGroup(group: readonly CipherEntry<P>[], number: number): void {
    const identityPlace = group
      .map(placeOf)
      .reduce((least, place) =>
        Buffer.compare(place.plainPath, least.plainPath) < 0 ? place : least,
      );
    for (const entry of group) {
      entry.linkGroup = number;
      entry.identityPlace = identityPlace;
      if (isSymlink(entry)) entry.target = this.#encryptTarget(plainOf(entry), identityPlace);
    }
  }
}

function placeOf<P extends Entry>(entry: CipherEntry<P>): PathPair {
  return { plainPath: plainOf(entry).path, cipherPath: entry.path };
}

function plainOf<P extends Entry>(entry: CipherEntry<P>): P {
  if (entry.plain !== undefined) return entry.plain;
  throw new BugError(
    'invariant',
    `the virtual file ${showPath(entry.path)} has no plaintext entry`,
  );
}

/**
 * Rejects a path that the server cannot store, or whose diriv or `.name` file it cannot: it would
 * end the push.
 */
function assertPathFits(path: Uint8Array, cipherName: CipherName, holdsDirIV: boolean): void {
  const inside = holdsDirIV ? 1 + DIR_IV_NAME_BYTES.length : 0;
  const beside = cipherName.fullName === undefined ? 0 : NAME_FILE_SUFFIX_BYTES.length;
  if (path.length + Math.max(inside, beside) <= CIPHER_PATH_LENGTH_MAX) return;
  throw new FileError('path-too-long', `an encrypted path of ${path.length} bytes`, {
    hint: 'Shorten the names of the folders above it.',
  });
}

/** The same error with the object's path in its message. */
function withPath(error: FileError, plainPath: Uint8Array): FileError {
  const path = showPath(plainPath);
  return new FileError(error.code, `${path}: ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    facts: { path },
    cause: error,
  });
}
