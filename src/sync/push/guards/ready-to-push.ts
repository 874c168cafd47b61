/** Everything that has to be known before a push sends anything. */
import { keepWhatIsThere } from './append-only.ts';
import { findTooManyChanges, type TooManyChanges } from './change-limit.ts';
import { guarded } from './copy-there.ts';
import { refuseOtherVault, type Standing } from './preflight.ts';
import { isScratch, type PushJob } from '../job/push-job.ts';
import { isFounded, type PushState } from '../memory/push-state.ts';
import { isRootFileName } from './root-files.ts';
import { keepRoot } from './root-there.ts';
import { pathKey } from '../../../bytes/paths.ts';

/** A push that may begin. */
export interface ReadyJob {
  readonly job: PushJob;
  /** There is no copy at the destination yet. */
  readonly isFounding?: boolean;
  /** Then nothing may be sent. */
  readonly tooManyChanges?: TooManyChanges;
}

/**
 * Everything that has to be known before something is sent: whose copy is there, what of it must stay,
 * and that not too much of it would be replaced.
 *
 * @param remembered - of the destination; absent, or without anything known to be stored: no push
 *   has founded the copy yet
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

/** A push into a copy that is there. */
async function readyToGoOn(job: PushJob, remembered: PushState | undefined): Promise<ReadyJob> {
  if (job.settings.appendOnly) return { job: await keepWhatIsThere(job, remembered) };
  const tooManyChanges = await findTooManyChanges(job);
  return tooManyChanges === undefined ? { job } : { job, tooManyChanges };
}

/** The job with what is known by now of the root. */
function withRootOf(job: PushJob, { what, listed }: Standing): Promise<PushJob> | PushJob {
  if (what === 'no folder') return { ...job, root: 'made' };
  // A first push that was cut off has made the root, if something of it is there.
  const isEmpty = listed?.children.every(
    ({ path }) => !isScratch(path) && !isRootFileName(pathKey(path)),
  );
  const isLost = job.root === 'made' && isEmpty === true;
  return keepRoot(isLost ? { ...job, root: undefined } : job, listed);
}
