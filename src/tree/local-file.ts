import { closeSync, constants, fstatSync, openSync, read } from 'node:fs';
import type { OpenFile } from './entry.ts';
import { fileFailure, openFailure, vanished } from './file-failure.ts';
import { isSameFile, splitTime, type LocalEntry } from './local-entry.ts';

// A symlink is refused, and a pipe that took a file's place cannot make us wait. (Absent on Windows.)
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW || 0) | (constants.O_NONBLOCK || 0);

/**
 * Opens a file by its path; it must then be the very inode that was listed (device and inode
 * number). So a symlink that someone put in place of a parent folder meanwhile can at most lead to
 * a refusal.
 *
 * @throws {VanishedError} `vanished` — gone, or something else
 * @throws {FileError} `open-failed`
 */
export function openLocalFile(fullPath: Buffer, entry: LocalEntry): OpenFile {
  let fd: number;
  try {
    fd = openSync(fullPath, OPEN_FLAGS);
  } catch (error) {
    throw openFailure(error, 'cannot open', entry.path);
  }
  try {
    const stats = fstatSync(fd, { bigint: true });
    if (!isSameFile(entry, stats)) throw vanished(entry.path);
    return new LocalFile(fd, entry, Number(stats.size));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** An open file of a local folder. Bytes that were appended after it was opened are not read. */
class LocalFile implements OpenFile {
  readonly size: number;
  readonly positional = false;
  readonly #fd: number;
  readonly #entry: LocalEntry;
  #buffer = Buffer.alloc(0);

  constructor(fd: number, entry: LocalEntry, size: number) {
    this.#fd = fd;
    this.#entry = entry;
    this.size = size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    if (this.#buffer.length < wanted) this.#buffer = Buffer.allocUnsafe(wanted);
    let filled = 0;
    while (filled < wanted) {
      const count = await this.#readSome(offset + filled, filled, wanted - filled);
      if (count === 0) break;
      filled += count;
    }
    return this.#buffer.subarray(0, filled);
  }

  #readSome(position: number, at: number, length: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#fd, this.#buffer, at, length, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(fileFailure(error, 'read-failed', 'cannot read', this.#entry.path));
      });
    });
  }

  close(): Promise<'unchanged' | 'changed'> {
    return Promise.resolve().then(() => {
      try {
        const stats = fstatSync(this.#fd, { bigint: true });
        const time = splitTime(stats.mtimeNs);
        const isUnchanged =
          Number(stats.size) === this.#entry.size &&
          time.sec === this.#entry.mtimeSec &&
          time.nsec === this.#entry.mtimeNsec &&
          Number(stats.ctimeNs) / 1e6 === this.#entry.ctimeMs;
        return isUnchanged ? 'unchanged' : 'changed';
      } finally {
        closeSync(this.#fd);
      }
    });
  }
}
