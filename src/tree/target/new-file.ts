/** A temporary file that gets its name when it is complete. */
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  write,
} from 'node:fs';
import type { FileError } from '../../errors.ts';
import { isWindows } from '../../platform.ts';
import { fileFailure } from '../file-failure.ts';
import { trySetAttributes } from './set-attributes.ts';
import type { Attributes, NewFile } from '../store.ts';
import { waitForDisk } from './unsettled.ts';
import { writeAt } from './write-at.ts';

/** Bytes that are buffered before they are written. */
const BUFFER_LENGTH = 256 * 1024;
const ZEROS = Buffer.alloc(64 * 1024);
const DONE = Promise.resolve();
const OWNER_WRITES = 0o200;

/** What the store does for a new file. */
export interface NewFilePlace {
  /** Path in the tree, for messages. */
  readonly path: Uint8Array;
  /** Whether the bytes must reach the disk before the file gets its name. */
  readonly durable: boolean;
  /** Gives the temporary file its name; throws the system's error. */
  rename(): void;
  /** Removes the temporary file; never throws. Absent: the file has its name already, and stays. */
  remove?(): void;
  /** Called when the file has its name, but not all of its attributes. */
  attributesFailed?(attributes: Attributes): void;
}

/** A temporary file that gets its name at `commit`. */
export class LocalNewFile implements NewFile {
  /** See {@link NewFile.fd}. */
  get fd(): number {
    return this.#fd;
  }

  readonly #fd: number;
  readonly #place: NewFilePlace;
  #buffer: Buffer;
  #filled = 0;
  #written = 0;
  /** The file is at least this long: it may end in a hole. */
  #lengthMin = 0;
  #open = true;

  constructor(fd: number, place: NewFilePlace, sizeHint: number) {
    this.#fd = fd;
    this.#place = place;
    this.#buffer = Buffer.allocUnsafe(Math.min(Math.max(sizeHint, 0), BUFFER_LENGTH));
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#filled + bytes.length > this.#buffer.length) return this.#writeLong(bytes);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
    return DONE;
  }

  async skipTo(position: number): Promise<void> {
    try {
      await this.#flush();
    } catch (error) {
      throw this.#failure(error);
    }
    this.#written = position;
    this.#lengthMin = position;
  }

  async zeroTo(position: number): Promise<void> {
    try {
      await this.#flush();
      // A file that is rewritten in place may have old data there.
      const end = Math.min(position, fstatSync(this.#fd).size);
      while (this.#written < end) await this.#writeAll(ZEROS.subarray(0, end - this.#written));
    } catch (error) {
      throw this.#failure(error);
    }
    await this.skipTo(position);
  }

  async commit(attributes: Attributes): Promise<FileError | undefined> {
    try {
      this.#writeRest();
      if (this.#place.remove === undefined) ftruncateSync(this.#fd, this.#written);
      const failure = this.#setAttributes(attributes);
      if (this.#place.durable || isReadOnlyOnWindows(attributes)) await waitForDisk(this.#fd);
      this.#close();
      this.#place.rename();
      if (failure !== undefined) this.#place.attributesFailed?.(attributes);
      return failure;
    } catch (error) {
      await this.discard();
      throw this.#failure(error);
    }
  }

  discard(): Promise<void> {
    if (this.#place.remove === undefined) return this.leave();
    this.#close();
    this.#place.remove();
    return DONE;
  }

  /** Writes the buffered bytes and leaves the file under its temporary name. Never throws. */
  leave(): Promise<void> {
    try {
      if (this.#open) this.#writeRest();
    } catch {
      // The written part still is the beginning of the file.
    }
    this.#close();
    return DONE;
  }

  async #writeLong(bytes: Uint8Array): Promise<void> {
    try {
      await this.#flush();
      if (this.#buffer.length < BUFFER_LENGTH) this.#buffer = Buffer.allocUnsafe(BUFFER_LENGTH);
      if (bytes.length < this.#buffer.length) {
        this.#buffer.set(bytes, 0);
        this.#filled = bytes.length;
      } else {
        await this.#writeAll(bytes);
      }
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /**
   * Writes the rest of the buffer synchronously: into the system's cache that costs less than a
   * thread.
   */
  #writeRest(): void {
    writeAt(this.#fd, this.#buffer.subarray(0, this.#filled), this.#written);
    this.#written += this.#filled;
    this.#filled = 0;
    if (this.#lengthMin > 0 && fstatSync(this.#fd).size < this.#lengthMin) {
      ftruncateSync(this.#fd, this.#lengthMin);
    }
  }

  async #flush(): Promise<void> {
    const { length } = this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
    if (length > 0) await this.#writeAll(this.#buffer.subarray(0, length));
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const count = await this.#writeSome(bytes, done);
      done += count;
      this.#written += count;
    }
  }

  #writeSome(bytes: Uint8Array, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#fd, bytes, at, bytes.length - at, this.#written, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }

  #setAttributes(attributes: Attributes): FileError | undefined {
    return trySetAttributes(this.#place.path, attributes, {
      owner: () => fstatSync(this.#fd),
      chown: (uid, gid) => fchownSync(this.#fd, uid, gid),
      chmod: (mode) => fchmodSync(this.#fd, mode),
      utimes: (time) => futimesSync(this.#fd, time, time),
    });
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }

  #failure(error: unknown): FileError {
    return fileFailure(error, 'write-failed', 'cannot write', this.#place.path);
  }
}

/** Such a file cannot be reopened later to wait for the disk. */
function isReadOnlyOnWindows({ mode }: Attributes): boolean {
  return isWindows && mode !== undefined && (mode & OWNER_WRITES) === 0;
}
