/** Folders that never are without the small file that everything in them is read with. */
import {
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
} from 'node:fs';
import { errnoOf, insist, isWindows } from '../../platform.ts';
import type { ClosedFolders } from './closed-folders.ts';
import type { DirectoryHandles } from '../local/directory-handles.ts';
import { setMode } from './set-mode.ts';
import { locateBoth, removeQuietly, type Place, type TemporaryPlaces } from './temporary-places.ts';

const SLASH = Buffer.from('/');
const OWNER_MODE = 0o700;

/** What the folders of a store have to do with each other. */
export interface KeyedFoldersOptions {
  /** Name of the file, in every folder. */
  readonly keyName: Uint8Array;
  readonly handles: DirectoryHandles;
  /** An earlier copy that may have the file of a new folder. */
  readonly earlier: DirectoryHandles | undefined;
  /** In a folder for temporary names, on the same file system. */
  readonly places: TemporaryPlaces;
  readonly closed: ClosedFolders;
}

/**
 * Makes and removes folders together with their key file, each in one step: a new folder is built under
 * a temporary name, and a folder that goes gets one before anything is taken out of it. All methods
 * throw the system's errors.
 */
export class KeyedFolders {
  readonly #options: KeyedFoldersOptions;
  /** Key files that go when their folder does, by the folder's path as latin1 text. */
  readonly #leaving = new Map<string, Uint8Array>();

  constructor(options: KeyedFoldersOptions) {
    this.#options = options;
  }

  /**
   * @param mode - permission bits, those of the owner among them
   * @returns false when the earlier copy has no key file for this folder: nothing was made
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
      insist(() => renameSync(from, to));
      return true;
    } catch (error) {
      this.#clear(place);
      throw error;
    }
  }

  /** @returns whether this is a key file: it goes when its folder does, or at the end */
  removesLater(path: Uint8Array): boolean {
    const folder = this.#folderOfKey(path);
    if (folder === undefined) return false;
    this.#leaving.set(keyOf(folder), path);
    return true;
  }

  /** @returns false for a folder whose key file was not to be removed */
  remove(folder: Uint8Array): boolean {
    const { handles, places, closed } = this.#options;
    const key = this.#leaving.get(keyOf(folder));
    if (key === undefined || readdirSync(handles.locateDirectory(folder)).length > 1) return false;
    handles.forget(folder);
    const place = places.for(folder);
    // Who may not write to a folder may not move it.
    closed.during(key, () => {
      const [from, to] = locateBoth({ handles, at: folder }, place);
      insist(() => renameSync(from, to));
    });
    // Not before: what is refused now may be tried again when the folder above is open.
    this.#leaving.delete(keyOf(folder));
    this.#clear(place);
    return true;
  }

  /** Removes the key files of folders that stay. */
  close(): void {
    const { handles } = this.#options;
    for (const at of this.#leaving.values()) removeQuietly({ handles, at });
    this.#leaving.clear();
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

  /** What cannot be removed here stays where no name leads to it, until the folder is emptied. */
  #clear(place: Place): void {
    const { handles, at } = place;
    try {
      setMode(handles.locate(at), OWNER_MODE);
    } catch {
      // Removing will tell.
    }
    removeQuietly(this.#keyIn(place));
    handles.forget(at);
    try {
      rmdirSync(handles.locate(at));
    } catch {
      // The next run that empties the folder of temporary names removes it.
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

/** On Windows a copy, since removing one name of a read-only file makes the others writable there. */
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

function keyOf(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString('latin1');
}
