/** The folder in which the files of a restore are built before they get their names. */
import { lstatSync, mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { ClosedFolders } from './closed-folders.ts';
import { DirectoryHandles } from '../local/directory-handles.ts';
import { diskFolder, onDisk } from '../local/disk-path.ts';
import type { OpenFile } from '../entry.ts';
import { FileError } from '../../errors.ts';
import { isTrustedOwner, isWindows } from '../../platform.ts';
import { fileFailure } from '../file-failure.ts';
import type { LocalEntry } from '../local/local-entry.ts';
import { LocalStore } from './local-store.ts';
import { LocalNewFile } from './new-file.ts';
import { splitPath } from '../safe-path.ts';
import type { NewFile } from '../store.ts';
import { temporaryPrefix } from './temporary-places.ts';

/** Folder in the root of a target in which files are built. */
export const UNFINISHED_FOLDER = '.ecsync-restore';
const IN_ROOT = Buffer.from(UNFINISHED_FOLDER);
/** Less than this is fetched anew sooner than compared. */
const KEPT_LENGTH_MIN = 1024 * 1024;

/** Name of the lock in it: who holds it fills the target. What is built has a name with a dot first. */
const LOCK_NAME = 'lock';

/** How often the folder may be taken away while it is being opened. */
const ATTEMPTS_MAX = 8;

/** Takes an exclusive lock by making a file. @throws {LockedError} `locked`, {FileError} `lock-failed` */
export type TakeLock = (file: string) => { release(): void };

/**
 * Where the files of a target are built before they get their names, and what an interrupted run
 * left there. A file that was broken off is the beginning of the one it was to become.
 */
export class UnfinishedFiles {
  readonly #folder: string;
  readonly #store: LocalStore;
  /** Names by what they begin with, as latin1 text. */
  readonly #left = new Map<string, Buffer>();
  readonly #lock: { release(): void };

  private constructor(folder: string, lock: { release(): void }) {
    this.#folder = folder;
    this.#lock = lock;
    this.#store = new LocalStore(folder);
  }

  /**
   * Makes the folder, or goes on with the one that is there; what is of no use in it is removed. Only one
   * run at a time has it.
   *
   * @param root - absolute path of the target, which exists
   * @throws {FileError} `write-failed`; what `takeLock` throws
   */
  static open(root: string, takeLock: TakeLock): UnfinishedFiles {
    const folder = path.join(root, UNFINISHED_FOLDER);
    for (let attempt = 1; ; attempt++) {
      try {
        if (!hasUnfinished(root)) inRoot(root, () => mkdirSync(folder, 0o700));
      } catch (error) {
        // Another run may have made it at the same moment; a link in its place is none.
        if (!hasUnfinished(root)) {
          throw fileFailure(error, 'write-failed', 'cannot use', Buffer.from(folder));
        }
      }
      assertOwn(folder);
      try {
        return UnfinishedFiles.#taken(folder, takeLock(path.join(folder, LOCK_NAME)));
      } catch (error) {
        // A run that was just ending has taken the folder away.
        if (hasUnfinished(root) || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  static #taken(folder: string, lock: { release(): void }): UnfinishedFiles {
    const files = new UnfinishedFiles(folder, lock);
    try {
      files.#look();
      return files;
    } catch (error) {
      files.close();
      throw fileFailure(error, 'write-failed', 'cannot use', Buffer.from(folder));
    }
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
    this.#lock.release();
  }

  /** The same; the folder is removed when there is nothing in it. */
  leave(): void {
    this.close();
    this.#removeFolder();
  }

  /** Removes the folder and everything in it. What cannot be removed stays, and does no harm. */
  remove(): void {
    this.empty();
    this.close();
    this.#removeFolder();
  }

  /** Removes what is in the folder: everything is where it belongs. */
  empty(): void {
    this.#left.clear();
    try {
      for (const name of this.#names()) this.#unlink(name);
    } catch {
      // What stays does no harm.
    }
  }

  #removeFolder(): void {
    try {
      inRoot(path.dirname(this.#folder), () => rmdirSync(this.#folder));
    } catch {
      // The next run finds it and tries again.
    }
  }

  #look(): void {
    for (const name of this.#names()) {
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

  /** All but the lock and what goes with it. */
  #names(): Buffer[] {
    const names = readdirSync(this.#folder, { encoding: 'buffer' });
    return names.filter((name) => name.toString('latin1').split('.', 1)[0] !== LOCK_NAME);
  }

  #full(name: Buffer): Buffer {
    return onDisk(diskFolder(this.#folder), name);
  }

  #unlink(name: Buffer): void {
    unlinkSync(this.#full(name));
  }
}

/** A change in the root of a target, which may be closed to its owner. */
function inRoot(root: string, change: () => void): void {
  const handles = new DirectoryHandles(diskFolder(root));
  const closed = new ClosedFolders(handles);
  try {
    closed.during(IN_ROOT, change);
  } finally {
    closed.close();
    handles.close();
  }
}

/**
 * What somebody else has made could be filled by them, too: their bytes would pass for the beginning of a file.
 *
 * @throws {FileError} `write-failed`
 */
function assertOwn(folder: string): void {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats === undefined || isWindows || isTrustedOwner(stats.uid)) return;
  const message = `cannot use ${folder}: it belongs to another user (uid ${stats.uid})`;
  throw new FileError('write-failed', message, {
    hint: 'An interrupted restore of theirs may be in it. Remove it, or restore to another folder.',
    facts: { path: folder },
  });
}

/** Whether something is going on in a target, or was interrupted. */
export function hasUnfinished(root: string): boolean {
  const folder = path.join(root, UNFINISHED_FOLDER);
  return lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Removes the folder of unfinished files from a target where all is done; throws as {@link UnfinishedFiles.open}. */
export function removeUnfinished(root: string, takeLock: TakeLock): void {
  if (hasUnfinished(root)) UnfinishedFiles.open(root, takeLock).remove();
}

function key(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
