import { UsageError, VaultError } from '../errors.ts';
import { CONF_NAME, DIR_IV_NAME, TEMPORARY_DIRECTORY } from '../gocryptfs/names.ts';
import type { TransferOptions } from '../rsync/options.ts';
import { compareWithCopy } from './comparison.ts';
import { deleteLimit, isSurelyFew } from './delete-limit.ts';
import { previewRules } from './deletion.ts';
import { isNew, isTransfer } from './itemize.ts';
import { accept, type PushJob, shownPath, transferOptions } from './push-job.ts';
import type { PushEntry } from './push-entry.ts';
import type { PushSettings } from './push-settings.ts';
import type { PushState } from './push-state.ts';
import { runRsync } from './rsync-run.ts';
import { S_IFREG } from '../tree/entry.ts';
import { foldersOverlap } from '../tree/overlap.ts';
import { compareSiblings } from '../tree/walk.ts';
import { MIRROR_MARKER_NAME } from '../view/mirror-view.ts';
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

/** What is at a destination, as far as it can be told; `copy`: there may be one. */
export type Standing = 'no folder' | 'no copy' | 'copy';

/**
 * Makes sure that an unknown destination is empty or already this vault's copy. Pushing into
 * another vault's copy would replace its conf, and with it the only wrapped copy of its master key.
 * Where names stay plaintext, pushing into any other folder would overwrite files of equal names.
 * A copy that is encrypted and a mirror that is not never share a folder.
 *
 * @throws {VaultError} `destination-other-vault`, `destination-not-a-copy`, `destination-mirror`,
 *   `destination-encrypted`
 */
export async function refuseOtherVault(job: PushJob): Promise<Standing> {
  const { names, isEncrypted } = job.context.view;
  const seen = await askForRootFiles(job);
  if (!isEncrypted) return refuseUnlessMirror(job, seen);
  if (isThere(seen, 'mirror')) {
    throw new VaultError(
      'destination-mirror',
      `${job.settings.destination.shown}: holds a plain mirror, which must not be mixed with an encrypted copy`,
      { hint: 'Choose another folder. For the mirror: encrypt = false in its [[remotes]] table.' },
    );
  }
  const { conf, diriv } = seen.found;
  // A changed password changes the conf. The root's diriv stays, and tells whose copy it is.
  const isOther = names.hasDirIVs
    ? diriv === 'different' || (diriv === 'absent' && conf === 'different')
    : conf === 'different';
  if (isOther) refuseOtherCopy(job);
  if (seen.rootIsNew) return 'no folder';
  if (!names.isPlain || conf === undefined) return conf === 'absent' ? 'no copy' : 'copy';
  if (conf === 'absent or different')
    throw tooOldToTell(job, `Put this vault's gocryptfs.conf there`);
  await refuseNonEmpty(job, CONF_NAME);
  return 'no copy';
}

/** @throws {VaultError} `destination-other-vault` */
export function refuseOtherCopy({ settings, context }: PushJob): never {
  throw new VaultError(
    'destination-other-vault',
    `${settings.destination.shown}: holds the copy of another vault`,
    { hint: OTHER_VAULT_HINT + (context.view.names.hasDirIVs ? '' : CHANGED_CONF_HINT) },
  );
}

const OTHER_VAULT_HINT =
  'Choose another folder. Pushing here would destroy that copy: its key is in its gocryptfs.conf.';
const CHANGED_CONF_HINT =
  " If it is this vault's copy from before a change of the password, put this vault's gocryptfs.conf there first.";

/**
 * Files of other names would stay and those of equal names be overwritten, so that a mirror begins
 * in an empty folder, or in one that somebody has marked as a mirror.
 *
 * @throws {VaultError} `destination-encrypted`, `destination-not-a-copy`
 */
async function refuseUnlessMirror(job: PushJob, seen: RootFiles): Promise<Standing> {
  const { shown } = job.settings.destination;
  if (isThere(seen, 'conf') || isThere(seen, 'diriv')) {
    throw new VaultError(
      'destination-encrypted',
      `${shown}: holds an encrypted copy, which must not be mixed with a plain mirror`,
      { hint: 'Choose another folder, or leave out encrypt = false.' },
    );
  }
  const { mirror, conf } = seen.found;
  if (seen.rootIsNew) return 'no folder';
  if (mirror === undefined || mirror === 'different') return 'copy';
  if (conf === 'absent or different') throw tooOldToTell(job, 'Use a newer rsync there');
  await refuseNonEmpty(job, MIRROR_MARKER_NAME, MARK_HINT);
  return 'no copy';
}

const MARK_HINT = `Choose an empty folder. To go on with a plain copy that is there: put an empty file named ${MIRROR_MARKER_NAME} into it.`;

function tooOldToTell(job: PushJob, remedy: string): VaultError {
  return new VaultError(
    'destination-not-a-copy',
    `${job.settings.destination.shown}: its rsync is too old to tell whether it is empty`,
    { hint: `${remedy}, then push again.` },
  );
}

/** What the server has in place of a root file of ours. */
type Finding = 'absent' | 'different' | 'absent or different';
type RootFile = 'conf' | 'diriv' | 'mirror';

/** What the server says about the files by which a folder is recognised. */
interface RootFiles {
  /** There is no such folder yet. */
  readonly rootIsNew: boolean;
  /** Nothing where it has the same, or leaves alone what it has. */
  readonly found: Readonly<Partial<Record<RootFile, Finding>>>;
}

const ROOT_FILE_NAMES: Readonly<Record<RootFile, string>> = {
  conf: CONF_NAME,
  diriv: DIR_IV_NAME,
  mirror: MIRROR_MARKER_NAME,
};
const ROOT_FILES = ['conf', 'diriv', 'mirror'] as const;

/** Whether something has the name of a root file, as far as the server tells. */
function isThere({ rootIsNew, found }: RootFiles, kind: RootFile): boolean {
  return !rootIsNew && (found[kind] === undefined || found[kind] === 'different');
}

/** Of the run that looks whose copy a destination holds. */
export function preflightOptions(settings: PushSettings): TransferOptions {
  return transferOptions(settings, { dryRun: true, checksum: true });
}

/** Compares the root files of this view with what is there, and looks for those it has not. */
async function askForRootFiles(job: PushJob): Promise<RootFiles> {
  const [root] = job.snapshot.entries;
  if (root === undefined) return { rootIsNew: true, found: {} };
  const isRootFile = ({ path }: PushEntry): boolean => !path.includes(0x2f);
  const own = job.snapshot.entries.filter(isRootFile);
  const asked = ROOT_FILES.map(
    (kind) => own.find(({ virtual }) => virtual === kind) ?? unlikeAny(root, kind),
  );
  const found: Partial<Record<RootFile, Finding>> = {};
  const entries = [root, ...asked.sort(compareSiblings)];
  if (job.settings.appendOnly === true) {
    const { differing, absent } = await compareWithCopy(job, entries, { checksum: true });
    for (const kind of ROOT_FILES) {
      const isKind = ({ virtual }: PushEntry): boolean => virtual === kind;
      if ([...differing].some(isKind)) found[kind] = 'different';
      else if ([...absent].some(isKind)) found[kind] = 'absent';
    }
    return { rootIsNew: absent.has(root), found };
  }
  let rootIsNew = false;
  const outcome = await runRsync(job.context, {
    entries,
    options: preflightOptions(job.settings),
    onItem: (entry, iflags) => {
      if (entry === root) rootIsNew = isNew(iflags);
      const kind = ROOT_FILES.find((one) => one === entry.virtual);
      if (kind !== undefined && isTransfer(iflags)) {
        found[kind] = isNew(iflags) ? 'absent' : 'different';
      }
    },
    onMessage: () => undefined,
  });
  accept(job, outcome);
  if ((outcome.protocol ?? ITEM_RECORDS_SINCE) >= ITEM_RECORDS_SINCE) return { rootIsNew, found };
  // Before item records a request does not tell a missing file from a different one.
  for (const kind of ROOT_FILES) if (found[kind] !== undefined) found[kind] = 'absent or different';
  return { rootIsNew: false, found };
}

/** A root file that this view has not, with a content that no real one has. */
function unlikeAny({ uid, gid }: PushEntry, kind: RootFile): PushEntry {
  return {
    path: Buffer.from(ROOT_FILE_NAMES[kind]),
    mode: S_IFREG | 0o400,
    size: 1,
    mtimeSec: 0,
    mtimeNsec: 0,
    uid,
    gid,
    virtual: kind,
    bytes: Uint8Array.of(0),
  };
}

/**
 * Refuses a folder that holds anything but leftovers of an interrupted first push.
 *
 * @param marker - name of the file that may be there
 * @throws {VaultError} `destination-not-a-copy`
 */
async function refuseNonEmpty(job: PushJob, marker: string, hint?: string): Promise<void> {
  const [root] = job.snapshot.entries;
  if (root === undefined) return;
  const found: Uint8Array[] = [];
  const outcome = await runRsync(job.context, {
    entries: [root],
    options: transferOptions(job.settings, { dryRun: true, deleteAfter: true }),
    rules: [
      { action: 'protect', pattern: Buffer.from(`/${TEMPORARY_DIRECTORY}`) },
      { action: 'protect', pattern: Buffer.from(`/${marker}`) },
    ],
    onItem: () => undefined,
    onDeleted: (path) => found.push(path),
    onMessage: () => undefined,
  });
  accept(job, outcome);
  refuseForeignFiles(job, found, { harm: 'pushing would mix the two', hint });
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
 * @param about.harm - what would happen to them
 * @throws {VaultError} `destination-not-a-copy`
 */
function refuseForeignFiles(
  job: PushJob,
  foreign: readonly Uint8Array[],
  { harm, hint }: { readonly harm: string; readonly hint?: string | undefined },
): void {
  const [first] = foreign;
  if (first === undefined) return;
  const more = foreign.length - 1;
  const shown = Buffer.from(first).toString() + (more > 0 ? ` and ${more} more` : '');
  throw new VaultError(
    'destination-not-a-copy',
    `${job.settings.destination.shown}: holds files this vault did not write (${shown}), and ${harm}`,
    { hint: hint ?? 'Choose an empty folder for the copy, or remove them yourself.' },
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
  if (job.isNewFolder === true) return { deleting: true };
  const isUnchecked = remembered?.foreignChecked !== true;
  const known = { deletedUnder: remembered?.deletedUnder, gone: job.moves.gone };
  if (!isUnchecked && isSurelyFew(settings, known)) return { deleting: true };
  const planned = await planDeletions(job);
  if (isUnchecked) refuseForeignFiles(job, planned.foreign, { harm: '--delete would remove them' });
  const limit = deleteLimit(settings.maxDelete, snapshot.plainCount + planned.count);
  if (planned.count <= limit) return { deleting: true };
  return { deleting: false, overLimit: planned.count };
}
