/** Options of the runs of a push that two places must agree on. */
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import { beforeDeletions, beforeLinks } from './durable-order.ts';
import type { PushEntry, PushView } from '../source/push-entry.ts';
import { transferOptions, type PushJob } from './push-job.ts';
import type { LargePlace, PushState } from '../memory/push-state.ts';
import { tempDirSpellings } from './staging.ts';

/** Means that the server accepts no spelling of the temporary directory. */
export const NO_TEMP_DIR = -1;

/** The parts of a push that determine the options of its runs. */
export interface OptionsBasis extends Pick<PushJob, 'settings'> {
  readonly context: Pick<PushJob['context'], 'view' | 'destination'>;
  readonly moves?: PushJob['moves'];
  readonly snapshot?: PushJob['snapshot'];
}

/** What decides how the temporary directory is spelled, besides what the server accepts. */
export interface TempDirBasis {
  readonly context: Pick<PushJob['context'], 'destination'> & {
    readonly view: Pick<PushView, 'isEncrypted'>;
  };
}

/** The temporary directory as the server accepts it, if it does. */
export function tempDirOf(
  { context }: TempDirBasis,
  state: Pick<PushState, 'tempDirChoice'>,
): string | undefined {
  if (state.tempDirChoice === NO_TEMP_DIR || !context.view.isEncrypted) return undefined;
  return tempDirSpellings(context.destination)[state.tempDirChoice];
}

/** Options of the run that makes new folders with their staged dirivs. */
export function skeletonOptions(
  job: PushJob,
  state: PushState,
  fresh: readonly PushEntry[],
): TransferOptions {
  const tempDir = tempDirOf(job, state);
  return transferOptions(job.settings, {
    checksum: false,
    ...beforeLinks(job, state, fresh),
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
    xattrs: job.settings.xattrs,
    ...sparseOption(sparseAmong(job)),
    ...beforeDeletions(job, state, deleting),
    ...(tempDir !== undefined && { tempDir, ...linksFrom(tempDir, state.large) }),
  });
}

/**
 * Makes a server create holes. Only used for sparse files, since not every server is quick at it.
 */
export function sparseOption(files: readonly PushEntry[]): Pick<TransferOptions, 'sparse'> {
  return files.some(({ plain }) => plain?.isSparse === true) ? { sparse: true } : {};
}

/** Files that a push may send, as far as they are known, to find sparse ones. */
function sparseAmong({ moves, snapshot }: OptionsBasis): readonly PushEntry[] {
  const { fresh, changed, suspects = [] } = moves ?? {};
  const isKnown = fresh !== undefined && changed !== undefined;
  return isKnown ? [...fresh, ...changed, ...suspects] : (snapshot?.entries ?? []);
}

/** Links large files that were received already to their names. */
export function linksFrom(
  tempDir: string,
  place: LargePlace | undefined,
): Pick<TransferOptions, 'linkDest'> {
  return place?.isLinking === true ? { linkDest: `${tempDir}/${largeFolder(place)}` } : {};
}

/** Name of the folder in the temporary directory in which large files grow. */
export function largeFolder({ token }: LargePlace): string {
  return `large-${token}`;
}

/** Options of a run that deletes by its rules, and neither makes nor changes anything. */
export function deletingOptions({ settings }: Pick<PushJob, 'settings'>): TransferOptions {
  return transferOptions(settings, {
    checksum: false,
    deleteAfter: true,
    existing: true,
    ignoreExisting: true,
  });
}
