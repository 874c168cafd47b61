/** The order of the runs of a push, in which every prefix leaves a clean copy. */
import { EcsyncError, FileError } from '../../../errors.ts';
import { ignoresUpdates } from '../guards/append-only.ts';
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import { sendApart, sendContent } from './content-run.ts';
import { isProtected } from '../job/deletion.ts';
import { Findings, type DeletionTime } from '../job/findings.ts';
import { makeRoom, prune, sweep } from './deletion-run.ts';
import { makesFolders, removeHalfFolders } from './half-folders.ts';
import { learnWhatIsKept } from './kept-attributes.ts';
import { afterLinks, sendLarge } from './large-files.ts';
import { moveFiles } from './moves-links.ts';
import { decideDeletion } from '../guards/preflight.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { isTooLargeForBlockSize, type PushJob } from '../job/push-job.ts';
import { emptyState, type PushState, type RacyFile } from '../memory/push-state.ts';
import { doubtfulFiles, recentFiles, undecidedFiles, unlistedFiles } from '../memory/racy.ts';
import { isStructural, knownKey, rootIVOf } from '../source/skeleton.ts';
import { buildMirror, buildSkeleton } from './skeleton-run.ts';
import type { Memory } from '../job/transfer-state.ts';
import { markBegun, markEnded, selectionTerms, type UnfinishedMark } from '../memory/unfinished.ts';
import { isAtOrBelowAny, pathKey } from '../../../bytes/paths.ts';
import { suspectsOf } from './suspects.ts';
import { reportUnstored } from './unstored-kinds.ts';
import { deletionTerms } from '../source/deletion-terms.ts';
import type { PushEnd } from '../guards/push-end.ts';

/**
 * Updates the destination in an order in which every prefix leaves a tree that stock gocryptfs
 * calls clean: first the skeleton, then content, then deletions (content before `.name` before
 * diriv before the folder). Without structural changes it is a single rsync run. A mirror needs no
 * such order, only its marker comes first.
 *
 * @param remembered - absent: no push has been there yet, as `readyToPush` has verified
 * @returns what was left undone
 */
export async function transfer(
  job: PushJob,
  remembered: PushState | undefined,
  save: (state: PushState) => void,
): Promise<PushEnd> {
  const state = remembered ?? emptyState();
  state.root = job.root;
  const memory: Memory = { state, save: () => save(state) };
  const { deleting, ...decided } = await decideDeletion(job, state);
  const findings = new Findings({
    state,
    changed: job.moves.changed,
    deletion: deletionTime(job, deleting),
    isCopyConfirmed: remembered === undefined,
  });
  if (deleting) state.foreignChecked = true;
  const { unfinished } = state;
  const { startedMs } = job.snapshot;
  state.unfinished = markBegun(unfinished, { startedMs, terms: selectionTerms(job.settings) });
  state.mounts = [...job.mounts.mounted, ...job.mounts.lost];
  state.sweepPending = job.context.view.isEncrypted;
  if (makesFolders(job, state)) state.halfFolders = true;
  memory.save();
  try {
    const unsent = await bringEverything(job, memory, { findings, deleting, unfinished });
    if (findings.isDeleting && decided.lostMounts === undefined) {
      state.mounts = [...job.mounts.mounted, ...outOfSight(job)];
    }
    remember(job, memory, { findings, unsent, unfinished });
    const { sent, otherTime } = findings;
    await learnAttributes(job, memory, { sent, otherTime, isFirst: remembered === undefined });
  } catch (error) {
    rememberCut(job, memory, { findings, unfinished });
    throw error;
  }
  await reportUnstored(job);
  return {
    ...decided,
    isSpent: findings.isSpent,
    ignoresUpdates: await ignoresUpdates(job, findings.unrequested),
  };
}

/** Everything is stored by then. If the server does not answer, the next push asks again. */
async function learnAttributes(
  job: PushJob,
  memory: Memory,
  push: Parameters<typeof learnWhatIsKept>[2],
): Promise<void> {
  const isNew = await learnWhatIsKept(job, memory.state, push).catch((error: unknown) => {
    if (!(error instanceof EcsyncError) || job.context.signal.aborted) throw error;
    return false;
  });
  if (isNew) memory.save();
}

/**
 * All runs of a push.
 *
 * @returns files whose content the destination may lack, although size and second are equal
 */
async function bringEverything(
  job: PushJob,
  memory: Memory,
  push: {
    readonly findings: Findings;
    readonly deleting: boolean;
    /** The mark of earlier pushes. */
    readonly unfinished: UnfinishedMark | undefined;
  },
): Promise<readonly PushEntry[]> {
  const { findings, deleting, unfinished } = push;
  const { state } = memory;
  await bringContent(job, memory, findings).catch(async (error: unknown) => {
    if (!deleting || !isDiskFull(error) || !(await makeRoom(job, findings))) throw error;
    await bringContent(job, memory, findings);
  });
  await sendApart(job, memory, findings, { files: findings.tooLarge, noBlockSize: true });
  if (findings.deletesLater) {
    findings.startDeleting();
    await sendContent(job, memory, findings);
  }
  const needsPrune = job.context.view.isEncrypted && findings.needsPrune;
  const prunes = findings.isDeleting && needsPrune;
  // This pass removes a folder that was in the way of a suspect.
  if (prunes && findings.isUndeletable) await prune(job, memory, findings);
  const suspects = suspectsOf(job, { racy: state.racy, unfinished }, findings);
  const isStored = await sendSuspects(job, memory, { findings, suspects });
  if (prunes && !findings.isUndeletable) await prune(job, memory, findings);
  else if (!prunes && findings.isStaged) await sweep(job);
  state.sweepPending = false;
  state.large = undefined;
  if (findings.isDeleting && !needsPrune) state.prunePending = false;
  if (findings.isDeleting) state.halfFolders = false;
  else if (findings.halfFolders) await removeHalfFolders(job, memory);
  return isStored ? withoutSent(suspects, findings.sent) : [...suspects];
}

/** @returns whether the server stored everything it was sent */
async function sendSuspects(
  job: PushJob,
  memory: Memory,
  push: { readonly findings: Findings; readonly suspects: ReadonlySet<PushEntry> },
): Promise<boolean> {
  const { findings, suspects } = push;
  const large = new Set([...suspects].filter((one) => isTooLargeForBlockSize(one, job.settings)));
  const others = large.size === 0 ? suspects : new Set([...suspects].filter((e) => !large.has(e)));
  const ignoreTimes = true;
  const areStored = await sendApart(job, memory, findings, { files: others, ignoreTimes });
  const run = { files: large, ignoreTimes, noBlockSize: true };
  return (await sendApart(job, memory, findings, run)) && areStored;
}

/** Creates what must exist before any content. */
function createStructure(job: PushJob, memory: Memory, findings: Findings): Promise<void> {
  return job.context.view.isEncrypted
    ? buildSkeleton(job, memory, findings)
    : buildMirror(job, memory);
}

/** What may stay unsent must not be deleted under its old name. */
function deletionTime({ settings }: PushJob, isAllowed: boolean): DeletionTime {
  if (!isAllowed) return 'never';
  return (settings.maxBytes ?? Infinity) === Infinity ? 'from-start' : 'at-end';
}

/** Everything up to the content, including the first deletion pass. */
async function bringContent(job: PushJob, memory: Memory, findings: Findings): Promise<void> {
  const { state } = memory;
  await createStructure(job, memory, findings);
  const next = (): TransferOptions | undefined => afterLinks(job, state, findings);
  const { linked, hasSteps } = await moveFiles(job, state, next);
  findings.noteLinked(linked);
  if (hasSteps) findings.noteStaged();
  await sendLarge(job, memory, findings);
  if (await sendContent(job, memory, findings)) return;
  state.known.clear();
  state.tempDirChoice = 0;
  await createStructure(job, memory, findings);
  await sendContent(job, memory, findings);
}

function isDiskFull(error: unknown): boolean {
  return error instanceof FileError && error.code === 'remote-disk-full';
}

/** Any one name of a hard-linked file is enough. */
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

/** Lost mount points outside of this push, of which the copy may have something. */
function outOfSight({ settings, scope, mounts }: PushJob): readonly string[] {
  if (settings.paths.length > 0) return mounts.lost;
  const { names, excluded } = scope;
  return mounts.lost.filter((_key, index) =>
    isProtected({ names, excluded, within: [] }, scope.unmounted?.[index] ?? ''),
  );
}

/** Saves what the next push may rely on, and what it must check again. */
function remember(
  job: PushJob,
  memory: Memory,
  push: {
    readonly findings: Findings;
    readonly unsent: readonly PushEntry[];
    readonly unfinished: UnfinishedMark | undefined;
  },
): void {
  const { findings, unsent, unfinished } = push;
  const { state } = memory;
  const { entries, startedMs } = job.snapshot;
  const isAllDeleted = findings.isDeleting && job.context.ledger.failures === 0;
  const isWhole = job.settings.paths.length === 0;
  if (job.snapshot.isPart !== true) state.rootIV = rootIVOf(entries);
  state.deletedUnder = isAllDeleted && isWhole ? deletionTerms(job.settings) : undefined;
  if (findings.isDeleting && job.settings.paths.length === 0) {
    const present = new Set(entries.filter(isStructural).map(knownKey));
    for (const key of state.known) if (!present.has(key)) state.known.delete(key);
  }
  state.racy = [
    ...unlistedFiles(state.racy, entries, maybeUnlisted(job)),
    ...recentFiles(entries, startedMs, findings.changed),
    ...doubtfulFiles(unsent),
    ...doubtfulFiles(job.unsettled ?? []),
  ];
  const isPart = job.snapshot.isPart === true;
  state.unfinished = isPart ? unfinished : markEnded(unfinished, selectionTerms(job.settings));
  memory.save();
}

/** Whether a file that this push does not list may still exist, and be pushed next time. */
function maybeUnlisted(job: PushJob): (file: RacyFile) => boolean {
  const { settings, snapshot, scope, context } = job;
  const isPart = settings.paths.length > 0 || snapshot.isPart === true;
  if (isPart || snapshot.incomplete) return () => true;
  const excluded = new Set(scope.excluded);
  return ({ path }) => {
    const cipherPath = context.view.cipherPath(Buffer.from(path, 'base64'));
    return isAtOrBelowAny(pathKey(cipherPath), excluded);
  };
}

/**
 * Saves the same after a failure, as far as it is known: which files may have been stored, and when
 * each was read. The mark of this push is no longer needed then.
 */
function rememberCut(
  job: PushJob,
  memory: Memory,
  push: { readonly findings: Findings; readonly unfinished: UnfinishedMark | undefined },
): void {
  const { findings, unfinished } = push;
  const { entries, startedMs } = job.snapshot;
  const { state } = memory;
  const { racy, unfinished: mark } = state;
  state.racy = [
    ...undecidedFiles(racy, entries),
    ...recentFiles(entries, startedMs, findings.changed),
    ...doubtfulFiles(job.moves.suspects),
    ...doubtfulFiles(job.unsettled ?? []),
  ];
  state.unfinished = unfinished;
  try {
    memory.save();
  } catch {
    // The mark still exists, so the next push checks more files than necessary.
    state.racy = racy;
    state.unfinished = mark;
  }
}
