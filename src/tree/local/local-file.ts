/** Opens and reads a file of a local folder, and notices when it was exchanged or changes. */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  openSync,
  read,
  readlinkSync,
  readSync,
} from 'node:fs';
import { fileBuffers } from '../../bytes/buffer-pool.ts';
import { HANDLES_FOLDER } from './directory-handles.ts';
import type { OpenFile } from '../entry.ts';
import { fileFailure, openFailure, vanished } from '../file-failure.ts';
import { isSameFile, splitTime, type LocalEntry } from './local-entry.ts';

// Refuses a symlink, and does not wait for a pipe that took the file's place. (Absent on Windows.)
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW || 0) | (constants.O_NONBLOCK || 0);

const NOTHING = Buffer.alloc(0);

/** Reads up to this length are done synchronously rather than in a thread. */
const SHORT_READ_LENGTH = 32 * 1024;
/** A disk is slow from this average duration on; the weight of each new read in the average. */
const SLOW_READ_MS = 0.3;
const SLOW_READ_WEIGHT = 0.1;
/** No read counts for more: now and then other processes take the processor for a while. */
const COUNTED_MS_MAX = 1;
/** On a slow disk, one of so many reads is done synchronously, to see whether it is still slow. */
const TRIAL_INTERVAL = 64;

/**
 * Decides whether short reads are done synchronously. From the cache that is three times as fast as
 * in a thread, but from a slow disk it would block everything else.
 */
export class ReadPace {
  #averageMs = 0;
  #declined = 0;

  /** Call it once before each read. */
  get isFast(): boolean {
    return this.#averageMs < SLOW_READ_MS || ++this.#declined % TRIAL_INTERVAL === 0;
  }

  add(durationMs: number): void {
    const counted = Math.min(durationMs, COUNTED_MS_MAX);
    this.#averageMs += (counted - this.#averageMs) * SLOW_READ_WEIGHT;
  }
}

/**
 * Opens a file by its path. It must be the very inode that was listed (device and inode number),
 * and, if someone could exchange a folder on the way, be at this path. So a symlink that someone
 * puts in place of a parent folder can only cause a refusal.
 *
 * @param fullPath - absolute, without symlinks, if the entry is exposed
 * @throws {VanishedError} `vanished` — it is gone, or another object
 * @throws {FileError} `open-failed`
 */
export function openLocalFile(fullPath: Buffer, entry: LocalEntry, pace: ReadPace): OpenFile {
  let opened: FileOnDisk | undefined;
  try {
    opened = FileOnDisk.open(fullPath, entry);
  } catch (error) {
    throw openFailure(error, 'cannot open', entry.path);
  }
  if (opened === undefined) throw vanished(entry.path);
  return new LocalFile(opened, entry, pace);
}

/** The fields that identify a listed file, and show whether it has changed. */
export type ListedFile = Pick<
  LocalEntry,
  'dev' | 'ino' | 'size' | 'mtimeSec' | 'mtimeNsec' | 'ctimeMs' | 'isExposed' | 'isSparse'
>;

function openToRead(fullPath: Uint8Array): number {
  const path = Buffer.from(fullPath.buffer, fullPath.byteOffset, fullPath.length);
  return openSync(path, OPEN_FLAGS);
}

/**
 * Whether an open file is at its path. Its inode number alone does not show that: when a listed
 * file is deleted, a file outside the tree may get its number, and a symlink in place of a folder
 * may lead there. Only Linux reuses numbers at once, and only Linux can tell the path of an open
 * file.
 *
 * @param fullPath - absolute, without symlinks
 */
function isInPlace(fd: number, fullPath: Uint8Array, listed: ListedFile): boolean {
  if (listed.isExposed !== true || HANDLES_FOLDER === undefined) return true;
  const place = readlinkSync(`${HANDLES_FOLDER}${fd}`, { encoding: 'buffer' });
  return place.equals(fullPath);
}

function fill(fd: number, out: Uint8Array, position: number): number {
  let filled = 0;
  while (filled < out.length) {
    const count = readSync(fd, out, filled, out.length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

function isUnchanged(listed: ListedFile, stats: BigIntStats): boolean {
  const time = splitTime(stats.mtimeNs);
  return (
    Number(stats.size) === listed.size &&
    time.sec === listed.mtimeSec &&
    time.nsec === listed.mtimeNsec &&
    Number(stats.ctimeNs) / 1e6 === listed.ctimeMs
  );
}

/**
 * Reads a whole file synchronously; works in any thread.
 *
 * @param out - receives the content: `listed.size` bytes at its start
 * @returns false when the file is not exactly the one that was listed; then `out` is undefined
 * @throws the system's own error
 */
export function readListedFile(fullPath: Uint8Array, listed: ListedFile, out: Uint8Array): boolean {
  const fd = openToRead(fullPath);
  try {
    if (!isInPlace(fd, fullPath, listed)) return false;
    if (fill(fd, out.subarray(0, listed.size), 0) < listed.size) return false;
    const stats = fstatSync(fd, { bigint: true });
    return isSameFile(listed, stats) && isUnchanged(listed, stats);
  } finally {
    closeSync(fd);
  }
}

/**
 * An open file, verified to be the listed one. All calls are synchronous and work in any thread.
 */
export class FileOnDisk {
  /** Size in bytes when it was opened; data appended later is not read. */
  readonly size: number;
  readonly fd: number;
  readonly #listed: ListedFile;

  private constructor(fd: number, listed: ListedFile, size: number) {
    this.fd = fd;
    this.#listed = listed;
    this.size = size;
  }

  /**
   * @returns undefined when it is another object now
   * @throws the system's own error
   */
  static open(fullPath: Uint8Array, listed: ListedFile): FileOnDisk | undefined {
    const fd = openToRead(fullPath);
    try {
      const stats = fstatSync(fd, { bigint: true });
      const isListed = isSameFile(listed, stats) && isInPlace(fd, fullPath, listed);
      if (isListed) return new FileOnDisk(fd, listed, Number(stats.size));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(fd);
    return undefined;
  }

  /**
   * Fills `out` with the bytes from `position` on.
   *
   * @returns number of bytes read; fewer only at the end of the file
   * @throws the system's own error
   */
  read(out: Uint8Array, position: number): number {
    return fill(this.fd, out, position);
  }

  /** Closes the file, and returns whether it still is as it was listed. */
  close(): 'unchanged' | 'changed' {
    try {
      return isUnchanged(this.#listed, fstatSync(this.fd, { bigint: true }))
        ? 'unchanged'
        : 'changed';
    } finally {
      closeSync(this.fd);
    }
  }
}

/** An open file of a local folder. Data appended after it was opened is not read. */
class LocalFile implements OpenFile {
  readonly size: number;
  readonly positional = false;
  readonly #file: FileOnDisk;
  readonly #entry: LocalEntry;
  readonly #pace: ReadPace;
  #buffer: Buffer = NOTHING;

  constructor(file: FileOnDisk, entry: LocalEntry, pace: ReadPace) {
    this.#file = file;
    this.#entry = entry;
    this.#pace = pace;
    this.size = file.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    if (this.#buffer.length < wanted) {
      fileBuffers.give(this.#buffer);
      this.#buffer = fileBuffers.take(wanted);
    }
    let filled = 0;
    while (filled < wanted) {
      const count = await this.#readSome(offset + filled, filled, wanted - filled);
      if (count === 0) break;
      filled += count;
    }
    return this.#buffer.subarray(0, filled);
  }

  #readSome(position: number, at: number, length: number): number | Promise<number> {
    if (length <= SHORT_READ_LENGTH && this.#pace.isFast) {
      return this.#readSynchronously(position, at, length);
    }
    return new Promise((resolve, reject) => {
      read(this.#file.fd, this.#buffer, at, length, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(fileFailure(error, 'read-failed', 'cannot read', this.#entry.path));
      });
    });
  }

  #readSynchronously(position: number, at: number, length: number): number {
    const startMs = performance.now();
    try {
      return readSync(this.#file.fd, this.#buffer, at, length, position);
    } catch (error) {
      throw fileFailure(error, 'read-failed', 'cannot read', this.#entry.path);
    } finally {
      this.#pace.add(performance.now() - startMs);
    }
  }

  close(): Promise<'unchanged' | 'changed'> {
    return Promise.resolve().then(() => {
      try {
        return this.#file.close();
      } finally {
        fileBuffers.give(this.#buffer);
        this.#buffer = NOTHING;
      }
    });
  }
}
