import { BugError, FileError, type EcsyncError } from '../errors.ts';
import { parseConf } from '../gocryptfs/config.ts';
import type { FileIdentity } from '../gocryptfs/identity.ts';
import { openLayout, type Layout } from '../gocryptfs/layout.ts';
import { CIPHER_PATH_LENGTH_MAX } from '../gocryptfs/limits.ts';
import { CONF_NAME, DIR_IV_NAME, NAME_FILE_SUFFIX, type CipherName } from '../gocryptfs/names.ts';
import { plainSizeToCipherSize } from '../gocryptfs/sizes.ts';
import {
  isDirectory,
  isRegularFile,
  isSymlink,
  S_IFREG,
  type Entry,
  type OpenFile,
  type Tree,
} from '../tree/entry.ts';
import { showPath } from '../tree/file-failure.ts';
import { BytesFile, CipherFile } from './cipher-file.ts';
import { isRootPath, joinPath, ROOT_PATH } from './path-bytes.ts';
import {
  PathTranslation,
  type BirthOf,
  type PlainPath,
  type VirtualKind,
} from './path-translation.ts';

/**
 * Modification time of every diriv and `.name` file: 2001-09-09T01:46:40Z. Their content follows
 * from the path, so a time that moved with the directory's would only make rsync look again.
 */
export const VIRTUAL_MTIME_SEC = 1_000_000_000;

/** The diriv of a renamed directory has one of so many times after it. */
const MOVED_MTIME_RANGE = 2 ** 28;

const READABLE_FILE = S_IFREG | 0o444;
const OWNER_READABLE_FILE = S_IFREG | 0o400;
const CONF_NAME_BYTES = Buffer.from(CONF_NAME);
const DIR_IV_NAME_BYTES = Buffer.from(DIR_IV_NAME);
const NAME_FILE_SUFFIX_BYTES = Buffer.from(NAME_FILE_SUFFIX);

/** One object of the encrypted view. `P` is the plaintext tree's own kind of entry. */
export interface CipherEntry<P extends Entry = Entry> extends Entry {
  /** What this is the encryption of. Absent exactly for virtual files. */
  readonly plain?: P;
  readonly virtual?: VirtualKind;
  /** Content of a virtual file. */
  readonly bytes?: Uint8Array;
  /** Encrypted; rewritten when a hard-link group gets a common identity. */
  target?: Uint8Array;
  /**
   * Plaintext path whose identity this object uses instead of its own: the smallest of its
   * hard-link group. Set by `groupHardLinks`.
   */
  identityPath?: Uint8Array;
}

/** How a plaintext tree is encrypted. */
export interface EncryptedViewOptions {
  /** gocryptfs.conf: its bytes appear verbatim in the view's root, with this modification time. */
  readonly conf: { readonly bytes: Uint8Array; readonly mtimeSec: number };
  /** 32 bytes. Not kept. */
  readonly masterkey: Uint8Array;
  /** Told of everything that cannot be encrypted and is therefore missing from the view. */
  readonly onProblem?: (plainPath: Uint8Array, error: EcsyncError) => void;
  /** Identities of renamed objects; without it everything was born where it is. */
  readonly birthOf?: BirthOf;
}

/**
 * A plaintext tree as the gocryptfs filesystem that decrypts to it. Nothing is stored: names are
 * encrypted when a directory is listed, content when it is read, and the same tree under the same
 * master key always gives the same bytes.
 */
export class EncryptedView<P extends Entry = Entry> implements Tree<CipherEntry<P>> {
  readonly #plain: Tree<P>;
  readonly #conf: EncryptedViewOptions['conf'];
  readonly #layout: Layout;
  readonly #paths: PathTranslation;
  readonly #onProblem: EncryptedViewOptions['onProblem'];

  /**
   * @throws {VaultError} `layout-unsupported`, and every code of `parseConf`
   * @throws {BugError} `invariant` — a master key of another length
   */
  constructor(plain: Tree<P>, options: EncryptedViewOptions) {
    this.#plain = plain;
    this.#conf = options.conf;
    this.#layout = openLayout(parseConf(options.conf.bytes), options.masterkey);
    this.#paths = new PathTranslation(this.#layout, options.birthOf);
    this.#onProblem = options.onProblem;
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
    const dirIV = this.#paths.dirIV(plainDirectory.path);
    const entries = [this.#dirIVFile(directory, plainDirectory.path, dirIV)];
    if (isRootPath(directory.path)) entries.push(this.#confFile(directory));
    for (const plain of plainChildren) this.#addChild(entries, { directory, dirIV, plain });
    return entries;
  }

  /**
   * Opens the ciphertext of a regular file, or a virtual file.
   *
   * @throws {VanishedError} `vanished`, {@link FileError} `open-failed` — from the plaintext tree
   */
  async open(entry: CipherEntry<P>): Promise<OpenFile> {
    if (entry.bytes !== undefined) return new BytesFile(entry.bytes);
    const plain = await this.#plain.open(plainOf(entry));
    return new CipherFile(plain, this.#layout.content, this.identity(entry));
  }

  /** What the ciphertext of a regular file of this view depends on besides its content. */
  identity(entry: CipherEntry<P>): FileIdentity {
    const path = entry.identityPath ?? plainOf(entry).path;
    return this.#layout.identities.file(this.#paths.birth(path));
  }

  /**
   * Joins the names of hard-linked objects: they get a common `linkGroup`, and the identity of the
   * bytewise smallest plaintext path among them, so that the group has one ciphertext whatever the
   * order in which its names are found. Without this call every name has an identity of its own.
   *
   * @param entries - everything a complete walk gave
   * @param inodeKey - equal for all names of one object, undefined when it has only one
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
   * What an object of the copy is called in plaintext, whether or not it still exists.
   *
   * @returns undefined for foreign names, and for hashed ones that no listing of this view showed
   */
  plainPath(cipherPath: Uint8Array): PlainPath | undefined {
    return this.#paths.plainPath(cipherPath);
  }

  /**
   * Where a plaintext path is in the copy. Inverse of {@link plainPath}.
   *
   * @throws {FileError} `name-unsupported` — a component cannot be encrypted
   */
  cipherPath(plainPath: Uint8Array): Uint8Array {
    return this.#paths.cipherPath(plainPath);
  }

  /**
   * A directory that was renamed here brings its IV along: as long as the one before it, and as old.
   * Another time makes rsync look, where skipping the file would make the directory unreadable.
   */
  #dirIVFile(directory: CipherEntry<P>, plainPath: Uint8Array, dirIV: Uint8Array): CipherEntry<P> {
    const file = virtualFile(directory, 'diriv', DIR_IV_NAME_BYTES, dirIV);
    if (!this.#paths.isBornElsewhere(plainPath)) return file;
    const distinct = Buffer.from(dirIV).readUInt32BE() % MOVED_MTIME_RANGE;
    return { ...file, mtimeSec: VIRTUAL_MTIME_SEC + 1 + distinct };
  }

  #confFile(root: CipherEntry<P>): CipherEntry<P> {
    const conf = virtualFile(root, 'conf', CONF_NAME_BYTES, this.#conf.bytes);
    return { ...conf, mode: OWNER_READABLE_FILE, mtimeSec: this.#conf.mtimeSec };
  }

  #addChild(
    entries: CipherEntry<P>[],
    { directory, dirIV, plain }: { directory: CipherEntry<P>; dirIV: Uint8Array; plain: P },
  ): void {
    try {
      const plainName = plain.path.subarray(plain.path.lastIndexOf(0x2f) + 1);
      const cipherName = this.#layout.names.encryptName(plainName, dirIV);
      const path = joinPath(directory.path, cipherName.name);
      assertPathFits(path, cipherName, isDirectory(plain));
      const entry = this.#encryptEntry(plain, path);
      if (cipherName.fullName !== undefined) {
        const name = Buffer.concat([cipherName.name, NAME_FILE_SUFFIX_BYTES]);
        entries.push(virtualFile(directory, 'name', name, cipherName.fullName));
        this.#paths.rememberLongName(path, plain.path);
      }
      entries.push(entry);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.#onProblem?.(plain.path, withPath(error, plain.path));
    }
  }

  #encryptEntry(plain: P, path: Uint8Array): CipherEntry<P> {
    const { mode, mtimeSec, mtimeNsec, uid, gid } = plain;
    const common = { path, mode, mtimeSec, mtimeNsec, uid, gid, plain };
    if (isRegularFile(plain)) {
      return { ...common, size: plainSizeToCipherSize(plain.size, this.#layout.content.overhead) };
    }
    if (isSymlink(plain)) {
      const target = this.#encryptTarget(plain, plain.path);
      return { ...common, size: target.length, target };
    }
    if (plain.rdev !== undefined) return { ...common, size: 0, rdev: plain.rdev };
    return { ...common, size: plain.size };
  }

  #encryptTarget(plain: P, identityPath: Uint8Array): Uint8Array {
    if (plain.target === undefined) throw new BugError('invariant', 'symlink without a target');
    const linkID = this.#layout.identities.linkID(this.#paths.birth(identityPath));
    return this.#layout.content.encryptTarget(linkID, plain.target);
  }

  #joinGroup(group: readonly CipherEntry<P>[], number: number): void {
    const identityPath = group
      .map((entry) => plainOf(entry).path)
      .reduce((least, path) => (Buffer.compare(path, least) < 0 ? path : least));
    for (const entry of group) {
      entry.linkGroup = number;
      entry.identityPath = identityPath;
      if (isSymlink(entry)) entry.target = this.#encryptTarget(plainOf(entry), identityPath);
    }
  }
}

function plainOf<P extends Entry>(entry: CipherEntry<P>): P {
  if (entry.plain !== undefined) return entry.plain;
  throw new BugError('invariant', `virtual file ${showPath(entry.path)} used as a real one`);
}

/** A file of the format's own, owned like the directory it is in. */
function virtualFile<P extends Entry>(
  directory: CipherEntry<P>,
  virtual: VirtualKind,
  name: Uint8Array,
  bytes: Uint8Array,
): CipherEntry<P> {
  return {
    path: joinPath(directory.path, name),
    mode: READABLE_FILE,
    size: bytes.length,
    mtimeSec: VIRTUAL_MTIME_SEC,
    mtimeNsec: 0,
    uid: directory.uid,
    gid: directory.gid,
    virtual,
    bytes,
  };
}

/** A path the server cannot store would end the whole push there; so would its companion's. */
function assertPathFits(path: Uint8Array, cipherName: CipherName, directory: boolean): void {
  const inside = directory ? 1 + DIR_IV_NAME_BYTES.length : 0;
  const beside = cipherName.fullName === undefined ? 0 : NAME_FILE_SUFFIX_BYTES.length;
  if (path.length + Math.max(inside, beside) <= CIPHER_PATH_LENGTH_MAX) return;
  throw new FileError('path-too-long', `an encrypted path of ${path.length} bytes`, {
    hint: 'Shorten the names of the folders above it.',
  });
}

/** The same failure, saying which object it is about. */
function withPath(error: FileError, plainPath: Uint8Array): FileError {
  const path = showPath(plainPath);
  return new FileError(error.code, `${path}: ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    facts: { path },
    cause: error,
  });
}
