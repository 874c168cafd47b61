/** What was written to a folder and may not have reached its disk yet. */
import { closeSync, constants, fsync, openSync } from 'node:fs';
import { errnoOf, isWindows } from '../../platform.ts';
import type { DirectoryHandles } from '../local/directory-handles.ts';
import { fileFailure } from '../file-failure.ts';
import { isRootPath, splitPath } from '../safe-path.ts';

/** From so many objects on, the file system as a whole is faster. */
const MANY = 64;
const AT_ONCE = 4;
const ROOT = Buffer.from('.');
/** Windows stores only what is open for writing; read-only files are stored before they get their names. */
const ACCESS = isWindows ? constants.O_RDWR : constants.O_RDONLY;
const OPEN_FLAGS = ACCESS | (constants.O_NOFOLLOW || 0) | (constants.O_NONBLOCK || 0);
/** File systems that know no such thing; what they cannot do is not missed. */
const UNSUPPORTED = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EBADF']);
/** Gone again, something else by now, or a folder of Windows: then there is nothing to wait for. */
const NOT_OPENED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR', 'EPERM']);

/**
 * Stores everything that the system still has in its memory for the file system of a folder.
 *
 * @returns false when that cannot be told here
 */
export type SyncFileSystem = (folder: Buffer) => Promise<boolean>;

/** Notes what is new, and waits for the disk when something depends on it. */
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

  /** A new file, under its name. */
  noteFile(path: Uint8Array): void {
    this.#files.push(path);
    this.noteName(path);
  }

  /** A new name of any object. */
  noteName(path: Uint8Array): void {
    if (isRootPath(path)) return;
    const { parent } = splitPath(path);
    this.noteFolder(parent.length === 0 ? ROOT : parent);
  }

  /** A folder in which something is new. */
  noteFolder(path: Uint8Array): void {
    this.#folders.add(keyOf(path));
  }

  /**
   * Waits until all of it is on the disk, files before the names that lead to them.
   *
   * @throws {FileError} `write-failed` — the disk does not take it
   */
  async settle(): Promise<void> {
    const files = this.#files;
    const folders = [...this.#folders].map((key) => Buffer.from(key, 'latin1'));
    if (files.length + folders.length === 0) return;
    this.#files = [];
    this.#folders = new Set();
    const isMany = files.length + folders.length > MANY;
    if (isMany && (await this.#syncFileSystem?.(this.#handles.locateDirectory(ROOT)))) return;
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
 * Waits until the bytes of an open file are on the disk, where there is such a thing.
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

function keyOf(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString('latin1');
}
