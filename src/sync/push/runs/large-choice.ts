/** Selects the files that are sent by way of the temporary directory. */
import { ITEM_RECORDS_SINCE } from '../../../rsync/wire/constants.ts';
import { isRegularFile } from '../../../tree/entry.ts';
import type { Findings } from '../job/findings.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushJob } from '../job/push-job.ts';
import { fitsWhenStaged } from '../job/staging.ts';

/** A file of at least this size continues where it was cut off. */
const LARGE_FILE_MIN = 8 * 1024 * 1024;

/** Random bytes in the name of the folder where they grow. */
export const LARGE_TOKEN_BYTES = 6;

/** The files that this push sends by way of the temporary directory. */
export function largeFiles(job: PushJob, { isResuming }: Findings): ReadonlySet<PushEntry> {
  const { settings, context, moves, snapshot } = job;
  // With plaintext names a mount would show the partial file.
  const isHidden = context.view.isEncrypted && !context.view.names.isPlain;
  if (!isHidden || settings.protocolMax < ITEM_RECORDS_SINCE) return new Set();
  const { fresh, changed } = moves;
  const isKnown = fresh !== undefined && changed !== undefined;
  const newer = isKnown && isResuming ? changed : [];
  const candidates = isKnown ? [...fresh, ...newer] : snapshot.entries;
  const large = new Set(candidates.filter(isLarge));
  if (large.size === 0) return large;
  // Files that are not listed in this push, or under another name, are excluded.
  const listed = snapshot.entries.filter((entry) => large.has(entry));
  return new Set(withoutFurtherNames(listed, snapshot.entries));
}

function isLarge(entry: PushEntry): boolean {
  return (
    isRegularFile(entry) &&
    entry.plain !== undefined &&
    entry.size >= LARGE_FILE_MIN &&
    fitsWhenStaged(entry, `large-${'0'.repeat(2 * LARGE_TOKEN_BYTES)}`)
  );
}

/** Keeps only the first name of each hard-linked file, if all names are new. */
function withoutFurtherNames(
  files: readonly PushEntry[],
  entries: readonly PushEntry[],
): readonly PushEntry[] {
  if (files.every(({ linkGroup }) => linkGroup === undefined)) return files;
  const names = (list: readonly PushEntry[]): Map<number, number> => {
    const counts = new Map<number, number>();
    for (const { linkGroup } of list) {
      if (linkGroup !== undefined) counts.set(linkGroup, (counts.get(linkGroup) ?? 0) + 1);
    }
    return counts;
  };
  const all = names(entries);
  const some = names(files);
  const seen = new Set<number>();
  return files.filter(({ linkGroup }) => {
    if (linkGroup === undefined) return true;
    if (seen.has(linkGroup) || all.get(linkGroup) !== some.get(linkGroup)) return false;
    seen.add(linkGroup);
    return true;
  });
}
