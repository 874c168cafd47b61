/** Finds the IV of the names in each directory of a copy. */
import { EcsyncError, FileError } from '../../errors.ts';
import { isAllZero } from '../../gocryptfs/format/file-header.ts';
import { DIR_IV_LENGTH, NAME_FILE_LENGTH_MAX } from '../../gocryptfs/format/limits.ts';
import { DIR_IV_NAME_BYTES, type NameScheme } from '../../gocryptfs/names/names.ts';
import type { Entry, Tree } from '../../tree/entry.ts';
import { readSmallFile, type CipherListing } from './decrypted-view-listing.ts';
import { copyProblem, type CopyProblem } from './decrypted-view-problem.ts';
import type { IdentityCheck } from './identity-check.ts';
import { isUnderExpectedIV } from './lost-dir-iv.ts';
import { isRootPath, joinPath, pathKey } from '../../bytes/paths.ts';
import type { PathPair } from '../path-translation.ts';
import type { PlainEntry } from '../plain-entry.ts';

/** Checks and sources for the IVs of a copy. */
export interface DirectoryIVOptions {
  /** Called for each problem of the copy's structure that leaves something out of the tree. */
  readonly onProblem?: (problem: CopyProblem) => void;
  /**
   * Checks the IV of every directory, and every link; without it, all that decrypts is accepted.
   */
  readonly identities?: IdentityCheck;
  /**
   * The IV that a directory must have, where that is known. With it, a directory can be read
   * although its `gocryptfs.diriv` is lost or damaged. Without it, only the stored IV is used.
   */
  readonly expectedDirIV?: (place: PathPair) => Uint8Array | undefined;
}

/** The IVs of a copy's directories: stored, or expected. */
export class DirectoryIVs<C extends Entry> {
  readonly #cipher: Tree<C>;
  readonly #names: NameScheme;
  readonly #options: DirectoryIVOptions;
  /**
   * IVs of directories that are read without their diriv file, by the key of the plaintext path.
   */
  readonly #replaced = new Map<string, Uint8Array>();

  constructor(cipher: Tree<C>, names: NameScheme, options: DirectoryIVOptions) {
    this.#cipher = cipher;
    this.#names = names;
    this.#options = options;
  }

  /**
   * The stored IV, or the expected one where the stored one is useless.
   *
   * @param file - the directory's `gocryptfs.diriv`, if it has one
   * @param list - lists the directory; called only when something is wrong
   * @throws {IntegrityError} `diriv-missing`, `diriv-invalid`, `diriv-misplaced`, `diriv-repeated`
   * @throws {FileError} `open-failed`, `read-failed`, {@link VanishedError} `vanished`
   */
  async of(
    directory: PlainEntry<C>,
    file: C | undefined,
    list: () => Promise<CipherListing<C>>,
  ): Promise<Uint8Array> {
    const { cipher, path: plainPath } = directory;
    const replaced = this.#replaced.get(pathKey(plainPath));
    if (replaced !== undefined) return replaced;
    const expected = this.#options.expectedDirIV?.({ plainPath, cipherPath: cipher.path });
    const stored = await this.#storedDirIV(directory, file);
    if (expected !== undefined && !isSameIV(stored, expected)) {
      if (await this.#isEncryptedUnder(directory, { expected, stored }, list)) {
        this.#readWithout(directory, expected);
        return expected;
      }
    }
    if (stored instanceof EcsyncError) throw stored;
    return this.#inPlace(directory, stored);
  }

  /** @returns the stored IV, or the error why there is no usable one */
  async #storedDirIV(
    directory: PlainEntry<C>,
    file: C | undefined,
  ): Promise<Uint8Array | EcsyncError> {
    const place = dirIVPlace(directory);
    if (file === undefined) return copyProblem('diriv-missing', place).error;
    try {
      const bytes = await readSmallFile(this.#cipher, file, DIR_IV_LENGTH);
      const isOne = bytes?.length === DIR_IV_LENGTH && !isAllZero(bytes);
      return isOne ? bytes : copyProblem('diriv-invalid', place).error;
    } catch (error) {
      if (error instanceof FileError) return error;
      throw error;
    }
  }

  async #isEncryptedUnder(
    directory: PlainEntry<C>,
    { expected, stored }: { readonly expected: Uint8Array; readonly stored: Uint8Array | Error },
    list: () => Promise<CipherListing<C>>,
  ): Promise<boolean> {
    const ivs = { expected, ...(!(stored instanceof Error) && { stored }) };
    const readNameFile = async (file: C): Promise<Uint8Array | undefined> => {
      try {
        return await readSmallFile(this.#cipher, file, NAME_FILE_LENGTH_MAX);
      } catch (error) {
        if (error instanceof FileError) return undefined;
        throw error;
      }
    };
    const isUnderExpected = await isUnderExpectedIV(this.#names, await list(), {
      ivs,
      readNameFile,
    });
    // An empty root does not show whose copy it is.
    return isUnderExpected ?? !isRootPath(directory.path);
  }

  #readWithout(directory: PlainEntry<C>, dirIV: Uint8Array): void {
    const { cipher, path: plainPath } = directory;
    this.#replaced.set(pathKey(plainPath), dirIV);
    this.#options.identities?.directory({ plainPath, cipherPath: cipher.path }, dirIV);
    this.#options.onProblem?.(copyProblem('diriv-lost', dirIVPlace(directory)));
  }

  #inPlace(directory: PlainEntry<C>, dirIV: Uint8Array): Uint8Array {
    const { cipher, path: plainPath } = directory;
    const { identities } = this.#options;
    const verdict = identities?.directory({ plainPath, cipherPath: cipher.path }, dirIV) ?? 'fits';
    if (verdict === 'fits') return dirIV;
    const problem = copyProblem(`diriv-${verdict}`, dirIVPlace(directory));
    if (identities?.keepsMisplaced !== true) throw problem.error;
    this.#options.onProblem?.(problem);
    return dirIV;
  }
}

/** Where a problem with a directory's IV is. */
export function dirIVPlace({ path, cipher }: PlainEntry): Omit<CopyProblem, 'code' | 'error'> {
  const cipherPath = joinPath(cipher.path, DIR_IV_NAME_BYTES);
  return { cipherPath, plainPath: path, plainDirectory: path, kind: 'directory' };
}

function isSameIV(stored: Uint8Array | Error, expected: Uint8Array): boolean {
  return !(stored instanceof Error) && Buffer.compare(stored, expected) === 0;
}
