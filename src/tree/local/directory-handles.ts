/** Reaches directories below a root without ever following a symlink. */
import { closeSync, constants, lstatSync, openSync, readlinkSync } from 'node:fs';
import { onDisk } from './disk-path.ts';
import { isRootPath, splitPath } from '../safe-path.ts';

/** Handles kept open at most; the file list goes folder by folder, so a few are enough. */
const HANDLES_MAX = 128;
/** Linux: a handle that only names a directory, for which no read permission is needed. */
export const O_PATH = 0o10000000;
/** Makes the root's own handle a place whose attributes can be set without following it. */
const DOT = Buffer.from('.');

/** Where this process's handles can be walked through; undefined where that is not possible. */
export const HANDLES_FOLDER = handlesFolder();

function handlesFolder(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    // By number: a third faster than through the symlink each time, and valid for child processes.
    return `/proc/${readlinkSync('/proc/self')}/fd/`;
  } catch {
    return undefined; // a system without /proc
  }
}

/**
 * Ways to the directories below a root that lead through no symlink, however the tree changes
 * meanwhile. On Linux each way is a held directory handle (`/proc/PID/fd/N`), elsewhere a path
 * whose components were examined one by one: there a race remains with whoever may rename
 * directories inside the root.
 *
 * What comes out must be used before anything else is asked: a handle may be closed by then.
 */
export class DirectoryHandles {
  readonly #root: Buffer;
  readonly #byHandle = HANDLES_FOLDER !== undefined;
  /** Directory's path as latin1 text → its handle, least recently used first; −1 without handles. */
  readonly #handles = new Map<string, number>();
  #rootHandle: number | undefined;

  /** @param root - from {@link diskFolder}, absolute; a symlink to a directory is followed */
  constructor(root: Buffer) {
    this.#root = root;
  }

  /**
   * A path for system calls that do not follow the last component.
   *
   * @throws the system's error when a parent is missing or no directory
   */
  locate(path: Uint8Array): Buffer {
    this.#trim();
    return this.#locate(path);
  }

  /** Two paths like {@link locate}, for one system call that takes both. */
  locateBoth(first: Uint8Array, second: Uint8Array): [Buffer, Buffer] {
    this.#trim();
    return [this.#locate(first), this.#locate(second)];
  }

  #locate(path: Uint8Array): Buffer {
    if (isRootPath(path)) return onDisk(this.#wayTo(''), DOT);
    const { parent, name } = splitPath(path);
    return onDisk(this.#wayTo(Buffer.from(parent).toString('latin1')), name);
  }

  /** A path of the directory itself that leads through no symlink, the last component included. */
  locateDirectory(path: Uint8Array): Buffer {
    this.#trim();
    return this.#wayTo(isRootPath(path) ? '' : Buffer.from(path).toString('latin1'));
  }

  /** Forgets a directory, and everything below it, that is removed or replaced. */
  forget(path: Uint8Array): void {
    const key = Buffer.from(path).toString('latin1');
    for (const [known, handle] of this.#handles) {
      if (known !== key && !known.startsWith(`${key}/`)) continue;
      this.#handles.delete(known);
      if (handle !== -1) closeSync(handle);
    }
  }

  close(): void {
    for (const handle of this.#handles.values()) if (handle !== -1) closeSync(handle);
    this.#handles.clear();
    if (this.#rootHandle !== undefined) closeSync(this.#rootHandle);
    this.#rootHandle = undefined;
  }

  #wayTo(key: string): Buffer {
    if (!this.#byHandle) {
      if (key === '') return this.#root;
      this.#examine(key);
      return onDisk(this.#root, Buffer.from(key, 'latin1'));
    }
    return Buffer.from(`${HANDLES_FOLDER ?? ''}${this.#handleOf(key)}`);
  }

  #handleOf(key: string): number {
    if (key === '') {
      this.#rootHandle ??= openSync(this.#root, O_PATH | constants.O_DIRECTORY);
      return this.#rootHandle;
    }
    const known = this.#recall(key);
    if (known !== undefined) return known;
    const { parent, name } = splitPath(Buffer.from(key, 'latin1'));
    const parentHandle = this.#handleOf(Buffer.from(parent).toString('latin1'));
    const way = Buffer.concat([Buffer.from(`${HANDLES_FOLDER ?? ''}${parentHandle}/`), name]);
    const handle = openSync(way, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    this.#handles.set(key, handle);
    return handle;
  }

  /** Without handles: every component must be a directory and no symlink. */
  #examine(key: string): void {
    if (this.#recall(key) !== undefined) return;
    const { parent } = splitPath(Buffer.from(key, 'latin1'));
    if (parent.length > 0) this.#examine(Buffer.from(parent).toString('latin1'));
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

  /** Only between calls, so that one call's own handles stay open however deep its paths are. */
  #trim(): void {
    for (const [key, handle] of this.#handles) {
      if (this.#handles.size <= HANDLES_MAX) return;
      this.#handles.delete(key);
      if (handle !== -1) closeSync(handle);
    }
  }
}
