/** The folder in which a restore builds files before they get their names. */
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
import { OwedAttributes } from './owed-attributes.ts';
import { restoreTime } from './restore-time.ts';
import { pathKey, ROOT_PATH, splitPath } from '../../bytes/paths.ts';
import type { NewFile } from '../store.ts';
import { temporaryPrefix } from './temporary-places.ts';

/** Name of that folder in the root of a target. */
export const UNFINISHED_FOLDER = '.ecsync-restore';
const IN_ROOT = Buffer.from(UNFINISHED_FOLDER);
/** Fetching less than this anew is faster than comparing it. */
const KEPT_LENGTH_MIN = 1024 * 1024;

/**
 * Name of the lock in the folder; its holder fills the target. Unfinished files have names that
 * start with a dot.
 */
const LOCK_NAME = 'lock';
/** Name of the file with the attributes that could not be set. */
const OWED_NAME = 'owed-attributes.json';
/** What the names of files in the folder that are not unfinished ones begin with. */
const OWN_NAMES: ReadonlySet<string> = new Set([LOCK_NAME, 'owed-attributes']);

/** How often another run may remove the folder while it is being opened. */
const ATTEMPTS_MAX = 8;

/**
 * Takes an exclusive lock by creating a file. @throws {LockedError} `locked`, {FileError}
 * `lock-failed`
 */
export type TakeLock = (file: string) => { release(): void };

/**
 * Where a restore builds files before they get their names, including the partial files that an
 * interrupted run left. A partial file is the beginning of the file that it was to become.
 */
export class UnfinishedFiles {
  /** Attributes of the target's objects that could not be set; kept for the next run. */
  readonly owed: OwedAttributes;
  readonly #folder: string;
  readonly #store: LocalStore;
  /** Names of partial files by their prefix, as latin1 text. */
  readonly #partial = new Map<string, Buffer>();
  readonly #lock: { release(): void };

  private constructor(folder: string, lock: { release(): void }) {
    this.#folder = folder;
    this.#lock = lock;
    this.#store = new LocalStore(folder);
    this.owed = new OwedAttributes(path.join(folder, OWED_NAME));
  }

  /**
   * Creates the folder, or opens the existing one and removes useless files in it. Only one run at
   * a time can hold it.
   *
   * @param root - absolute path of the target, which exists
   * @throws {FileError} `write-failed`; whatever `takeLock` throws
   */
  static open(root: string, takeLock: TakeLock): UnfinishedFiles {
    const folder = path.join(root, UNFINISHED_FOLDER);
    for (let attempt = 1; ; attempt++) {
      try {
        if (!hasUnfinished(root)) inRoot(root, () => mkdirSync(folder, 0o700));
      } catch (error) {
        // Another run may have created it at the same moment; a symlink in its place does not
        // count.
        if (!hasUnfinished(root)) {
          throw fileFailure(error, 'write-failed', 'cannot use', Buffer.from(folder));
        }
      }
      assertOwn(folder);
      try {
        return UnfinishedFiles.#opened(folder, takeLock(path.join(folder, LOCK_NAME)));
      } catch (error) {
        // A run that was just ending has removed the folder.
        if (hasUnfinished(root) || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  static #opened(folder: string, lock: { release(): void }): UnfinishedFiles {
    const files = new UnfinishedFiles(folder, lock);
    try {
      files.#scan();
      return files;
    } catch (error) {
      files.close();
      throw fileFailure(error, 'write-failed', 'cannot use', Buffer.from(folder));
    }
  }

  /** A file that may be the beginning of the one at a path: it was to get the same name. */
  async find(targetPath: Uint8Array): Promise<LocalEntry | undefined> {
    if (this.#partial.size === 0) return undefined;
    const name = this.#partial.get(pathKey(temporaryPrefix(splitPath(targetPath).name)));
    return name && this.#store.lookup(name);
  }

  open(entry: LocalEntry): Promise<OpenFile> {
    return this.#store.open(entry);
  }

  /** Keeps a partial file for the next run, if it is long enough. */
  async keep(file: NewFile, length: number): Promise<void> {
    if (length >= KEPT_LENGTH_MIN && file instanceof LocalNewFile) await file.leave();
    else await file.discard();
  }

  /** Releases the folder; its files stay for the next run. */
  close(): void {
    this.owed.save();
    this.#store.close();
    this.#lock.release();
  }

  /** Releases the folder, and removes it if it is empty. */
  leave(): void {
    this.close();
    this.#removeFolder();
  }

  /**
   * Removes all unfinished files, and the folder unless attributes are owed. Files that cannot be
   * removed stay, and do no harm.
   */
  remove(): void {
    this.empty();
    this.close();
    this.#removeFolder();
  }

  /** Removes all files in the folder, when the restore is complete. */
  empty(): void {
    this.#partial.clear();
    try {
      for (const name of this.#names()) this.#unlink(name);
    } catch {
      // Remaining files do no harm.
    }
  }

  #removeFolder(): void {
    try {
      inRoot(path.dirname(this.#folder), () => rmdirSync(this.#folder));
    } catch {
      // The next run finds it and tries again.
    }
  }

  #scan(): void {
    for (const name of this.#names()) {
      const stats = lstatSync(this.#full(name));
      const dot = name.lastIndexOf(0x2e);
      if (!stats.isFile() || stats.size < KEPT_LENGTH_MIN || dot < 1) {
        if (!stats.isDirectory()) this.#unlink(name);
        continue;
      }
      const prefix = pathKey(name.subarray(0, dot + 1));
      const other = this.#partial.get(prefix);
      if (other === undefined || lstatSync(this.#full(other)).size < stats.size) {
        this.#partial.set(prefix, name);
      }
    }
  }

  /** The names of unfinished files. */
  #names(): Buffer[] {
    const names = readdirSync(this.#folder, { encoding: 'buffer' });
    return names.filter((name) => !OWN_NAMES.has(name.toString('latin1').split('.', 1)[0] ?? ''));
  }

  #full(name: Buffer): Buffer {
    return onDisk(diskFolder(this.#folder), name);
  }

  #unlink(name: Buffer): void {
    unlinkSync(this.#full(name));
  }
}

/** Makes a change in the root of a target, even if its owner may not write to it. */
function inRoot(root: string, change: () => void): void {
  const handles = new DirectoryHandles(diskFolder(root));
  const closed = new ClosedFolders(handles);
  try {
    closed.whileOpen(IN_ROOT, change);
  } finally {
    closed.close();
    handles.close();
  }
}

/**
 * Refuses a folder of another user, who could fill it: their bytes would pass for the beginning of
 * a file.
 *
 * @throws {FileError} `write-failed`
 */
function assertOwn(folder: string): void {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats === undefined || isWindows || isTrustedOwner(stats.uid)) return;
  const message = `cannot use ${folder}: it belongs to another user (uid ${stats.uid})`;
  throw new FileError('write-failed', message, {
    hint: 'It may hold an interrupted restore of that user. Remove it, or restore to another folder.',
    facts: { path: folder },
  });
}

/** Whether a restore is running in a target, or was interrupted. */
export function hasUnfinished(root: string): boolean {
  const folder = path.join(root, UNFINISHED_FOLDER);
  return lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
}

/**
 * Removes the folder of unfinished files from a completed target, which keeps its time; throws as
 * {@link UnfinishedFiles.open}.
 */
export async function removeUnfinished(root: string, takeLock: TakeLock): Promise<void> {
  if (!hasUnfinished(root)) return;
  const store = new LocalStore(root);
  try {
    const before = await store.lookup(ROOT_PATH);
    UnfinishedFiles.open(root, takeLock).remove();
    // Where that fails, everything but the time is right.
    if (before !== undefined) await restoreTime(store, before);
  } finally {
    store.close();
  }
}
