/** Under which IV the names in a directory of a copy are encrypted. */
import { EcsyncError, FileError } from '../../errors.ts';
import { isAllZero } from '../../gocryptfs/format/file-header.ts';
import { DIR_IV_LENGTH, NAME_FILE_LENGTH_MAX } from '../../gocryptfs/format/limits.ts';
import type { NameScheme } from '../../gocryptfs/names/names.ts';
import type { Entry, Tree } from '../../tree/entry.ts';
import { DIR_IV_NAME_BYTES, readSmallFile, type CipherListing } from './decrypted-view-listing.ts';
import { copyProblem, type CopyProblem } from './decrypted-view-problem.ts';
import type { IdentityCheck } from './identity-check.ts';
import { isUnderExpectedIV } from './lost-dir-iv.ts';
import { isRootPath, joinPath, pathKey } from '../path-bytes.ts';
import type { Place } from '../path-translation.ts';
import type { PlainEntry } from '../plain-entry.ts';

/** What the IVs of a copy are compared with. */
export interface DirectoryIVOptions {
  /** Told of everything that is wrong with the copy's structure and therefore missing here. */
  readonly onProblem?: (problem: CopyProblem) => void;
  /** Looks at the IV of every directory and at every link; without it all that decrypts is right. */
  readonly identities?: IdentityCheck;
  /**
   * The IV that a directory must have, where that is known: with it a directory is read on whose
   * `gocryptfs.diriv` is lost or damaged. Absent: the stored one is all there is.
   */
  readonly expectedDirIV?: (place: Place) => Uint8Array | undefined;
}

/** The IVs of a copy's directories, as they are stored there or have to be. */
export class DirectoryIVs<C extends Entry> {
  readonly #cipher: Tree<C>;
  readonly #names: NameScheme;
  readonly #options: DirectoryIVOptions;
  /** Those of directories that are read without their file, by the key of the plaintext path. */
  readonly #replaced = new Map<string, Uint8Array>();

  constructor(cipher: Tree<C>, names: NameScheme, options: DirectoryIVOptions) {
    this.#cipher = cipher;
    this.#names = names;
    this.#options = options;
  }

  /**
   * The stored IV, or the one that must be there where that one is no use.
   *
   * @param file - its `gocryptfs.diriv`, if it has one
   * @param list - what else is in it, asked for when something is wrong
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

  /** @returns why there is no usable one */
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
    const told = await isUnderExpectedIV(this.#names, await list(), { ivs, readNameFile });
    // An empty top folder does not show whose copy it is.
    return told ?? !isRootPath(directory.path);
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

/** Where a problem with the IV of a directory is. */
export function dirIVPlace({ path, cipher }: PlainEntry): Omit<CopyProblem, 'code' | 'error'> {
  const cipherPath = joinPath(cipher.path, DIR_IV_NAME_BYTES);
  return { cipherPath, plainPath: path, plainDirectory: path, kind: 'directory' };
}

function isSameIV(stored: Uint8Array | Error, expected: Uint8Array): boolean {
  return !(stored instanceof Error) && Buffer.compare(stored, expected) === 0;
}
