/** A directory of a local tree, held while it is read so that nobody can exchange it. */
import { closeSync, constants, lstatSync, openSync, statSync } from 'node:fs';
import { HANDLES_FOLDER, O_PATH } from './directory-handles.ts';
import { onDisk } from './disk-path.ts';
import { isSameDirectory, type LocalEntry } from './local-entry.ts';
import { isRootPath } from '../../bytes/paths.ts';

const SLASH = 0x2f;

/**
 * The very directory that was listed. On Linux it is held by a handle. If the entry is exposed,
 * each component of the path is opened without following symlinks. Otherwise only this user's own
 * programs can exchange it, so the whole path is opened, and the identity of the directory is
 * checked. On other systems the components are examined before it is read, and again afterwards by
 * {@link verify}: a race remains with someone who restores everything in time.
 */
export class HeldDirectory {
  /** A path to the directory, for system calls on it and on its children. */
  readonly diskPath: Buffer;
  readonly #root: Buffer;
  readonly #directory: LocalEntry;
  readonly #handle: number | undefined;

  private constructor(root: Buffer, directory: LocalEntry) {
    this.#root = root;
    this.#directory = directory;
    this.#handle = HANDLES_FOLDER === undefined ? undefined : openHandle(root, directory);
    this.diskPath =
      this.#handle === undefined ? onDisk(root, directory.path) : pathOfHandle(this.#handle);
  }

  /**
   * @param root - from `diskFolder`, absolute; a symlink to a directory is followed
   * @throws the system's own error; ENOTDIR also when it is another directory now
   */
  static open(root: Buffer, directory: LocalEntry): HeldDirectory {
    const held = new HeldDirectory(root, directory);
    try {
      const stats = statSync(held.diskPath, { bigint: true });
      if (!isSameDirectory(directory, stats)) throw notADirectory();
      held.verify();
      return held;
    } catch (error) {
      held.close();
      throw error;
    }
  }

  /**
   * Checks that everything that was read came from this directory; with a handle that is certain.
   *
   * @throws the system's own error; ENOTDIR also when another object is on the path now
   */
  verify(): void {
    if (this.#handle !== undefined) return;
    const { path } = this.#directory;
    for (let end = path.indexOf(SLASH); end !== -1; end = path.indexOf(SLASH, end + 1)) {
      const above = onDisk(this.#root, path.subarray(0, end));
      if (!lstatSync(above).isDirectory()) throw notADirectory();
    }
    const stats = lstatSync(this.diskPath, { bigint: true });
    if (!isRootPath(path) && !isSameDirectory(this.#directory, stats)) throw notADirectory();
  }

  close(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
  }
}

function notADirectory(): Error {
  return Object.assign(new Error('not the directory that was listed'), { code: 'ENOTDIR' });
}

function pathOfHandle(handle: number): Buffer {
  return Buffer.from(`${HANDLES_FOLDER ?? ''}${handle}`);
}

function openHandle(root: Buffer, { path, isExposed }: LocalEntry): number {
  if (isExposed === true || isRootPath(path)) return openUnlinked(root, path);
  const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  return openSync(onDisk(root, path), flags);
}

/** Opens a directory component by component; no symlink below the root is followed. */
function openUnlinked(root: Buffer, path: Uint8Array): number {
  let handle = openSync(root, O_PATH | constants.O_DIRECTORY);
  if (isRootPath(path)) return handle;
  for (let start = 0; start < path.length;) {
    const slash = path.indexOf(SLASH, start);
    const end = slash === -1 ? path.length : slash;
    const diskPath = onDisk(pathOfHandle(handle), path.subarray(start, end));
    try {
      const next = openSync(diskPath, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      closeSync(handle);
      handle = next;
    } catch (error) {
      closeSync(handle);
      throw error;
    }
    start = end + 1;
  }
  return handle;
}
