/** Sends a few given files unconditionally. */
import { pathKey } from '../../../bytes/paths.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { accept, ledgerListeners, transferOptions, type PushJob } from '../job/push-job.ts';
import { runRsync, type RunOutcome } from '../job/rsync-run.ts';
import { withAncestors } from '../source/skeleton.ts';
import { tempDirEntry, withTempDir } from '../job/staging.ts';
import { tempDirOf } from '../job/run-options.ts';
import { withTempDirSpelling } from './temp-dir-spelling.ts';

/**
 * Sends a few files of the view unconditionally, and nothing else.
 *
 * @param keys - of their cipher paths
 * @returns how many of them the view has
 * @throws {EcsyncError} if the destination could not store all of them
 */
export async function mendFiles(job: PushJob, keys: ReadonlySet<string>): Promise<number> {
  const { entries } = job.snapshot;
  const files = new Set(entries.filter(({ path }) => keys.has(pathKey(path))));
  if (files.size === 0) return 0;
  await makeTempDir(job);
  const list = withTempDir(withAncestors(entries, files), job.context.view);
  const state = { tempDirChoice: 0 };
  const outcome = await withTempDirSpelling(job, state, () =>
    sendFiles(job, list, tempDirOf(job, state)),
  );
  if (!accept(job, outcome) && outcome.error !== undefined) throw outcome.error;
  return files.size;
}

/** Temporary files need it before the first file arrives. */
async function makeTempDir(job: PushJob): Promise<void> {
  const [root] = job.snapshot.entries;
  if (root === undefined) return;
  const outcome = await runRsync(job.context, {
    entries: [root, tempDirEntry(root)],
    options: transferOptions(job.settings, { checksum: false }),
  });
  accept(job, outcome);
}

function sendFiles(
  job: PushJob,
  list: readonly PushEntry[],
  tempDir: string | undefined,
): Promise<RunOutcome> {
  return runRsync(job.context, {
    ...ledgerListeners(job),
    entries: list,
    options: transferOptions(job.settings, {
      ignoreTimes: true,
      ...(tempDir !== undefined && { tempDir }),
    }),
    onMessage: (level, text) => {
      if (level !== 'info') job.context.ledger.note('remote-message', `server: ${text.trim()}`);
    },
  });
}
