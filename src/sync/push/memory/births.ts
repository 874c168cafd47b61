/** The births of files, as a vault remembers them for files that have moved since. */
import { VaultError } from '../../../errors.ts';
import type { Birth } from '../../../gocryptfs/content/identity.ts';
import { isRegularFile } from '../../../tree/entry.ts';
import type { LocalEntry } from '../../../tree/local/local-entry.ts';
import { pathKey } from '../../../bytes/paths.ts';
import { sawSameObject, rootDeviceOf, storedDevice, type ObjectIdentity } from './locations.ts';
import { damaged, RecordReader, RecordWriter } from './locations-coding.ts';
import type { PushEntry } from '../source/push-entry.ts';

/**
 * Births of files that are not at their place of birth, or were born where another file had been
 * born. There is one list for a vault and all its destinations. It is a cache: a file whose birth
 * is lost gets the identity of its present path, and is sent again when it changes.
 */

/** A file and its birth. */
export interface BirthRecord extends ObjectIdentity {
  /** Its present plaintext path. */
  readonly path: Uint8Array;
  readonly birth: Birth;
}

const VERSION = 1;

/**
 *     1. version 1: u32
 *     2. per file: path ‖ device f64 ‖ inode f64 ‖ time of birth f64, milliseconds
 *        ‖ birth: counter u32 ‖ bytes at the end of the path that its path ends in, too: u16
 *        ‖ what comes before them: length u16, bytes
 *
 * @returns inverse: {@link decodeBirths}
 */
export function encodeBirths(records: readonly BirthRecord[]): Buffer {
  const writer = new RecordWriter();
  writer.uint32(VERSION);
  for (const { path, dev, ino, birthtimeMs, birth } of records) {
    const shared = sharedEnd(path, birth.path);
    writer.path(path);
    writer.number(dev);
    writer.number(ino);
    writer.number(birthtimeMs);
    writer.uint32(birth.counter);
    writer.uint16(shared);
    writer.bytes(birth.path.subarray(0, birth.path.length - shared));
  }
  return writer.finish();
}

/** @returns nothing if the bytes are damaged or of another version */
export function decodeBirths(bytes: Uint8Array | undefined): BirthRecord[] {
  if (bytes === undefined) return [];
  try {
    const reader = new RecordReader(bytes);
    const records: BirthRecord[] = [];
    if (reader.uint32() !== VERSION) return [];
    while (!reader.isAtEnd) records.push(readRecord(reader));
    return records;
  } catch (error) {
    if (error instanceof VaultError) return [];
    throw error;
  }
}

function readRecord(reader: RecordReader): BirthRecord {
  const path = reader.path();
  const dev = reader.number();
  const ino = reader.number();
  const birthtimeMs = reader.number();
  const counter = reader.uint32();
  const shared = reader.uint16();
  const start = reader.bytes();
  if (shared > path.length) throw damaged();
  const birthPath = Buffer.concat([start, path.subarray(path.length - shared)]);
  return { path, dev, ino, birthtimeMs, birth: { path: birthPath, counter } };
}

function sharedEnd(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < end && a[a.length - 1 - shared] === b[b.length - 1 - shared]) shared++;
  return shared;
}

type PlainFile = PushEntry & { readonly plain: LocalEntry };

/** The input from which the births of a snapshot are derived. */
export interface BirthSources {
  /** As remembered by the previous push. */
  readonly before: readonly BirthRecord[];
  /** All entries of the snapshot. */
  readonly entries: readonly PushEntry[];
  /** Moved files with their old plaintext paths. */
  readonly origins: ReadonlyMap<PushEntry, Uint8Array>;
  /** Whether a file that is not in the snapshot still exists. */
  isStillThere(record: BirthRecord): boolean;
}

/** Births of the existing files, and of those that have gone. */
export interface AssignedBirths {
  /** Births of the source's files, including files that a filter leaves out. Ordered by path. */
  readonly records: readonly BirthRecord[];
  /**
   * Births of files that have gone. A destination may still have such a file. If it comes back to
   * its path, the file at the destination counts as up to date, so it must have the same birth
   * again.
   */
  readonly gone: readonly BirthRecord[];
  /**
   * Files with another birth than what was pushed under their names, which nothing else may show.
   */
  readonly reborn: readonly PushEntry[];
}

/**
 * Assigns the births of all files other than their path with counter 0: remembered ones, those of
 * moved files, and the next counter for every new file at a path whose birth is still in use. No
 * two files ever share a birth. Names that are kept together (`-H`) are one file with one birth.
 */
export function assignBirths(sources: BirthSources): AssignedBirths {
  const { before, origins } = sources;
  const groups = linkGroupsOf(sources.entries);
  if (before.length === 0 && origins.size === 0 && groups.size === 0) {
    return { records: [], gone: [], reborn: [] };
  }
  return new BirthRegister(sources, groups).assign();
}

/** Adds the records of gone files that are worth keeping. */
export function withGone(
  { records, gone }: AssignedBirths,
  mayHold: (plainPath: Uint8Array) => boolean,
): readonly BirthRecord[] {
  const held = gone.filter(({ path }) => mayHold(path));
  if (held.length === 0 || held.length > GONE_MAX) return records;
  return [...records, ...held].sort(byPath);
}

/** If there are more, files that come back are only reported by `verify`. */
const GONE_MAX = 100_000;

function byPath(a: BirthRecord, b: BirthRecord): number {
  return Buffer.compare(a.path, b.path);
}

/** All names of each hard-linked file that is kept together, by the first of them. */
function linkGroupsOf(entries: readonly PushEntry[]): ReadonlyMap<PlainFile, readonly PlainFile[]> {
  const byNumber = new Map<number, PlainFile[]>();
  for (const entry of entries) {
    if (entry.linkGroup === undefined || !isPlainFile(entry)) continue;
    const names = byNumber.get(entry.linkGroup);
    if (names === undefined) byNumber.set(entry.linkGroup, [entry]);
    else names.push(entry);
  }
  const groups = new Map<PlainFile, readonly PlainFile[]>();
  for (const names of byNumber.values()) {
    const [first] = names;
    if (first !== undefined && names.length > 1) groups.set(first, names);
  }
  return groups;
}

/** The assignment of births. Paths are keys. */
class BirthRegister {
  readonly #sources: BirthSources;
  readonly #groups: ReadonlyMap<PlainFile, readonly PlainFile[]>;
  /** Further names of hard-linked files. */
  readonly #further: ReadonlySet<PlainFile>;
  readonly #rootDevice: number | undefined;
  readonly #byPath: ReadonlyMap<string, BirthRecord>;
  /** The files of the snapshot at all paths that may matter. */
  readonly #present = new Map<string, PlainFile>();
  readonly #assigned = new Map<PlainFile, Birth>();
  /** Counters in use, by path of birth. */
  readonly #taken = new Map<string, Set<number>>();

  constructor(sources: BirthSources, groups: ReadonlyMap<PlainFile, readonly PlainFile[]>) {
    this.#sources = sources;
    this.#groups = groups;
    this.#further = new Set([...groups.values()].flatMap((names) => names.slice(1)));
    this.#rootDevice = rootDeviceOf(sources.entries);
    this.#byPath = new Map(sources.before.map((record) => [pathKey(record.path), record]));
    this.#lookForFiles();
  }

  assign(): AssignedBirths {
    const { before } = this.#sources;
    const known = this.#recogniseObjects();
    const further = new Set([...this.#further].map(({ plain }) => pathKey(plain.path)));
    const unseen = before.filter((record) => {
      const key = pathKey(record.path);
      return !known.has(record) && !this.#present.has(key) && !further.has(key);
    });
    const kept = unseen.filter((record) => this.#sources.isStillThere(record));
    for (const { birth } of kept) this.#take(birth);
    this.#takeAlong();
    const left = new Set(kept);
    // The copy may keep an old name of a moved file, with the birth that the file took along.
    const gone = unseen.filter((record) => !left.has(record));
    for (const { birth } of gone) this.#take(birth);
    this.#inheritPaths(known);
    this.#giveCounters();
    this.#startAnew();
    const reborn = [...this.#assigned].flatMap(([entry, birth]) =>
      this.#isReborn(entry, birth) ? [entry] : [],
    );
    for (const first of this.#groups.keys()) {
      if (!this.#assigned.has(first)) this.#assigned.set(first, defaultBirth(first));
    }
    const assigned = [...this.#assigned].flatMap(([entry, birth]) =>
      this.#namesOf(entry).flatMap((name) => (isDefault(name, birth) ? [] : [{ name, birth }])),
    );
    const records = [...kept, ...assigned.map(({ name, birth }) => this.#recordOf(name, birth))];
    records.push(...this.#otherNames(assigned.map(({ name }) => name)));
    return { records: records.sort(byPath), gone, reborn };
  }

  #namesOf(entry: PlainFile): readonly PlainFile[] {
    return this.#groups.get(entry) ?? [entry];
  }

  /**
   * Whether the destination's file has another birth: at this place, or at the old place of a moved
   * file.
   */
  #isReborn(entry: PlainFile, birth: Birth): boolean {
    const origin = this.#sources.origins.get(entry);
    const before =
      origin === undefined
        ? (this.#byPath.get(pathKey(entry.plain.path))?.birth ?? defaultBirth(entry))
        : this.#birthAt(origin, entry);
    return before.counter !== birth.counter || Buffer.compare(before.path, birth.path) !== 0;
  }

  /** The birth that a moved file had at its old path, where another file may be now. */
  #birthAt(origin: Uint8Array, { plain }: PlainFile): Birth {
    const record = this.#byPath.get(pathKey(origin));
    return record?.ino === plain.ino ? record.birth : { path: origin, counter: 0 };
  }

  /**
   * Records of names with the default birth when another name of the same file has another birth.
   * If one of the names goes, the inode alone would give the other one its birth.
   */
  #otherNames(recorded: readonly PlainFile[]): BirthRecord[] {
    const linked = recorded.filter((one) => one.plain.nlink > 1 && one.linkGroup === undefined);
    if (linked.length === 0) return [];
    const inodes = new Set(linked.map(({ plain }) => plain.ino));
    const known = new Set(recorded);
    const others = this.#sources.entries.filter(isPlainFile).filter((entry) => {
      const { ino, nlink } = entry.plain;
      return nlink > 1 && inodes.has(ino) && !known.has(entry);
    });
    return others.map((entry) => this.#recordOf(entry, defaultBirth(entry)));
  }

  #lookForFiles(): void {
    const { before, origins, entries } = this.#sources;
    const wanted = new Set<string>(this.#byPath.keys());
    for (const { birth } of before) wanted.add(pathKey(birth.path));
    for (const path of origins.values()) wanted.add(pathKey(path));
    const lengths = new Set([...wanted].map((key) => key.length));
    for (const entry of entries) {
      if (!isPlainFile(entry) || this.#further.has(entry)) continue;
      if (!lengths.has(entry.plain.path.length)) continue;
      const key = pathKey(entry.plain.path);
      if (wanted.has(key)) this.#present.set(key, entry);
    }
  }

  /**
   * Recognises unchanged files, wherever they are. A file with several names has several births.
   */
  #recogniseObjects(): ReadonlySet<BirthRecord> {
    const { before, entries } = this.#sources;
    const known = new Set<BirthRecord>();
    const byInode = new Map<number, BirthRecord[]>();
    for (const record of before) {
      const others = byInode.get(record.ino);
      if (others === undefined) byInode.set(record.ino, [record]);
      else others.push(record);
    }
    if (byInode.size === 0) return known;
    for (const entry of entries) {
      const records = entry.plain && byInode.get(entry.plain.ino);
      if (records === undefined || !isPlainFile(entry) || this.#further.has(entry)) continue;
      const fitting = records.filter((one) => !known.has(one) && this.#isOfFile(one, entry));
      const record = this.#recordFor(entry, fitting);
      if (record === undefined || !this.#give(entry, record.birth)) continue;
      known.add(record);
      const names = new Set(this.#namesOf(entry).map(({ plain }) => pathKey(plain.path)));
      for (const one of fitting) if (names.has(pathKey(one.path))) known.add(one);
    }
    return known;
  }

  /** The record of one of the file's names: of its own path, of its old path, or of any. */
  #recordFor(entry: PlainFile, records: readonly BirthRecord[]): BirthRecord | undefined {
    if (records.length < 2) return records[0];
    const origin = this.#sources.origins.get(entry);
    const at = (path: Uint8Array | undefined): BirthRecord | undefined =>
      path && records.find((one) => Buffer.compare(one.path, path) === 0);
    return at(entry.plain.path) ?? at(origin) ?? records[0];
  }

  /** Moves the births of files that moved since the last push to this destination. */
  #takeAlong(): void {
    for (const [entry, origin] of this.#sources.origins) {
      if (!isPlainFile(entry) || this.#assigned.has(entry) || this.#further.has(entry)) continue;
      this.#give(entry, this.#birthAt(origin, entry));
    }
  }

  /** A file that replaced another one at its path, as editors do it, inherits its birth. */
  #inheritPaths(known: ReadonlySet<BirthRecord>): void {
    for (const [key, record] of this.#byPath) {
      const entry = this.#present.get(key);
      if (entry === undefined || known.has(record) || this.#assigned.has(entry)) continue;
      this.#give(entry, record.birth);
    }
  }

  /** Gives counters to files at the place of birth of another existing file. */
  #giveCounters(): void {
    for (const [key, counters] of [...this.#taken]) {
      const entry = this.#present.get(key);
      if (entry === undefined || this.#assigned.has(entry)) continue;
      let counter = 0;
      while (counters.has(counter)) counter++;
      this.#give(entry, { path: entry.plain.path, counter });
    }
  }

  /**
   * Gives a new birth to files whose birth was taken by another: their own path, if that is free.
   */
  #startAnew(): void {
    const known = [...this.#byPath.keys()].flatMap((key) => this.#present.get(key) ?? []);
    for (const entry of [...known, ...this.#sources.origins.keys()]) {
      if (!isPlainFile(entry) || this.#assigned.has(entry) || this.#further.has(entry)) continue;
      this.#give(entry, defaultBirth(entry));
    }
  }

  #recordOf({ plain }: PlainFile, birth: Birth): BirthRecord {
    const { path, ino, birthtimeMs } = plain;
    return { path, dev: storedDevice(plain.dev, this.#rootDevice), ino, birthtimeMs, birth };
  }

  #isOfFile(record: BirthRecord, entry: PlainFile): boolean {
    const { plain } = entry;
    if (!sawSameObject(record, plain, this.#rootDevice)) return false;
    if (this.#groups.has(entry)) return true;
    return plain.nlink === 1 || Buffer.compare(record.path, plain.path) === 0;
  }

  /** @returns false if another file has this birth */
  #give(entry: PlainFile, birth: Birth): boolean {
    if (!this.#take(birth)) return false;
    this.#assigned.set(entry, birth);
    return true;
  }

  #take({ path, counter }: Birth): boolean {
    const key = pathKey(path);
    const counters = this.#taken.get(key) ?? new Set();
    if (counters.has(counter)) return false;
    this.#taken.set(key, counters.add(counter));
    return true;
  }
}

function isPlainFile(entry: PushEntry): entry is PlainFile {
  return entry.plain !== undefined && isRegularFile(entry);
}

function defaultBirth({ plain }: PlainFile): Birth {
  return { path: plain.path, counter: 0 };
}

function isDefault({ plain }: PlainFile, { path, counter }: Birth): boolean {
  return counter === 0 && Buffer.compare(path, plain.path) === 0;
}
