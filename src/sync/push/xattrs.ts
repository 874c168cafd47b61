/**
 * Extended attributes in a push (`-X`). As in rsync, these are the attributes of the namespace
 * `user`, and for root those of every namespace but `system`, which holds access control lists. The
 * copy cannot hold attributes of symlinks and special files, since Linux allows `user.` on files
 * and folders only.
 */
import { FileError, VanishedError, type EcsyncError } from '../../errors.ts';
import { isDirectory, isRegularFile, type Xattr } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import { requireProgram } from '../../transport/programs/getfattr.ts';
import type { ReadObject } from '../../transport/programs/getfattr-output.ts';
import type { XattrFailure } from '../../transport/programs/fattr-program.ts';
import { parentKey, pathKey } from '../../bytes/paths.ts';
import type { LocalEntry } from '../../tree/local/local-entry.ts';
import type { Ledger } from './job/ledger.ts';
import {
  assertXattrsPossible,
  dottedPath,
  readListXattrs,
  SYSTEM_LABEL,
  type ReadXattrs,
} from './source/list-xattrs.ts';
import type { PushEntry, PushView } from './source/push-entry.ts';
import type { PushSettings } from './source/push-settings.ts';
import type { Snapshot } from './source/snapshot.ts';

/** What reading attributes needs, and who receives the messages. */
export interface XattrScan {
  readonly source: string;
  readonly signal: AbortSignal;
  readonly ledger: Pick<Ledger, 'problem' | 'note'>;
  /** Default: by the programs of this machine. */
  readonly read?: ReadXattrs;
}

const DOT_SLASH_LENGTH = 2;

/**
 * Refuses `-X` where it cannot work.
 *
 * @throws {UsageError} `xattrs-unsupported`
 */
export function assertXattrsSupported(settings: PushSettings): void {
  if (!settings.xattrs) return;
  assertXattrsPossible(settings.protocolMax, { act: 'read', without: 'push' });
  requireProgram('getfattr', 'Install the package attr, or push without -X.');
  requireProgram('xargs', 'Install the package findutils, or push without -X.');
  const localRsync = rsyncForXattrs(settings);
  if (localRsync !== undefined) {
    requireProgram(
      localRsync,
      'Install rsync here: it stores extended attributes in a local folder. Or push without -X.',
    );
  }
}

/** The rsync that a push into a local folder needs for its attributes, if it needs one. */
export function rsyncForXattrs(settings: PushSettings): string | undefined {
  if (!settings.xattrs || settings.destination.kind !== 'local') return undefined;
  return settings.rsyncPath ?? 'rsync';
}

/**
 * Reads the attributes of everything in a snapshot and puts them, encrypted, into its entries. All
 * names of a hard-linked object share one array.
 *
 * @returns the snapshot without the objects whose attributes could not be read: sent without them,
 *   the copy would lose those it has
 * @throws {FileError} `xattrs-unreadable` — nothing could be read
 */
export async function withXattrs(
  view: PushView,
  snapshot: Snapshot,
  { source, signal, ledger, read }: XattrScan,
): Promise<Snapshot> {
  const { entries } = snapshot;
  const attaching = new Attaching(view, entries);
  const failures: XattrFailure[] = [];
  const reading = {
    onlyUser: process.getuid?.() !== 0,
    signal,
    onObject: (object: ReadObject) => attaching.add(object),
    onFailure: (failure: XattrFailure) => failures.push(failure),
  };
  await readListXattrs(source, plainEntries(entries), reading, read);
  if (attaching.leftOut > 0) {
    const text = `the extended attributes of ${attaching.leftOut} symlinks or special files were left out: the copy cannot hold them`;
    ledger.note('xattrs-left-out', text);
  }
  if (failures.length === 0) return snapshot;
  const { failed, errors } = namedIn(failures, entries);
  for (const error of errors) ledger.problem(error);
  const incomplete =
    snapshot.incomplete || errors.some((error) => !(error instanceof VanishedError));
  return { ...snapshot, entries: withoutFailed(entries, failed), incomplete };
}

/** The source objects of a list, in its order. */
function* plainEntries(entries: readonly PushEntry[]): Generator<LocalEntry> {
  for (const { plain } of entries) if (plain !== undefined) yield plain;
}

/** Matches results to entries, which come in the same order. */
class Attaching {
  leftOut = 0;
  readonly #view: PushView;
  readonly #entries: readonly PushEntry[];
  readonly #ofGroup = new Map<number, readonly Xattr[]>();
  #next = 0;

  constructor(view: PushView, entries: readonly PushEntry[]) {
    this.#view = view;
    this.#entries = entries;
  }

  add({ path, xattrs }: ReadObject): void {
    const entry = this.#find(path);
    const carried = xattrs.filter(({ name }) => isCarried(name));
    if (isRegularFile(entry) || isDirectory(entry)) {
      if (carried.length > 0) entry.xattrs = this.#encrypted(entry, carried);
    } else if (carried.some(({ name }) => name.toString('latin1') !== SYSTEM_LABEL)) {
      this.leftOut++;
    }
  }

  #find(path: Buffer): PushEntry {
    while (this.#next < this.#entries.length) {
      const entry = this.#entries[this.#next++];
      if (entry?.plain === undefined) continue;
      const { path: plainPath } = entry.plain;
      const isSame =
        path.length === DOT_SLASH_LENGTH + plainPath.length &&
        path.compare(plainPath, 0, plainPath.length, DOT_SLASH_LENGTH) === 0;
      if (isSame) return entry;
    }
    throw new FileError(
      'xattrs-unreadable',
      `getfattr reported ${showPath(path)}, which was not requested`,
      {
        hint: 'Push without -X, and report this.',
      },
    );
  }

  #encrypted(entry: PushEntry, xattrs: readonly Xattr[]): readonly Xattr[] {
    const { linkGroup } = entry;
    const known = linkGroup === undefined ? undefined : this.#ofGroup.get(linkGroup);
    if (known !== undefined) return known;
    const encrypted = this.#view.encryptXattrs(entry, xattrs);
    if (linkGroup !== undefined) this.#ofGroup.set(linkGroup, encrypted);
    return encrypted;
  }
}

function isCarried(name: Buffer): boolean {
  return !name.toString('latin1').startsWith('system.');
}

/** Which entries the program's messages are about, with each message as a typed error. */
function namedIn(
  failures: readonly XattrFailure[],
  entries: readonly PushEntry[],
): { failed: ReadonlySet<PushEntry>; errors: readonly EcsyncError[] } {
  const byPath = new Map<string, PushEntry>();
  for (const entry of entries) {
    if (entry.plain !== undefined) byPath.set(pathKey(dottedPath(entry.plain.path)), entry);
  }
  const failed = new Set<PushEntry>();
  const errors: EcsyncError[] = [];
  for (const { message, isGone, paths } of failures) {
    const key = paths.map(pathKey).find((path) => byPath.has(path));
    const entry = key === undefined ? undefined : byPath.get(key);
    if (entry !== undefined && failed.has(entry)) continue;
    if (entry !== undefined) failed.add(entry);
    errors.push(failureOf(message, isGone, entry));
  }
  return { failed, errors };
}

/**
 * @param failed - folders are removed with everything in them
 * @throws {FileError} `xattrs-unreadable` — the root is among them
 */
function withoutFailed(
  entries: readonly PushEntry[],
  failed: ReadonlySet<PushEntry>,
): readonly PushEntry[] {
  const [root] = entries;
  if (root !== undefined && failed.has(root)) {
    throw new FileError('xattrs-unreadable', 'cannot read the extended attributes of the folder', {
      hint: 'Check its permissions, or push without -X.',
    });
  }
  const gone = new Set<string>();
  return entries.filter((entry) => {
    const key = pathKey(entry.path);
    const isKept = !failed.has(entry) && !gone.has(parentKey(key));
    if (!isKept && isDirectory(entry)) gone.add(key);
    return isKept;
  });
}

function failureOf(message: string, isGone: boolean, entry: PushEntry | undefined): EcsyncError {
  if (entry?.plain === undefined) return new FileError('xattrs-unreadable', message);
  const path = showPath(entry.plain.path);
  const details = { facts: { path } };
  if (isGone) return new VanishedError('vanished', `${path} vanished`, details);
  const text = `cannot read the extended attributes of ${path} (${message})`;
  return new FileError('xattrs-unreadable', text, {
    ...details,
    hint: 'Check the permissions, or run as a user who has them.',
  });
}
