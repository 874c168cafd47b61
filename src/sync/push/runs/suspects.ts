/** Files that rsync takes for what the destination has, though they may have changed since. */
import type { PushJob } from '../job/push-job.ts';
import { afterMoves, staleSuspects } from '../memory/racy.ts';
import type { PushState } from '../memory/push-state.ts';
import { filesInDoubt, selectionTerms } from '../memory/unfinished.ts';
import type { PushEntry } from '../source/push-entry.ts';

/**
 * Files of which size and second prove nothing: a push sends them again, and a plan asks about them.
 *
 * @param basis.sent - what was sent, or is going to be, all the same
 */
export function suspectsOf(
  job: PushJob,
  basis: Pick<PushState, 'racy' | 'unfinished'>,
  sent: ReadonlySet<PushEntry>,
): Set<PushEntry> {
  // What is there was compared by content before.
  if (job.settings.appendOnly) return new Set();
  const { entries } = job.snapshot;
  const suspects = staleSuspects(entries, afterMoves(basis.racy, job.moves), sent);
  const inDoubt = filesInDoubt(entries, basis.unfinished, selectionTerms(job.settings));
  for (const file of [...job.moves.suspects, ...inDoubt]) if (!sent.has(file)) suspects.add(file);
  return suspects;
}
