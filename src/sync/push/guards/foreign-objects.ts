/** Refuses a first push to a destination that holds objects of others. */
import { RemoteError, VaultError } from '../../../errors.ts';
import { CONF_NAME, STEP_PREFIX } from '../../../gocryptfs/names/names.ts';
import { isDirectory, isRegularFile } from '../../../tree/entry.ts';
import { showPath } from '../../../tree/file-failure.ts';
import { pathKey } from '../../../bytes/paths.ts';
import { kindOf } from '../job/control-entry.ts';
import { isNew } from '../job/itemize.ts';
import { accept, isScratch, shownPath, type PushJob } from '../job/push-job.ts';
import { ask, askOrRefuse, type Unknown } from '../job/question.ts';
import { isRootFileName } from '../../../sync/copy/root-file-names.ts';
import type { ListedRoot } from './existing-root.ts';

/** How many foreign objects are named. */
const NAMED_MAX = 3;
/** A server's message about objects that its rules protect. */
const NOT_EMPTY = /^cannot delete non-empty directory: ([\s\S]+?)\n?$/;
const OWN_PREFIX = '.ecsync';

const WHAT_IS_THERE: Unknown = { what: 'what is there' };

/**
 * Refuses a folder that holds anything but files of the system, objects that `keep` names, and
 * leftovers of an interrupted first push of this vault.
 *
 * @param listed - the content of the folder, if this login may list it
 * @throws {VaultError} `destination-not-a-copy`
 */
export async function refuseNonEmpty(
  job: PushJob,
  listed: ListedRoot | undefined,
  hint?: string,
): Promise<void> {
  const { names, isEncrypted } = job.context.view;
  const isMixing = job.settings.intoNonEmpty;
  if (isMixing && !isEncrypted) return;
  const all = listed === undefined ? await foreignByDeletion(job) : foreignIn(job, listed);
  // The copy's own files would replace these.
  const inPlace = all.filter((path) => isRootFileName(pathKey(path)));
  refuseForeignFiles(job, inPlace, { harm: 'pushing would overwrite them' });
  // With plaintext names, files of equal names would be overwritten.
  const overwrites = isEncrypted && names.isPlain;
  if (isMixing && !overwrites) return;
  const own = new Set(overwrites ? job.snapshot.entries.map(({ path }) => pathKey(path)) : []);
  const foreign = isMixing ? all.filter((path) => own.has(pathKey(path))) : all;
  const harm = isMixing ? 'pushing would overwrite them' : 'pushing would mix the two';
  refuseForeignFiles(job, foreign, { harm, hint: isMixing ? OVERWRITE_HINT : (hint ?? MIX_HINT) });
}

const MIX_HINT =
  'Choose an empty folder, or one that does not exist yet. To put the copy among them all the same: --into-non-empty';
const OVERWRITE_HINT = 'Choose an empty folder for the copy, or remove them yourself.';

/** A folder, link or pipe with the name of a copy's own file does not belong to a copy. */
function foreignIn(job: PushJob, { children }: ListedRoot): Uint8Array[] {
  return children
    .filter((child) => {
      if (isRootFileName(pathKey(child.path))) return !isRegularFile(child);
      return isForeign(job, child.path, isDirectory(child));
    })
    .map(({ path }) => path);
}

function isForeign(job: PushJob, path: Uint8Array, isFolder: boolean): boolean {
  const key = pathKey(path);
  const isOwn = key.startsWith(STEP_PREFIX) || key.startsWith(OWN_PREFIX);
  if (isOwn || isScratch(path)) return false;
  if (isRootFileName(key) || job.kept.has(path, isFolder)) return false;
  if (job.context.view.names.isPlain) return true;
  // A leftover of an interrupted push of this vault.
  const shown = shownPath(job, path);
  return !shown.plain && !shown.virtual;
}

/**
 * Refuses a folder that holds objects of others.
 *
 * @param about.harm - what would happen to them
 * @throws {VaultError} `destination-not-a-copy`
 */
export function refuseForeignFiles(
  job: PushJob,
  foreign: readonly Uint8Array[],
  { harm, hint }: { readonly harm: string; readonly hint?: string | undefined },
): void {
  if (foreign.length === 0) return;
  const named = foreign.slice(0, NAMED_MAX).map(showPath);
  const more = foreign.length - named.length;
  const shown = named.join(', ') + (more > 0 ? ` and ${more} more` : '');
  throw new VaultError(
    'destination-not-a-copy',
    `${job.settings.destination.shown}: holds files this vault did not write (${shown}), and ${harm}`,
    { hint: hint ?? OVERWRITE_HINT },
  );
}

/**
 * Finds objects by asking the server what it would delete, for logins that may not list. Only names
 * are asked for.
 *
 * @returns none if the server does not tell this login
 */
async function foreignByDeletion(job: PushJob): Promise<readonly Uint8Array[]> {
  if (job.context.view.names.isPlain) return foreignBesidePlainNames(job);
  const found: Uint8Array[] = [];
  const note = (path: Uint8Array, isFolder: boolean): void => {
    // A file cannot be listed here: the server would compare it, and this one is known to be
    // absent.
    const isOddConf = pathKey(path) === CONF_NAME;
    if (isOddConf || isForeign(job, path, isFolder)) found.push(path);
  };
  const answer = await ask(job, {
    entries: job.snapshot.entries.slice(0, 1),
    options: { deleteAfter: true, checksum: false },
    // The content of folders does not matter.
    rules: [...job.kept.rules, { action: 'protect', pattern: Buffer.from('/*/**') }],
    onDeleted: note,
    onMessage: (_level, text) => {
      const [, name] = NOT_EMPTY.exec(text) ?? [];
      if (name !== undefined) note(Buffer.from(name), true);
    },
  });
  if (answer.outcome.protocol === undefined && answer.outcome.error instanceof RemoteError) {
    return []; // then it can do no harm to them
  }
  accept(job, answer.outcome);
  return found;
}

/**
 * The same where files of equal names would be overwritten. Objects beside the list are reported by
 * their names. Of every object in the list the server must say that it is absent.
 *
 * @throws {RemoteError} `answers-withheld`
 */
async function foreignBesidePlainNames(job: PushJob): Promise<readonly Uint8Array[]> {
  const { entries } = job.snapshot;
  const [root] = entries;
  const found: Uint8Array[] = [];
  const unsaid = new Set(entries.filter((entry) => entry !== root));
  const answer = await askOrRefuse(
    job,
    {
      entries,
      // Each name counts by itself.
      options: { deleteAfter: true, ignoreExisting: true, checksum: false, hardLinks: false },
      rules: job.kept.rules,
      onItem: (entry, iflags) => {
        if (isNew(iflags)) unsaid.delete(entry);
      },
      onDeleted: (path, isFolder) => {
        if (isForeign(job, path, isFolder)) found.push(path);
      },
    },
    WHAT_IS_THERE,
  );
  if (!answer.hasItemRecords) throw rsyncTooOld(job);
  for (const entry of unsaid) {
    const kind = kindOf(entry);
    if (kind === undefined || !answer.mute.has(kind)) found.push(entry.path);
  }
  return found;
}

function rsyncTooOld(job: PushJob): VaultError {
  return new VaultError(
    'destination-not-a-copy',
    `${job.settings.destination.shown}: its rsync is too old to tell whether it is empty`,
    { hint: 'Use a newer rsync there, or a folder that does not exist yet.' },
  );
}
