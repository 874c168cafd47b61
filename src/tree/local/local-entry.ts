/** One object of a local folder, as the system describes it. */
import { lstatSync, readlinkSync, type BigIntStats } from 'node:fs';
import { isTrustedOwner, isWindows } from '../../platform.ts';
import { shareAttributes, type CommonAttributes } from '../common-attributes.ts';
import { portableTarget } from './disk-path.ts';
import { isDevice, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type Entry, type Xattr } from '../entry.ts';
import { EntryMemory, type Slab } from '../entry-memory.ts';
import { isAtRangeEnd, nearestStorable } from '../stored-time.ts';

/** An object of a local folder, with its identity on its disk. */
export interface LocalEntry extends Entry {
  /** Device number; together with `ino` the identity of the object. */
  readonly dev: number;
  /** Inode number, folded into 53 bits where the file system uses more; 0 where it has none. */
  readonly ino: number;
  /** Number of the object's names on its disk. */
  readonly nlink: number;
  /** ctime, in milliseconds with fractions. */
  readonly ctimeMs: number;
  /** Time of birth, in the same form; 0 where the file system does not store it. */
  readonly birthtimeMs: number;
  /**
   * Another user could exchange a folder on the path to it, so it must be verified that the path
   * still leads to the listed object.
   */
  readonly isExposed?: boolean;
}

const WRITABLE_BY_OTHERS = 0o022;

/**
 * Whether the content of a directory is exposed: someone else than this user and root may rename
 * it. A group that may write counts, whoever its members are: an access control list looks like
 * one.
 */
export function exposesContent(directory: LocalEntry): boolean {
  if (directory.isExposed === true || isWindows) return true;
  return !isTrustedOwner(directory.uid) || (directory.mode & WRITABLE_BY_OTHERS) !== 0;
}

/** Smaller files are stored as if they had no holes. */
const SPARSE_SIZE_MIN = 1024 * 1024;
/** This much of a large file must be missing on its disk; of a smaller file, an eighth. */
const SPARSE_MISSING_MIN = 1024 * 1024;
const SPARSE_SHARE = 8;
/** Unit of `blocks`. */
const STAT_BLOCK = 512;

/**
 * Whether a regular file takes so much less space than its length that its zeros need not be stored
 * as content. Files that the file system compresses count as well.
 */
function isSparseFile({ mode, size, blocks }: BigIntStats): boolean {
  if ((Number(mode) & S_IFMT) !== S_IFREG || size < SPARSE_SIZE_MIN) return false;
  const length = Number(size);
  const missing = length - Number(blocks) * STAT_BLOCK;
  return missing >= Math.min(SPARSE_MISSING_MIN, length / SPARSE_SHARE);
}

const NSEC_PER_SEC = 1_000_000_000n;
const SAFE_BITS = 53;

/**
 * A 64-bit identity as a number: exact below 2^53, otherwise its low bits mixed with its high ones.
 */
export function foldIdentity(value: bigint): number {
  const exact = Number(value);
  if (exact >= 0 && exact < 2 ** SAFE_BITS) return exact;
  const low = Number(BigInt.asUintN(SAFE_BITS, value));
  const high = Number(BigInt.asUintN(64, value) / 2n ** BigInt(SAFE_BITS));
  return (low + high * 2 ** 42) % 2 ** SAFE_BITS;
}

/**
 * Number of the volume. Windows gives 32 bits of it for an open file, and with some versions of
 * Node 64 bits for a path (libuv 1.49 and 1.50, libuv/libuv#4698).
 */
export function deviceOf(stats: BigIntStats): number {
  return isWindows ? Number(BigInt.asUintN(32, stats.dev)) : foldIdentity(stats.dev);
}

/** Whole seconds and nanoseconds of a time before or after 1970, clamped to what can be stored. */
export function splitTime(ns: bigint): { readonly sec: number; readonly nsec: number } {
  let sec = ns / NSEC_PER_SEC;
  let nsec = ns % NSEC_PER_SEC;
  if (nsec < 0n) {
    nsec += NSEC_PER_SEC;
    sec -= 1n;
  }
  const storable = nearestStorable(Number(sec));
  return { sec: storable, nsec: isAtRangeEnd(storable) ? 0 : Number(nsec) };
}

/** Mode bits as in POSIX: on Windows, plain ones that mean the same everywhere. */
function posixMode(mode: number): number {
  if (!isWindows) return mode;
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return S_IFDIR | 0o755;
  if (type === S_IFLNK) return S_IFLNK | 0o777;
  return type | ((mode & 0o200) === 0 ? 0o444 : 0o644);
}

/** Major and minor number as Linux packs them, or macOS in its own way. */
function splitDevice(rdev: number): { readonly major: number; readonly minor: number } {
  if (process.platform === 'darwin') {
    return { major: Math.floor(rdev / 2 ** 24) % 256, minor: rdev % 2 ** 24 };
  }
  return {
    major: Math.floor(rdev / 256) % 4096,
    minor: (rdev % 256) + Math.floor(rdev / 2 ** 20) * 256,
  };
}

/*
 * Offsets of an object's fields in its record, little-endian: mtime nanoseconds u32 ‖ then each as
 * f64 mtime seconds, size, inode, ctime, birth time ‖ path.
 */
const MTIME_NSEC = 0;
const MTIME_SEC = 4;
const SIZE = 12;
const INO = 20;
const CTIME_MS = 28;
const BIRTHTIME_MS = 36;
const PATH = 44;

const memory = new EntryMemory();

/**
 * An entry for very many objects: a small handle with its fields in shared slabs, and the
 * attributes that many objects have in common in one shared object.
 */
class PackedLocalEntry implements LocalEntry {
  readonly #common: CommonAttributes;
  readonly #slab: Slab;
  readonly #at: number;
  declare target?: Uint8Array;
  declare rdev?: { readonly major: number; readonly minor: number };
  declare linkGroup?: number;
  declare contentUnknown?: boolean;
  declare xattrs?: readonly Xattr[];

  constructor(path: Uint8Array, stats: BigIntStats, size: number, isExposed: boolean) {
    this.#common = shareAttributes({
      mode: posixMode(Number(stats.mode)),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      dev: deviceOf(stats),
      // Without an inode number nobody can tell which other names it has.
      nlink: stats.ino === 0n ? 1 : Number(stats.nlink),
      isExposed,
      isSparse: isSparseFile(stats),
    });
    const at = memory.add(path, PATH);
    this.#at = at;
    this.#slab = memory.slab;
    const { view } = this.#slab;
    const time = splitTime(stats.mtimeNs);
    view.setUint32(at + MTIME_NSEC, time.nsec, true);
    view.setFloat64(at + MTIME_SEC, time.sec, true);
    view.setFloat64(at + SIZE, size, true);
    view.setFloat64(at + INO, foldIdentity(stats.ino), true);
    view.setFloat64(at + CTIME_MS, Number(stats.ctimeNs) / 1e6, true);
    view.setFloat64(at + BIRTHTIME_MS, Number(stats.birthtimeNs) / 1e6, true);
  }

  get path(): Uint8Array {
    return this.#slab.path(this.#at + PATH);
  }
  get mode(): number {
    return this.#common.mode;
  }
  get size(): number {
    return this.#slab.view.getFloat64(this.#at + SIZE, true);
  }
  get mtimeSec(): number {
    return this.#slab.view.getFloat64(this.#at + MTIME_SEC, true);
  }
  get mtimeNsec(): number {
    return this.#slab.view.getUint32(this.#at + MTIME_NSEC, true);
  }
  get uid(): number {
    return this.#common.uid;
  }
  get gid(): number {
    return this.#common.gid;
  }
  get dev(): number {
    return this.#common.dev;
  }
  get ino(): number {
    return this.#slab.view.getFloat64(this.#at + INO, true);
  }
  get nlink(): number {
    return this.#common.nlink;
  }
  get isExposed(): boolean {
    return this.#common.isExposed;
  }
  get isSparse(): boolean {
    return this.#common.isSparse;
  }
  get ctimeMs(): number {
    return this.#slab.view.getFloat64(this.#at + CTIME_MS, true);
  }
  get birthtimeMs(): number {
    return this.#slab.view.getFloat64(this.#at + BIRTHTIME_MS, true);
  }
}

/** Makes an entry of the system's stats; the path is copied. `target` for symlinks. */
export function toLocalEntry(
  path: Uint8Array,
  stats: BigIntStats,
  isExposed = false,
  target?: Uint8Array,
): LocalEntry {
  const size = target?.length ?? Number(stats.size);
  const entry = new PackedLocalEntry(path, stats, size, isExposed);
  if (target !== undefined) entry.target = target;
  else if (isDevice(entry)) entry.rdev = splitDevice(Number(stats.rdev));
  return entry;
}

/**
 * Examines one object without following it.
 *
 * @param fullPath - path on the disk
 * @param path - path inside the tree; copied
 * @returns undefined when there is no such object
 * @throws the system's own error for anything but absence
 */
export function readLocalEntry(
  fullPath: Buffer,
  path: Uint8Array,
  isExposed = false,
): LocalEntry | undefined {
  const stats = lstatSync(fullPath, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if ((Number(stats.mode) & S_IFMT) !== S_IFLNK) return toLocalEntry(path, stats, isExposed);
  const target = portableTarget(readlinkSync(fullPath, { encoding: 'buffer' }));
  return toLocalEntry(path, stats, isExposed, target);
}

/** Whether two stats are of the same regular file. */
export function isSameFile(entry: Pick<LocalEntry, 'dev' | 'ino'>, stats: BigIntStats): boolean {
  return (Number(stats.mode) & S_IFMT) === S_IFREG && isSameInode(entry, stats);
}

/** Whether two stats are of the same directory; any directory is, where they have no numbers. */
export function isSameDirectory(
  entry: Pick<LocalEntry, 'dev' | 'ino'>,
  stats: BigIntStats,
): boolean {
  if ((Number(stats.mode) & S_IFMT) !== S_IFDIR) return false;
  return entry.ino === 0 || isSameInode(entry, stats);
}

function isSameInode(entry: Pick<LocalEntry, 'dev' | 'ino'>, stats: BigIntStats): boolean {
  const dev = deviceOf(stats);
  // The same versions of Node may give no device number for a path.
  const isSameVolume = dev === entry.dev || (isWindows && entry.dev === 0);
  return foldIdentity(stats.ino) === entry.ino && isSameVolume;
}

/** Whether two entries are one object; never where the file system does not number its objects. */
export function isOneObject(
  a: Pick<LocalEntry, 'dev' | 'ino'>,
  b: Pick<LocalEntry, 'dev' | 'ino'>,
): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.ino !== 0;
}
