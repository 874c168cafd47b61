/** Creates and removes folders in one step with their key file, which everything in them needs. */
import {
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
} from 'node:fs';
import { errnoOf, retryWhileHeld, isWindows } from '../../platform.ts';
import type { ClosedFolders } from './closed-folders.ts';
import type { DirectoryHandles } from '../local/directory-handles.ts';
import { setMode } from './set-mode.ts';
import { locateBoth, removeQuietly, type Place, type TemporaryPlaces } from './temporary-places.ts';
import { pathKey } from '../../bytes/paths.ts';

const SLASH = Buffer.from('/');
const OWNER_MODE = 0o700;

/** What the folders of a store need. */
export interface KeyedFoldersOptions {
  /** Name of the key file in every folder. */
  readonly keyName: Uint8Array;
  readonly handles: DirectoryHandles;
  /** An earlier copy that may have the key file of a new folder. */
  readonly earlier: DirectoryHandles | undefined;
  /** In a folder for temporary names, on the same file system. */
  readonly places: TemporaryPlaces;
  readonly closed: ClosedFolders;
}

/**
 * Creates and removes folders together with their key file, each in one step. A new folder is built
 * under a temporary name; a folder to be removed is renamed to one before it is emptied. All
 * methods throw the system's errors.
 */
export class KeyedFolders {
  readonly #options: KeyedFoldersOptions;
  /** Key files to be removed with their folders, by the folder's path as latin1 text. */
  readonly #deferred = new Map<string, Uint8Array>();

  constructor(options: KeyedFoldersOptions) {
    this.#options = options;
  }

  /**
   * @param mode - permission bits, including all of the owner's
   * @returns false when the earlier copy has no key file for this folder; nothing was created
   */
  create(folder: Uint8Array, mode: number): boolean {
    const { earlier, handles, places } = this.#options;
    const stored = earlier && this.#stored(earlier, folder);
    if (stored === undefined) return false;
    const place = places.for(folder);
    const key = this.#keyIn(place);
    mkdirSync(place.handles.locate(place.at), mode);
    try {
      linkOrCopy(...locateBoth(stored, key));
      place.handles.forget(place.at);
      const [from, to] = locateBoth(place, { handles, at: folder });
      retryWhileHeld(() => renameSync(from, to));
      return true;
    } catch (error) {
      this.#clear(place);
      throw error;
    }
  }

  /** @returns whether this is a key file, which is removed with its folder, or at the end */
  deferRemoval(path: Uint8Array): boolean {
    const folder = this.#folderOfKey(path);
    if (folder === undefined) return false;
    this.#deferred.set(pathKey(folder), path);
    return true;
  }

  /** @returns false for a folder whose key file is not to be removed */
  remove(folder: Uint8Array): boolean {
    const { handles, places, closed } = this.#options;
    const key = this.#deferred.get(pathKey(folder));
    if (key === undefined || readdirSync(handles.locateDirectory(folder)).length > 1) return false;
    handles.forget(folder);
    const place = places.for(folder);
    // A folder that may not be written may not be moved either.
    closed.whileOpen(key, () => {
      const [from, to] = locateBoth({ handles, at: folder }, place);
      retryWhileHeld(() => renameSync(from, to));
    });
    // Not before: a change that is refused now may be tried again when the parent folder is open.
    this.#deferred.delete(pathKey(folder));
    this.#clear(place);
    return true;
  }

  /** Removes the key files of folders that were not removed. */
  close(): void {
    const { handles } = this.#options;
    for (const at of this.#deferred.values()) removeQuietly({ handles, at });
    this.#deferred.clear();
  }

  #stored(earlier: DirectoryHandles, folder: Uint8Array): Place | undefined {
    const place = this.#keyIn({ handles: earlier, at: folder });
    try {
      return lstatSync(earlier.locate(place.at)).isFile() ? place : undefined;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  }

  /**
   * Removes a temporary folder. If that fails, it stays under its temporary name until a later
   * cleanup.
   */
  #clear(place: Place): void {
    const { handles, at } = place;
    try {
      setMode(handles.locate(at), OWNER_MODE);
    } catch {
      // Removing it reports the error.
    }
    removeQuietly(this.#keyIn(place));
    handles.forget(at);
    try {
      rmdirSync(handles.locate(at));
    } catch {
      // The next run that empties the temporary folder removes it.
    }
  }

  #keyIn({ handles, at }: Place): Place {
    return { handles, at: Buffer.concat([at, SLASH, this.#options.keyName]) };
  }

  #folderOfKey(path: Uint8Array): Uint8Array | undefined {
    const { keyName } = this.#options;
    const end = path.length - keyName.length - 1;
    if (end < 1 || path[end] !== SLASH[0]) return undefined;
    return Buffer.compare(path.subarray(end + 1), keyName) === 0
      ? path.subarray(0, end)
      : undefined;
  }
}

/**
 * Copies on Windows: removing one name of a read-only file there makes its other names writable.
 */
function linkOrCopy(from: Buffer, to: Buffer): void {
  try {
    if (!isWindows) {
      linkSync(from, to);
      return;
    }
  } catch {
    // A file system without hard links.
  }
  copyFileSync(from, to);
}
