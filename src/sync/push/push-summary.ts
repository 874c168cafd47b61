/** The summary of a completed push. */
import { showPath } from '../../tree/file-failure.ts';
import type { TooManyChanges } from './guards/change-limit.ts';
import { shownChangeLimit, shownLimit } from './guards/delete-limit.ts';
import { figuresOf, type PushJob } from './job/push-job.ts';
import type { PushSummary } from './source/push-settings.ts';
import type { PushEnd } from './guards/push-end.ts';

/** The figures of a completed push. */
export function summarise(job: PushJob, startedMs: number, end: PushEnd = {}): PushSummary {
  const { ledger } = job.context;
  const error = summaryError(job, end);
  return {
    exitCode: exitCode(ledger.exitCode(), end),
    ...figuresOf(job, startedMs),
    largest: ledger.largest,
    ...(error && { error }),
  };
}

function exitCode(
  ofBooks: 0 | 23 | 24,
  { tooManyChanges, overLimit, lostMounts, isSpent }: PushEnd,
): PushSummary['exitCode'] {
  if (tooManyChanges !== undefined) return 25;
  if (ofBooks === 23) return 23;
  if (overLimit !== undefined || lostMounts !== undefined) return 25;
  return isSpent === true ? 75 : ofBooks;
}

function summaryError(job: PushJob, end: PushEnd): PushSummary['error'] {
  const { settings, context } = job;
  const { failures, vanished, filesKept, keepsConf, cause } = context.ledger;
  const pushed = settings.dryRun ? 'would be pushed' : 'was pushed';
  if (end.tooManyChanges !== undefined) return changeLimitError(job, end.tooManyChanges);
  if (failures > 0 && cause !== undefined) {
    const { code, message, hint } = cause;
    return { code, message, ...(hint !== undefined && { hint }) };
  }
  if (failures > 0) {
    return {
      code: 'partial',
      message: `some files ${settings.dryRun ? 'cannot' : 'could not'} be read or stored; everything else ${pushed}`,
      hint: 'See the lines above, mend the cause, and push again.',
    };
  }
  if (filesKept > 0 || keepsConf) return keptError(job, end.ignoresUpdates === true);
  if (end.overLimit !== undefined) {
    return {
      code: 'delete-limit',
      message: `nothing was deleted: ${end.overLimit} objects would go, more than ${shownLimit(settings.maxDelete)}`,
      hint: 'Look with `ecsync plan --delete`, then push with a higher limit: --max-delete N or N%.',
    };
  }
  if (end.lostMounts !== undefined) return lostMountsError(job, end.lostMounts);
  if (end.isSpent === true) {
    return {
      code: 'max-bytes',
      message: `stopped after ${context.ledger.literalBytes} bytes of content, by --max-bytes`,
      hint: 'What was sent stays; the next push continues.',
    };
  }
  if (vanished > 0) {
    return {
      code: 'vanished',
      message: `some files vanished or changed while they were read; everything else ${pushed}`,
      hint: 'The next push sends them as they are then.',
    };
  }
  return undefined;
}

/** At most this many folders are named. */
const MOUNTS_NAMED_MAX = 5;

function lostMountsError(
  { settings }: PushJob,
  lostMounts: readonly string[],
): PushSummary['error'] {
  const named = lostMounts
    .slice(0, MOUNTS_NAMED_MAX)
    .map((key) => showPath(Buffer.from(key, 'latin1')));
  const more = lostMounts.length - named.length;
  const shown = named.join(', ') + (more > 0 ? ` and ${more} more` : '');
  const kept = settings.dryRun ? 'nothing would be deleted from' : 'nothing was deleted from';
  return {
    code: 'not-mounted',
    message: `${kept} ${shown}: a disk was mounted there at the last push, and none is now`,
    hint: 'Mount it and push again. To delete its content from the copy too, push once with --delete --forget-mounts.',
  };
}

function changeLimitError(
  { settings }: PushJob,
  { changed, total }: TooManyChanges,
): PushSummary['error'] {
  const { dryRun, maxChanged } = settings;
  const stopped = dryRun ? 'the push would stop' : 'nothing was sent or deleted';
  return {
    code: 'change-limit',
    message: `${stopped}: the content of ${changed} of ${total} files in the copy would be replaced, more than ${shownChangeLimit(maxChanged)}`,
    hint: 'Are the files here as they should be, and is it the right folder? Look with `ecsync plan`; if all is well, push once with --max-changed 100%.',
  };
}

function keptError({ context }: PushJob, ignoresUpdates: boolean): PushSummary['error'] {
  const { filesKept } = context.ledger;
  const older =
    filesKept === 0
      ? 'older gocryptfs.conf'
      : filesKept === 1
        ? 'older version of a file'
        : `older versions of ${filesKept} files`;
  if (ignoresUpdates) {
    return {
      code: 'updates-ignored',
      message: `the copy keeps the ${older}: the server lets this login only add`,
      hint: 'If that is meant (rrsync -no-overwrite), push with --append-only, or with append_only = true for this remote.',
    };
  }
  return {
    code: 'kept',
    message: `the copy keeps the ${older} (--append-only); everything new was pushed`,
    hint: 'To bring it up to date, push without --append-only by a login that may overwrite; or leave such files out with --exclude.',
  };
}
