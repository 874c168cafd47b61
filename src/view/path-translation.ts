/**
 * Translates whole paths between plaintext and ciphertext, component by component from the root.
 */
import { IntegrityError } from '../errors.ts';
import type { Birth } from '../gocryptfs/content/identity.ts';
import type { Layout } from '../gocryptfs/layout.ts';
import { DIR_IV_LENGTH } from '../gocryptfs/format/limits.ts';
import { keepBytes } from '../bytes/path-memory.ts';
import type { Inherited, VirtualKind } from './inherited.ts';
import { isRootPath, joinPath, pathKey, ROOT_PATH, splitPath } from '../bytes/paths.ts';

/** Directories cached while translating; a listing names the same few again and again. */
const REMEMBERED_MAX = 4096;

/** The IV for names where directories have no IV of their own. */
const NO_DIR_IV = Buffer.alloc(DIR_IV_LENGTH);

/** Looks up the birth of a renamed regular file. */
export type BirthOf = (plainPath: Uint8Array) => Birth | undefined;

/** What a cipher path stands for. */
export interface PlainPath {
  /** The object's plaintext path; for a virtual file, the path of its directory. */
  readonly path: Uint8Array;
  readonly virtual?: VirtualKind;
}

/** One object by both of its paths. */
export interface PathPair {
  readonly plainPath: Uint8Array;
  readonly cipherPath: Uint8Array;
}

/** A directory, and the IV of the names in it. */
interface DirectoryPlace extends PathPair {
  readonly dirIV: Uint8Array;
}

/** Where identities come from when they do not follow from the paths alone. */
export interface Origins {
  /**
   * Without it, every file was born where it is. Unused when identities derive from cipher paths.
   */
  readonly birthOf?: BirthOf | undefined;
  readonly inherited?: Inherited | undefined;
}

/** Translates paths of one filesystem, with inherited or derived directory IVs. */
export class PathTranslation {
  readonly #layout: Layout;
  readonly #origins: Origins;
  /** Plaintext path by cipher path, for every object with a hashed name that has been listed. */
  readonly #longNames = new Map<string, Uint8Array>();
  readonly #byPlainPath = new Map<string, DirectoryPlace>();
  readonly #byCipherPath = new Map<string, DirectoryPlace>();

  constructor(layout: Layout, origins: Origins = {}) {
    this.#layout = layout;
    this.#origins = origins;
  }

  /** The birth that a regular file's identity is derived from. A moved file keeps its birth. */
  fileBirth(place: PathPair): Birth {
    if (this.#layout.identities.derivedFrom === 'cipher path') return this.birth(place);
    return this.#origins.birthOf?.(place.plainPath) ?? this.birth(place);
  }

  /** The birth that the identity of any other object is derived from: its current place. */
  birth({ plainPath, cipherPath }: PathPair): Birth {
    const isOfCipherPath = this.#layout.identities.derivedFrom === 'cipher path';
    return { path: identityPath(isOfCipherPath ? cipherPath : plainPath), counter: 0 };
  }

  /** The IV of a directory: the inherited one, or else the one that its identity gives. */
  dirIV(directory: PathPair): Uint8Array {
    if (!this.#layout.names.hasDirIVs) return NO_DIR_IV;
    const inherited = this.#origins.inherited?.dirIV(directory.plainPath);
    return inherited ?? this.#layout.identities.dirIV(this.birth(directory));
  }

  /** Lets {@link plainPath} recognise an object whose name is hashed. */
  rememberLongName({ cipherPath, plainPath }: PathPair): void {
    this.#longNames.set(pathKey(cipherPath), keepBytes(plainPath));
  }

  /**
   * The same for an object that existed earlier.
   *
   * @throws {FileError} `name-unsupported` — a component cannot be encrypted
   */
  rememberPath(plainPath: Uint8Array): void {
    const cipherPath = this.cipherPath(plainPath);
    const isLong = this.#layout.names.kindOf(splitPath(cipherPath).name) === 'long';
    if (isLong) this.rememberLongName({ cipherPath, plainPath });
  }

  /**
   * Where a plaintext path is in the copy. Inverse of {@link plainPath}.
   *
   * @throws {FileError} `name-unsupported` — a component cannot be encrypted
   */
  cipherPath(plainPath: Uint8Array): Uint8Array {
    if (isRootPath(plainPath)) return ROOT_PATH;
    const { directory, name } = splitPath(plainPath);
    const { cipherPath, dirIV } = this.#directoryAtPlain(directory);
    return joinPath(cipherPath, this.#layout.names.encryptName(name, dirIV).name);
  }

  /**
   * The plaintext path that a cipher path stands for.
   *
   * @returns undefined for foreign names, and for hashed names that were not listed in this run
   */
  plainPath(cipherPath: Uint8Array): PlainPath | undefined {
    if (isRootPath(cipherPath)) return { path: ROOT_PATH };
    const { directory: directoryPath, name } = splitPath(cipherPath);
    const directory = this.#directoryAtCipher(directoryPath);
    if (directory === undefined) return undefined;
    const { plainPath } = directory;
    const { names } = this.#layout;
    switch (names.kindOf(name)) {
      case 'conf':
        if (isRootPath(directoryPath)) return { path: plainPath, virtual: 'conf' };
        return names.isPlain ? this.#decrypt(name, directory) : undefined;
      case 'diriv':
        return names.hasDirIVs ? { path: plainPath, virtual: 'diriv' } : undefined;
      case 'name-file':
        return { path: plainPath, virtual: 'name' };
      case 'long': {
        const path = this.#longNames.get(pathKey(cipherPath));
        return path === undefined ? undefined : { path };
      }
      case 'direct':
        return this.#decrypt(name, directory);
    }
  }

  #directoryAtPlain(plainPath: Uint8Array): DirectoryPlace {
    const key = pathKey(plainPath);
    const remembered = this.#byPlainPath.get(key);
    if (remembered !== undefined) return remembered;
    const directory = this.#withIV({ plainPath, cipherPath: this.cipherPath(plainPath) });
    remember(this.#byPlainPath, key, directory);
    return directory;
  }

  #directoryAtCipher(cipherPath: Uint8Array): DirectoryPlace | undefined {
    const key = pathKey(cipherPath);
    const remembered = this.#byCipherPath.get(key);
    if (remembered !== undefined) return remembered;
    const plain = this.plainPath(cipherPath);
    if (plain === undefined || plain.virtual !== undefined) return undefined;
    const directory = this.#withIV({ plainPath: plain.path, cipherPath });
    remember(this.#byCipherPath, key, directory);
    return directory;
  }

  #withIV(place: PathPair): DirectoryPlace {
    return { ...place, dirIV: this.dirIV(place) };
  }

  #decrypt(name: Uint8Array, directory: DirectoryPlace): PlainPath | undefined {
    try {
      const plainName = this.#layout.names.decryptName(name, directory.dirIV);
      return { path: joinPath(directory.plainPath, plainName) };
    } catch (error) {
      // A foreign name is an answer here, not a failure.
      if (error instanceof IntegrityError) return undefined;
      throw error;
    }
  }
}

function remember(
  cache: Map<string, DirectoryPlace>,
  key: string,
  directory: DirectoryPlace,
): void {
  if (cache.size >= REMEMBERED_MAX) cache.clear();
  cache.set(key, directory);
}

/** A path as identities use it: that of the root directory is empty. */
function identityPath(path: Uint8Array): Uint8Array {
  return isRootPath(path) ? new Uint8Array(0) : path;
}
