/** Reaches directories below a root without ever following a symlink. */
import { closeSync, constants, lstatSync, openSync, readlinkSync } from 'node:fs';
import { onDisk } from './disk-path.ts';
import { isAtOrBelow, isRootPath, pathKey, ROOT_PATH, splitPath } from '../../bytes/paths.ts';

/** Limit of open handles; the file list goes folder by folder, so a few are enough. */
const HANDLES_MAX = 128;
/** Linux: a handle that only names a directory, and needs no read permission. */
export const O_PATH = 0o10000000;
/**
 * Appended to the root's handle, it gives a path whose attributes can be set without following it.
 */
const DOT = Buffer.from('.');
const ROOT_KEY = pathKey(ROOT_PATH);

/** Folder in which this process's handles are paths; undefined on systems without one. */
export const HANDLES_FOLDER = handlesFolder();

function handlesFolder(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    // With the process number: a third faster than through the symlink, and valid for child
    // processes.
    return `/proc/${readlinkSync('/proc/self')}/fd/`;
  } catch {
    return undefined; // a system without /proc
  }
}

/**
 * Paths to the directories below a root that lead through no symlink, even if the tree changes in
 * the meantime. On Linux each path uses an open directory handle (`/proc/PID/fd/N`). On other
 * systems its components are examined one by one, so a race remains with anyone who may rename
 * directories inside the root.
 *
 * Use a path before the next call: its handle may be closed by then.
 */
export class DirectoryHandles {
  readonly #root: Buffer;
  readonly #byHandle = HANDLES_FOLDER !== undefined;
  /**
   * Directory's path as latin1 text → its handle, least recently used first; −1 without handles.
   */
  readonly #handles = new Map<string, number>();
  #rootHandle: number | undefined;

  /** @param root - from {@link diskFolder}, absolute; a symlink to a directory is followed */
  constructor(root: Buffer) {
    this.#root = root;
  }

  /**
   * A path for system calls that do not follow the last component.
   *
   * @throws the system's error when a parent is missing or not a directory
   */
  locate(path: Uint8Array): Buffer {
    this.#trim();
    return this.#locate(path);
  }

  /** Two paths as from {@link locate}, for one system call that takes both. */
  locateBoth(first: Uint8Array, second: Uint8Array): [Buffer, Buffer] {
    this.#trim();
    return [this.#locate(first), this.#locate(second)];
  }

  #locate(path: Uint8Array): Buffer {
    if (isRootPath(path)) return onDisk(this.#pathOf(ROOT_KEY), DOT);
    const { directory, name } = splitPath(path);
    return onDisk(this.#pathOf(pathKey(directory)), name);
  }

  /** A path of the directory itself that leads through no symlink, including the last component. */
  locateDirectory(path: Uint8Array): Buffer {
    this.#trim();
    return this.#pathOf(pathKey(path));
  }

  /** Drops the handles of a directory that is removed or replaced, and of everything below it. */
  forget(path: Uint8Array): void {
    const key = pathKey(path);
    for (const [cached, handle] of this.#handles) {
      if (!isAtOrBelow(cached, key)) continue;
      this.#handles.delete(cached);
      if (handle !== -1) closeSync(handle);
    }
  }

  close(): void {
    for (const handle of this.#handles.values()) if (handle !== -1) closeSync(handle);
    this.#handles.clear();
    if (this.#rootHandle !== undefined) closeSync(this.#rootHandle);
    this.#rootHandle = undefined;
  }

  #pathOf(key: string): Buffer {
    if (!this.#byHandle) {
      if (key === ROOT_KEY) return this.#root;
      this.#examine(key);
      return onDisk(this.#root, Buffer.from(key, 'latin1'));
    }
    return Buffer.from(`${HANDLES_FOLDER ?? ''}${this.#handleOf(key)}`);
  }

  #handleOf(key: string): number {
    if (key === ROOT_KEY) {
      this.#rootHandle ??= openSync(this.#root, O_PATH | constants.O_DIRECTORY);
      return this.#rootHandle;
    }
    const cached = this.#recall(key);
    if (cached !== undefined) return cached;
    const { directory, name } = splitPath(Buffer.from(key, 'latin1'));
    const parentHandle = this.#handleOf(pathKey(directory));
    const way = Buffer.concat([Buffer.from(`${HANDLES_FOLDER ?? ''}${parentHandle}/`), name]);
    const handle = openSync(way, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    this.#handles.set(key, handle);
    return handle;
  }

  /** Without handles: every component must be a directory, not a symlink. */
  #examine(key: string): void {
    if (this.#recall(key) !== undefined) return;
    const { directory } = splitPath(Buffer.from(key, 'latin1'));
    if (!isRootPath(directory)) this.#examine(pathKey(directory));
    const full = onDisk(this.#root, Buffer.from(key, 'latin1'));
    if (!lstatSync(full).isDirectory()) {
      throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
    }
    this.#handles.set(key, -1);
  }

  #recall(key: string): number | undefined {
    const handle = this.#handles.get(key);
    if (handle === undefined) return undefined;
    this.#handles.delete(key);
    this.#handles.set(key, handle);
    return handle;
  }

  /**
   * Closes excess handles. Called only between calls, so that one call keeps all handles that it
   * needs.
   */
  #trim(): void {
    for (const [key, handle] of this.#handles) {
      if (this.#handles.size <= HANDLES_MAX) return;
      this.#handles.delete(key);
      if (handle !== -1) closeSync(handle);
    }
  }
}
