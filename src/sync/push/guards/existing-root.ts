/**
 * Preserves the root of a copy that existed before its first push. It belongs to somebody, and may
 * be the home folder of the login, so its mode and owner must not change. A list needs its root for
 * times and deletions, so the root is listed with its existing mode and owner. These are read once
 * and remembered.
 */
import { ConnectionError, EcsyncError, InterruptedError, VaultError } from '../../../errors.ts';
import { folderStats } from '../../../tree/local/glance.ts';
import { S_IFDIR, type Draft, type Entry } from '../../../tree/entry.ts';
import { isNew, changedAttributes } from '../job/itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { accept, type PushJob } from '../job/push-job.ts';
import type { RootAttributes, RootThere } from '../memory/push-state.ts';
import { ask } from '../job/question.ts';
import { folderThere } from './root-files.ts';
import type { Snapshot } from '../source/snapshot.ts';
import type { Destination } from '../../../vault/destination/destination.ts';

const PERMISSION_BITS = 0o7777;

/** A destination's folder, and its direct children. */
export interface ListedRoot {
  readonly attributes: RootAttributes;
  readonly children: readonly Entry[];
}

/** @returns undefined if this login may not list it */
export async function listRoot(job: PushJob): Promise<ListedRoot | undefined> {
  const folder = folderThere(job, job.context.destination);
  try {
    const children = await folder.children();
    return { attributes: attributesOf(await folder.root()), children };
  } catch (error) {
    const isLost = error instanceof InterruptedError || error instanceof ConnectionError;
    if (isLost || !(error instanceof EcsyncError)) throw error;
    return undefined;
  }
}

export function attributesOf({ mode, uid, gid }: RootAttributes): RootAttributes {
  return { mode: mode & PERMISSION_BITS, uid, gid };
}

/** The root as it is known without asking. A folder of this machine can be examined directly. */
export function rootNow(
  destination: Destination,
  remembered: RootThere | undefined,
): RootThere | undefined {
  if (destination.kind !== 'local' || remembered === 'made') return remembered;
  try {
    const stats = folderStats(destination.path);
    return stats && attributesOf(stats);
  } catch {
    return remembered; // the write that follows reports why
  }
}

/** The snapshot with its root as it exists there. */
export function withRoot(snapshot: Snapshot, there: RootThere | undefined): Snapshot {
  const [root] = snapshot.entries;
  if (root === undefined || there === undefined || there === 'made') return snapshot;
  return { ...snapshot, entries: snapshot.entries.with(0, likeThere(root, there)) };
}

function likeThere(root: PushEntry, { mode, uid, gid }: RootAttributes): PushEntry {
  const { path, size, mtimeSec, mtimeNsec, plain, xattrs, contentUnknown } = root;
  const like: Draft<PushEntry> = {
    path,
    mode: S_IFDIR | mode,
    size,
    mtimeSec,
    mtimeNsec,
    uid,
    gid,
  };
  if (plain !== undefined) like.plain = plain;
  if (xattrs !== undefined) like.xattrs = xattrs;
  if (contentUnknown !== undefined) like.contentUnknown = contentUnknown;
  return like;
}

/**
 * Makes a job list the root as it exists there.
 *
 * @param listed - if it was read already
 * @throws {VaultError} `root-unknown` — it differs, and this login may not read its attributes
 */
export async function keepRoot(job: PushJob, listed?: ListedRoot): Promise<PushJob> {
  if (job.root !== undefined) return job;
  const root =
    (listed ?? (await listRoot(job)))?.attributes ?? (await guessRoot(job, usualRoots(job)));
  return { ...job, root, snapshot: withRoot(job.snapshot, root) };
}

/** The usual modes of folders, which a login that may only write can test. */
const USUAL_MODES = [
  0o755, 0o700, 0o750, 0o770, 0o775, 0o711, 0o710, 0o751, 0o777, 0o2755, 0o2770, 0o2775, 0o2750,
  0o2700, 0o1777,
];

function* usualRoots({ snapshot }: PushJob): Generator<RootAttributes> {
  const [root] = snapshot.entries;
  if (root === undefined) return;
  const own = attributesOf(root);
  yield own;
  for (const mode of USUAL_MODES) if (mode !== own.mode) yield { ...own, mode };
}

/** Asks whether the root has one of these modes, until one matches. */
async function guessRoot(
  job: PushJob,
  candidates: Iterable<RootAttributes>,
): Promise<RootAttributes | undefined> {
  const [root] = job.snapshot.entries;
  if (root === undefined) return undefined;
  const { settings } = job;
  for (const candidate of candidates) {
    const differing = await differencesOf(job, likeThere(root, candidate));
    if (differing === undefined) return undefined;
    // If a server does not reveal owners to a login, the login cannot change them either.
    if (!differing.includes('permissions')) return candidate;
  }
  throw new VaultError(
    'root-unknown',
    `${settings.destination.shown}: this login may not read what permissions the folder has, so they would not stay as they are`,
    { hint: 'Give it usual ones there (chmod 700), or push with --no-perms.' },
  );
}

/** @returns undefined if there is no such folder, or the server does not tell */
async function differencesOf(
  job: PushJob,
  root: PushEntry,
): Promise<readonly string[] | undefined> {
  let differing: readonly string[] | undefined = [];
  const answer = await ask(job, {
    entries: [root],
    options: { checksum: false },
    onItem: (entry, iflags) => {
      if (entry === root) differing = isNew(iflags) ? undefined : changedAttributes(iflags);
    },
  });
  accept(job, answer.outcome);
  return answer.isAnswered && answer.hasItemRecords ? differing : undefined;
}
