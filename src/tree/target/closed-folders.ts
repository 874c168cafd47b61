/** Folders that their owner may not change, opened while something in them is. */
import { lstatSync } from 'node:fs';
import type { DirectoryHandles } from '../local/directory-handles.ts';
import { isRootPath, splitPath } from '../safe-path.ts';
import { setMode } from './set-mode.ts';
import { errnoOf } from '../../platform.ts';

const ROOT = Buffer.from('.');
/** What the owner of a folder needs to change what is in it. */
const OWNER_BITS = 0o700;
const MODE_BITS = 0o7777;

/**
 * Opens folders such as those of Go's module cache (`r-x`) when a change in them is refused, and gives
 * them their modes back at the end. Only the owner of a folder can do that; the superuser need not.
 *
 * @see rsync generator.c need_retouch_dir_perms (3.5.0)
 */
export class ClosedFolders {
  readonly #handles: DirectoryHandles;
  /** Modes to give back, by the folder's path as latin1 text. */
  readonly #modes = new Map<string, number>();

  constructor(handles: DirectoryHandles) {
    this.#handles = handles;
  }

  /**
   * Makes a change in the folder that holds `path`.
   *
   * @throws what `change` throws, once the folder is open or cannot be opened
   */
  during<T>(path: Uint8Array, change: () => T): T {
    try {
      return change();
    } catch (error) {
      if (errnoOf(error) !== 'EACCES' || !this.#open(folderOf(path))) throw error;
      return change();
    }
  }

  /** A folder has another mode from now on, or is gone: there is nothing to give back. */
  forget(path: Uint8Array): void {
    this.#modes.delete(keyOf(path));
  }

  /** Gives all folders their modes back. One that is gone or not ours any more stays as it is. */
  close(): void {
    for (const [key, mode] of this.#modes) {
      try {
        setMode(this.#handles.locate(Buffer.from(key, 'latin1')), mode);
      } catch {
        // Nothing depends on it: the next comparison finds another mode and sets it.
      }
    }
    this.#modes.clear();
  }

  /** @returns whether it was closed and is open now */
  #open(folder: Uint8Array): boolean {
    try {
      const full = this.#handles.locate(folder);
      const mode = lstatSync(full).mode & MODE_BITS;
      if ((mode & OWNER_BITS) === OWNER_BITS) return false;
      setMode(full, mode | OWNER_BITS);
      this.#modes.set(keyOf(folder), mode);
      return true;
    } catch {
      return false; // not ours: the first refusal says what is wrong
    }
  }
}

function folderOf(path: Uint8Array): Uint8Array {
  if (isRootPath(path)) return ROOT;
  const { parent } = splitPath(path);
  return parent.length === 0 ? ROOT : parent;
}

function keyOf(path: Uint8Array): string {
  return Buffer.from(path).toString('latin1');
}
