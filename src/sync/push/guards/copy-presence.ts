/**
 * Checks that the copy of earlier pushes still exists, and removes the traces of a push that found
 * it gone.
 */
import { EcsyncError, InterruptedError } from '../../../errors.ts';
import { TEMPORARY_DIRECTORY } from '../../../gocryptfs/names/names.ts';
import { isDirectory, isRegularFile, isSymlink } from '../../../tree/entry.ts';
import { isFileIn } from '../../../tree/local/glance.ts';
import { pathKey } from '../../../bytes/paths.ts';
import { copyGone, CopyGuard, holdsCopy } from '../job/copy-guard.ts';
import type { ReceiverRule } from '../../../rsync/flist/filter-list.ts';
import { transferOptions, type PushJob } from '../job/push-job.ts';
import { runRsync } from '../job/rsync-run.ts';
import { listRoot } from './existing-root.ts';

/** Limits how many objects are removed again. */
const REMOVED_MAX = 1000;

/**
 * Has the first run of a push watched. A folder of this machine is checked right away.
 *
 * @throws {NotNowError} `copy-gone`
 */
export function guarded(job: PushJob): PushJob {
  const { destination, protocolMax } = job.settings;
  if (destination.kind === 'local') {
    const { path } = destination;
    if (!holdsCopy(job.snapshot, (name) => isFileIn(path, name))) throw copyGone(destination);
    return job;
  }
  const guard = new CopyGuard(job.snapshot, { protocolMax });
  const onDoubt = async (): Promise<boolean> => {
    if (guard.isDoubtful) guard.settle(await isCopyListed(job));
    if (!guard.isGone) return true;
    if (!job.settings.dryRun) await removeTraces(job);
    throw copyGone(destination);
  };
  return { ...job, context: { ...job.context, guard: { guard, onDoubt } } };
}

/**
 * Checks that the copy exists, unless a run has shown it. A missing copy may be why the server
 * refuses something.
 *
 * @throws {VaultError} `copy-gone`
 */
export async function assertCopyThere({
  context,
}: {
  readonly context: Pick<PushJob['context'], 'guard'>;
}): Promise<void> {
  context.guard?.guard.doubt();
  await context.guard?.onDoubt();
}

async function isCopyListed(job: PushJob): Promise<boolean> {
  const listed = await listRoot(job);
  const files = listed?.children.filter(isRegularFile) ?? [];
  const keys = new Set(files.map(({ path }) => pathKey(path)));
  return holdsCopy(job.snapshot, (name) => keys.has(pathKey(name)));
}

/**
 * Removes what the server has made before it could be stopped: empty folders and links, but no
 * files. If the disk comes back meanwhile, nothing of the copy is lost.
 */
async function removeTraces(job: PushJob): Promise<void> {
  const [root, ...others] = job.snapshot.entries;
  if (root === undefined) return;
  const rule = (action: ReceiverRule['action'], pattern: string): ReceiverRule => ({
    action,
    pattern: Buffer.from(pattern, 'latin1'),
  });
  const made = others.filter((entry) => isDirectory(entry) || isSymlink(entry));
  const keys = made.map((entry) => pathKey(entry.path) + (isDirectory(entry) ? '/' : ''));
  const plain = keys.filter((key) => !/[\\*?[]/.test(key)).slice(0, REMOVED_MAX);
  const run = runRsync(
    { ...job.context, guard: undefined },
    {
      entries: [root],
      options: transferOptions(job.settings, { deleteAfter: true, checksum: false }),
      rules: [
        rule('risk', `/${TEMPORARY_DIRECTORY}/`),
        rule('risk', `/${TEMPORARY_DIRECTORY}/**/`),
        ...plain.map((key) => rule('risk', `/${key}`)),
        rule('protect', '*'),
      ],
    },
  );
  // A failure is harmless.
  await run.catch((error: unknown) => {
    if (error instanceof InterruptedError || !(error instanceof EcsyncError)) throw error;
  });
}
