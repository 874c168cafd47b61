/** Runs all checks before a push sends anything. */
import { preserveExisting } from './append-only.ts';
import { findTooManyChanges, type TooManyChanges } from './change-limit.ts';
import { guarded } from './copy-presence.ts';
import { refuseOtherVault, type Standing } from './preflight.ts';
import { isScratch, type PushJob } from '../job/push-job.ts';
import { isFounded, type PushState } from '../memory/push-state.ts';
import { isRootFileName } from '../../../sync/copy/root-file-names.ts';
import { keepRoot } from './existing-root.ts';
import { pathKey } from '../../../bytes/paths.ts';

/** A push that may begin. */
export interface ReadyJob {
  readonly job: PushJob;
  /** There is no copy at the destination yet. */
  readonly isFounding?: boolean;
  /** If set, nothing may be sent. */
  readonly tooManyChanges?: TooManyChanges;
}

/**
 * Runs all checks before anything is sent: whose copy is there, what of it must stay, and that not
 * too much of it would be replaced.
 *
 * @param remembered - state of the destination; absent, or without known objects: no push has
 *   founded the copy yet
 * @throws as `refuseOtherVault` and `accept`
 */
export async function readyToPush(
  asked: PushJob,
  remembered: PushState | undefined,
): Promise<ReadyJob> {
  if (isFounded(remembered)) return readyToGoOn(await keepRoot(guarded(asked)), remembered);
  const standing = await refuseOtherVault(asked);
  const job = await withRootOf(asked, standing);
  if (standing.what === 'copy') return readyToGoOn(job, remembered);
  return { job: { ...job, isNewFolder: standing.what === 'no folder' }, isFounding: true };
}

/** A push into an existing copy. */
async function readyToGoOn(job: PushJob, remembered: PushState | undefined): Promise<ReadyJob> {
  if (job.settings.appendOnly) return { job: await preserveExisting(job, remembered) };
  const tooManyChanges = await findTooManyChanges(job);
  return tooManyChanges === undefined ? { job } : { job, tooManyChanges };
}

/** The job with what is known of the root. */
function withRootOf(job: PushJob, { what, listed }: Standing): Promise<PushJob> | PushJob {
  if (what === 'no folder') return { ...job, root: 'made' };
  // If the folder is not empty, an interrupted first push has made the root.
  const isEmpty = listed?.children.every(
    ({ path }) => !isScratch(path) && !isRootFileName(pathKey(path)),
  );
  const isLost = job.root === 'made' && isEmpty === true;
  return keepRoot(isLost ? { ...job, root: undefined } : job, listed);
}
