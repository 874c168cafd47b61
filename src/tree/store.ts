/** The interface of a folder that is being written. */
import type { FileError } from '../errors.ts';
import type { Entry, OpenFile } from './entry.ts';

/** What is set on an object; fields that are left out stay as they are. */
export interface Attributes {
  /** Permission bits, `& 07777`. */
  readonly mode?: number;
  readonly mtimeSec?: number;
  readonly mtimeNsec?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** A regular file in the making: nobody sees it under its name before `commit`. */
export interface NewFile {
  /**
   * The open file, where there is one: for whoever writes all of it at positions, in any thread, instead
   * of calling `write`. Valid up to `commit` or `discard`, by when every such write has to be done.
   */
  readonly fd?: number;
  /**
   * Appends bytes. They are copied or written before the promise settles; without one they are already.
   *
   * @throws {FileError} `write-failed`, by the promise
   */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /**
   * Goes on at a position behind what was written, and leaves a hole before it, which reads as zeros
   * and takes no space where the file system can do that. Absent: write the zeros.
   *
   * @throws {FileError} `write-failed`
   */
  skipTo?(position: number): Promise<void>;
  /**
   * Appends zeros up to a position, as a hole where nothing else was before. Absent: write them.
   *
   * @throws {FileError} `write-failed`
   */
  zeroTo?(position: number): Promise<void>;
  /**
   * Sets the attributes and gives the file its name, replacing what is there; an old version is
   * replaced only by one that the disk has.
   *
   * @returns the attribute that could not be set ({FileError} `attributes-failed`), on a file that is
   *   stored all the same: some file systems keep no owners or permissions
   * @throws {FileError} `write-failed` — the old file is untouched, nothing is left behind
   */
  commit(attributes: Attributes): Promise<FileError | undefined>;
  /** Removes what was written so far. Never throws; does nothing after `commit`. */
  discard(): Promise<void>;
}

/**
 * A folder that is being written: a tree's counterpart. Paths are relative, of components that are
 * neither empty nor `.` nor `..`; `.` is the folder itself. No operation follows a symlink inside
 * it. Whatever replaces an object does so in one step.
 *
 * Every method throws {FileError} `write-failed` (or `open-failed`) with the path and a remedy.
 */
export interface Store<E extends Entry = Entry> {
  /**
   * Checks, before anything is written, what every file is going to need.
   *
   * @throws {FileError} `temp-dir-missing`
   */
  prepare(): Promise<void>;
  /** What is there, or undefined. */
  lookup(path: Uint8Array): Promise<E | undefined>;
  /** Paths of the objects directly inside a directory, in any order. */
  list(path: Uint8Array): Promise<readonly Uint8Array[]>;
  /** Opens a regular file of this store for reading. */
  open(entry: E): Promise<OpenFile>;
  /** Opens a file of the earlier copy; see {@link lookupEarlier}. */
  openEarlier(entry: E): Promise<OpenFile>;
  /** What an earlier copy has at the same path; undefined when there is no such copy. */
  lookupEarlier(path: Uint8Array): Promise<E | undefined>;
  /**
   * Makes the earlier copy's file appear at `path` as a further name of the same inode.
   *
   * @throws {FileError} when this store does without; it can be copied then
   */
  linkEarlier(path: Uint8Array): Promise<void>;

  /** Whether two names lead to one inode. */
  isSameObject(a: E, b: E): boolean;

  /**
   * A directory with its permission bits, as far as the umask lets it; other attributes follow later.
   * A run that ends in between leaves the permissions that the next one, which may not change them, goes on with.
   *
   * @param mode - permission bits, those of the owner among them
   */
  createDirectory(path: Uint8Array, mode: number): Promise<void>;
  createSymlink(path: Uint8Array, target: Uint8Array): Promise<void>;
  /** Makes `path` a further name of the file at `existing`. */
  createLink(path: Uint8Array, existing: Uint8Array): Promise<void>;
  /** A pipe, socket or device as the entry describes it. */
  createSpecial(entry: Entry): Promise<void>;
  /** @param sizeHint - how large the file is going to be, as far as anyone knows */
  createFile(path: Uint8Array, sizeHint: number): Promise<NewFile>;
  /**
   * A file under its own name from the first byte on, or the one that is there, to be written anew from its
   * start. What was written stays when it is discarded. Absent: this store makes whole files only.
   */
  growFile?(path: Uint8Array, sizeHint: number): Promise<NewFile>;

  /**
   * Sets as many of the attributes as possible.
   *
   * @param entry - what is at the path, for its kind
   * @throws {FileError} `attributes-failed` — the first one that could not be set
   */
  setAttributes(entry: Pick<Entry, 'path' | 'mode'>, attributes: Attributes): Promise<void>;
  /** Removes anything but a directory; that it is gone already is no error. */
  removeFile(path: Uint8Array): Promise<void>;
  /** Removes an empty directory. */
  removeDirectory(path: Uint8Array): Promise<void>;
  /**
   * Waits until everything that was made so far would outlast a power cut. Cheap when that is nothing.
   *
   * @throws {FileError} `write-failed`
   */
  settle(): Promise<void>;
}
