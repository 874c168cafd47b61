/** The interface of a folder that is being written. */
import type { FileError } from '../errors.ts';
import type { Entry, OpenFile } from './entry.ts';

/** Attributes to set on an object; absent fields stay unchanged. */
export interface Attributes {
  /** Permission bits, `& 07777`. */
  readonly mode?: number;
  readonly mtimeSec?: number;
  readonly mtimeNsec?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** A regular file under construction: it is not visible under its name before `commit`. */
export interface NewFile {
  /**
   * The open file, if there is one, for a writer that writes everything at positions, in any
   * thread, instead of calling `write`. Valid until `commit` or `discard`; all such writes must be
   * done by then.
   */
  readonly fd?: number;
  /**
   * Appends bytes. They are copied or written when the promise resolves, or at once if there is
   * none.
   *
   * @throws {FileError} `write-failed`, by the promise
   */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /**
   * Continues at a position after the written bytes, and leaves a hole before it. The hole reads as
   * zeros, and takes no space where the file system supports that. Absent: write the zeros.
   *
   * @throws {FileError} `write-failed`
   */
  skipTo?(position: number): Promise<void>;
  /**
   * Appends zeros up to a position, as a hole where the file had no data. Absent: write them.
   *
   * @throws {FileError} `write-failed`
   */
  zeroTo?(position: number): Promise<void>;
  /**
   * Sets the attributes and gives the file its name, replacing any existing object. An old version
   * is replaced only after the new one has reached the disk.
   *
   * @returns {FileError} `attributes-failed` for an attribute that could not be set; the file is
   *   stored all the same, since some file systems keep no owners or permissions
   * @throws {FileError} `write-failed` — the old file is untouched, and nothing is left behind
   */
  commit(attributes: Attributes): Promise<FileError | undefined>;
  /** Removes what was written so far. Never throws; does nothing after `commit`. */
  discard(): Promise<void>;
}

/**
 * A folder that is being written: the counterpart of a tree. Paths are relative; no component is
 * empty, `.` or `..`; the path `.` is the folder itself. No operation follows a symlink inside it.
 * Every replacement of an object happens in one step.
 *
 * Every method throws {FileError} `write-failed` (or `open-failed`) with the path and a remedy.
 */
export interface Store<E extends Entry = Entry> {
  /**
   * Checks, before anything is written, the conditions for writing any file.
   *
   * @throws {FileError} `temp-dir-missing`
   */
  prepare(): Promise<void>;
  /** The existing object, or undefined. */
  lookup(path: Uint8Array): Promise<E | undefined>;
  /** Paths of the objects directly inside a directory, in any order. */
  list(path: Uint8Array): Promise<readonly Uint8Array[]>;
  /** Opens a regular file of this store for reading. */
  open(entry: E): Promise<OpenFile>;
  /** Opens a file of the earlier copy; see {@link lookupEarlier}. */
  openEarlier(entry: E): Promise<OpenFile>;
  /** The object at the same path of an earlier copy; undefined when there is no such copy. */
  lookupEarlier(path: Uint8Array): Promise<E | undefined>;
  /**
   * Links the earlier copy's file to `path`.
   *
   * @throws {FileError} when this store makes no such links; the caller can copy the file then
   */
  linkEarlier(path: Uint8Array): Promise<void>;

  /** Whether two entries are names of one inode. */
  isSameObject(a: E, b: E): boolean;

  /**
   * Creates a directory with its permission bits, reduced by the umask; other attributes follow
   * later. If a run ends before that, the next one keeps these permissions, since it may not change
   * them.
   *
   * @param mode - permission bits, including all of the owner's
   */
  createDirectory(path: Uint8Array, mode: number): Promise<void>;
  createSymlink(path: Uint8Array, target: Uint8Array): Promise<void>;
  /** Creates `path` as a hard link of the file at `existing`. */
  createLink(path: Uint8Array, existing: Uint8Array): Promise<void>;
  /** Creates a pipe, socket or device as the entry describes it. */
  createSpecial(entry: Entry): Promise<void>;
  /** @param sizeHint - the expected size of the file */
  createFile(path: Uint8Array, sizeHint: number): Promise<NewFile>;
  /**
   * Opens a file under its final name, creating it if necessary, to be written from its start. On
   * `discard` the written part stays. Absent: this store makes whole files only.
   */
  growFile?(path: Uint8Array, sizeHint: number): Promise<NewFile>;

  /**
   * Sets as many of the attributes as possible.
   *
   * @param entry - the existing object, for its kind
   * @throws {FileError} `attributes-failed` — for the first attribute that could not be set
   */
  setAttributes(entry: Pick<Entry, 'path' | 'mode'>, attributes: Attributes): Promise<void>;
  /** Removes anything but a directory. It is no error if the object is already gone. */
  removeFile(path: Uint8Array): Promise<void>;
  /** Removes an empty directory. */
  removeDirectory(path: Uint8Array): Promise<void>;
  /**
   * Waits until all changes so far would survive a power failure. Cheap when there are none.
   *
   * @throws {FileError} `write-failed`
   */
  settle(): Promise<void>;
}
