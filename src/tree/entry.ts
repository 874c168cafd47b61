/**
 * The one interface where the two halves of ecsync meet. A tree lists entries in rsync's order and
 * opens files for reading. A local folder is a tree; its encrypted view is a tree over a tree.
 */

/** File type bits of `st_mode`; the rsync protocol sends the same values. */
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

/** One extended attribute. */
export interface Xattr {
  /** With its namespace: `user.comment`; no NUL. */
  readonly name: Uint8Array;
  /** Any bytes; may be empty. */
  readonly value: Uint8Array;
}

/** One object of a tree. Paths are bytes; nothing here is decoded. */
export interface Entry {
  /**
   * Path relative to the tree's root: components joined by `/`, no leading or trailing slash.
   * The root itself is the single byte `.`.
   */
  readonly path: Uint8Array;
  /** Type and permission bits as in POSIX `st_mode` (on Windows a plausible substitute). */
  readonly mode: number;
  /** Bytes of a regular file; length of a symlink's target; otherwise meaningless. */
  readonly size: number;
  /** mtime: whole seconds since 1970 (may be negative) … */
  readonly mtimeSec: number;
  /** … and 0 … 999,999,999 nanoseconds more. */
  readonly mtimeNsec: number;
  /** The real time may differ: the source gave only part of it. */
  readonly isTimeUncertain?: boolean;
  readonly uid: number;
  readonly gid: number;
  /** Target of a symlink, verbatim bytes. Present exactly for symlinks. */
  readonly target?: Uint8Array;
  /** Device numbers of a character or block device. Present exactly for devices. */
  readonly rdev?: { readonly major: number; readonly minor: number };
  /**
   * The same number for all names of one hard-linked inode; only set when the inode has more than
   * one name *in this tree*. Known only after the whole tree was walked, hence writable.
   */
  linkGroup?: number;
  /** A large regular file that takes much less space on its disk: its zeros may be holes. */
  readonly isSparse?: boolean;
  /** A directory whose contents could not be listed: nothing inside it may be deleted. */
  contentUnknown?: boolean;
  /**
   * Extended attributes in the order of their names' bytes, no name twice. Absent when there are
   * none, or when they are not wanted. They are read after the tree was walked, hence writable.
   */
  xattrs?: readonly Xattr[];
}

/**
 * An entry under construction. Optional fields are assigned after the literal: an object made by
 * spreading takes ten times the memory, and lists have very many of them.
 */
export type Draft<E extends Entry> = { -readonly [K in keyof E]: E[K] };

export function isDirectory(entry: Pick<Entry, 'mode'>): boolean {
  return (entry.mode & S_IFMT) === S_IFDIR;
}
export function isRegularFile(entry: Pick<Entry, 'mode'>): boolean {
  return (entry.mode & S_IFMT) === S_IFREG;
}
export function isSymlink(entry: Pick<Entry, 'mode'>): boolean {
  return (entry.mode & S_IFMT) === S_IFLNK;
}
export function isDevice(entry: Pick<Entry, 'mode'>): boolean {
  const type = entry.mode & S_IFMT;
  return type === S_IFCHR || type === S_IFBLK;
}
export function isSpecial(entry: Pick<Entry, 'mode'>): boolean {
  const type = entry.mode & S_IFMT;
  return type === S_IFIFO || type === S_IFSOCK;
}

/** A regular file of a tree, open for reading. Reads are mostly sequential, but any order works. */
export interface OpenFile {
  /** Size in bytes when it was opened; differs from the entry's if the file has changed. */
  readonly size: number;
  /**
   * True when bytes at one offset can only equal bytes at the same offset of an earlier version
   * (ciphertext is bound to its block number), so that a matcher need not look elsewhere.
   */
  readonly positional: boolean;
  /**
   * Bytes from `offset` on: exactly `length` of them, fewer only at the end of the file, none at or
   * after it. The array stays valid until the next call, including `close`; one call at a time.
   *
   * @throws {FileError} `read-failed`
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * Bytes from `offset` on, as many as are cheapest to provide; none only at or after the end. A
   * sequential reader need not copy them: the array stays valid until the call after the next one,
   * and until `close`. Absent where no length is cheaper than another.
   *
   * @throws {FileError} `read-failed`
   */
  readRun?(offset: number): Promise<Uint8Array>;
  /**
   * Ends reading and checks whether the file still is as it was listed.
   *
   * @returns `changed` when size, mtime or identity now differ from the entry's
   */
  close(): Promise<'unchanged' | 'changed'>;
}

/** A regular file that was read whole, and had not changed since it was listed. */
export interface WholeFile {
  readonly bytes: Uint8Array;
  /** Call it when the bytes are no longer used. */
  release(): void;
}

/**
 * A source of entries and of file content. `E` lets an implementation carry its own fields along.
 */
export interface Tree<E extends Entry = Entry> {
  /**
   * The root directory, whose path is `.`.
   *
   * @throws {FileError} `open-failed` — it cannot be examined, or is not a directory
   */
  root(): Promise<E>;
  /**
   * The objects directly inside a directory, in any order, without `.` and `..`. Objects that
   * cannot be read are reported to the tree's own problem callback and left out. For a directory
   * that cannot be listed, the result is empty and the directory's `contentUnknown` becomes true.
   */
  children(directory: E): Promise<readonly E[]>;
  /**
   * One of a directory's children by its name, without listing the others. Absent in a tree that
   * has no faster way than `children`.
   *
   * @param name - one component, not `.` or `..`
   * @returns undefined when `children` would not return it
   * @throws {FileError} `open-failed` — it cannot be examined
   */
  child?(directory: E, name: Uint8Array): Promise<E | undefined>;
  /**
  /**
   * Opens a regular file of this tree, without following symlinks in any component.
   *
   * @throws {VanishedError} `vanished` — it is gone or is no longer the same regular file
   * @throws {FileError} `open-failed` — permission or I/O
   */
  open(entry: E): Promise<OpenFile>;
}
