/** Finds files that look unchanged to rsync but may have changed. */
import type { PushJob } from '../job/push-job.ts';
import { afterMoves, staleSuspects } from '../memory/racy.ts';
import type { PushState } from '../memory/push-state.ts';
import { filesInDoubt, selectionTerms } from '../memory/unfinished.ts';
import type { PushEntry } from '../source/push-entry.ts';

/**
 * Files of which size and second prove nothing. A push sends them again, and a plan asks about
 * them.
 *
 * @param done.sent - files that were sent or will be sent anyway
 * @param done.linked - moved files that were linked; absent: all will be
 */
export function suspectsOf(
  job: PushJob,
  basis: Pick<PushState, 'racy' | 'unfinished'>,
  {
    sent,
    linked,
  }: { readonly sent: ReadonlySet<PushEntry>; readonly linked?: ReadonlySet<PushEntry> },
): Set<PushEntry> {
  // Existing files were compared by content before.
  if (job.settings.appendOnly) return new Set();
  const { entries } = job.snapshot;
  const suspects = staleSuspects(entries, afterMoves(basis.racy, job.moves), sent);
  const inDoubt = filesInDoubt(entries, basis.unfinished, selectionTerms(job.settings));
  const unlinked = linked === undefined ? [] : unlinkedFiles(job, linked);
  for (const file of [...job.moves.suspects, ...unlinked, ...inDoubt]) {
    if (!sent.has(file)) suspects.add(file);
  }
  return suspects;
}

/**
 * Moved files that were not linked. If they are not sent either, the destination has a file that
 * looks the same under the new name: one that an earlier push left there, with another birth.
 */
function unlinkedFiles(
  { moves, snapshot }: PushJob,
  linked: ReadonlySet<PushEntry>,
): readonly PushEntry[] {
  if (moves.origins.size === 0) return [];
  const groups = new Set<number>();
  return snapshot.entries.filter((entry) => {
    const { linkGroup } = entry;
    // The other names of a group become links of the first.
    if (linkGroup !== undefined && groups.has(linkGroup)) return false;
    if (linkGroup !== undefined) groups.add(linkGroup);
    return moves.origins.has(entry) && !linked.has(entry);
  });
}
