/** Tracks changes in a folder that may not have reached its disk yet. */
import { closeSync, constants, fsync, openSync } from 'node:fs';
import { errnoOf, isWindows } from '../../platform.ts';
import type { DirectoryHandles } from '../local/directory-handles.ts';
import { fileFailure } from '../file-failure.ts';
import { isRootPath, pathKey, ROOT_PATH, splitPath } from '../../bytes/paths.ts';

/** From so many objects on, syncing the whole file system is faster. */
const MANY = 64;
const AT_ONCE = 4;
/**
 * Windows flushes only files open for writing; read-only files are flushed before they get their
 * names.
 */
const ACCESS = isWindows ? constants.O_RDWR : constants.O_RDONLY;
const OPEN_FLAGS = ACCESS | (constants.O_NOFOLLOW || 0) | (constants.O_NONBLOCK || 0);
/** Errors of file systems without fsync; nothing is lost there. */
const UNSUPPORTED = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EBADF']);
/** The object is gone or replaced, or is a folder on Windows: there is nothing to wait for. */
const NOT_OPENED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR', 'EPERM']);

/**
 * Flushes everything that the system still caches for the file system of a folder.
 *
 * @returns false when that is not possible here
 */
export type SyncFileSystem = (folder: Buffer) => Promise<boolean>;

/** Records new objects, and waits for the disk when something depends on it. */
export class Unsettled {
  readonly #handles: DirectoryHandles;
  readonly #syncFileSystem: SyncFileSystem | undefined;
  #files: Uint8Array[] = [];
  /** Paths as latin1 text. */
  #folders = new Set<string>();

  constructor(handles: DirectoryHandles, syncFileSystem?: SyncFileSystem) {
    this.#handles = handles;
    this.#syncFileSystem = syncFileSystem;
  }

  /** Records a new file, under its final name. */
  addFile(path: Uint8Array): void {
    this.#files.push(path);
    this.addName(path);
  }

  /** Records a new name of any object. */
  addName(path: Uint8Array): void {
    if (isRootPath(path)) return;
    this.addFolder(splitPath(path).directory);
  }

  /** Records a folder with a new object in it. */
  addFolder(path: Uint8Array): void {
    this.#folders.add(pathKey(path));
  }

  /**
   * Waits until all recorded objects are on the disk, files before the names that lead to them.
   *
   * @throws {FileError} `write-failed` — the disk does not accept them
   */
  async settle(): Promise<void> {
    const files = this.#files;
    const folders = [...this.#folders].map((key) => Buffer.from(key, 'latin1'));
    if (files.length + folders.length === 0) return;
    this.#files = [];
    this.#folders = new Set();
    const isMany = files.length + folders.length > MANY;
    if (isMany && (await this.#syncFileSystem?.(this.#handles.locateDirectory(ROOT_PATH)))) return;
    await this.#syncAll(files);
    await this.#syncAll(folders);
  }

  async #syncAll(paths: readonly Uint8Array[]): Promise<void> {
    const waiting = paths.values();
    const work = async (): Promise<void> => {
      for (const path of waiting) await this.#sync(path);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async #sync(path: Uint8Array): Promise<void> {
    let fd: number;
    try {
      fd = openSync(this.#handles.locate(path), OPEN_FLAGS);
    } catch (error) {
      const errno = errnoOf(error);
      // A file that nobody may read cannot be opened for this.
      if (NOT_OPENED.has(errno) || errno === 'EACCES') return;
      throw fileFailure(error, 'write-failed', 'cannot open', path);
    }
    try {
      await waitForDisk(fd);
    } catch (error) {
      throw fileFailure(error, 'write-failed', 'cannot store', path);
    } finally {
      closeSync(fd);
    }
  }
}

/**
 * Waits until the bytes of an open file are on the disk, if its file system supports that.
 *
 * @throws the system's error
 */
export function waitForDisk(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(fd, (error) => {
      if (error === null || UNSUPPORTED.has(error.code ?? '')) resolve();
      else reject(error);
    });
  });
}
