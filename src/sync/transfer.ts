import { FileError } from '../errors.ts';
import { ignoresUpdates } from './append-only.ts';
import type { TransferOptions } from '../rsync/options.ts';
import { sendApart, sendContent } from './content-run.ts';
import { deletionTerms } from './delete-limit.ts';
import { makeRoom, prune, sweep } from './deletion-run.ts';
import { moveFiles } from './moves-links.ts';
import { decideDeletion } from './preflight.ts';
import type { PushEntry } from './push-entry.ts';
import type { PushJob } from './push-job.ts';
import { emptyState, type PushState } from './push-state.ts';
import type { PushEnd } from './push-summary.ts';
import { afterMoves, doubtfulFiles, recentFiles, staleSuspects } from './racy.ts';
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
 * @param remembered - absent: no push has been there yet, as `readyToPush` has made sure
 * @returns what was left undone
 */
export async function transfer(
  job: PushJob,
  remembered: PushState | undefined,
  save: (state: PushState) => void,
): Promise<PushEnd> {
  const state = remembered ?? emptyState();
  const memory: Memory = { state, save: () => save(state) };
  const { deleting, overLimit } = await decideDeletion(job, state);
  const findings = newFindings(job, state);
  if (deleting) state.foreignChecked = true;
  // What may stay unsent must not be deleted under its old name.
  findings.deleting = deleting && (job.settings.maxBytes ?? Infinity) === Infinity;
  await bringContent(job, memory, findings).catch(async (error: unknown) => {
    if (!deleting || !isDiskFull(error) || !(await makeRoom(job, findings))) throw error;
    await bringContent(job, memory, findings);
  });
  await sendApart(job, memory, findings, { files: findings.tooLarge, noBlockSize: true });
  const suspects = suspectsOf(job, state, findings);
  await sendApart(job, memory, findings, { files: suspects, ignoreTimes: true });
  if (deleting && !findings.deleting && !findings.isSpent) {
    findings.deleting = true;
    await sendContent(job, memory, findings);
  }
  if (!job.context.view.isEncrypted) findings.pruneNeeded = false;
  if (findings.deleting && findings.pruneNeeded) await prune(job, memory, findings);
  else if (findings.staged) await sweep(job);
  if (findings.deleting && !findings.pruneNeeded) state.prunePending = false;
  remember(job, memory, findings, withoutSent(suspects, findings.sent));
  return {
    ...(overLimit !== undefined && { overLimit }),
    isSpent: findings.isSpent,
    ignoresUpdates: await ignoresUpdates(job, findings.unasked),
  };
}

/** Puts in place what has to be there before any content. */
function found(job: PushJob, memory: Memory, findings: Findings): Promise<void> {
  return job.context.view.isEncrypted
    ? buildSkeleton(job, memory, findings)
    : buildMirror(job, memory);
}

function newFindings({ moves }: PushJob, { prunePending }: PushState): Findings {
  return {
    staged: false,
    pruneNeeded: prunePending,
    undeletable: false,
    deleting: false,
    tooLarge: new Set(),
    isSpent: false,
    unasked: new Set(moves.changed),
    sent: new Set(),
    changed: new Set(),
  };
}

/** Everything up to the content, and with it the first deletion pass. */
async function bringContent(job: PushJob, memory: Memory, findings: Findings): Promise<void> {
  const { state } = memory;
  await found(job, memory, findings);
  const next = (): TransferOptions => contentOptions(job, state, findings.deleting);
  if (await moveFiles(job, state, next)) findings.staged = true;
  if (await sendContent(job, memory, findings)) return;
  state.known.clear();
  state.tempDirChoice = 0;
  await found(job, memory, findings);
  await sendContent(job, memory, findings);
}

function isDiskFull(error: unknown): boolean {
  return error instanceof FileError && error.code === 'remote-disk-full';
}

/** Files that rsync takes for what the destination has, though they may have changed since. */
function suspectsOf(job: PushJob, state: PushState, { sent }: Findings): Set<PushEntry> {
  // What is there was compared by content before.
  if (job.settings.appendOnly === true) return new Set();
  const racy = afterMoves(state.racy, job.moves);
  const suspects = staleSuspects(job.snapshot.entries, racy, sent);
  for (const file of job.moves.suspects) if (!sent.has(file)) suspects.add(file);
  return suspects;
}

/** One name of a file is as good as another. */
function withoutSent(
  files: ReadonlySet<PushEntry>,
  sent: ReadonlySet<PushEntry>,
): readonly PushEntry[] {
  if (files.size === 0) return [];
  const groups = new Set([...sent].flatMap(({ linkGroup }) => linkGroup ?? []));
  return [...files].filter(
    (file) => !sent.has(file) && (file.linkGroup === undefined || !groups.has(file.linkGroup)),
  );
}

/** Writes down what the next push may rely on, and what it has to look at again. */
function remember(
  job: PushJob,
  memory: Memory,
  findings: Findings,
  unsent: readonly PushEntry[],
): void {
  const { state } = memory;
  const isAllDeleted = findings.deleting && job.context.ledger.failures === 0;
  const isWhole = job.settings.paths.length === 0;
  state.deletedUnder = isAllDeleted && isWhole ? deletionTerms(job.settings) : undefined;
  if (findings.deleting && job.settings.paths.length === 0) {
    const present = new Set(job.snapshot.entries.filter(isStructural).map(knownKey));
    for (const key of state.known) if (!present.has(key)) state.known.delete(key);
  }
  const recent = recentFiles(job.snapshot.entries, job.snapshot.startedMs, findings.changed);
  state.racy = [...recent, ...doubtfulFiles(unsent), ...doubtfulFiles(job.unsettled ?? [])];
  memory.save();
}
