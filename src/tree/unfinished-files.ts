import { lstatSync, mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { diskFolder, onDisk } from './disk-path.ts';
import type { OpenFile } from './entry.ts';
import { fileFailure } from './file-failure.ts';
import type { LocalEntry } from './local-entry.ts';
import { LocalStore, temporaryPrefix } from './local-store.ts';
import { LocalNewFile } from './new-file.ts';
import { splitPath } from './safe-path.ts';
import type { NewFile } from './store.ts';

/** Folder in the root of a target in which files are built. */
export const UNFINISHED_FOLDER = '.ecsync-restore';
/** Less than this is fetched anew sooner than compared. */
const KEPT_LENGTH_MIN = 1024 * 1024;

/**
 * Where the files of a target are built before they get their names, and what an interrupted run
 * left there. A file that was broken off is the beginning of the one it was to become.
 */
export class UnfinishedFiles {
  readonly #folder: string;
  readonly #store: LocalStore;
  /** Names by what they begin with, as latin1 text. */
  readonly #left = new Map<string, Buffer>();

  private constructor(folder: string) {
    this.#folder = folder;
    this.#store = new LocalStore(folder);
  }

  /**
   * Makes the folder, or goes on with the one that is there; what is of no use in it is removed.
   *
   * @param root - absolute path of the target, which exists
   * @throws {FileError} `write-failed`
   */
  static open(root: string): UnfinishedFiles {
    const folder = path.join(root, UNFINISHED_FOLDER);
    const files = new UnfinishedFiles(folder);
    try {
      if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) files.#look();
      else mkdirSync(folder, 0o700);
    } catch (error) {
      throw fileFailure(error, 'write-failed', 'cannot use', Buffer.from(folder));
    }
    return files;
  }

  /** A file that may be the beginning of the one at a path: it was to get the same name. */
  async find(targetPath: Uint8Array): Promise<LocalEntry | undefined> {
    if (this.#left.size === 0) return undefined;
    const name = this.#left.get(key(temporaryPrefix(splitPath(targetPath).name)));
    return name && this.#store.lookup(name);
  }

  open(entry: LocalEntry): Promise<OpenFile> {
    return this.#store.open(entry);
  }

  /** Keeps what came of a file for the next run, if it is worth that. */
  async keep(file: NewFile, length: number): Promise<void> {
    if (length >= KEPT_LENGTH_MIN && file instanceof LocalNewFile) await file.leave();
    else await file.discard();
  }

  /** Lets go of the folder; what is in it stays for the next run. */
  close(): void {
    this.#store.close();
  }

  /** The same; the folder is removed when there is nothing in it. */
  leave(): void {
    this.close();
    this.#removeFolder();
  }

  /** Removes the folder and everything in it. What cannot be removed stays, and does no harm. */
  remove(): void {
    this.close();
    this.empty();
    this.#removeFolder();
  }

  /** Removes what is in the folder: everything is where it belongs. */
  empty(): void {
    this.#left.clear();
    try {
      for (const name of readdirSync(this.#folder, { encoding: 'buffer' })) this.#unlink(name);
    } catch {
      // What stays does no harm.
    }
  }

  #removeFolder(): void {
    try {
      rmdirSync(this.#folder);
    } catch {
      // The next run finds it and tries again.
    }
  }

  #look(): void {
    for (const name of readdirSync(this.#folder, { encoding: 'buffer' })) {
      const stats = lstatSync(this.#full(name));
      const dot = name.lastIndexOf(0x2e);
      if (!stats.isFile() || stats.size < KEPT_LENGTH_MIN || dot < 1) {
        if (!stats.isDirectory()) this.#unlink(name);
        continue;
      }
      const prefix = key(name.subarray(0, dot + 1));
      const other = this.#left.get(prefix);
      if (other === undefined || lstatSync(this.#full(other)).size < stats.size) {
        this.#left.set(prefix, name);
      }
    }
  }

  #full(name: Buffer): Buffer {
    return onDisk(diskFolder(this.#folder), name);
  }

  #unlink(name: Buffer): void {
    unlinkSync(this.#full(name));
  }
}

/** Whether something is going on in a target, or was interrupted. */
export function hasUnfinished(root: string): boolean {
  const folder = path.join(root, UNFINISHED_FOLDER);
  return lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Removes the folder of unfinished files from a target where all is done. */
export function removeUnfinished(root: string): void {
  if (hasUnfinished(root)) UnfinishedFiles.open(root).remove();
}

function key(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
