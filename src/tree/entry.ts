/**
 * The one interface where the two halves of ecsync meet: a tree lists entries in rsync's order
 * and opens files for reading. A local folder is a tree; its encrypted view is a tree over a tree.
 */

/** File type bits of `st_mode`, the traditional values that also travel on the rsync wire. */
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
  /** Any bytes, also none. */
  readonly value: Uint8Array;
}

/** One object of a tree. Paths are bytes; nothing here is decoded. */
export interface Entry {
  /**
   * Path relative to the tree's root: components joined by `/`, no leading or trailing slash.
   * The root itself is the single byte `.`.
   */
  readonly path: Uint8Array;
  /** Type and permission bits, `st_mode` as POSIX has it (on Windows a plausible substitute). */
  readonly mode: number;
  /** Bytes of a regular file; length of the target of a symlink; otherwise not meaningful. */
  readonly size: number;
  /** Modification time: whole seconds since 1970 (may be negative) … */
  readonly mtimeSec: number;
  /** … and 0 … 999,999,999 nanoseconds more. */
  readonly mtimeNsec: number;
  /** The time may be another one: its source told only a part of it. */
  readonly isTimeUncertain?: boolean;
  readonly uid: number;
  readonly gid: number;
  /** Target of a symlink, verbatim bytes. Present exactly for symlinks. */
  readonly target?: Uint8Array;
  /** Device numbers of a character or block device. Present exactly for devices. */
  readonly rdev?: { readonly major: number; readonly minor: number };
  /**
   * Same number for all names of one hard-linked inode, and only set when the inode has more than
   * one name *in this tree*. Known only after the whole tree was walked, hence writable.
   */
  linkGroup?: number;
  /** A large regular file much of which takes no space on its disk: what reads as zeros may be holes. */
  readonly isSparse?: boolean;
  /** A directory whose contents could not be listed: nothing inside it may be deleted. */
  contentUnknown?: boolean;
  /**
   * Extended attributes in the order of their names' bytes, no name twice. Absent when there are
   * none, or when nobody asked: they are read after the tree was walked, hence writable.
   */
  xattrs?: readonly Xattr[];
}

/**
 * An entry under construction. What only some objects have is assigned after the rest is spelt out:
 * an object made by spreading takes ten times the memory, and lists have very many of them.
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

/** A regular file of a tree, open for reading. Reads are sequential in practice, but any order works. */
export interface OpenFile {
  /** Size in bytes at the moment of opening; may differ from the entry's when the file changed. */
  readonly size: number;
  /**
   * True when the bytes at one offset can only ever equal bytes at the same offset of an earlier
   * version (ciphertext bound to its block number): a matcher need not look elsewhere.
   */
  readonly positional: boolean;
  /**
   * Bytes from `offset` on: exactly `length` of them, fewer only at the end of the file, none at or
   * beyond it. The array stays valid until the next call, of `close` too; one call at a time.
   *
   * @throws {FileError} `read-failed`
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * As many bytes from `offset` on as cost least to give, none only at or beyond the end. Whoever
   * reads from start to end by this need not copy: the array stays valid until the call after the
   * next one, and until `close`. Absent where no length is better than another.
   *
   * @throws {FileError} `read-failed`
   */
  readRun?(offset: number): Promise<Uint8Array>;
  /**
   * Ends reading and tells whether the file is still what it was when it was listed.
   *
   * @returns `changed` when size, mtime or identity differ from the entry's by now
   */
  close(): Promise<'unchanged' | 'changed'>;
}

/** A regular file that was read whole, and had not changed since it was listed. */
export interface WholeFile {
  readonly bytes: Uint8Array;
  /** Nobody looks at the bytes any more. */
  release(): void;
}

/** A source of entries and of file content. `E` lets an implementation carry its own facts along. */
export interface Tree<E extends Entry = Entry> {
  /**
   * The root directory, whose path is `.`.
   *
   * @throws {FileError} `open-failed` — it cannot be examined, or is no directory
   */
  root(): Promise<E>;
  /**
   * The objects directly inside a directory, in any order, `.` and `..` left out. What cannot be
   * read is reported to the tree's own problem callback and left out (for a directory that cannot
   * be listed: an empty array, and the directory's `contentUnknown` becomes true).
   */
  children(directory: E): Promise<readonly E[]>;
  /**
   * One of a directory's children by its name, without listing the others. Absent in a tree that
   * has no quicker way than `children`.
   *
   * @param name - one component, not `.` or `..`
   * @returns undefined when `children` would not give it
   * @throws {FileError} `open-failed` — it cannot be examined
   */
  child?(directory: E, name: Uint8Array): Promise<E | undefined>;
  /**
   * Opens a regular file of this tree, without following symlinks in any component.
   *
   * @throws {VanishedError} `vanished` — it is gone or is no longer the same regular file
   * @throws {FileError} `open-failed` — permission or I/O
   */
  open(entry: E): Promise<OpenFile>;
}
