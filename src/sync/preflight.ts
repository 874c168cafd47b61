import { VaultError } from '../errors.ts';
import { previewRules } from './deletion.ts';
import { isNew, isTransfer } from './itemize.ts';
import { accept, type PushJob, shownPath, transferOptions } from './push-job.ts';
import { runRsync } from './rsync-run.ts';
import { pathKey } from '../view/path-bytes.ts';

/**
 * Questions asked of a destination before anything is written to it: dry runs, so they change
 * nothing and work through restricted shells.
 */

/** First protocol whose requests say whether the file exists. */
const ITEM_RECORDS_SINCE = 29;

/**
 * Makes sure that an unknown destination is empty or already this vault's copy. Pushing into
 * another vault's copy would replace its conf, and with it the only wrapped copy of its master key.
 *
 * @throws {VaultError} `destination-other-vault`
 */
export async function refuseOtherVault(job: PushJob): Promise<void> {
  const { entries } = job.snapshot;
  const isRootFile = (path: Uint8Array): boolean => !path.includes(0x2f);
  const asked = entries.filter(
    (entry, ndx) =>
      ndx === 0 ||
      (isRootFile(entry.path) && (entry.virtual === 'conf' || entry.virtual === 'diriv')),
  );
  const seen = new Map<string, 'absent' | 'different'>();
  const outcome = await runRsync(job.context, {
    entries: asked,
    options: transferOptions(job.settings, { dryRun: true, checksum: true }),
    onItem: (entry, iflags) => {
      if (entry.virtual === undefined || !isTransfer(iflags)) return;
      seen.set(entry.virtual, isNew(iflags) ? 'absent' : 'different');
    },
    onMessage: () => undefined,
  });
  accept(job, outcome);
  // Before item records a request does not tell a missing file from a different one.
  if ((outcome.protocol ?? ITEM_RECORDS_SINCE) < ITEM_RECORDS_SINCE) return;
  const conf = seen.get('conf');
  const diriv = seen.get('diriv');
  if (diriv === 'different' || (diriv === 'absent' && conf === 'different')) {
    throw new VaultError(
      'destination-other-vault',
      `${job.settings.destination.shown}: holds the copy of another vault`,
      {
        hint: 'Choose another folder. Pushing here would destroy that copy: its key is in its gocryptfs.conf.',
      },
    );
  }
}

interface PlannedDeletions {
  /** Plaintext objects that both deletion passes would remove. */
  readonly count: number;
  /** Names at the destination that this vault cannot have written. */
  readonly foreign: readonly Uint8Array[];
}

/** Asks the server what it would delete. */
async function planDeletions(job: PushJob): Promise<PlannedDeletions> {
  const found = new Set<string>();
  const foreign: Uint8Array[] = [];
  const outcome = await runRsync(job.context, {
    entries: job.snapshot.entries,
    options: transferOptions(job.settings, { dryRun: true, deleteAfter: true }),
    rules: previewRules(job.scope),
    ...(job.names && { names: job.names }),
    onItem: () => undefined,
    onDeleted: (path) => {
      const shown = shownPath(job, path);
      if (shown.virtual) return;
      found.add(pathKey(shown.path));
      const ours = shown.plain || pathKey(path).includes('gocryptfs.');
      if (!ours) foreign.push(path);
    },
    onMessage: () => undefined,
  });
  accept(job, outcome);
  return { count: found.size, foreign };
}

/**
 * Refuses to mirror onto a folder that holds other things: `--delete` would remove them.
 *
 * @throws {VaultError} `destination-not-a-copy`
 */
function refuseForeignFiles(job: PushJob, planned: PlannedDeletions): void {
  const [first] = planned.foreign;
  if (first === undefined) return;
  const more = planned.foreign.length - 1;
  const shown = Buffer.from(first).toString() + (more > 0 ? ` and ${more} more` : '');
  throw new VaultError(
    'destination-not-a-copy',
    `${job.settings.destination.shown}: holds files this vault did not write (${shown}), and --delete would remove them`,
    { hint: 'Choose an empty folder for the copy, or remove them yourself.' },
  );
}

export interface DeletionDecision {
  readonly deleting: boolean;
  /** More deletions are due than `--max-delete` allows: how many. */
  readonly overLimit?: number;
}

/**
 * Whether deletions may go ahead: they were asked for, the scan is complete and the limit is kept.
 *
 * @param isUnchecked - no deleting push has looked for foreign files there yet
 * @throws {VaultError} `destination-not-a-copy` — the destination holds other things
 */
export async function decideDeletion(
  job: PushJob,
  isUnchecked: boolean,
): Promise<DeletionDecision> {
  const { settings, snapshot, context } = job;
  if (!settings.delete) return { deleting: false };
  if (snapshot.incomplete) {
    context.ledger.note(
      'nothing-deleted',
      'nothing was deleted, because the source could not be read completely',
    );
    return { deleting: false };
  }
  if (!isUnchecked && settings.maxDelete === undefined) return { deleting: true };
  const planned = await planDeletions(job);
  if (isUnchecked) refuseForeignFiles(job, planned);
  if (settings.maxDelete === undefined || planned.count <= settings.maxDelete) {
    return { deleting: true };
  }
  return { deleting: false, overLimit: planned.count };
}
