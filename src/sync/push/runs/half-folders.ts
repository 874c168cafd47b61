/**
 * Removes folders that a server was making or removing when it was killed. The protocol cannot make
 * or remove a folder together with its diriv, so a folder without one may be left, which stock
 * gocryptfs cannot list. A folder of the source gets its diriv from the next push. Any other would
 * stay until a push deletes.
 */
import { EcsyncError, InterruptedError } from '../../../errors.ts';
import { isDirectory } from '../../../tree/entry.ts';
import { parentKey, pathKey } from '../../../bytes/paths.ts';
import { halfFolderRules, pruneRules } from '../job/deletion.ts';
import { isScratch, type PushJob } from '../job/push-job.ts';
import type { PushState } from '../memory/push-state.ts';
import { ask } from '../job/question.ts';
import { deletingOptions } from '../job/run-options.ts';
import { runRsync } from '../job/rsync-run.ts';
import { newStructure } from '../source/skeleton.ts';
import { withTempDir } from '../job/staging.ts';
import type { Memory } from '../job/transfer-state.ts';

/** One killed server cannot leave more. */
const HALF_FOLDERS_MAX = 1000;

/** Whether a push makes folders that need a diriv. */
export function makesFolders(
  { context, snapshot }: Pick<PushJob, 'context' | 'snapshot'>,
  { known }: PushState,
): boolean {
  const { isEncrypted, names } = context.view;
  return isEncrypted && names.hasDirIVs && newStructure(snapshot.entries, known).some(isDirectory);
}

/**
 * Removes folders of the copy that are not in the source, and have neither a diriv nor any other
 * content. For a push without deletions, after an interrupted one.
 *
 * @throws {InterruptedError} `interrupted`; all other errors are left to a later push
 */
export async function removeHalfFolders(job: PushJob, { state }: Memory): Promise<void> {
  const { settings, snapshot } = job;
  const isPart = settings.paths.length > 0 || snapshot.isPart === true;
  if (isPart || snapshot.incomplete || settings.appendOnly) return;
  try {
    const found = await emptyFolders(job);
    if (found.size > 0 && found.size <= HALF_FOLDERS_MAX) await remove(job, found);
    state.halfFolders = false;
  } catch (error) {
    if (error instanceof InterruptedError || !(error instanceof EcsyncError)) throw error;
  }
}

/** @returns keys of cipher paths of empty folders that a deleting push would remove */
async function emptyFolders(job: PushJob): Promise<ReadonlySet<string>> {
  const empty = new Set<string>();
  const holding = new Set<string>();
  const answer = await ask(job, {
    entries: withTempDir(job.snapshot.entries, job.context.view),
    options: { deleteAfter: true, checksum: false },
    rules: pruneRules(job.scope),
    onDeleted: (path, isFolder) => {
      const key = pathKey(path);
      if (isScratch(path)) return;
      if (isFolder) empty.add(key);
      holding.add(parentKey(key));
    },
  });
  if (answer.outcome.error !== undefined) throw answer.outcome.error;
  return new Set([...empty].filter((key) => !holding.has(key)));
}

async function remove(job: PushJob, folders: ReadonlySet<string>): Promise<void> {
  const outcome = await runRsync(job.context, {
    entries: withTempDir(job.snapshot.entries, job.context.view),
    options: deletingOptions(job),
    rules: halfFolderRules(folders),
  });
  if (outcome.error !== undefined && outcome.protocol === undefined) throw outcome.error;
  const count = folders.size;
  job.context.ledger.note(
    'half-folders',
    `${count === 1 ? '1 folder' : `${count} folders`} of the copy that an earlier push had left without a key file, with nothing in ${count === 1 ? 'it' : 'them'}, ${count === 1 ? 'was' : 'were'} removed`,
  );
}
