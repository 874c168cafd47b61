/**
 * The root of a copy that was there before its first push. It is somebody's folder, maybe the home folder of
 * the login: mode and owner stay what they are. A list needs its root all the same, for times and deletions,
 * so it is listed with the mode and the owner that it has. These are read once, and remembered.
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

/** What a destination's folder is, and what lies directly in it. */
export interface ListedRoot {
  readonly attributes: RootAttributes;
  readonly children: readonly Entry[];
}

/** @returns undefined where this login may not list it */
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

/** What is known of a root before anybody is asked: a folder of this machine can be looked at. */
export function rootNow(
  destination: Destination,
  remembered: RootThere | undefined,
): RootThere | undefined {
  if (destination.kind !== 'local' || remembered === 'made') return remembered;
  try {
    const stats = folderStats(destination.path);
    return stats && attributesOf(stats);
  } catch {
    return remembered; // whoever writes there hears why
  }
}

/** The snapshot with its root as it is there. */
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
 * Makes a job list the root as it is there.
 *
 * @param listed - if somebody has read it already
 * @throws {VaultError} `root-unknown` — it differs, and this login may not read what it is
 */
export async function keepRoot(job: PushJob, listed?: ListedRoot): Promise<PushJob> {
  if (job.root !== undefined) return job;
  const root =
    (listed ?? (await listRoot(job)))?.attributes ?? (await guessRoot(job, usualRoots(job)));
  return { ...job, root, snapshot: withRoot(job.snapshot, root) };
}

/** What folders usually are, for logins that may write only: they can be asked whether it is so. */
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

/** Asks whether the root is so, until it is. */
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
    // What a server does not let a login know of owners it does not let it change.
    if (!differing.includes('permissions')) return candidate;
  }
  throw new VaultError(
    'root-unknown',
    `${settings.destination.shown}: this login may not read what permissions the folder has, so they would not stay as they are`,
    { hint: 'Give it usual ones there (chmod 700), or push with --no-perms.' },
  );
}

/** @returns undefined where there is no such folder, or nobody can tell */
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
  return answer.isHeard && answer.hasItemRecords ? differing : undefined;
}
