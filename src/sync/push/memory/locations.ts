/** Where every object of the source was when it was last pushed to a destination. */
import { createHash } from 'node:crypto';
import { isRegularFile, S_IFMT } from '../../../tree/entry.ts';
import type { LocalEntry } from '../../../tree/local/local-entry.ts';
import { compareFlist } from '../../../rsync/flist/sort.ts';
import type { PushEntry, PushView } from '../source/push-entry.ts';
import { RecordReader, RecordWriter } from './locations-coding.ts';

/**
 * What a push left at one destination, object by object: where it was in the source, and which
 * object it was. The next push compares this with what it sees, and so finds what has moved. A
 * cache: never trusted over what the server says.
 */

/** What tells one object of a disk from all others, whatever it is called. */
export interface ObjectIdentity {
  /** As {@link storedDevice} has it. */
  readonly dev: number;
  readonly ino: number;
  /** Number and device are given away again; together with this they are not. 0: unknown. */
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
/** Steps of NTFS, of programs that count microseconds or milliseconds, and of those that count seconds. */
const TIME_STEPS_NS = [100, 1000, 1_000_000, 1_000_000_000] as const;
/** Room for one record with a path of usual length. */
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

/** SHA-256 of what {@link encodeLocations} gives, without all of it being in memory. */
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
 * @yields every object, in list order; nothing when the bytes are of another version
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
 * Whether two looks saw one object; where births are unknown, as far as numbers can tell.
 *
 * @param rootDevice - of {@link rootDeviceOf}
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
 * The number of a device between pushes. That of the source folder itself is another one after each mount (a
 * removable or encrypted disk, a frozen state of the file system), so it counts as one and the same.
 */
export function storedDevice(device: number, rootDevice: number | undefined): number {
  return device === rootDevice ? SOURCE_DEVICE : device;
}

/** The number that the device of the source folder has now. */
export function rootDeviceOf(entries: readonly PushEntry[]): number | undefined {
  return entries[0]?.plain?.dev;
}

/** How the source differs from what was pushed before. */
export interface LocationChanges {
  /** Objects that are not where they were. */
  readonly gone: readonly Location[];
  /** Objects that were not where they are. */
  readonly fresh: readonly FreshEntry[];
  /** Files where a file was before, with another size or second. */
  readonly changed: readonly PushEntry[];
  /** Files where a file was before, with the same size and second, and another fraction of it. */
  readonly touched: readonly PushEntry[];
  /** Everything that is not as it was at its place, by its attributes or as an object, or is new. */
  readonly altered: ReadonlySet<PushEntry>;
  /** How many files there were. */
  readonly filesBefore: number;
}

/** An object at a path where it was not before. */
export interface FreshEntry {
  readonly entry: PushEntry & { readonly plain: LocalEntry };
  /** What was at this path before. */
  readonly replaced: Location | undefined;
}

/**
 * Goes through both lists side by side: they have one order, and only what differs is kept.
 *
 * @param stored - of {@link encodeLocations}
 * @throws {VaultError} `memory-damaged`
 * @throws {FileError} `name-unsupported` — by another kind of vault
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

/** Whether a file is not what was pushed at its place, as far as rsync's quick check tells. */
function isOtherFile(before: Location, entry: PushEntry): boolean {
  if (!isRegularFile(before) || !isRegularFile(entry)) return false;
  return before.size !== entry.size || before.mtimeSec !== entry.mtimeSec;
}

/**
 * Whether a file has another fraction of the same second than the one that was pushed at its place: it
 * was written again, or replaced by another one, and rsync's quick check does not see it.
 */
function isTouched(before: Location, entry: PushEntry): boolean {
  if (!isRegularFile(before) || !isRegularFile(entry)) return false;
  return !isCoarser(before.mtimeNsec, entry.mtimeNsec);
}

/** Whether a fraction of a second is an earlier one, as file systems and programs with coarser times keep it. */
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

/** Whether a list has `before` ahead of `entry`, a different place. */
function comesBefore(
  before: Location,
  entry: FreshEntry['entry'],
  view: Pick<PushView, 'cipherPath'>,
): boolean {
  if (isAtSamePath(before, entry)) return false;
  const { mode } = before;
  return compareFlist({ path: view.cipherPath(before.path), mode }, entry) < 0;
}
