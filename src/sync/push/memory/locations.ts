/** The location of every object of the source when it was last pushed to a destination. */
import { createHash } from 'node:crypto';
import { isRegularFile, S_IFMT } from '../../../tree/entry.ts';
import type { LocalEntry } from '../../../tree/local/local-entry.ts';
import { compareFlist } from '../../../rsync/flist/sort.ts';
import type { PushEntry, PushView } from '../source/push-entry.ts';
import { RecordReader, RecordWriter } from './locations-coding.ts';

/**
 * What a push left at one destination, object by object: its place in the source and its identity
 * there. The next push compares this with the source to find moved files. It is a cache, and the
 * server's answers take precedence.
 */

/** Identifies one object of a disk, whatever its name. */
export interface ObjectIdentity {
  /** As {@link storedDevice} returns it. */
  readonly dev: number;
  readonly ino: number;
  /** Inode and device numbers are reused, but not together with this. 0: unknown. */
  readonly birthtimeMs: number;
}

/** One object as it was pushed. */
export interface Location extends ObjectIdentity {
  /** Plaintext path. */
  readonly path: Uint8Array;
  readonly mode: number;
  /** Bytes of the encrypted file. */
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

const VERSION = 1;
/** Time steps of NTFS, and of programs that store microseconds, milliseconds or seconds. */
const TIME_STEPS_NS = [100, 1000, 1_000_000, 1_000_000_000] as const;
/** Estimated length of one record. */
const RECORD_LENGTH = 72;
/** Bytes that are hashed at a time. */
const PART_LENGTH = 64 * 1024;

/**
 * All objects of a push in list order, the root and virtual files left out.
 *
 *     1. version 1: u32
 *     2. per object: path ‖ mode u32 ‖ device f64 ‖ inode f64 ‖ time of birth f64, milliseconds
 *        ‖ size f64 ‖ mtime: seconds f64, nanoseconds u32
 *
 * @returns inverse: {@link readLocations}; equal trees give equal bytes
 */
export function encodeLocations(entries: readonly PushEntry[]): Buffer {
  const writer = new RecordWriter(64 + entries.length * RECORD_LENGTH);
  writer.uint32(VERSION);
  const rootDevice = rootDeviceOf(entries);
  for (let i = 1; i < entries.length; i++) writeLocation(writer, entries[i], rootDevice);
  return writer.finish();
}

/** SHA-256 of the bytes of {@link encodeLocations}, without having all of them in memory. */
export function digestLocations(entries: readonly PushEntry[]): Buffer {
  const hash = createHash('sha256');
  const writer = new RecordWriter(PART_LENGTH);
  writer.uint32(VERSION);
  const rootDevice = rootDeviceOf(entries);
  for (let i = 1; i < entries.length; i++) {
    writeLocation(writer, entries[i], rootDevice);
    if (writer.length >= PART_LENGTH / 2) hash.update(writer.take());
  }
  return hash.update(writer.take()).digest();
}

function writeLocation(
  writer: RecordWriter,
  entry: PushEntry | undefined,
  rootDevice: number | undefined,
): void {
  if (entry?.plain === undefined) return;
  const { path, dev, ino, birthtimeMs } = entry.plain;
  writer.path(path);
  writer.uint32(entry.mode);
  writer.number(storedDevice(dev, rootDevice));
  writer.number(ino);
  writer.number(birthtimeMs);
  writer.number(entry.size);
  writer.number(entry.mtimeSec);
  writer.uint32(entry.mtimeNsec);
}

/**
 * @yields every object, in list order; nothing if the bytes are of another version
 * @throws {VaultError} `memory-damaged`
 */
export function* readLocations(bytes: Uint8Array): Generator<Location> {
  const reader = new RecordReader(bytes);
  if (reader.uint32() !== VERSION) return;
  while (!reader.isAtEnd) {
    yield {
      path: reader.path(),
      mode: reader.uint32(),
      dev: reader.number(),
      ino: reader.number(),
      birthtimeMs: reader.number(),
      size: reader.number(),
      mtimeSec: reader.number(),
      mtimeNsec: reader.uint32(),
    };
  }
}

/**
 * Whether two observations are of one object. Without times of birth, decided by the numbers alone.
 *
 * @param rootDevice - from {@link rootDeviceOf}
 */
export function sawSameObject(
  a: ObjectIdentity,
  b: ObjectIdentity,
  rootDevice: number | undefined,
): boolean {
  if (a.ino !== b.ino || a.birthtimeMs !== b.birthtimeMs) return false;
  return storedDevice(a.dev, rootDevice) === storedDevice(b.dev, rootDevice);
}

/** Stands for the device of the source folder. */
const SOURCE_DEVICE = 0;

/**
 * The number of a device, as it is stored between pushes. The source folder gets another device
 * number at each mount (a removable or encrypted disk, a file system snapshot), so its device is
 * stored as one constant.
 */
export function storedDevice(device: number, rootDevice: number | undefined): number {
  return device === rootDevice ? SOURCE_DEVICE : device;
}

/** The device number of the source folder now. */
export function rootDeviceOf(entries: readonly PushEntry[]): number | undefined {
  return entries[0]?.plain?.dev;
}

/** How the source differs from what was pushed before. */
export interface LocationChanges {
  /** Objects that are not at their old place. */
  readonly gone: readonly Location[];
  /** Objects that are at a new place. */
  readonly fresh: readonly FreshEntry[];
  /** Files at an old place, with another size or second. */
  readonly changed: readonly PushEntry[];
  /** Files at an old place, with the same size and second, and another fraction of the second. */
  readonly touched: readonly PushEntry[];
  /**
   * Everything that is new or differs from the object at its place, in its attributes or its
   * identity.
   */
  readonly altered: ReadonlySet<PushEntry>;
  /** The earlier number of files. */
  readonly filesBefore: number;
}

/** An object at a path where it was not before. */
export interface FreshEntry {
  readonly entry: PushEntry & { readonly plain: LocalEntry };
  /** The earlier object at this path. */
  readonly replaced: Location | undefined;
}

/**
 * Compares both lists in one pass, since they have the same order. Only differences are kept.
 *
 * @param stored - from {@link encodeLocations}
 * @throws {VaultError} `memory-damaged`
 * @throws {FileError} `name-unsupported` — another kind of vault wrote it
 */
export function compareLocations(
  stored: Uint8Array,
  entries: readonly PushEntry[],
  view: Pick<PushView, 'cipherPath'>,
): LocationChanges {
  const gone: Location[] = [];
  const fresh: FreshEntry[] = [];
  const changed: PushEntry[] = [];
  const touched: PushEntry[] = [];
  const altered = new Set<PushEntry>();
  let filesBefore = 0;
  const locations = readLocations(stored);
  const rootDevice = rootDeviceOf(entries);
  const next = (): Location | undefined => {
    const location = nextOf(locations);
    if (location !== undefined && isRegularFile(location)) filesBefore++;
    return location;
  };
  let before = next();
  for (const [at, entry] of entries.entries()) {
    if (at === 0 || !hasPlain(entry)) continue;
    while (before !== undefined && comesBefore(before, entry, view)) {
      gone.push(before);
      before = next();
    }
    const replaced = before !== undefined && isAtSamePath(before, entry) ? before : undefined;
    if (replaced !== undefined) {
      before = next();
      if (isOtherFile(replaced, entry)) changed.push(entry);
      else if (isTouched(replaced, entry)) touched.push(entry);
      if (isAltered(replaced, entry)) altered.add(entry);
      const isSame =
        isSameKind(replaced, entry) && sawSameObject(replaced, entry.plain, rootDevice);
      if (isSame) continue;
      gone.push(replaced);
    }
    altered.add(entry);
    fresh.push({ entry, replaced });
  }
  for (; before !== undefined; before = next()) gone.push(before);
  return { gone, fresh, changed, touched, altered, filesBefore };
}

function isAltered(before: Location, { mode, size, mtimeSec, mtimeNsec }: PushEntry): boolean {
  return (
    before.mode !== mode ||
    before.size !== size ||
    before.mtimeSec !== mtimeSec ||
    before.mtimeNsec !== mtimeNsec
  );
}

/** Whether a file differs from the one pushed at its place, by rsync's quick check. */
function isOtherFile(before: Location, entry: PushEntry): boolean {
  if (!isRegularFile(before) || !isRegularFile(entry)) return false;
  return before.size !== entry.size || before.mtimeSec !== entry.mtimeSec;
}

/**
 * Whether a file differs from the pushed one only in the fraction of the second. It was written
 * again or replaced, and rsync's quick check does not see it.
 */
function isTouched(before: Location, entry: PushEntry): boolean {
  if (!isRegularFile(before) || !isRegularFile(entry)) return false;
  return !isCoarser(before.mtimeNsec, entry.mtimeNsec);
}

/**
 * Whether a fraction is a coarser form of an earlier one, as file systems and programs with coarser
 * times store it.
 */
function isCoarser(before: number, now: number): boolean {
  if (now === before) return true;
  return TIME_STEPS_NS.some((step) => now === before - (before % step));
}

export function isSameKind(a: { readonly mode: number }, b: { readonly mode: number }): boolean {
  return (a.mode & S_IFMT) === (b.mode & S_IFMT);
}

function nextOf(locations: Generator<Location>): Location | undefined {
  const next = locations.next();
  return next.done === true ? undefined : next.value;
}

function hasPlain(entry: PushEntry): entry is FreshEntry['entry'] {
  return entry.plain !== undefined;
}

function isAtSamePath(before: Location, { plain }: FreshEntry['entry']): boolean {
  const { path } = plain;
  return before.path.length === path.length && Buffer.compare(before.path, path) === 0;
}

/** Whether `before` comes ahead of `entry` in a list, at another place. */
function comesBefore(
  before: Location,
  entry: FreshEntry['entry'],
  view: Pick<PushView, 'cipherPath'>,
): boolean {
  if (isAtSamePath(before, entry)) return false;
  const { mode } = before;
  return compareFlist({ path: view.cipherPath(before.path), mode }, entry) < 0;
}
