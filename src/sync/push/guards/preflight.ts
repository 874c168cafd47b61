/** Checks a destination before anything is written or deleted there. */
import { RemoteError, VaultError } from '../../../errors.ts';
import { MIRROR_MARKER_NAME } from '../../../view/mirror/mirror-view.ts';
import { isAtOrBelow, pathKey } from '../../../bytes/paths.ts';
import { deleteLimit, isSurelyFew } from './delete-limit.ts';
import { previewRules, protectForeign } from '../job/deletion.ts';
import { refuseForeignFiles, refuseNonEmpty } from './foreign-objects.ts';
import { refuseNested } from './nested-copy.ts';
import { type PushJob, shownPath } from '../job/push-job.ts';
import type { PushState } from '../memory/push-state.ts';
import { answersWithheld, askOrRefuse, tellsDeletions, type Unknown } from '../job/question.ts';
import { lookAtRootFiles, type RootFiles } from './root-files.ts';
import { listRoot, type ListedRoot } from './existing-root.ts';

/** What is at a destination, as far as it is known. `copy`: there may be one. */
export interface Standing {
  readonly what: 'no folder' | 'no copy' | 'copy';
  /** The content of the folder, if it exists and this login may list it. */
  readonly listed?: ListedRoot | undefined;
}

const NO_FOLDER: Standing = { what: 'no folder' };

/**
 * Makes sure that an unknown destination is empty or already this vault's copy. Pushing into
 * another vault's copy would replace its conf, which holds the only wrapped copy of its master key.
 * Any other folder must be empty, except for files of the system and leftovers of an interrupted
 * push. An encrypted copy and a plain mirror never share a folder.
 *
 * @throws {VaultError} `destination-other-vault`, `destination-not-a-copy`, `destination-mirror`,
 *   `destination-encrypted`, `destination-nested`
 */
export async function refuseOtherVault(job: PushJob): Promise<Standing> {
  const { isEncrypted } = job.context.view;
  const seen = await lookAtRootFiles(job);
  if (!isEncrypted) return refuseUnlessMirror(job, seen);
  const { conf, mirror } = seen.found;
  if (mirror !== 'absent') {
    throw new VaultError(
      'destination-mirror',
      `${job.settings.destination.shown}: holds a plain mirror, which must not be mixed with an encrypted copy`,
      { hint: 'Choose another folder. For the mirror: encrypt = false in its [[remotes]] table.' },
    );
  }
  // A changed password changes the conf. The root's diriv stays, and identifies the copy.
  await refuseUnlessOurs(job, seen);
  if (isOtherConf(seen)) await job.confThere?.judge(job, undefined);
  if (conf === 'absent') await refuseNested(job);
  if (seen.rootIsNew) return NO_FOLDER;
  const listed = await listRoot(job);
  if (conf !== 'absent') return { what: 'copy', listed };
  await refuseNonEmpty(job, listed);
  return { what: 'no copy', listed };
}

/** @throws {VaultError} `destination-other-vault`; {RemoteError} `comparison-withheld` */
async function refuseUnlessOurs(
  job: PushJob,
  { found }: RootFiles,
  isDamage = false,
): Promise<void> {
  const { hasDirIVs } = job.context.view.names;
  const { conf, diriv } = found;
  const isUndecided = !hasDirIVs || diriv === 'absent' || diriv === 'torn';
  const telling = isUndecided ? conf : diriv;
  if (telling === 'there') throw comparisonWithheld(job);
  const isOther = isUndecided
    ? conf === 'different' || conf === 'torn'
    : diriv === 'different' && !isDamage;
  if (!isOther) return;
  const isOurs = isUndecided && (await job.confThere?.provesOurs(job)) === true;
  if (!isOurs) refuseOtherCopy(job);
}

/**
 * Makes sure that the copy of earlier pushes is still this vault's, after the server requested
 * files that it should have. Somebody may have put another copy in its place. If the conf is
 * unchanged and only the root diriv differs, that is damage, which the push repairs, provided that
 * this vault has pushed the expected diriv.
 *
 * @throws {VaultError} `destination-other-vault`
 * @throws {RemoteError} `comparison-withheld`, `answers-withheld` — it is unknown
 */
export async function confirmOurCopy(job: PushJob, remembered: PushState): Promise<void> {
  const seen = await lookAtRootFiles(job);
  const isSameConf = seen.found.conf === 'same';
  await refuseUnlessOurs(job, seen, isSameConf && remembered.rootIV !== undefined);
  if (isOtherConf(seen)) await job.confThere?.judge(job, remembered);
}

/** Whether there is a conf that is not the vault's own. */
function isOtherConf({ found: { conf } }: RootFiles): boolean {
  return conf === 'different' || conf === 'torn' || conf === 'there';
}

function comparisonWithheld({ settings }: PushJob): RemoteError {
  return new RemoteError(
    'comparison-withheld',
    `${settings.destination.shown}: there is a copy, and the server does not tell whose`,
    {
      hint: 'It compares nothing that exists (`rrsync -no-overwrite`). Push once with a key that may overwrite, or choose an empty folder.',
    },
  );
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
 * In a mirror, files of other names would stay and those of equal names would be overwritten. So a
 * mirror is started only in an empty folder, in one that was marked as a mirror, or on request.
 *
 * @throws {VaultError} `destination-encrypted`, `destination-not-a-copy`
 */
async function refuseUnlessMirror(job: PushJob, seen: RootFiles): Promise<Standing> {
  const { shown } = job.settings.destination;
  const { conf, diriv, mirror } = seen.found;
  if (conf !== 'absent' || diriv !== 'absent') {
    throw new VaultError(
      'destination-encrypted',
      `${shown}: holds an encrypted copy, which must not be mixed with a plain mirror`,
      { hint: 'Choose another folder, or leave out encrypt = false.' },
    );
  }
  if (mirror === 'absent') await refuseNested(job);
  if (seen.rootIsNew) return NO_FOLDER;
  const listed = await listRoot(job);
  if (mirror !== 'absent') return { what: 'copy', listed };
  await refuseNonEmpty(job, listed, MARK_HINT);
  return { what: 'no copy', listed };
}

const MARK_HINT = `Choose an empty folder. To go on with a plain copy that is there: --into-non-empty, or put an empty file named ${MIRROR_MARKER_NAME} into it.`;

const WHAT_GOES: Unknown = {
  what: 'what --delete would remove',
  remedy: 'A push without --delete works.',
};

interface PlannedDeletions {
  /** Plaintext objects that both deletion passes would remove. */
  readonly count: number;
  /** Names at the destination that this vault cannot have written. */
  readonly foreign: readonly Uint8Array[];
  /** Plaintext keys of lost mount points of which the copy has something. */
  readonly lostMounts: readonly string[];
  /** Whether the server reports what it would delete. */
  readonly isKnown: boolean;
}

/**
 * Asks the server what it would delete. If it names nothing, it is asked again about an existing
 * file of ours. Before the first push there is none.
 *
 * @param seesForeign - also report what no push can have written, which stays in any case
 * @throws {RemoteError} `answers-withheld` — it does not tell
 */
async function planDeletions(job: PushJob, seesForeign: boolean): Promise<PlannedDeletions> {
  const found = new Set<string>();
  const foreign: Uint8Array[] = [];
  const lostMounts = new Set<string>();
  const hasCopy = job.isNewFolder === undefined;
  let told = 0;
  const answer = await askOrRefuse(
    job,
    {
      entries: job.snapshot.entries,
      options: { deleteAfter: true },
      rules: [
        ...previewRules({ ...job.scope, unmounted: [] }),
        ...(seesForeign ? [] : protectForeign(job.scope)),
      ],
      onDeleted: (path) => {
        told++;
        const shown = shownPath(job, path);
        if (shown.virtual || job.moves.left.has(pathKey(path))) return;
        const mount = mountOf(job, path);
        if (mount !== undefined) {
          lostMounts.add(mount);
          return;
        }
        found.add(pathKey(shown.path));
        const ours = shown.plain || pathKey(path).includes('gocryptfs.');
        if (!ours) foreign.push(path);
      },
    },
    WHAT_GOES,
  );
  const isKnown = told > 0 || (hasCopy && (await tellsDeletions(job)));
  if (hasCopy && !isKnown) throw answersWithheld(job, WHAT_GOES, answer.outcome.protocol);
  return { count: found.size, foreign, lostMounts: [...lostMounts], isKnown };
}

/** The lost mount point that a cipher path is at or below. */
function mountOf({ scope, mounts }: PushJob, cipherPath: Uint8Array): string | undefined {
  const key = pathKey(cipherPath);
  const index = scope.unmounted?.findIndex((mount) => isAtOrBelow(key, mount));
  return index === undefined ? undefined : mounts.lost[index];
}

export interface DeletionDecision {
  readonly deleting: boolean;
  /** The number of deletions, if it is more than `--max-delete` allows. */
  readonly overLimit?: number;
  /** Keys of folders whose disk is not mounted any more, and of which the copy has something. */
  readonly lostMounts?: readonly string[];
}

/**
 * Whether deletions may proceed: they were requested, the scan is complete, and the limit is kept.
 *
 * @param remembered - state of the destination; absent: no push has been there yet
 * @throws {VaultError} `destination-not-a-copy` — the destination holds objects of others
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
  const { gone, filesBefore } = job.moves;
  const known = { deletedUnder: remembered?.deletedUnder, gone, filesBefore };
  const isMounted = job.mounts.lost.length === 0;
  // What others put among plaintext names would go, too, and is not remembered.
  const removesForeign = context.view.names.isPlain || job.scope.removesForeign === true;
  const isRemembered = isMounted && !isUnchecked && !removesForeign;
  if (isRemembered && isSurelyFew(settings, known)) return { deleting: true };
  const planned = await planDeletions(job, isUnchecked);
  if (isUnchecked) refuseForeignFiles(job, planned.foreign, { harm: '--delete would remove them' });
  // Nothing seems to be due. The next push can tell better.
  if (!planned.isKnown) return { deleting: false };
  const limit = deleteLimit(settings.maxDelete, snapshot.plainCount + planned.count);
  const lost = planned.lostMounts.length > 0 && { lostMounts: planned.lostMounts };
  if (planned.count <= limit) return { deleting: true, ...lost };
  return { deleting: false, overLimit: planned.count, ...lost };
}
