/** Makes folders writable that their owner may not write to, while objects in them are changed. */
import { lstatSync } from 'node:fs';
import type { DirectoryHandles } from '../local/directory-handles.ts';
import { pathKey, splitPath } from '../../bytes/paths.ts';
import { setMode } from './set-mode.ts';
import { errnoOf } from '../../platform.ts';

/** Permissions that the owner needs to change objects in a folder. */
const OWNER_BITS = 0o700;
const MODE_BITS = 0o7777;

/**
 * Opens folders such as those of Go's module cache (`r-x`) when a change in them is refused, and
 * restores their modes at the end. Only the owner of a folder can do that; the superuser need not.
 *
 * @see rsync generator.c need_retouch_dir_perms (3.5.0)
 */
export class ClosedFolders {
  readonly #handles: DirectoryHandles;
  /** Modes to restore, by the folder's path as latin1 text. */
  readonly #modes = new Map<string, number>();

  constructor(handles: DirectoryHandles) {
    this.#handles = handles;
  }

  /**
   * Makes a change in the folder that contains `path`.
   *
   * @throws whatever `change` throws after the folder was opened or could not be opened
   */
  whileOpen<T>(path: Uint8Array, change: () => T): T {
    try {
      return change();
    } catch (error) {
      if (errnoOf(error) !== 'EACCES' || !this.#open(splitPath(path).directory)) throw error;
      return change();
    }
  }

  /** Call it when a folder gets another mode or is removed: there is nothing to restore then. */
  forget(path: Uint8Array): void {
    this.#modes.delete(pathKey(path));
  }

  /** Restores all modes. A folder that is gone or no longer ours stays as it is. */
  close(): void {
    for (const [key, mode] of this.#modes) {
      try {
        setMode(this.#handles.locate(Buffer.from(key, 'latin1')), mode);
      } catch {
        // Nothing depends on it: the next comparison finds the wrong mode and corrects it.
      }
    }
    this.#modes.clear();
  }

  /** @returns whether it was closed and is now open */
  #open(folder: Uint8Array): boolean {
    try {
      const full = this.#handles.locate(folder);
      const mode = lstatSync(full).mode & MODE_BITS;
      if ((mode & OWNER_BITS) === OWNER_BITS) return false;
      setMode(full, mode | OWNER_BITS);
      this.#modes.set(pathKey(folder), mode);
      return true;
    } catch {
      return false; // not ours: the caller throws the first refusal
    }
  }
}
