/** Compares the root files that identify a copy with those at a destination. */
import { ConnectionError, EcsyncError, InterruptedError, RemoteError } from '../../../errors.ts';
import type { FlistEntry } from '../../../rsync/flist/decode.ts';
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import { S_IFREG, type OpenFile } from '../../../tree/entry.ts';
import { compareSiblings } from '../../../tree/walk.ts';
import { pathKey } from '../../../bytes/paths.ts';
import { type Comparison, compareWithCopy } from './comparison.ts';
import { isNew, isOtherSize, isTransfer } from '../job/itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { accept, type PushJob, transferOptions } from '../job/push-job.ts';
import type { PushSettings } from '../source/push-settings.ts';
import {
  ask,
  assertAnswered,
  comparesExisting,
  isWithheld,
  type Unknown,
} from '../job/question.ts';
import { ROOT_FILES, ROOT_FILE_NAMES, type RootFile } from '../../copy/root-file-names.ts';
import { RemoteFolders } from '../../copy/remote-folders.ts';

/**
 * The state of a root file at the destination. `torn`: a file of another size. `there`: it exists,
 * and nothing else is known.
 */
export type RootFinding = 'absent' | 'same' | 'different' | 'torn' | 'there';

/** The root files at a destination. */
export interface RootFiles {
  /** The folder does not exist yet. */
  readonly rootIsNew: boolean;
  readonly found: Readonly<Record<RootFile, RootFinding>>;
}

const NOTHING_THERE = { conf: 'absent', diriv: 'absent', mirror: 'absent' } as const;

const WHOSE_COPY: Unknown = {
  what: 'whose copy is there',
  remedy:
    'It also helps to name a folder that does not exist yet, with a login that may read there.',
};

/** Options of the run that finds out whose copy a destination holds. */
export function preflightOptions(settings: PushSettings): TransferOptions {
  return transferOptions(settings, { dryRun: true, checksum: true });
}

/**
 * Compares the root files of this view with the existing ones, and looks for root files that it
 * does not have. A server that does not answer dry runs is asked to send them instead.
 *
 * @throws {RemoteError} `answers-withheld` — it does neither
 * @throws as `accept`
 */
export async function lookAtRootFiles(job: PushJob): Promise<RootFiles> {
  const [root] = job.snapshot.entries;
  if (root === undefined) return { rootIsNew: true, found: NOTHING_THERE };
  const own = job.snapshot.entries.filter(
    ({ path, virtual }) => virtual !== undefined && !path.includes(0x2f),
  );
  const list = ROOT_FILES.map(
    (kind) => own.find(({ virtual }) => virtual === kind) ?? unlikeAny(root, kind),
  );
  const asked = [root, ...list.sort(compareSiblings)];
  try {
    const direct = await askDirectly(job, asked, own);
    return direct ?? fromComparison(root, asked, await compareRootFiles(job, asked));
  } catch (error) {
    if (!isWithheld(error)) throw error;
    return await readRootFiles(job, own).catch((cause: unknown) => {
      const isLost = cause instanceof InterruptedError || cause instanceof ConnectionError;
      throw isLost ? cause : error;
    });
  }
}

/**
 * One run that reports which files are missing and which differ, and another one if it reports
 * nothing about a file.
 *
 * @returns undefined if a server does not compare existing files, or cannot tell them from missing
 *   ones
 */
async function askDirectly(
  job: PushJob,
  asked: readonly PushEntry[],
  own: readonly PushEntry[],
): Promise<RootFiles | undefined> {
  // Such a key may only add. Then the server compares nothing in this way.
  if (job.settings.appendOnly) return undefined;
  const [root] = asked;
  let rootIsNew = false;
  const found: Partial<Record<RootFile, RootFinding>> = {};
  const answer = await ask(job, {
    entries: asked,
    options: preflightOptions(job.settings),
    onItem: (entry, iflags) => {
      if (entry === root) rootIsNew = isNew(iflags);
      const kind = ROOT_FILES.find((one) => one === entry.virtual);
      if (kind !== undefined && isTransfer(iflags)) {
        found[kind] = findingOf(iflags);
      }
    },
  });
  accept(job, answer.outcome);
  assertAnswered(job, answer, WHOSE_COPY);
  if (!answer.hasItemRecords) return undefined;
  const silent = asked.filter(
    (entry) => entry !== root && !(entry.virtual !== undefined && entry.virtual in found),
  );
  const [one] = silent;
  if (one !== undefined) {
    // An entry unlike any real file must differ if a file exists.
    if (silent.some((entry) => !own.includes(entry))) return undefined;
    const isCompared =
      Object.values(found).some((one) => one !== 'absent') ||
      (await comparesExisting(job, one)).compares;
    if (!isCompared) return undefined;
  }
  return { rootIsNew, found: complete(found, 'same') };
}

function findingOf(iflags: number): RootFinding {
  if (isNew(iflags)) return 'absent';
  return isOtherSize(iflags) ? 'torn' : 'different';
}

/** @throws as `compareWithCopy` */
function compareRootFiles(job: PushJob, asked: readonly PushEntry[]): Promise<Comparison> {
  return compareWithCopy(job, asked, { checksum: true, unknown: WHOSE_COPY });
}

function fromComparison(
  root: PushEntry,
  asked: readonly PushEntry[],
  { absent, differing, unknown }: Comparison,
): RootFiles {
  const found: Partial<Record<RootFile, RootFinding>> = {};
  for (const entry of asked) {
    const kind = ROOT_FILES.find((one) => one === entry.virtual);
    if (kind === undefined) continue;
    if (absent.has(entry)) found[kind] = 'absent';
    else if (differing.has(entry)) found[kind] = 'different';
    else found[kind] = unknown.has(entry) ? 'there' : 'same';
  }
  return { rootIsNew: absent.has(root), found: complete(found, 'there') };
}

function complete(
  found: Readonly<Partial<Record<RootFile, RootFinding>>>,
  otherwise: RootFinding,
): Record<RootFile, RootFinding> {
  const { conf = otherwise, diriv = otherwise, mirror = otherwise } = found;
  return { conf, diriv, mirror };
}

/**
 * Reads the small root files to compare them here. They are not used for anything else.
 *
 * @throws as `RemoteFolders.root`
 */
async function readRootFiles(job: PushJob, own: readonly PushEntry[]): Promise<RootFiles> {
  const { destination } = job.context;
  const folder = folderThere(job, destination);
  const children = await folder.children().catch(async (error: unknown) => {
    if (await isAbsentInParent(job, destination)) return undefined;
    throw error;
  });
  if (children === undefined) return { rootIsNew: true, found: NOTHING_THERE };
  if (children.length === 0) throw nothingListed(job);
  const found: Record<RootFile, RootFinding> = { ...NOTHING_THERE };
  for (const kind of ROOT_FILES) {
    const theirs = children.find((child) => pathKey(child.path) === ROOT_FILE_NAMES[kind]);
    if (theirs === undefined) continue;
    const ours = own.find(({ virtual }) => virtual === kind)?.bytes;
    found[kind] = theirs.size === ours?.length ? 'different' : 'torn';
    if (ours === undefined || found[kind] === 'torn') continue;
    if (await isContent(await folder.open(theirs), ours)) found[kind] = 'same';
  }
  return { rootIsNew: false, found };
}

/** An empty list is no answer. */
function nothingListed({ settings }: PushJob): RemoteError {
  return new RemoteError(
    'nothing-listed',
    `${settings.destination.shown}: the server lists nothing in the folder`,
  );
}

/** The folder above one at a server, and its name there; undefined for the topmost one. */
export function placeThere(
  folder: string,
): { readonly parent: string; readonly name: string } | undefined {
  const [, parent = '', name] = /^(.*?)([^/]+)\/*$/.exec(folder) ?? [];
  if (name === undefined || name === '.' || name === '..') return undefined;
  return { parent: parent === '' ? './' : parent, name };
}

/**
 * Whether the parent folder can be listed and this folder is not in it. Not every server says why
 * it fails.
 */
async function isAbsentInParent(job: PushJob, destination: string): Promise<boolean> {
  const place = placeThere(destination);
  if (place === undefined) return false;
  try {
    const siblings = await folderThere(job, place.parent).children();
    return siblings.every(({ path }) => Buffer.from(path).toString() !== place.name);
  } catch (error) {
    if (error instanceof EcsyncError && !(error instanceof InterruptedError)) return false;
    throw error;
  }
}

async function isContent(file: OpenFile, expected: Uint8Array): Promise<boolean> {
  try {
    const bytes = await file.read(0, expected.length);
    return file.size === expected.length && Buffer.compare(bytes, expected) === 0;
  } finally {
    await file.close();
  }
}

export interface FolderThere {
  /** @throws as `RemoteFolders.root` */
  root(): Promise<FlistEntry>;
  /** @throws as {@link root}; {FileError | VanishedError} not all of it could be listed */
  children(): Promise<readonly FlistEntry[]>;
  open(entry: FlistEntry): Promise<OpenFile>;
}

/** A folder there. A partial list counts as an error, since it would not show what is missing. */
export function folderThere({ settings, context }: PushJob, path: string): FolderThere {
  const { remote, rsyncPath, timeoutSec, signal } = context;
  const { protocolMax } = settings;
  const problems: EcsyncError[] = [];
  const source = { remote, path, rsyncPath, timeoutSec, protocolMax, signal };
  const folder = new RemoteFolders(source, (_path, error) => problems.push(error));
  return {
    root: () => folder.root(),
    children: async () => {
      const children = await folder.children(await folder.root());
      const [problem] = problems;
      if (problem !== undefined) throw problem;
      return children;
    },
    open: (entry) => folder.open(entry),
  };
}

/** An entry for a root file that this view does not have, with content that no real one has. */
function unlikeAny({ uid, gid }: PushEntry, kind: RootFile): PushEntry {
  return {
    path: Buffer.from(ROOT_FILE_NAMES[kind]),
    mode: S_IFREG | 0o400,
    size: 1,
    mtimeSec: 0,
    mtimeNsec: 0,
    uid,
    gid,
    virtual: kind,
    bytes: Uint8Array.of(0),
  };
}
