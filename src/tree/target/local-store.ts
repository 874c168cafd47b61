/** A folder of this machine that is being written. */
import {
  constants,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import path from 'node:path';
import { FileError } from '../../errors.ts';
import { errnoOf, isWindows } from '../../platform.ts';
import { ClosedFolders } from './closed-folders.ts';
import { DirectoryHandles } from '../local/directory-handles.ts';
import { diskFolder } from '../local/disk-path.ts';
import { isDirectory, isSymlink, type Entry, type OpenFile } from '../entry.ts';
import { fileFailure, showPath } from '../file-failure.ts';
import { isOneObject, readLocalEntry, type LocalEntry } from '../local/local-entry.ts';
import { openLocalFile, ReadPace } from '../local/local-file.ts';
import { KeyedFolders } from './keyed-folders.ts';
import { LocalNewFile } from './new-file.ts';
import type { OwedAttributes } from './owed-attributes.ts';
import { isRootPath } from '../../bytes/paths.ts';
import { assertSafePath } from '../safe-path.ts';
import { makeSymlink, refuseReadOnly, renameOver } from './give-name.ts';
import { trySetAttributes } from './set-attributes.ts';
import { setMode } from './set-mode.ts';
import type { Attributes, NewFile, Store } from '../store.ts';
import { locateBoth, removeQuietly, TemporaryPlaces, type Place } from './temporary-places.ts';
import { Unsettled, type SyncFileSystem } from './unsettled.ts';

const SLASH = Buffer.from('/');
const ROOT = Buffer.from('.');
const CREATE_FLAGS =
  constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW || 0);

const GROW_FLAGS = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW || 0);

/** How a local folder is written. */
export interface LocalStoreOptions {
  /**
   * The folder in which replacements are built; relative to the folder or absolute. Default: beside
   * the final names.
   */
  readonly tempDir?: string;
  /**
   * Name of the key file with which folders are created and removed in one step, if there is a
   * `tempDir`. It is taken from the earlier copy.
   */
  readonly keyName?: string;
  /** An earlier copy (`--link-dest`); relative to the folder or absolute. */
  readonly earlier?: string;
  /**
   * Whether a new version must reach the disk before it replaces an old one, and all changes before
   * {@link LocalStore.settle} is done. Default true.
   */
  readonly durable?: boolean;
  /** Faster than fsync on many files one by one. */
  readonly syncFileSystem?: SyncFileSystem;
  /**
   * Makes a pipe or device at a path, which Node itself cannot.
   *
   * @returns false when this machine cannot
   */
  readonly makeSpecial?: (fullPath: string, entry: Entry) => boolean;
  /** Remembers the attributes that could not be set. */
  readonly owed?: Pick<OwedAttributes, 'add'>;
}

/** A folder of this machine that is being written. Close it at the end. */
export class LocalStore implements Store<LocalEntry> {
  readonly #handles: DirectoryHandles;
  readonly #earlier: DirectoryHandles | undefined;
  readonly #options: LocalStoreOptions;
  readonly #pace = new ReadPace();
  readonly #temporary: DirectoryHandles | undefined;
  readonly #closed: ClosedFolders;
  readonly #places: TemporaryPlaces;
  readonly #keyed: KeyedFolders | undefined;
  readonly #unsettled: Unsettled;

  /** @param root - the folder; it need not exist before it is used */
  constructor(root: string, options: LocalStoreOptions = {}) {
    const absolute = path.resolve(root);
    this.#options = options;
    this.#handles = new DirectoryHandles(diskFolder(absolute));
    this.#closed = new ClosedFolders(this.#handles);
    const at = (folder: string): DirectoryHandles =>
      new DirectoryHandles(diskFolder(path.resolve(absolute, folder)));
    this.#earlier = options.earlier === undefined ? undefined : at(options.earlier);
    this.#temporary = options.tempDir === undefined ? undefined : at(options.tempDir);
    this.#places = new TemporaryPlaces(this.#handles, this.#temporary);
    this.#unsettled = new Unsettled(this.#handles, options.syncFileSystem);
    const { keyName } = options;
    if (keyName === undefined || this.#temporary === undefined) return;
    this.#keyed = new KeyedFolders({
      keyName: Buffer.from(keyName),
      handles: this.#handles,
      earlier: this.#earlier,
      places: this.#places,
      closed: this.#closed,
    });
  }

  /** Closes all handles, and restores the modes of folders that had to be opened. */
  close(): void {
    this.#keyed?.close();
    this.#closed.close();
    this.#handles.close();
    this.#earlier?.close();
    this.#temporary?.close();
  }

  async prepare(): Promise<void> {
    const { tempDir } = this.#options;
    if (tempDir === undefined || this.#temporary === undefined) return;
    const root = await this.#examine(this.#temporary, ROOT);
    if (root !== undefined && isDirectory(root)) return;
    throw new FileError('temp-dir-missing', `the temp-dir is not an existing folder: ${tempDir}`, {
      hint: 'Create it, or use no temporary folder.',
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
    return this.#replace('cannot link', entryPath, (place) => {
      if (this.#earlier === undefined) return;
      const from = this.#earlier.locate(entryPath);
      if (isWindows) refuseReadOnly(from, entryPath);
      linkSync(...locateBoth({ handles: this.#earlier, at: entryPath }, place));
      // Its content may be as new as its name.
      this.#unsettled.addFile(entryPath);
    });
  }

  isSameObject(a: LocalEntry, b: LocalEntry): boolean {
    return isOneObject(a, b);
  }

  createDirectory(entryPath: Uint8Array, mode: number): Promise<void> {
    return this.#change('cannot create the folder', entryPath, () => {
      if (this.#keyed?.create(entryPath, mode) !== true)
        mkdirSync(this.#handles.locate(entryPath), mode);
      this.#unsettled.addName(entryPath);
      this.#unsettled.addFolder(entryPath);
    });
  }

  createSymlink(entryPath: Uint8Array, target: Uint8Array): Promise<void> {
    return this.#replace('cannot create the link', entryPath, ({ handles, at }) => {
      makeSymlink(target, handles.locate(at), entryPath);
    });
  }

  createLink(entryPath: Uint8Array, existing: Uint8Array): Promise<void> {
    return this.#replace('cannot create the hard link', entryPath, (place) => {
      assertSafePath(existing);
      linkSync(...locateBoth({ handles: this.#handles, at: existing }, place));
    });
  }

  createSpecial(entry: Entry): Promise<void> {
    return this.#change('cannot create', entry.path, () => {
      // The program that creates it takes only names in UTF-8.
      const place = this.#places.plain(entry.path);
      const made = place.handles.locate(place.at).toString();
      if (this.#options.makeSpecial?.(made, entry) !== true) {
        throw new FileError('special-unsupported', `cannot create ${showPath(entry.path)}`, {
          hint: 'Pipes, sockets and devices cannot be made on this machine; exclude them.',
        });
      }
      this.#giveName(place, entry.path);
    });
  }

  createFile(entryPath: Uint8Array, sizeHint: number): Promise<NewFile> {
    return this.#attempt('cannot create', entryPath, () => {
      const tempPlace = this.#places.for(entryPath);
      const { handles, at } = tempPlace;
      const create = (): number => openSync(handles.locate(at), CREATE_FLAGS, 0o600);
      const fd = handles === this.#handles ? this.#closed.whileOpen(at, create) : create();
      const durable = this.#options.durable ?? true;
      const place = {
        path: entryPath,
        durable: durable && this.#isTaken(entryPath),
        rename: () => {
          this.#closed.whileOpen(entryPath, () => {
            renameOver(...locateBoth(tempPlace, { handles: this.#handles, at: entryPath }));
          });
          this.#unsettled.addFile(entryPath);
        },
        remove: () => removeQuietly(tempPlace),
        attributesFailed: (attributes: Attributes) => this.#owe(entryPath, attributes),
      };
      return new LocalNewFile(fd, place, sizeHint);
    });
  }

  growFile(entryPath: Uint8Array, sizeHint: number): Promise<NewFile> {
    return this.#attempt('cannot write', entryPath, () => {
      const open = (): number => {
        const full = this.#handles.locate(entryPath);
        const before = lstatSync(full, { throwIfNoEntry: false });
        // Other names of the file must not change with this one.
        if (before !== undefined && (!before.isFile() || before.nlink > 1)) unlinkSync(full);
        return openSync(full, GROW_FLAGS, 0o600);
      };
      const fd = this.#closed.whileOpen(entryPath, open);
      const durable = this.#options.durable ?? true;
      const rename = (): void => this.#unsettled.addFile(entryPath);
      return new LocalNewFile(fd, { path: entryPath, durable, rename }, sizeHint);
    });
  }

  /** Whether an object of this path exists. */
  #isTaken(path: Uint8Array): boolean {
    try {
      return lstatSync(this.#handles.locate(path), { throwIfNoEntry: false }) !== undefined;
    } catch {
      return false; // it cannot be examined: renaming the file reports why
    }
  }

  setAttributes(entry: Pick<Entry, 'path' | 'mode'>, attributes: Attributes): Promise<void> {
    return this.#attempt('cannot set the attributes of', entry.path, () => {
      const full = this.#handles.locate(entry.path);
      if (attributes.mode !== undefined) this.#closed.forget(entry.path);
      const failure = trySetAttributes(entry.path, attributes, {
        owner: () => lstatSync(full),
        chown: (uid, gid) => lchownSync(full, uid, gid),
        chmod: (mode) => {
          if (!isSymlink(entry) && !(isWindows && isDirectory(entry))) setMode(full, mode);
        },
        utimes: (time) => lutimesSync(full, time, time),
      });
      if (failure === undefined) return;
      this.#owe(entry.path, attributes);
      throw failure;
    });
  }

  /** Remembers attributes that could not be set, if somebody wants to set them later. */
  #owe(entryPath: Uint8Array, attributes: Attributes): void {
    const { owed } = this.#options;
    if (owed === undefined) return;
    try {
      const entry = readLocalEntry(this.#handles.locate(entryPath), entryPath);
      if (entry !== undefined) owed.add(entry, attributes);
    } catch {
      // It is gone, or cannot be examined: there is nothing to set later.
    }
  }

  removeFile(entryPath: Uint8Array): Promise<void> {
    return this.#change('cannot remove', entryPath, () => {
      if (this.#keyed?.deferRemoval(entryPath) === true) return;
      try {
        unlinkSync(this.#handles.locate(entryPath));
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
      }
    });
  }

  removeDirectory(entryPath: Uint8Array): Promise<void> {
    return this.#change('cannot remove the folder', entryPath, () => {
      if (this.#keyed?.remove(entryPath) !== true) {
        this.#handles.forget(entryPath);
        rmdirSync(this.#handles.locate(entryPath));
      }
      this.#closed.forget(entryPath);
    });
  }

  async settle(): Promise<void> {
    if (this.#options.durable ?? true) await this.#unsettled.settle();
  }

  #examine(handles: DirectoryHandles, entryPath: Uint8Array): Promise<LocalEntry | undefined> {
    return this.#attempt('cannot examine', entryPath, () => {
      try {
        return readLocalEntry(handles.locate(entryPath), entryPath);
      } catch (error) {
        // No parent, or a parent that is not a directory: there is no such object.
        if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
        throw error;
      }
    });
  }

  /**
   * Creates an object; when its name is taken, creates it under a temporary name and renames it.
   */
  #replace(problem: string, entryPath: Uint8Array, create: (place: Place) => void): Promise<void> {
    return this.#change(problem, entryPath, () => {
      try {
        create({ handles: this.#handles, at: entryPath });
        this.#unsettled.addName(entryPath);
        return;
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
      const place = this.#places.for(entryPath);
      create(place);
      this.#giveName(place, entryPath);
    });
  }

  #giveName(place: Place, entryPath: Uint8Array): void {
    try {
      renameOver(...locateBoth(place, { handles: this.#handles, at: entryPath }));
      this.#unsettled.addName(entryPath);
    } finally {
      // Renaming one name of an inode over another leaves both in place.
      removeQuietly(place);
    }
  }

  /** Makes a change in the folder that contains `entryPath`, and opens that folder if necessary. */
  #change<T>(problem: string, entryPath: Uint8Array, act: () => T): Promise<T> {
    return this.#attempt(problem, entryPath, () => this.#closed.whileOpen(entryPath, act));
  }

  /**
   * Wraps every disk operation: checks the path, and turns the system's errors into {@link
   * FileError}s.
   */
  #attempt<T>(problem: string, entryPath: Uint8Array, act: () => T): Promise<T> {
    return new Promise((resolve) => {
      assertSafePath(entryPath);
      try {
        resolve(act());
      } catch (error) {
        if (error instanceof FileError) throw error;
        throw fileFailure(error, 'write-failed', problem, entryPath);
      }
    });
  }
}
