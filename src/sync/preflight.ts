import { UsageError, VaultError } from '../errors.ts';
import { CONF_NAME, TEMPORARY_DIRECTORY } from '../gocryptfs/names.ts';
import { deleteLimit, isSurelyFew } from './delete-limit.ts';
import { previewRules } from './deletion.ts';
import { isNew, isTransfer } from './itemize.ts';
import { accept, type PushJob, shownPath, transferOptions } from './push-job.ts';
import type { PushSettings } from './push-settings.ts';
import type { PushState } from './push-state.ts';
import { runRsync } from './rsync-run.ts';
import { foldersOverlap } from '../tree/overlap.ts';
import { pathKey } from '../view/path-bytes.ts';

/** @throws {UsageError} `destination-overlaps` */
export function refuseOverlap(settings: PushSettings): void {
  const { destination, source } = settings;
  if (destination.kind !== 'local' || !foldersOverlap(source, destination.path)) return;
  throw new UsageError(
    'destination-overlaps',
    `${destination.shown}: lies inside the folder that is pushed, or contains it`,
    { hint: 'Choose a destination outside of the source.' },
  );
}

/**
 * Questions asked of a destination before anything is written to it: dry runs, so they change
 * nothing and work through restricted shells.
 */

/** First protocol whose requests say whether the file exists. */
const ITEM_RECORDS_SINCE = 29;

/**
 * Makes sure that an unknown destination is empty or already this vault's copy. Pushing into
 * another vault's copy would replace its conf, and with it the only wrapped copy of its master key.
 * Where names stay plaintext, pushing into any other folder would overwrite files of equal names.
 *
 * @throws {VaultError} `destination-other-vault`, `destination-not-a-copy`
 */
export async function refuseOtherVault(job: PushJob): Promise<void> {
  const { names } = job.context.view;
  const seen = await askForRootFiles(job);
  const { conf, diriv } = seen;
  // A changed password changes the conf. The root's diriv stays, and tells whose copy it is.
  const isOther = names.hasDirIVs
    ? diriv === 'different' || (diriv === 'absent' && conf === 'different')
    : conf === 'different';
  if (isOther) {
    throw new VaultError(
      'destination-other-vault',
      `${job.settings.destination.shown}: holds the copy of another vault`,
      { hint: OTHER_VAULT_HINT + (names.hasDirIVs ? '' : CHANGED_CONF_HINT) },
    );
  }
  if (!names.isPlain || conf === undefined) return;
  if (conf === 'absent or different') {
    throw new VaultError(
      'destination-not-a-copy',
      `${job.settings.destination.shown}: its rsync is too old to tell whether it is empty`,
      { hint: "Put this vault's gocryptfs.conf there, then push again." },
    );
  }
  await refuseNonEmpty(job);
}

const OTHER_VAULT_HINT =
  'Choose another folder. Pushing here would destroy that copy: its key is in its gocryptfs.conf.';
const CHANGED_CONF_HINT =
  " If it is this vault's copy from before a change of the password, put this vault's gocryptfs.conf there first.";

/** What the server has in place of a root file of ours; nothing when it is the same. */
type Finding = 'absent' | 'different' | 'absent or different';

/** Compares conf and root diriv with what is there. */
async function askForRootFiles(job: PushJob): Promise<{ conf?: Finding; diriv?: Finding }> {
  const { entries } = job.snapshot;
  const isRootFile = (path: Uint8Array): boolean => !path.includes(0x2f);
  const asked = entries.filter(
    (entry, ndx) =>
      ndx === 0 ||
      (isRootFile(entry.path) && (entry.virtual === 'conf' || entry.virtual === 'diriv')),
  );
  const seen: { conf?: Finding; diriv?: Finding } = {};
  const outcome = await runRsync(job.context, {
    entries: asked,
    options: transferOptions(job.settings, { dryRun: true, checksum: true }),
    onItem: ({ virtual }, iflags) => {
      if ((virtual !== 'conf' && virtual !== 'diriv') || !isTransfer(iflags)) return;
      seen[virtual] = isNew(iflags) ? 'absent' : 'different';
    },
    onMessage: () => undefined,
  });
  accept(job, outcome);
  if ((outcome.protocol ?? ITEM_RECORDS_SINCE) >= ITEM_RECORDS_SINCE) return seen;
  // Before item records a request does not tell a missing file from a different one.
  for (const kind of ['conf', 'diriv'] as const) if (seen[kind]) seen[kind] = 'absent or different';
  return seen;
}

/**
 * Refuses a folder that holds anything but leftovers of an interrupted first push.
 *
 * @throws {VaultError} `destination-not-a-copy`
 */
async function refuseNonEmpty(job: PushJob): Promise<void> {
  const [root] = job.snapshot.entries;
  if (root === undefined) return;
  const found: Uint8Array[] = [];
  const outcome = await runRsync(job.context, {
    entries: [root],
    options: transferOptions(job.settings, { dryRun: true, deleteAfter: true }),
    rules: [
      { action: 'protect', pattern: Buffer.from(`/${TEMPORARY_DIRECTORY}`) },
      { action: 'protect', pattern: Buffer.from(`/${CONF_NAME}`) },
    ],
    onItem: () => undefined,
    onDeleted: (path) => found.push(path),
    onMessage: () => undefined,
  });
  accept(job, outcome);
  refuseForeignFiles(job, found, 'pushing would mix the two');
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
      if (shown.virtual || job.moves.left.has(pathKey(path))) return;
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
 * Refuses a folder that holds other things.
 *
 * @param harm - what would happen to them
 * @throws {VaultError} `destination-not-a-copy`
 */
function refuseForeignFiles(job: PushJob, foreign: readonly Uint8Array[], harm: string): void {
  const [first] = foreign;
  if (first === undefined) return;
  const more = foreign.length - 1;
  const shown = Buffer.from(first).toString() + (more > 0 ? ` and ${more} more` : '');
  throw new VaultError(
    'destination-not-a-copy',
    `${job.settings.destination.shown}: holds files this vault did not write (${shown}), and ${harm}`,
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
 * @param remembered - of the destination; absent: no push has been there yet
 * @throws {VaultError} `destination-not-a-copy` — the destination holds other things
 */
export async function decideDeletion(
  job: PushJob,
  remembered: PushState | undefined,
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
  const isUnchecked = remembered?.foreignChecked !== true;
  const known = { deletedUnder: remembered?.deletedUnder, gone: job.moves.gone };
  if (!isUnchecked && isSurelyFew(settings, known)) return { deleting: true };
  const planned = await planDeletions(job);
  if (isUnchecked) refuseForeignFiles(job, planned.foreign, '--delete would remove them');
  const limit = deleteLimit(settings.maxDelete, snapshot.plainCount + planned.count);
  if (planned.count <= limit) return { deleting: true };
  return { deleting: false, overLimit: planned.count };
}
