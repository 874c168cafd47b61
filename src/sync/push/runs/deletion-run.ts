/**
 * The runs that only delete: making room, pruning folders, and emptying the temporary directory.
 */
import { EcsyncError, ExitCode, InterruptedError } from '../../../errors.ts';
import { pathKey } from '../../../bytes/paths.ts';
import { pruneRules, roomRules, sweepRules } from '../job/deletion.ts';
import type { Findings } from '../job/findings.ts';
import {
  accept,
  isTooLargeForBlockSize,
  type PushJob,
  shownPath,
  transferOptions,
} from '../job/push-job.ts';
import { answersWithheld, askOrRefuse, tellsDeletions } from '../job/question.ts';
import { runRsync } from '../job/rsync-run.ts';
import { contentOptions, deletingOptions } from '../job/run-options.ts';
import { tempDirEntry, withTempDir } from '../job/staging.ts';
import {
  contentListeners,
  deletionListeners,
  type Memory,
  reportMessage,
} from '../job/transfer-state.ts';

/**
 * Content that the first pass should have deleted and could not, found as what the second pass
 * would delete.
 *
 * @throws {RemoteError} `answers-withheld` — then nothing more may be deleted
 */
async function undeletedContent(job: PushJob): Promise<string[]> {
  const remaining: string[] = [];
  let told = 0;
  const unknown = { what: 'what could not be deleted' };
  const answer = await askOrRefuse(
    job,
    {
      entries: withTempDir(job.snapshot.entries, job.context.view),
      options: { deleteAfter: true },
      rules: pruneRules(job.scope),
      onDeleted: (path, isDir) => {
        told++;
        if (!isDir && !shownPath(job, path).virtual) remaining.push(pathKey(path));
      },
    },
    unknown,
  );
  if (told > 0 || (await tellsDeletions(job))) return remaining;
  throw answersWithheld(job, unknown, answer.outcome.protocol);
}

/**
 * Only deletes gone content, after the destination had no room for new content. Keeps what folders
 * need to be readable, and everything that may be missing under its new name.
 *
 * @returns whether something was deleted
 * @throws {ConnectionError | ProtocolError | InterruptedError | RemoteError} the conversation broke
 */
export async function makeRoom(job: PushJob, findings: Findings): Promise<boolean> {
  const { ledger } = job.context;
  const rules = roomRules(job.scope, job.moves.left);
  if (rules === undefined) return false;
  const deletedBefore = ledger.filesDeleted;
  const outcome = await runRsync(job.context, {
    ...deletionListeners(job, findings, () => undefined),
    entries: withTempDir(job.snapshot.entries, job.context.view),
    options: deletingOptions(job),
    rules,
  });
  // The pass after the content run reports undeletable objects.
  if (outcome.protocol === undefined || outcome.exitCode !== ExitCode.partial) accept(job, outcome);
  const deleted = ledger.filesDeleted - deletedBefore;
  if (deleted === 0) return false;
  ledger.note(
    'made-room',
    `the destination was full: ${deleted} objects that are no longer in the folder were deleted first, to make room`,
  );
  return true;
}

/** The second deletion pass: emptied folders, orphaned `.name` files, staged copies. */
export async function prune(job: PushJob, memory: Memory, findings: Findings): Promise<void> {
  job.progress.enter('delete');
  const remaining = findings.isUndeletable ? await undeletedContent(job) : [];
  const outcome = await runRsync(job.context, {
    ...contentListeners(job, findings),
    ...deletionListeners(job, findings, (...message) => reportMessage(job, ...message)),
    entries: withTempDir(job.snapshot.entries, job.context.view),
    options: contentOptions(job, memory.state, true),
    rules: pruneRules(job.scope, remaining),
    decline: (entry) => isTooLargeForBlockSize(entry, job.settings),
  });
  accept(job, outcome);
  memory.state.prunePending = false;
}

/**
 * Ignores the failure of a cleanup run, which loses no data. Only an interruption ends the push.
 */
async function tolerating(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (error instanceof InterruptedError || !(error instanceof EcsyncError)) throw error;
  }
}

/**
 * Empties the temporary directory if nothing else did.
 *
 * @throws {InterruptedError} `interrupted`
 */
export async function sweep(job: PushJob): Promise<void> {
  const [root] = job.snapshot.entries;
  if (root === undefined) return;
  const run = runRsync(job.context, {
    entries: [root, tempDirEntry(root)],
    options: transferOptions(job.settings, { deleteAfter: true, checksum: false }),
    rules: sweepRules(),
  });
  await tolerating(run);
}
