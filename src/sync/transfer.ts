import type { TransferOptions } from '../rsync/options.ts';
import { isRegularFile } from '../tree/entry.ts';
import { sendApart, sendContent } from './content-run.ts';
import { deletionTerms } from './delete-limit.ts';
import { prune, sweep } from './deletion-run.ts';
import { moveFiles } from './moves-links.ts';
import { decideDeletion, refuseOtherVault } from './preflight.ts';
import type { PushJob } from './push-job.ts';
import { emptyState, type PushState } from './push-state.ts';
import { afterMoves, recentFiles, staleSuspects } from './racy.ts';
import { contentOptions } from './run-options.ts';
import { isStructural, knownKey } from './skeleton.ts';
import { buildMirror, buildSkeleton } from './skeleton-run.ts';
import type { Findings, Memory } from './transfer-books.ts';

/**
 * Brings the destination up to date in an order in which every prefix is a tree stock gocryptfs
 * calls clean: the skeleton first, then content, then deletions (content before `.name` before
 * diriv before the folder). When nothing structural changed it is a single rsync run. A mirror needs
 * no such order: only its marker comes first.
 *
 * @returns how many deletions were withheld by the limit, if any
 */
export async function transfer(
  job: PushJob,
  remembered: PushState | undefined,
  save: (state: PushState) => void,
): Promise<{ overLimit?: number }> {
  const state = remembered ?? emptyState();
  const memory: Memory = { state, save: () => save(state) };
  const findings: Findings = {
    staged: false,
    pruneNeeded: state.prunePending,
    undeletable: false,
    deleting: false,
    tooLarge: new Set(),
    sent: new Set(),
    changed: new Set(),
  };
  if (remembered === undefined) await refuseOtherVault(job);
  const { deleting, overLimit } = await decideDeletion(job, state);
  findings.deleting = deleting;
  if (deleting) state.foreignChecked = true;
  await found(job, memory, findings);
  const next = (): TransferOptions => contentOptions(job, state, deleting);
  if (await moveFiles(job, state, next)) findings.staged = true;
  if (!(await sendContent(job, memory, findings))) {
    state.known.clear();
    state.tempDirChoice = 0;
    await found(job, memory, findings);
    await sendContent(job, memory, findings);
  }
  await sendApart(job, memory, findings, { files: findings.tooLarge, noBlockSize: true });
  const racy = afterMoves(state.racy, job.moves);
  const suspects = staleSuspects(job.snapshot.entries, racy, findings.sent);
  for (const file of job.moves.suspects) if (!findings.sent.has(file)) suspects.add(file);
  await sendApart(job, memory, findings, { files: suspects, ignoreTimes: true });
  if (!job.context.view.isEncrypted) findings.pruneNeeded = false;
  if (findings.deleting && findings.pruneNeeded) await prune(job, memory, findings);
  else if (findings.staged) await sweep(job);
  if (findings.deleting && !findings.pruneNeeded) state.prunePending = false;
  remember(job, memory, findings);
  return overLimit === undefined ? {} : { overLimit };
}

/** Puts in place what has to be there before any content. */
function found(job: PushJob, memory: Memory, findings: Findings): Promise<void> {
  return job.context.view.isEncrypted
    ? buildSkeleton(job, memory, findings)
    : buildMirror(job, memory);
}

/** Writes down what the next push may rely on. */
function remember(job: PushJob, memory: Memory, findings: Findings): void {
  const { state } = memory;
  const isAllDeleted = findings.deleting && job.context.ledger.failures === 0;
  const isWhole = job.settings.paths.length === 0;
  state.deletedUnder = isAllDeleted && isWhole ? deletionTerms(job.settings) : undefined;
  if (findings.deleting && job.settings.paths.length === 0) {
    const present = new Set(job.snapshot.entries.filter(isStructural).map(knownKey));
    for (const key of state.known) if (!present.has(key)) state.known.delete(key);
  }
  state.racy = recentFiles(
    job.snapshot.entries.filter((entry) => isRegularFile(entry) && entry.plain !== undefined),
    job.snapshot.startedMs,
    findings.changed,
  );
  memory.save();
}
