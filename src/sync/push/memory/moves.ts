/** Finds which files have moved since the last push to a destination. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { FileError, VaultError } from '../../../errors.ts';
import { errnoOf } from '../../../platform.ts';
import type { Birth } from '../../../gocryptfs/content/identity.ts';
import { isDirectory, isRegularFile } from '../../../tree/entry.ts';
import { readLocalEntry } from '../../../tree/local/local-entry.ts';
import { pathKey } from '../../../bytes/paths.ts';
import { assignBirths, decodeBirths, encodeBirths, withGone, type BirthRecord } from './births.ts';
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

/** Where bytes are kept between pushes. */
interface Store {
  read(): Uint8Array | undefined;
  write(bytes: Uint8Array): void;
}

/** The same for bytes that are many, and mostly those of the time before. */
interface DigestedStore extends Store {
  /**
   * SHA-256 of what is kept, undefined when there is nothing; it may be damaged all the same. Where
   * this is absent, everything is read to compare it.
   */
  digest?(): Uint8Array | undefined;
}

/** Where the memory of moves is kept. */
export interface MoveStores {
  /** Of the vault. */
  readonly births: Store & {
    /** What was kept is there and cannot be read. */
    isDamaged?(): boolean;
    /** The vault remembers other destinations. */
    hasOthers?(): boolean;
    /** It remembers none. */
    isFirst?(): boolean;
  };
  /** Of one destination. */
  readonly locations: DigestedStore;
}

/** A file that the destination has under another name. */
export interface MovedFile {
  readonly entry: PushEntry;
  readonly from: Location;
  /** Where it is in the copy. */
  readonly fromCipherPath: Uint8Array;
  /** The destination has another file under the new name. */
  readonly isOccupied: boolean;
}

/** What has moved in the source since the last push to this destination. */
export interface Moves {
  /** Files to link, in list order of their new names. */
  readonly files: readonly MovedFile[];
  /** Where each moved file was, as a plaintext path, also of those that are not to be linked. */
  readonly origins: ReadonlyMap<PushEntry, Uint8Array>;
  /** Keys of the cipher paths that moved objects of any kind have left: what goes there is no loss. */
  readonly left: ReadonlySet<string>;
  /** Folders that are not where they were, by the key of their plaintext path. */
  readonly goneFolders: ReadonlyMap<string, Location>;
  /** Files that size and second cannot tell from what the destination has in their place. */
  readonly suspects: ReadonlySet<PushEntry>;
  /** How many objects the last push of everything saw are not there, nor moved; absent: unknown. */
  readonly gone?: number;
  /** Something has gone and something has come, and nobody can tell what has moved: that is sent anew. */
  readonly isSentAnew?: boolean;
  /** Objects that are where the last push of everything did not see them; absent: unknown. */
  readonly fresh?: readonly PushEntry[];
  /** Files with another size or second than the last push of everything saw. */
  readonly changed?: readonly PushEntry[];
  /** What is not as that push left it; absent: unknown. */
  readonly since?: ChangedSince;
  /** How many files that push saw; absent: unknown, or nothing has changed since. */
  readonly filesBefore?: number;
}

/** How the source differs from what the last push of everything saw. */
export interface ChangedSince {
  readonly altered: ReadonlySet<PushEntry>;
  /** Keys of the plaintext paths of what is not there any more. */
  readonly gone: ReadonlySet<string>;
}

export const NO_MOVES: Moves = {
  files: [],
  origins: new Map(),
  left: new Set(),
  goneFolders: new Map(),
  suspects: new Set(),
};

/** The births that a view asks for while it encrypts; empty until the source has been walked. */
export class Births {
  readonly #byPath = new Map<string, Birth>();

  of(plainPath: Uint8Array): Birth | undefined {
    return this.#byPath.size === 0 ? undefined : this.#byPath.get(pathKey(plainPath));
  }

  set(records: readonly BirthRecord[]): void {
    for (const record of records) this.#byPath.set(pathKey(record.path), record.birth);
  }
}

/** What one push knows of moves, and remembers for the next one. */
export interface MoveBooks {
  readonly moves: Moves;
  /**
   * After a push that came to its end.
   *
   * @param mayHold - whether a destination may have something at a path that the source has not
   */
  save(mayHold: (plainPath: Uint8Array) => boolean): void;
}

/** The source as {@link readMoves} needs it. */
export interface MoveSource {
  /** Absolute path of the source folder. */
  readonly source: string;
  readonly snapshot: Snapshot;
  readonly view: PushView;
  /** The push is limited to some paths: nothing else is known, so that nothing can have moved. */
  readonly isPart: boolean;
  /** Something may be there that the snapshot does not have. */
  readonly isFiltered: boolean;
}

/**
 * Compares a snapshot with what the last push to this destination left, gives moved files the births
 * they had, and finds out which ones the destination has already. Nothing can be told where the
 * file system does not know when a file came into being: its number may be another one's by now.
 */
export function readMoves(stores: MoveStores, births: Births, from: MoveSource): MoveBooks {
  const { snapshot, view, isPart } = from;
  const digest = isPart ? undefined : digestOf(stores.locations);
  const isSame = digest !== undefined && digestLocations(snapshot.entries).equals(digest);
  const saveLocations = (): void => {
    if (!isPart && !isSame) stores.locations.write(encodeLocations(snapshot.entries));
  };
  const moves = isSame ? unmoved(view) : findMoves(stores.locations.read(), from);
  if (!view.keepsIdentities) return { moves, save: saveLocations };
  const bornBefore = stores.births.read();
  const assigned = assignBirths({
    before: decodeBirths(bornBefore),
    entries: snapshot.entries,
    origins: moves.origins,
    isStillThere: (record) => isPart || isThere(from, record.path, record),
  });
  births.set(assigned.records);
  const suspects = new Set([...moves.suspects, ...assigned.reborn]);
  return {
    moves: assigned.reborn.length === 0 ? moves : { ...moves, suspects },
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

/** Everything is where it was, as it was. */
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
    // A damaged memory, or one whose names this vault cannot have any more, is none.
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
  // What is deleted can be told by its name, however long it was.
  for (const { path: gonePath } of changes.gone) from.view.rememberPath(gonePath);
  const gone = changes.gone.length;
  if (gone === 0 || changes.fresh.length === 0) {
    return { ...NO_MOVES, suspects, gone, ...seen };
  }
  return { ...new Matching(changes, from).match(), ...seen };
}

/** Finds for each new name the object that it is. */
class Matching {
  readonly #changes: LocationChanges;
  readonly #from: MoveSource;
  /** Objects that were not found yet, by inode. */
  readonly #gone = new Map<number, Location[]>();
  readonly #files: MovedFile[] = [];
  readonly #origins = new Map<PushEntry, Uint8Array>();
  readonly #left = new Set<string>();
  readonly #suspects: Set<PushEntry>;
  /** Files that rsync would take for what was at their new place before. */
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
   * Old names that a folder has now. The destination's folders are made before its files are linked, so
   * that the files are not there any more when it is their turn: they are sent.
   */
  #builtOver(): ReadonlySet<string> {
    const folders = this.#changes.fresh.filter(({ entry }) => isDirectory(entry));
    return new Set(folders.map(({ entry }) => pathKey(entry.plain.path)));
  }

  /** Where this object was; each old name is taken by one new name. */
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

  /** What a filter leaves out, or could not be read, is where it was. */
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

  /** One of two files that changed places, or came to the place of one that moved away. */
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

/** Whether the source has this object at this path; where that cannot be seen, it may have. */
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
