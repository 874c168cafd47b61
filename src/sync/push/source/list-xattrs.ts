/**
 * Reads extended attributes of a list of local objects, without following symlinks out of their
 * folder.
 */
import { UsageError } from '../../../errors.ts';
import { diskFolder } from '../../../tree/local/disk-path.ts';
import { isDirectory } from '../../../tree/entry.ts';
import { HeldDirectory } from '../../../tree/local/held-directory.ts';
import type { LocalEntry } from '../../../tree/local/local-entry.ts';
import { readXattrs, type XattrReading } from '../../../transport/programs/getfattr.ts';
import type { ReadObject } from '../../../transport/programs/getfattr-output.ts';
import type { XattrFailure } from '../../../transport/programs/fattr-program.ts';
import { joinPath, pathKey, splitPath } from '../../../bytes/paths.ts';

/** Reads the attributes of objects in a folder, as {@link readXattrs} does. */
export type ReadXattrs = (
  folder: string,
  paths: Iterable<Uint8Array>,
  reading: XattrReading,
) => Promise<void>;

/** A label that the system gives to every object. */
export const SYSTEM_LABEL = 'security.selinux';

const OLDEST_PROTOCOL = 30;
const DOT_SLASH = Buffer.from('./');
/** Directories held open for one run of the program. */
const HELD_MAX = 64;

/**
 * Refuses `-X` if the system or the protocol has no extended attributes.
 *
 * @param use.act - what would be done with them
 * @param use.without - the command that works without `-X`
 * @throws {UsageError} `xattrs-unsupported`
 */
export function assertXattrsPossible(
  protocolMax: number,
  { act, without }: { readonly act: 'read' | 'set'; readonly without: 'push' | 'restore' },
): void {
  if (process.platform !== 'linux') {
    const advice = `${without === 'push' ? 'Push' : 'Restore'} without -X.`;
    throw new UsageError(
      'xattrs-unsupported',
      `extended attributes cannot be ${act} on this system (${process.platform})`,
      { hint: `${advice} This release of ecsync ${act}s them on Linux only.` },
    );
  }
  if (protocolMax < OLDEST_PROTOCOL) {
    throw new UsageError(
      'xattrs-unsupported',
      `rsync protocol ${protocolMax} cannot carry extended attributes`,
      { hint: `Use --protocol 30 or newer, or ${without} without -X.` },
    );
  }
}

/** The path of an object as the program receives and prints it. */
export function dottedPath(path: Uint8Array): Buffer {
  return Buffer.concat([DOT_SLASH, path]);
}

/**
 * Reads the attributes of objects in their order, and reports each under its {@link dottedPath}. If
 * another user could replace a folder on the way with a symlink, the program gets a path through a
 * handle of the listed folder.
 *
 * @param source - absolute
 * @param list - each folder before its content
 * @throws as {@link readXattrs}
 */
export async function readListXattrs(
  source: string,
  list: Iterable<LocalEntry>,
  reading: XattrReading,
  read: ReadXattrs = readXattrs,
): Promise<void> {
  for (const part of partsOf(list, ({ isExposed }) => isExposed === true)) {
    const held = new HeldFolders(diskFolder(source), part.folders);
    try {
      const paths = part.isExposed ? held.pathsOf(part.entries, reading.onFailure) : plain(part);
      await read(source, paths, part.isExposed ? held.translated(reading) : reading);
    } finally {
      held.close();
    }
  }
}

/** Objects for one run of a program, and their paths there. */
export interface HeldPart {
  readonly entries: readonly LocalEntry[];
  /** Undefined if its folder is gone. */
  accessPathOf(entry: LocalEntry): Uint8Array | undefined;
  /** Inverse of `accessPathOf`: the {@link dottedPath} of the object. */
  pathOf(accessPath: Buffer): Buffer;
}

/**
 * Goes through objects in their order, a few folders at a time. These folders are held open
 * meanwhile, so that nobody can replace one with a symlink.
 *
 * @param source - absolute
 * @param list - each folder before its content, with all parent folders
 */
export async function forHeldParts(
  source: string,
  list: Iterable<LocalEntry>,
  act: (part: HeldPart) => Promise<void>,
): Promise<void> {
  for (const { entries, folders } of partsOf(list, () => true)) {
    const held = new HeldFolders(diskFolder(source), folders);
    try {
      const accessPathOf = (entry: LocalEntry): Uint8Array | undefined =>
        held.accessPathOf(entry.path);
      await act({ entries, accessPathOf, pathOf: (accessPath) => held.translate(accessPath) });
    } finally {
      held.close();
    }
  }
}

/** Objects that one run of the program reads. */
interface Part {
  readonly isExposed: boolean;
  readonly entries: LocalEntry[];
  /** Their listed folders, by the keys of their paths. */
  readonly folders: Map<string, LocalEntry>;
}

/**
 * Splits a list where the exposure changes, and where too many folders would have to be held open.
 */
function* partsOf(
  list: Iterable<LocalEntry>,
  isToHold: (entry: LocalEntry) => boolean,
): Generator<Part> {
  const listed = new Map<string, LocalEntry>();
  let part: Part | undefined;
  for (const entry of list) {
    if (isDirectory(entry)) listed.set(pathKey(entry.path), entry);
    const isExposed = isToHold(entry);
    if (part !== undefined && (part.isExposed !== isExposed || part.folders.size >= HELD_MAX)) {
      yield part;
      part = undefined;
    }
    part ??= { isExposed, entries: [], folders: new Map() };
    part.entries.push(entry);
    if (!isExposed) continue;
    const key = pathKey(splitPath(entry.path).directory);
    const folder = listed.get(key);
    if (folder !== undefined) part.folders.set(key, folder);
  }
  if (part !== undefined) yield part;
}

function* plain({ entries }: Part): Generator<Uint8Array> {
  for (const { path } of entries) yield dottedPath(path);
}

/** Folders that are held open while the program reads their content. */
class HeldFolders {
  readonly #held = new Map<string, HeldDirectory>();
  /** Path of each folder by the key of its path for the program. */
  readonly #pathOfAccess = new Map<string, Uint8Array>();

  constructor(root: Buffer, folders: ReadonlyMap<string, LocalEntry>) {
    for (const [key, folder] of folders) {
      try {
        const held = HeldDirectory.open(root, folder);
        this.#held.set(key, held);
        this.#pathOfAccess.set(pathKey(held.diskPath), folder.path);
      } catch {
        // The folder is gone, which is reported for each object in it.
      }
    }
  }

  /** The path of one object for the program. Undefined if its folder is gone. */
  accessPathOf(path: Uint8Array): Uint8Array | undefined {
    const { directory, name } = splitPath(path);
    const held = this.#held.get(pathKey(directory));
    return held && joinPath(held.diskPath, name);
  }

  /** The paths of objects for the program. Objects whose folder is gone are reported as gone. */
  *pathsOf(
    entries: readonly LocalEntry[],
    onFailure: XattrReading['onFailure'],
  ): Generator<Uint8Array> {
    for (const { path } of entries) {
      const accessPath = this.accessPathOf(path);
      if (accessPath !== undefined) yield accessPath;
      else onFailure({ message: 'its folder is gone', isGone: true, paths: [dottedPath(path)] });
    }
  }

  /** The same callbacks, called with paths of the tree. */
  translated(reading: XattrReading): XattrReading {
    return {
      ...reading,
      onObject: (object: ReadObject) => {
        reading.onObject({ ...object, path: this.translate(object.path) });
      },
      onFailure: (failure: XattrFailure) => {
        const paths = failure.paths.map((path) => this.translate(path));
        reading.onFailure({ ...failure, paths });
      },
    };
  }

  /** Translates a path of the program into the dotted path in the tree. */
  translate(accessPath: Buffer): Buffer {
    const { directory, name } = splitPath(accessPath);
    const folder = this.#pathOfAccess.get(pathKey(directory));
    return folder === undefined ? accessPath : dottedPath(joinPath(folder, name));
  }

  close(): void {
    for (const held of this.#held.values()) held.close();
  }
}
