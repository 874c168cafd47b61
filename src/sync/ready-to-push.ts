import { keepWhatIsThere } from './append-only.ts';
import { findTooManyChanges, type TooManyChanges } from './change-limit.ts';
import { refuseOtherVault } from './preflight.ts';
import type { PushJob } from './push-job.ts';
import type { PushState } from './push-state.ts';

/** A push that may begin. */
export interface ReadyJob {
  readonly job: PushJob;
  /** Then nothing may be sent. */
  readonly tooManyChanges?: TooManyChanges;
}

/**
 * Everything that has to be known before something is sent: whose copy is there, what of it must stay,
 * and that not too much of it would be replaced.
 *
 * @param remembered - of the destination; absent: no push has been there yet
 * @throws as `refuseOtherVault` and `accept`
 */
export async function readyToPush(
  job: PushJob,
  remembered: PushState | undefined,
): Promise<ReadyJob> {
  const standing = remembered === undefined ? await refuseOtherVault(job) : 'copy';
  if (standing !== 'copy') return { job: { ...job, isNewFolder: standing === 'no folder' } };
  if (job.settings.appendOnly === true) return { job: await keepWhatIsThere(job, remembered) };
  const tooManyChanges = await findTooManyChanges(job);
  return tooManyChanges === undefined ? { job } : { job, tooManyChanges };
}
