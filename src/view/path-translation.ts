/** Whole paths between plaintext and ciphertext, for one name after the other from the root. */
import { IntegrityError } from '../errors.ts';
import type { Birth } from '../gocryptfs/identity.ts';
import type { Layout } from '../gocryptfs/layout.ts';
import { DIR_IV_LENGTH } from '../gocryptfs/limits.ts';
import { isRootPath, joinPath, pathKey, ROOT_PATH, splitPath } from './path-bytes.ts';

/** Directories remembered while translating; a listing names the same few again and again. */
const REMEMBERED_MAX = 4096;

/** What names are encrypted under where directories have no IV of their own. */
const NO_DIR_IV = Buffer.alloc(DIR_IV_LENGTH);

/** A file that exists only in the encrypted view: the conf, a directory's IV, a full name. */
export type VirtualKind = 'conf' | 'diriv' | 'name';

/** Looks up where an object was born when that is not where it is now (it was renamed). */
export type BirthOf = (plainPath: Uint8Array) => Birth | undefined;

/** What a cipher path stands for. */
export interface PlainPath {
  /** The object's plaintext path; for a virtual file, of the directory it is in. */
  readonly path: Uint8Array;
  readonly virtual?: VirtualKind;
}

/** Translates paths of one filesystem, with the IVs its directories are known or bound to have. */
export class PathTranslation {
  readonly #layout: Layout;
  readonly #birthOf: BirthOf | undefined;
  /** Plaintext paths by cipher path of every object whose name is hashed, as far as it was seen. */
  readonly #longNames = new Map<string, Uint8Array>();
  readonly #directories = new Map<string, Uint8Array>();

  constructor(layout: Layout, birthOf?: BirthOf) {
    this.#layout = layout;
    this.#birthOf = birthOf;
  }

  /** What an object's identity is derived from. */
  birth(plainPath: Uint8Array): Birth {
    return this.#birthOf?.(plainPath) ?? { path: identityPath(plainPath), counter: 0 };
  }

  /** Whether an object has another identity than its path gives by itself. */
  isBornElsewhere(plainPath: Uint8Array): boolean {
    const { path, counter } = this.birth(plainPath);
    return counter !== 0 || Buffer.compare(path, identityPath(plainPath)) !== 0;
  }

  /** The IV of a directory. */
  dirIV(plainPath: Uint8Array): Uint8Array {
    if (!this.#layout.names.hasDirIVs) return NO_DIR_IV;
    return this.#layout.identities.dirIV(this.birth(plainPath));
  }

  /** Lets {@link plainPath} recognise an object whose name is hashed. */
  rememberLongName(cipherPath: Uint8Array, plainPath: Uint8Array): void {
    this.#longNames.set(pathKey(cipherPath), plainPath);
  }

  /**
   * Where a plaintext path is in the copy. Inverse of {@link plainPath}.
   *
   * @throws {FileError} `name-unsupported` — a component cannot be encrypted
   */
  cipherPath(plainPath: Uint8Array): Uint8Array {
    if (isRootPath(plainPath)) return ROOT_PATH;
    const { directory, name } = splitPath(plainPath);
    const { names } = this.#layout;
    return joinPath(
      this.cipherPath(directory),
      names.encryptName(name, this.dirIV(directory)).name,
    );
  }

  /**
   * What a cipher path stands for.
   *
   * @returns undefined for foreign names, and for hashed ones that were not seen in this run
   */
  plainPath(cipherPath: Uint8Array): PlainPath | undefined {
    if (isRootPath(cipherPath)) return { path: ROOT_PATH };
    const { directory, name } = splitPath(cipherPath);
    const plainDirectory = this.#plainDirectory(directory);
    if (plainDirectory === undefined) return undefined;
    switch (this.#layout.names.kindOf(name)) {
      case 'conf':
        return isRootPath(directory) ? { path: plainDirectory, virtual: 'conf' } : undefined;
      case 'diriv':
        return { path: plainDirectory, virtual: 'diriv' };
      case 'name-file':
        return { path: plainDirectory, virtual: 'name' };
      case 'long': {
        const path = this.#longNames.get(pathKey(cipherPath));
        return path === undefined ? undefined : { path };
      }
      case 'direct':
        return this.#decrypt(name, plainDirectory);
    }
  }

  #plainDirectory(cipherPath: Uint8Array): Uint8Array | undefined {
    const key = pathKey(cipherPath);
    const remembered = this.#directories.get(key);
    if (remembered !== undefined) return remembered;
    const plain = this.plainPath(cipherPath);
    if (plain === undefined || plain.virtual !== undefined) return undefined;
    if (this.#directories.size >= REMEMBERED_MAX) this.#directories.clear();
    this.#directories.set(key, plain.path);
    return plain.path;
  }

  #decrypt(name: Uint8Array, plainDirectory: Uint8Array): PlainPath | undefined {
    try {
      const plainName = this.#layout.names.decryptName(name, this.dirIV(plainDirectory));
      return { path: joinPath(plainDirectory, plainName) };
    } catch (error) {
      // A foreign name is an answer here, not a failure.
      if (error instanceof IntegrityError) return undefined;
      throw error;
    }
  }
}

/** A path as it goes into identities: the root directory's is empty. */
function identityPath(plainPath: Uint8Array): Uint8Array {
  return isRootPath(plainPath) ? new Uint8Array(0) : plainPath;
}
