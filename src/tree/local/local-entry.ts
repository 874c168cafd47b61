/** One object of a local folder, as the system describes it. */
import { lstatSync, readlinkSync, type BigIntStats } from 'node:fs';
import { isTrustedOwner, isWindows } from '../../platform.ts';
import { shareAttributes, type CommonAttributes } from '../common-attributes.ts';
import { portableTarget } from './disk-path.ts';
import { isDevice, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type Entry, type Xattr } from '../entry.ts';
import { EntryMemory, type Slab } from '../entry-memory.ts';
import { isAtRangeEnd, nearestStorable } from '../stored-time.ts';

/** An object of a local folder, with what identifies it on its disk. */
export interface LocalEntry extends Entry {
  /** Device number; together with `ino` the identity of the object. */
  readonly dev: number;
  /** Inode number, folded into 53 bits where the file system uses more; 0 where it has none. */
  readonly ino: number;
  /** How many names the object has on its disk. */
  readonly nlink: number;
  /** Time of the last change of content or attributes, in milliseconds with fractions. */
  readonly ctimeMs: number;
  /** When the object came into being, likewise; 0 where the file system does not tell. */
  readonly birthtimeMs: number;
  /**
   * Another user could put something else in the place of a folder on the way to it: what its path
   * leads to must be examined.
   */
  readonly isExposed?: boolean;
}

const WRITABLE_BY_OTHERS = 0o022;

/**
 * Whether what is in a directory is exposed: somebody else than this user and root may rename it. A
 * group may, whoever is in it: an access control list looks like one.
 */
export function exposesContent(directory: LocalEntry): boolean {
  if (directory.isExposed === true || isWindows) return true;
  return !isTrustedOwner(directory.uid) || (directory.mode & WRITABLE_BY_OTHERS) !== 0;
}

/** Smaller files are stored as if they had no holes. */
const SPARSE_SIZE_MIN = 1024 * 1024;
/** So much of a file has to be missing on its disk; a smaller one is sparse if an eighth of it is. */
const SPARSE_MISSING_MIN = 1024 * 1024;
const SPARSE_SHARE = 8;
/** What `blocks` counts. */
const STAT_BLOCK = 512;

/**
 * Whether a regular file takes so much less space than it is long that its zeros are worth no content.
 * Files that the file system compresses count as well.
 */
function isSparseFile({ mode, size, blocks }: BigIntStats): boolean {
  if ((Number(mode) & S_IFMT) !== S_IFREG || size < SPARSE_SIZE_MIN) return false;
  const length = Number(size);
  const missing = length - Number(blocks) * STAT_BLOCK;
  return missing >= Math.min(SPARSE_MISSING_MIN, length / SPARSE_SHARE);
}

const NSEC_PER_SEC = 1_000_000_000n;
const SAFE_BITS = 53;

/** A 64-bit identity as a number: exact below 2^53, else its low bits mixed with the high ones. */
export function foldIdentity(value: bigint): number {
  const exact = Number(value);
  if (exact >= 0 && exact < 2 ** SAFE_BITS) return exact;
  const low = Number(BigInt.asUintN(SAFE_BITS, value));
  const high = Number(BigInt.asUintN(64, value) / 2n ** BigInt(SAFE_BITS));
  return (low + high * 2 ** 42) % 2 ** SAFE_BITS;
}

/**
 * Number of the volume. Windows has 32 bits of it for an open file, and from some versions of Node 64
 * for a path (libuv 1.49 and 1.50, libuv/libuv#4698).
 */
export function deviceOf(stats: BigIntStats): number {
  return isWindows ? Number(BigInt.asUintN(32, stats.dev)) : foldIdentity(stats.dev);
}

/** Whole seconds and nanoseconds of a time before or after 1970; one far out is the nearest that can be stored. */
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

/** Mode bits as POSIX would have them: on Windows, plain ones that mean the same everywhere. */
function posixMode(mode: number): number {
  if (!isWindows) return mode;
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return S_IFDIR | 0o755;
  if (type === S_IFLNK) return S_IFLNK | 0o777;
  return type | ((mode & 0o200) === 0 ? 0o444 : 0o644);
}

/** Major and minor number as Linux (and, in its own split, macOS) packs them. */
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
 * Where the fields of an object are in its record, little-endian: nanoseconds u32 ‖ then each as f64
 * seconds, size, inode, time of change, time of birth ‖ path.
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
 * An entry of which there may be very many: a small object, the fields in memory that all share, and
 * what many have in common in one object for all of those.
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
      // Without a number nobody can tell which other names it has.
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

/** An entry from what the system said about it; the path is copied. `target` for symlinks. */
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
 * @param fullPath - where it is
 * @param path - its path inside the tree; is copied
 * @returns undefined when there is nothing
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

/** Whether two examinations saw the same regular file. */
export function isSameFile(entry: Pick<LocalEntry, 'dev' | 'ino'>, stats: BigIntStats): boolean {
  return (Number(stats.mode) & S_IFMT) === S_IFREG && isSameInode(entry, stats);
}

/** Whether two examinations saw the same directory; where none has a number, any is. */
export function isSameDirectory(
  entry: Pick<LocalEntry, 'dev' | 'ino'>,
  stats: BigIntStats,
): boolean {
  if ((Number(stats.mode) & S_IFMT) !== S_IFDIR) return false;
  return entry.ino === 0 || isSameInode(entry, stats);
}

function isSameInode(entry: Pick<LocalEntry, 'dev' | 'ino'>, stats: BigIntStats): boolean {
  const dev = deviceOf(stats);
  // Those versions of Node may also have no number for a path.
  const isSameVolume = dev === entry.dev || (isWindows && entry.dev === 0);
  return foldIdentity(stats.ino) === entry.ino && isSameVolume;
}

/** Whether two entries are one object; never, where the file system does not number its objects. */
export function isSameObject(
  a: Pick<LocalEntry, 'dev' | 'ino'>,
  b: Pick<LocalEntry, 'dev' | 'ino'>,
): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.ino !== 0;
}
