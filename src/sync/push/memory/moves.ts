/** Finds files that have moved since the last push to a destination. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { FileError, VaultError } from '../../../errors.ts';
import { errnoOf } from '../../../platform.ts';
import { isDirectory, isRegularFile } from '../../../tree/entry.ts';
import { readLocalEntry } from '../../../tree/local/local-entry.ts';
import { pathKey } from '../../../bytes/paths.ts';
import { Births } from './birth-lookup.ts';
import { assignBirths, decodeBirths, encodeBirths, withGone } from './births.ts';
import {
  compareLocations,
  digestLocations,
  encodeLocations,
  isSameKind,
  sawSameObject,
  rootDeviceOf,
  type FreshEntry,
  type Location,
  type LocationChanges,
  type ObjectIdentity,
} from './locations.ts';
import type { PushEntry, PushView } from '../source/push-entry.ts';
import type { Snapshot } from '../source/snapshot.ts';

/** Stores bytes between pushes. */
interface Store {
  read(): Uint8Array | undefined;
  write(bytes: Uint8Array): void;
}

/** The same for large data that mostly stays the same. */
interface DigestedStore extends Store {
  /**
   * SHA-256 of the stored bytes, which may be damaged nevertheless. Undefined if there are none. If
   * the method is absent, all bytes are read for a comparison.
   */
  digest?(): Uint8Array | undefined;
}

/** Where the memory of moves is stored. */
export interface MoveStores {
  /** For the whole vault. */
  readonly births: Store & {
    /** Stored data exists and cannot be read. */
    isDamaged?(): boolean;
    /** The vault remembers other destinations. */
    hasOthers?(): boolean;
    /** It remembers no destination. */
    isFirst?(): boolean;
  };
  /** For one destination. */
  readonly locations: DigestedStore;
}

/** A file that the destination has under another name. */
export interface MovedFile {
  readonly entry: PushEntry;
  readonly from: Location;
  /** Its path in the copy. */
  readonly fromCipherPath: Uint8Array;
  /** The destination has another file under the new name. */
  readonly isOccupied: boolean;
}

/** What has moved in the source since the last push to this destination. */
export interface Moves {
  /** Files to link, in list order of their new names. */
  readonly files: readonly MovedFile[];
  /** The old plaintext path of each moved file, including those that are not linked. */
  readonly origins: ReadonlyMap<PushEntry, Uint8Array>;
  /** Keys of old cipher paths of moved objects of any kind. Deleting these loses nothing. */
  readonly left: ReadonlySet<string>;
  /** Folders that are not at their old place, by the key of their plaintext path. */
  readonly goneFolders: ReadonlyMap<string, Location>;
  /** Files that size and second cannot distinguish from the destination's file in their place. */
  readonly suspects: ReadonlySet<PushEntry>;
  /** How many objects of the last full push are gone and have not moved. Absent: unknown. */
  readonly gone?: number;
  /** Objects have gone and others have come, and moves cannot be detected. New objects are sent. */
  readonly isSentAnew?: boolean;
  /** Objects at places where the last full push did not have them. Absent: unknown. */
  readonly fresh?: readonly PushEntry[];
  /** Files with another size or second than at the last full push. */
  readonly changed?: readonly PushEntry[];
  /** Differences from what that push left. Absent: unknown. */
  readonly since?: ChangedSince;
  /** The number of files of that push. Absent: unknown, or nothing has changed since. */
  readonly filesBefore?: number;
}

/** How the source differs from what the last full push saw. */
export interface ChangedSince {
  readonly altered: ReadonlySet<PushEntry>;
  /** Keys of the plaintext paths of gone objects. */
  readonly gone: ReadonlySet<string>;
}

export const NO_MOVES: Moves = {
  files: [],
  origins: new Map(),
  left: new Set(),
  goneFolders: new Map(),
  suspects: new Set(),
};

/** What one push knows of moves, and remembers for the next one. */
export interface MoveMemory {
  readonly moves: Moves;
  /** Those of the files of the source, which its view needs to encrypt them. */
  readonly births: Births;
  /**
   * Call after a completed push.
   *
   * @param mayHold - whether a destination may have something at a path that the source does not
   *   have
   */
  save(mayHold: (plainPath: Uint8Array) => boolean): void;
}

/** The source as {@link readMoves} needs it. */
export interface MoveSource {
  /** Absolute path of the source folder. */
  readonly source: string;
  readonly snapshot: Snapshot;
  readonly view: PushView;
  /** The push is limited to some paths. Nothing is known of others, so no moves are detected. */
  readonly isPart: boolean;
  /** The source may contain objects that are not in the snapshot. */
  readonly isFiltered: boolean;
}

/**
 * Compares a snapshot with what the last push to this destination left, gives moved files their old
 * births, and finds those that the destination already has. Without times of birth no moves are
 * detected, since inode numbers are reused.
 */
export function readMoves(stores: MoveStores, from: MoveSource): MoveMemory {
  const { snapshot, view, isPart } = from;
  const digest = isPart ? undefined : digestOf(stores.locations);
  const isSame = digest !== undefined && digestLocations(snapshot.entries).equals(digest);
  const saveLocations = (): void => {
    if (!isPart && !isSame) stores.locations.write(encodeLocations(snapshot.entries));
  };
  const moves = isSame ? unmoved(view) : findMoves(stores.locations.read(), from);
  if (!view.keepsIdentities) return { moves, births: new Births(), save: saveLocations };
  const bornBefore = stores.births.read();
  const assigned = assignBirths({
    before: decodeBirths(bornBefore),
    entries: snapshot.entries,
    origins: moves.origins,
    isStillThere: (record) => isPart || isThere(from, record.path, record),
  });
  const suspects = new Set([...moves.suspects, ...assigned.reborn]);
  return {
    moves: assigned.reborn.length === 0 ? moves : { ...moves, suspects },
    births: new Births(assigned.records),
    save: (mayHold) => {
      const records = withGone(assigned, mayHold);
      const born = encodeBirths(records);
      const isDue = bornBefore === undefined ? records.length > 0 : !born.equals(bornBefore);
      if (isDue || stores.births.isDamaged?.() === true) {
        stores.births.write(born);
      }
      saveLocations();
    },
  };
}

function digestOf(store: DigestedStore): Uint8Array | undefined {
  if (store.digest !== undefined) return store.digest();
  const stored = store.read();
  return stored && createHash('sha256').update(stored).digest();
}

/** Nothing has moved or changed. */
function unmoved({ keepsIdentities }: PushView): Moves {
  const since = { altered: new Set<PushEntry>(), gone: new Set<string>() };
  return { ...NO_MOVES, fresh: [], changed: [], since, ...(keepsIdentities && { gone: 0 }) };
}

function findMoves(stored: Uint8Array | undefined, from: MoveSource): Moves {
  const { isPart, view } = from;
  if (stored === undefined) return NO_MOVES;
  let changes: LocationChanges;
  try {
    changes = compareLocations(stored, from.snapshot.entries, from.view);
  } catch (error) {
    // Ignores a damaged memory, and one whose names this vault cannot have any more.
    if (error instanceof VaultError || error instanceof FileError) return NO_MOVES;
    throw error;
  }
  const { changed, touched, altered, filesBefore } = changes;
  const suspects = new Set(touched);
  const gonePaths = changes.gone.map(({ path: gonePath }) => pathKey(gonePath));
  const since = { altered, gone: new Set(isPart ? [] : gonePaths) };
  const fresh = changes.fresh.map(({ entry }) => entry);
  const seen = { fresh, changed, since, filesBefore };
  if (isPart || !view.keepsIdentities) {
    const isSentAnew = !isPart && changes.gone.length > 0 && changes.fresh.length > 0;
    return { ...NO_MOVES, suspects, isSentAnew, ...seen };
  }
  // Long names of deleted objects can then be reported in plaintext.
  for (const { path: gonePath } of changes.gone) from.view.rememberPath(gonePath);
  const gone = changes.gone.length;
  if (gone === 0 || changes.fresh.length === 0) {
    return { ...NO_MOVES, suspects, gone, ...seen };
  }
  return { ...new Matching(changes, from).match(), ...seen };
}

/** Matches each new name with its object. */
class Matching {
  readonly #changes: LocationChanges;
  readonly #from: MoveSource;
  /** Objects that were not found yet, by inode. */
  readonly #gone = new Map<number, Location[]>();
  readonly #files: MovedFile[] = [];
  readonly #origins = new Map<PushEntry, Uint8Array>();
  readonly #left = new Set<string>();
  readonly #suspects: Set<PushEntry>;
  /** Files that rsync would take for the earlier object at their new place. */
  readonly #mistakable = new Set<PushEntry>();

  constructor(changes: LocationChanges, from: MoveSource) {
    this.#changes = changes;
    this.#from = from;
    this.#suspects = new Set(changes.touched);
    for (const location of changes.gone) {
      const others = this.#gone.get(location.ino);
      if (others === undefined) this.#gone.set(location.ino, [location]);
      else others.push(location);
    }
  }

  match(): Moves {
    const { gone, fresh } = this.#changes;
    for (const one of fresh) {
      const location = this.#takeLocation(one);
      if (location !== undefined) this.#note(one, location);
    }
    for (const one of fresh) this.#suspect(one);
    const builtOver = this.#builtOver();
    const folders = gone.filter(isDirectory).map((one) => [pathKey(one.path), one] as const);
    return {
      files: this.#files.filter(
        ({ entry, from }) => !this.#mistakable.has(entry) && !builtOver.has(pathKey(from.path)),
      ),
      origins: this.#origins,
      left: this.#left,
      goneFolders: new Map(folders),
      suspects: new Set([...this.#suspects, ...this.#mistakable]),
      gone: gone.length - this.#left.size,
    };
  }

  /**
   * Old names where a new folder is now. The destination makes its folders before it links files,
   * so these files are already gone and must be sent.
   */
  #builtOver(): ReadonlySet<string> {
    const folders = this.#changes.fresh.filter(({ entry }) => isDirectory(entry));
    return new Set(folders.map(({ entry }) => pathKey(entry.plain.path)));
  }

  /** The old location of this object. Each old name is matched with one new name. */
  #takeLocation({ entry }: FreshEntry): Location | undefined {
    const { plain } = entry;
    if (plain.birthtimeMs === 0 || plain.ino === 0) return undefined;
    const candidates = this.#gone.get(plain.ino);
    const at = candidates?.findIndex(
      (location) =>
        sawSameObject(location, plain, rootDeviceOf(this.#from.snapshot.entries)) &&
        isSameKind(location, entry) &&
        Buffer.compare(location.path, plain.path) !== 0 &&
        !this.#isStillThere(location),
    );
    if (at === undefined || at === -1) return undefined;
    return candidates?.splice(at, 1)[0];
  }

  /**
   * An object that a filter leaves out, or that could not be read, counts as still in its place.
   */
  #isStillThere(location: Location): boolean {
    const { isFiltered, snapshot } = this.#from;
    if (!isFiltered && !snapshot.incomplete) return false;
    return isThere(this.#from, location.path, location);
  }

  #note({ entry, replaced }: FreshEntry, from: Location): void {
    const fromCipherPath = this.#from.view.cipherPath(from.path);
    this.#left.add(pathKey(fromCipherPath));
    if (!isRegularFile(entry)) return;
    this.#files.push({ entry, from, fromCipherPath, isOccupied: replaced !== undefined });
    this.#origins.set(entry, from.path);
    if (isSameForQuickCheck(from, entry) && from.mtimeNsec !== entry.mtimeNsec) {
      this.#suspects.add(entry);
    }
  }

  /** A file that changed places with another one, or took the place of a moved one. */
  #suspect({ entry, replaced }: FreshEntry): void {
    if (replaced === undefined || !isRegularFile(entry) || !isSameKind(replaced, entry)) return;
    const isMoved = this.#origins.has(entry);
    const isFreed = this.#left.has(pathKey(entry.path));
    if ((isMoved || isFreed) && isSameForQuickCheck(replaced, entry)) this.#mistakable.add(entry);
  }
}

/** rsync's quick check: size and whole second. */
function isSameForQuickCheck(
  a: Pick<Location, 'size' | 'mtimeSec'>,
  b: Pick<Location, 'size' | 'mtimeSec'>,
): boolean {
  return a.size === b.size && a.mtimeSec === b.mtimeSec;
}

/** Whether the source has this object at this path. True if that cannot be determined. */
function isThere(
  { source, snapshot }: MoveSource,
  plainPath: Uint8Array,
  object: ObjectIdentity,
): boolean {
  const fullPath = Buffer.concat([Buffer.from(source + path.sep), plainPath]);
  try {
    const entry = readLocalEntry(fullPath, plainPath);
    return entry !== undefined && sawSameObject(entry, object, rootDeviceOf(snapshot.entries));
  } catch (error) {
    const code = errnoOf(error);
    return code !== 'ENOTDIR' && code !== 'ENOENT';
  }
}
