/** A plaintext tree unchanged, with the marker of a mirror in its root. */
import { FileError, type EcsyncError } from '../../errors.ts';
import { CONF_NAME, DIR_IV_NAME, TEMPORARY_DIRECTORY } from '../../gocryptfs/names/names.ts';
import {
  isDirectory,
  S_IFREG,
  type Entry,
  type OpenFile,
  type Tree,
  type Xattr,
} from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import { BytesFile } from '../encrypt/cipher-file.ts';

import { MirroredEntry, type CipherEntry } from '../encrypt/cipher-entry.ts';
import { isRootPath, pathKey } from '../../bytes/paths.ts';
import type { PlainPath } from '../path-translation.ts';
import { plainEntry, type PlainEntry } from '../plain-entry.ts';
import { VIRTUAL_MTIME_SEC } from '../encrypt/virtual-files.ts';

/** Name of the marker file in the root of a plain mirror. */
export const MIRROR_MARKER_NAME = '.ecsync-mirror';
const MARKER_NAME_BYTES = Buffer.from(MIRROR_MARKER_NAME);
const MARKER_TEXT = Buffer.from(
  'A plain mirror made by ecsync: nothing in this folder is encrypted.\n',
);
const MARKER_MODE = S_IFREG | 0o444;

/**
 * Names that a mirror reserves in its root: its own marker, and the names that mark an encrypted
 * copy.
 */
const RESERVED_NAMES: readonly string[] = [
  MIRROR_MARKER_NAME,
  CONF_NAME,
  DIR_IV_NAME,
  TEMPORARY_DIRECTORY,
];

/**
 * A plaintext tree for destinations that may read it: names and content are unchanged, and the root
 * has one more file, which marks it as a mirror.
 */
export class MirrorView<P extends Entry = Entry> implements Tree<CipherEntry<P>> {
  readonly isEncrypted = false;
  /** Names are plain, and folders have no IV. */
  readonly names = { isPlain: true, hasDirIVs: false } as const;
  /** Nothing here depends on where an object was born. */
  readonly keepsIdentities = false;
  /** Content has no blocks of its own. */
  readonly cipherBlockLength = undefined;
  readonly #plain: Tree<P>;
  readonly #onProblem: (path: Uint8Array, error: EcsyncError) => void;

  /** @param onProblem - called for each object that is left out of the view */
  constructor(plain: Tree<P>, onProblem: (path: Uint8Array, error: EcsyncError) => void) {
    this.#plain = plain;
    this.#onProblem = onProblem;
  }

  async root(): Promise<CipherEntry<P>> {
    return mirrored(await this.#plain.root());
  }

  async children(directory: CipherEntry<P>): Promise<readonly CipherEntry<P>[]> {
    const { plain } = directory;
    if (plain === undefined) return [];
    const children = await this.#plain.children(plain);
    if (plain.contentUnknown === true) directory.contentUnknown = true;
    if (!isRootPath(directory.path)) return children.map(mirrored);
    return [markerOf(directory), ...children.filter((child) => this.#isFree(child)).map(mirrored)];
  }

  open(entry: CipherEntry<P>): Promise<OpenFile> {
    if (entry.plain === undefined) {
      return Promise.resolve(new BytesFile(entry.bytes ?? new Uint8Array()));
    }
    return this.#plain.open(entry.plain);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Gives the names of hard-linked objects a common `linkGroup`, after a complete walk. */
  groupHardLinks(entries: Iterable<CipherEntry<P>>): void {
    for (const entry of entries) {
      const group = entry.plain?.linkGroup;
      if (group !== undefined && !isDirectory(entry)) entry.linkGroup = group;
    }
  }

  encryptXattrs(_entry: CipherEntry<P>, xattrs: readonly Xattr[]): readonly Xattr[] {
    return xattrs;
  }

  plainPath(path: Uint8Array): PlainPath {
    return isMarker(path) ? { path, virtual: 'mirror' } : { path };
  }

  cipherPath(plainPath: Uint8Array): Uint8Array {
    return plainPath;
  }

  /** Does nothing: a mirror has no hashed names. */
  rememberPath = (): void => undefined;

  #isFree({ path }: P): boolean {
    const key = pathKey(path);
    if (!RESERVED_NAMES.includes(key)) return true;
    const shown = showPath(path);
    const error = new FileError(
      'name-reserved',
      `${shown}: the top folder of a mirror cannot hold this name`,
      { hint: `Rename it, or leave it out: --exclude=/${key}.`, facts: { path: shown } },
    );
    this.#onProblem(path, error);
    return false;
  }
}

/** The marker's entry. */
function markerOf<P extends Entry>({ uid, gid }: Entry): CipherEntry<P> {
  return {
    path: MARKER_NAME_BYTES,
    mode: MARKER_MODE,
    size: MARKER_TEXT.length,
    mtimeSec: VIRTUAL_MTIME_SEC,
    mtimeNsec: 0,
    uid,
    gid,
    virtual: 'mirror',
    bytes: MARKER_TEXT,
  };
}

function isMarker(path: Uint8Array): boolean {
  return MARKER_NAME_BYTES.equals(path);
}

function mirrored<P extends Entry>(plain: P): CipherEntry<P> {
  return new MirroredEntry(plain);
}

/** A plain mirror, read: everything except its marker, each object under its own path. */
export class MirrorCopy<C extends Entry> {
  readonly #tree: Tree<C>;

  constructor(tree: Tree<C>) {
    this.#tree = tree;
  }

  async root(): Promise<PlainEntry<C>> {
    const root = await this.#tree.root();
    return plainEntry(root, root);
  }

  async children(directory: PlainEntry<C>): Promise<readonly PlainEntry<C>[]> {
    const children = await this.#tree.children(directory.cipher);
    if (directory.cipher.contentUnknown === true) directory.contentUnknown = true;
    return children
      .filter(({ path }) => !isMarker(path))
      .map((stored) => plainEntry(stored, stored));
  }
}
