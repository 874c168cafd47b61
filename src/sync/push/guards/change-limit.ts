/** Stops a push that would replace too much of a copy. */
import { isRegularFile } from '../../../tree/entry.ts';
import { compareWithCopy } from './comparison.ts';
import { changeLimit } from './delete-limit.ts';
import { isNew, isOtherSize, isTransfer } from '../job/itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushJob } from '../job/push-job.ts';
import { askOrRefuse, type Unknown } from '../job/question.ts';
import { withAncestors } from '../source/skeleton.ts';

/**
 * Guards against a push that replaces a good copy, because the files were encrypted or emptied by
 * something, or because it is another folder. The earlier push is remembered, so the server is only
 * asked if much has changed. Then it reports what would be replaced, and whether only times differ.
 */

/** More files would be replaced than allowed. */
export interface TooManyChanges {
  readonly changed: number;
  /** Files in the copy. */
  readonly total: number;
}

/**
 * @returns undefined if the limit is kept
 * @throws {RemoteError} `answers-withheld` — the number is unknown
 * @throws as `accept`
 */
export async function findTooManyChanges(job: PushJob): Promise<TooManyChanges | undefined> {
  const { snapshot, moves, settings } = job;
  const { maxChanged } = settings;
  if (typeof maxChanged === 'object' && maxChanged.percent >= 100) return undefined;
  const isFile = (entry: PushEntry): boolean => isRegularFile(entry) && entry.plain !== undefined;
  const candidates = moves.changed ?? snapshot.entries.filter(isFile);
  const before = moves.filesBefore ?? candidates.length;
  if (candidates.length <= changeLimit(maxChanged, before)) return undefined;
  const seen = await replacedFiles(job, new Set(candidates), settings.checksum);
  const total = moves.filesBefore ?? candidates.length - seen.absent;
  const limit = changeLimit(maxChanged, total);
  const sure = settings.checksum ? seen.replaced : seen.replaced.filter((one) => one.isOtherSize);
  let changed = sure.length;
  if (changed <= limit && seen.replaced.length > limit) {
    const surely = new Set(sure);
    const touched = seen.replaced.filter((one) => !surely.has(one)).map(({ entry }) => entry);
    changed += (await replacedFiles(job, new Set(touched), true)).replaced.length;
  }
  return changed > limit ? { changed, total } : undefined;
}

interface Replaced {
  readonly entry: PushEntry;
  readonly isOtherSize: boolean;
}

const REPLACEMENTS: Unknown = {
  what: 'how many files of the copy would be replaced',
  remedy: 'To push without this limit: --max-changed 100%.',
};

/** Asks the server which of these files it would replace. */
async function replacedFiles(
  job: PushJob,
  files: ReadonlySet<PushEntry>,
  checksum: boolean,
): Promise<{ readonly replaced: readonly Replaced[]; readonly absent: number }> {
  const replaced: Replaced[] = [];
  let absent = 0;
  const list = withAncestors(job.snapshot.entries, files);
  const answer = await askOrRefuse(
    job,
    {
      entries: list,
      options: { checksum },
      onItem: (entry, iflags) => {
        if (!files.has(entry) || !isTransfer(iflags)) return;
        if (isNew(iflags)) absent++;
        else replaced.push({ entry, isOtherSize: isOtherSize(iflags) });
      },
    },
    REPLACEMENTS,
  );
  if (answer.hasItemRecords) return { replaced, absent };
  const seen = await compareWithCopy(job, list, { checksum, unknown: REPLACEMENTS });
  const isAsked = (entry: PushEntry): boolean => files.has(entry);
  return {
    replaced: [...seen.differing].filter(isAsked).map((entry) => ({ entry, isOtherSize: false })),
    absent: [...seen.absent].filter(isAsked).length,
  };
}
