import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { FileError } from '../errors.ts';
import { insist, isWindows } from '../platform.ts';
import { DirectoryHandles } from './directory-handles.ts';
import { diskFolder } from './disk-path.ts';
import { isDirectory, isSymlink, type Entry, type OpenFile } from './entry.ts';
import { errnoOf, fileFailure, showPath } from './file-failure.ts';
import { isSameObject, readLocalEntry, type LocalEntry } from './local-entry.ts';
import { openLocalFile, ReadPace } from './local-file.ts';
import { LocalNewFile } from './new-file.ts';
import { assertSafePath, isRootPath, splitPath } from './safe-path.ts';
import { trySetAttributes } from './set-attributes.ts';
import type { Attributes, NewFile, Store } from './store.ts';

const SLASH = Buffer.from('/');
const DOT = Buffer.from('.');
const O_PATH = 0o10000000;
const CREATE_FLAGS =
  constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW || 0);
/** Part of a name that its temporary name keeps: short enough for every file system. */
const TEMPORARY_PART_LENGTH = 100;

/** How a local folder is written. */
export interface LocalStoreOptions {
  /** Where files are built; relative to the folder or absolute. Default: beside their final name. */
  readonly tempDir?: string;
  /** An earlier copy (`--link-dest`); relative to the folder or absolute. */
  readonly earlier?: string;
  /**
   * Whether a new version must have reached the disk before it takes an old one's place. Default
   * true. A file without an old version has nothing to lose: what a power cut leaves of it differs
   * in size, and the next push sends it again.
   */
  readonly durable?: boolean;
  /**
   * Makes a pipe or device at a path, which Node itself cannot.
   *
   * @returns false when this machine cannot
   */
  readonly makeSpecial?: (fullPath: string, entry: Entry) => boolean;
}

/** A folder of this machine that is being written. Close it at the end. */
export class LocalStore implements Store<LocalEntry> {
  readonly #handles: DirectoryHandles;
  readonly #earlier: DirectoryHandles | undefined;
  readonly #options: LocalStoreOptions;
  readonly #pace = new ReadPace();
  readonly #temporary: DirectoryHandles | undefined;
  /** Makes the temporary names of this store its own. */
  readonly #temporaryPart = randomBytes(4).toString('hex');
  #temporaryCount = 0;

  /** @param root - the folder; it is looked for only when it is used */
  constructor(root: string, options: LocalStoreOptions = {}) {
    const absolute = path.resolve(root);
    this.#options = options;
    this.#handles = new DirectoryHandles(diskFolder(absolute));
    const at = (folder: string): DirectoryHandles =>
      new DirectoryHandles(diskFolder(path.resolve(absolute, folder)));
    this.#earlier = options.earlier === undefined ? undefined : at(options.earlier);
    this.#temporary = options.tempDir === undefined ? undefined : at(options.tempDir);
  }

  /** Lets go of all directories. */
  close(): void {
    this.#handles.close();
    this.#earlier?.close();
    this.#temporary?.close();
  }

  async prepare(): Promise<void> {
    const { tempDir } = this.#options;
    if (tempDir === undefined || this.#temporary === undefined) return;
    const root = await this.#examine(this.#temporary, DOT);
    if (root !== undefined && isDirectory(root)) return;
    throw new FileError('temp-dir-missing', `the temp-dir is not an existing folder: ${tempDir}`, {
      hint: 'Create it, or do without a temporary folder.',
    });
  }

  lookup(entryPath: Uint8Array): Promise<LocalEntry | undefined> {
    return this.#examine(this.#handles, entryPath);
  }

  lookupEarlier(entryPath: Uint8Array): Promise<LocalEntry | undefined> {
    if (this.#earlier === undefined) return Promise.resolve(undefined);
    return this.#examine(this.#earlier, entryPath);
  }

  list(directory: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.#attempt('cannot list', directory, () => {
      const names = readdirSync(this.#handles.locateDirectory(directory), { encoding: 'buffer' });
      if (isRootPath(directory)) return names;
      const prefix = Buffer.concat([directory, SLASH]);
      return names.map((name) => Buffer.concat([prefix, name]));
    });
  }

  open(entry: LocalEntry): Promise<OpenFile> {
    return this.#attempt('cannot open', entry.path, () =>
      openLocalFile(this.#handles.locate(entry.path), entry, this.#pace),
    );
  }

  openEarlier(entry: LocalEntry): Promise<OpenFile> {
    return this.#attempt('cannot open', entry.path, () =>
      openLocalFile((this.#earlier ?? this.#handles).locate(entry.path), entry, this.#pace),
    );
  }

  linkEarlier(entryPath: Uint8Array): Promise<void> {
    return this.#attempt('cannot link', entryPath, () => {
      if (this.#earlier === undefined) return;
      const from = this.#earlier.locate(entryPath);
      if (isWindows) refuseReadOnly(from, entryPath);
      linkSync(from, this.#handles.locate(entryPath));
    });
  }

  isSameObject(a: LocalEntry, b: LocalEntry): boolean {
    return isSameObject(a, b);
  }

  createDirectory(entryPath: Uint8Array): Promise<void> {
    return this.#attempt('cannot create the folder', entryPath, () => {
      mkdirSync(this.#handles.locate(entryPath), 0o700);
    });
  }

  createSymlink(entryPath: Uint8Array, target: Uint8Array): Promise<void> {
    return this.#replace('cannot create the link', entryPath, (full) => {
      makeSymlink(target, full, entryPath);
    });
  }

  createLink(entryPath: Uint8Array, existing: Uint8Array): Promise<void> {
    return this.#replace('cannot create the hard link', entryPath, (_full, at) => {
      assertSafePath(existing);
      const [from, to] = this.#handles.locateBoth(existing, at);
      linkSync(from, to);
    });
  }

  createSpecial(entry: Entry): Promise<void> {
    return this.#replace('cannot create', entry.path, (_full, at) => {
      const { name } = splitPath(at);
      // The program that makes it takes no names beyond UTF-8.
      const plain = `.${this.#temporaryPart}${(this.#temporaryCount++).toString(36)}`;
      const plainPath = Buffer.concat([
        at.subarray(0, at.length - name.length),
        Buffer.from(plain),
      ]);
      const [made, final] = this.#handles.locateBoth(plainPath, at);
      if (this.#options.makeSpecial?.(made.toString(), entry) !== true) {
        throw new FileError('special-unsupported', `cannot create ${showPath(entry.path)}`, {
          hint: 'Pipes, sockets and devices cannot be made on this machine; exclude them.',
        });
      }
      renameSync(made, final);
    });
  }

  createFile(entryPath: Uint8Array, sizeHint: number): Promise<NewFile> {
    return this.#attempt('cannot create', entryPath, () => {
      const { handles, at } = this.#temporaryPlace(entryPath);
      const fd = openSync(handles.locate(at), CREATE_FLAGS, 0o600);
      const place = {
        path: entryPath,
        durable: (this.#options.durable ?? true) && this.#isTaken(entryPath),
        rename: () => {
          if (handles === this.#handles) renameOver(...handles.locateBoth(at, entryPath));
          else renameOver(handles.locate(at), this.#handles.locate(entryPath));
        },
        remove: () => removeQuietly(handles, at),
      };
      return new LocalNewFile(fd, place, sizeHint);
    });
  }

  /** Whether a path names something already. */
  #isTaken(path: Uint8Array): boolean {
    try {
      return lstatSync(this.#handles.locate(path), { throwIfNoEntry: false }) !== undefined;
    } catch {
      return false; // a place that cannot be looked at: giving the file its name will say why
    }
  }

  setAttributes(entry: Pick<Entry, 'path' | 'mode'>, attributes: Attributes): Promise<void> {
    return this.#attempt('cannot set the attributes of', entry.path, () => {
      const full = this.#handles.locate(entry.path);
      const failure = trySetAttributes(entry.path, attributes, {
        chown: (uid, gid) => lchownSync(full, uid, gid),
        chmod: (mode) => {
          if (!isSymlink(entry) && !(isWindows && isDirectory(entry))) setMode(full, mode);
        },
        utimes: (time) => lutimesSync(full, time, time),
      });
      if (failure !== undefined) throw failure;
    });
  }

  removeFile(entryPath: Uint8Array): Promise<void> {
    return this.#attempt('cannot remove', entryPath, () => {
      try {
        unlinkSync(this.#handles.locate(entryPath));
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
      }
    });
  }

  removeDirectory(entryPath: Uint8Array): Promise<void> {
    return this.#attempt('cannot remove the folder', entryPath, () => {
      this.#handles.forget(entryPath);
      rmdirSync(this.#handles.locate(entryPath));
    });
  }

  #examine(handles: DirectoryHandles, entryPath: Uint8Array): Promise<LocalEntry | undefined> {
    return this.#attempt('cannot examine', entryPath, () => {
      try {
        return readLocalEntry(handles.locate(entryPath), entryPath);
      } catch (error) {
        // No parent, or a parent that is no directory: nothing is there.
        if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
        throw error;
      }
    });
  }

  /** Creates something under a temporary name when its own is taken, and renames it over that. */
  #replace(
    doing: string,
    entryPath: Uint8Array,
    create: (fullPath: Buffer, at: Uint8Array) => void,
  ): Promise<void> {
    return this.#attempt(doing, entryPath, () => {
      try {
        create(this.#handles.locate(entryPath), entryPath);
        return;
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
      const at = this.#temporaryName(entryPath);
      create(this.#handles.locate(at), at);
      try {
        renameOver(...this.#handles.locateBoth(at, entryPath));
      } finally {
        // Renaming one name of an inode over another leaves both in place.
        removeQuietly(this.#handles, at);
      }
    });
  }

  /** `.name.XXXXXX…` in the same directory, as rsync names what it builds. */
  #temporaryName(entryPath: Uint8Array): Buffer {
    const { name } = splitPath(entryPath);
    const end = `${this.#temporaryPart}${(this.#temporaryCount++).toString(36)}`;
    return Buffer.concat([
      entryPath.subarray(0, entryPath.length - name.length),
      temporaryPrefix(name),
      Buffer.from(end),
    ]);
  }

  #temporaryPlace(entryPath: Uint8Array): { handles: DirectoryHandles; at: Uint8Array } {
    const at = this.#temporaryName(entryPath);
    if (this.#temporary === undefined) return { handles: this.#handles, at };
    return { handles: this.#temporary, at: splitPath(at).name };
  }

  /** Everything that touches the disk: checks the path, and gives the system's errors our form. */
  #attempt<T>(doing: string, entryPath: Uint8Array, act: () => T): Promise<T> {
    return new Promise((resolve) => {
      assertSafePath(entryPath);
      try {
        resolve(act());
      } catch (error) {
        if (error instanceof FileError) throw error;
        throw fileFailure(error, 'write-failed', doing, entryPath);
      }
    });
  }
}

/** Sets permission bits without following a symlink, even one that appears at this moment. */
function setMode(full: Buffer, mode: number): void {
  if (process.platform !== 'linux') {
    chmodSync(full, mode);
    return;
  }
  const fd = openSync(full, O_PATH | constants.O_NOFOLLOW);
  try {
    chmodSync(`/proc/self/fd/${String(fd)}`, mode);
  } finally {
    closeSync(fd);
  }
}

/** Gives a new object a name that another one may have; Windows keeps those that are read-only. */
function renameOver(from: Buffer, to: Buffer): void {
  insist(
    () => renameSync(from, to),
    () => {
      const old = lstatSync(to, { throwIfNoEntry: false });
      if (old?.isFile() === true && (old.mode & 0o200) === 0) chmodSync(to, 0o666);
    },
  );
}

/** Removing one name of a read-only file makes it writable by all others: Node 20 (libuv/libuv#4318), old Windows, Wine. */
function refuseReadOnly(full: Buffer, entryPath: Uint8Array): void {
  if ((lstatSync(full).mode & 0o200) !== 0) return;
  throw new FileError('link-read-only', `no further name for ${showPath(entryPath)}`, {
    hint: 'Copy it.',
  });
}

function makeSymlink(target: Uint8Array, full: Buffer, entryPath: Uint8Array): void {
  try {
    symlinkSync(Buffer.from(target), full);
  } catch (error) {
    if (!isWindows || errnoOf(error) !== 'EPERM') throw error;
    throw new FileError('symlink-refused', `cannot create the link ${showPath(entryPath)}`, {
      hint: 'Windows allows that in its Developer Mode, or to an administrator.',
      facts: { path: showPath(entryPath) },
      cause: error,
    });
  }
}

/** What the temporary names of a file that is to get this name begin with. */
export function temporaryPrefix(name: Uint8Array): Buffer {
  return Buffer.concat([DOT, name.subarray(0, TEMPORARY_PART_LENGTH), DOT]);
}

function removeQuietly(handles: DirectoryHandles, at: Uint8Array): void {
  try {
    unlinkSync(handles.locate(at));
  } catch {
    // It was renamed, or cannot be removed: the file that matters is not this one.
  }
}
