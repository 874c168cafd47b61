/** What the runs of a push ask of the server, where two places must say the same. */
import type { TransferOptions } from '../rsync/options.ts';
import { transferOptions, type PushJob } from './push-job.ts';
import type { PushState } from './push-state.ts';
import { tempDirSpellings } from './staging.ts';

/** The choice that means: no spelling of the temporary directory is accepted here. */
export const NO_TEMP_DIR = -1;

/** What of a push the options of its runs follow from. */
export interface OptionsBasis extends Pick<PushJob, 'settings'> {
  readonly context: Pick<PushJob['context'], 'view' | 'destination'>;
}

/** The temporary directory as the server accepts it, if it does. */
export function tempDirOf(job: OptionsBasis, state: PushState): string | undefined {
  if (state.tempDirChoice === NO_TEMP_DIR || !job.context.view.isEncrypted) return undefined;
  return tempDirSpellings(job.context.destination)[state.tempDirChoice];
}

/** Options of the run that makes new folders, with the dirivs that are staged for them. */
export function skeletonOptions(job: PushJob, state: PushState): TransferOptions {
  const tempDir = tempDirOf(job, state);
  return transferOptions(job.settings, {
    checksum: false,
    ...(tempDir !== undefined && { tempDir, linkDest: tempDir }),
  });
}

/** Options of the content run, and of the deletion pass after it. */
export function contentOptions(
  job: OptionsBasis,
  state: PushState,
  deleting: boolean,
): TransferOptions {
  const tempDir = tempDirOf(job, state);
  return transferOptions(job.settings, {
    deleteAfter: deleting,
    xattrs: job.settings.xattrs === true,
    ...(tempDir !== undefined && { tempDir }),
  });
}
