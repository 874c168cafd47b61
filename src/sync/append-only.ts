import { RemoteError } from '../errors.ts';
import { isDirectory } from '../tree/entry.ts';
import { showPath } from '../tree/file-failure.ts';
import { pathKey } from '../view/path-bytes.ts';
import { compareWithCopy } from './comparison.ts';
import type { Moves } from './moves.ts';
import { refuseOtherCopy } from './preflight.ts';
import type { PushEntry } from './push-entry.ts';
import type { PushJob } from './push-job.ts';
import type { PushState } from './push-state.ts';
import { afterMoves, staleSuspects } from './racy.ts';
import { parentKey, withAncestors } from './skeleton.ts';

/**
 * A push that only adds (`--append-only`). Before anything is sent the server is asked what it has that
 * differs. That stays out of all lists that follow, and is told; what is left is an ordinary push, with
 * `--ignore-existing` in every run for what may come there meanwhile.
 */

/** So many lines are told, then how many more there are. */
const LINES_MAX = 100;

/**
 * The job without everything that would take the place of something at the destination.
 *
 * @param remembered - of the destination
 * @throws {VaultError} `destination-other-vault`
 * @throws as `accept`
 */
export async function keepWhatIsThere(
  job: PushJob,
  remembered: PushState | undefined,
): Promise<PushJob> {
  const { entries } = job.snapshot;
  const { differing, unsettled } = await differingEntries(job, remembered);
  if (differing.size === 0) return { ...job, moves: addingMoves(job.moves, () => true) };
  const barred = barredPlaces(differing);
  if (barred.has('.')) refuseOtherCopy(job);
  const isLeft = (entry: PushEntry): boolean =>
    !differing.has(entry) && !isAtOrBelow(pathKey(entry.path), barred);
  const left = entries.filter(isLeft);
  tellKept(
    job,
    entries.filter((entry) => !isLeft(entry)),
    differing,
  );
  return {
    ...job,
    snapshot: { ...job.snapshot, entries: left },
    moves: addingMoves(job.moves, isLeft),
    unsettled,
  };
}

/**
 * What is there and not the same, compared by content where size and time prove nothing; `unsettled`
 * is what only that has shown.
 */
async function differingEntries(
  job: PushJob,
  remembered: PushState | undefined,
): Promise<{
  readonly differing: ReadonlySet<PushEntry>;
  readonly unsettled: ReadonlySet<PushEntry>;
}> {
  const { entries } = job.snapshot;
  const { differing, absent } = await compareWithCopy(job, entries);
  if (job.settings.checksum) return { differing, unsettled: new Set() };
  // Of the small files that names need, another time is of no meaning.
  const sure = new Set([...differing].filter(({ virtual }) => virtual === undefined));
  const racy = afterMoves(remembered?.racy ?? [], job.moves);
  const doubtful = staleSuspects(entries, racy, new Set([...sure, ...absent]));
  for (const file of job.moves.suspects) if (!absent.has(file)) doubtful.add(file);
  for (const entry of differing) if (!sure.has(entry)) doubtful.add(entry);
  for (const entry of sure) doubtful.delete(entry);
  if (doubtful.size === 0) return { differing, unsettled: doubtful };
  const list = withAncestors(entries, doubtful);
  const seen = await compareWithCopy(job, list, { checksum: true });
  const unsettled = new Set([...seen.differing].filter((entry) => doubtful.has(entry)));
  return { differing: new Set([...sure, ...unsettled]), unsettled };
}

/** Keys of the cipher paths where nothing can be added, at them or below. */
function barredPlaces(differing: ReadonlySet<PushEntry>): ReadonlySet<string> {
  const barred = new Set<string>();
  for (const entry of differing) {
    const key = pathKey(entry.path);
    if (isDirectory(entry)) barred.add(key);
    else if (entry.virtual === 'diriv') barred.add(parentKey(key));
    else if (entry.virtual === 'name') barred.add(key.slice(0, -'.name'.length));
  }
  return barred;
}

function isAtOrBelow(key: string, places: ReadonlySet<string>): boolean {
  if (places.size === 0) return false;
  for (let at = key; at !== '.'; at = parentKey(at)) if (places.has(at)) return true;
  return false;
}

/** Moves that need nothing but a further name for a file that stays as it is. */
function addingMoves(moves: Moves, isLeft: (entry: PushEntry) => boolean): Moves {
  const files = moves.files.filter(
    ({ entry, from, isOccupied }) => isLeft(entry) && !isOccupied && from.mode === entry.mode,
  );
  return { ...moves, files, suspects: new Set() };
}

/**
 * Tells what the copy does not take, as far as it is a plaintext object or the conf.
 *
 * @param kept - everything that is not sent, in list order
 * @param differing - what of it is there
 */
export function tellKept(
  job: PushJob,
  kept: readonly PushEntry[],
  differing: ReadonlySet<PushEntry>,
): void {
  const { ledger } = job.context;
  // A mirror's marker may be any file of that name.
  const lines = kept
    .filter((entry) => differing.has(entry) && entry.virtual !== 'mirror')
    .map((entry) => keptLine(job, entry));
  ledger.filesKept += kept.filter(({ plain }) => plain !== undefined).length;
  ledger.keepsConf ||= kept.some(({ virtual }) => virtual === 'conf');
  for (const line of lines.slice(0, LINES_MAX)) ledger.note('kept', line);
  const more = lines.length - LINES_MAX;
  if (more > 0) ledger.note('kept', `… and ${more} more that the copy keeps as they were`);
}

/**
 * Whether a server has left files as they were that were to be replaced, without a word; they are told.
 *
 * @param unasked - files that have changed since the last push and that the server did not ask for
 * @throws {ConnectionError | ProtocolError | InterruptedError} the conversation broke
 */
export async function ignoresUpdates(
  job: PushJob,
  unasked: ReadonlySet<PushEntry>,
): Promise<boolean> {
  const { settings, snapshot } = job;
  if (unasked.size === 0 || settings.appendOnly === true) return false;
  try {
    const list = withAncestors(snapshot.entries, unasked);
    const seen = await compareWithCopy(job, list);
    const ignored = new Set([...seen.differing].filter((entry) => unasked.has(entry)));
    tellKept(job, [...ignored], ignored);
    return ignored.size > 0;
  } catch (error) {
    if (error instanceof RemoteError) return false; // it does not take such questions
    throw error;
  }
}

function keptLine(job: PushJob, { plain, path, mode, virtual }: PushEntry): string {
  if (virtual === 'conf') {
    return 'gocryptfs.conf has changed; the copy keeps the older one and the password from then';
  }
  if (virtual === 'diriv') {
    const folder = plainName(job, Buffer.from(parentKey(pathKey(path)), 'latin1'));
    return `${folder}/ has another key file in the copy, which stays; nothing in it was sent`;
  }
  if (virtual === 'name') {
    const owner = plainName(job, path.subarray(0, -'.name'.length));
    return `${owner} has another name file in the copy, which stays; it was not sent`;
  }
  const shown = plain === undefined ? showPath(path) : showPath(plain.path);
  return isDirectory({ mode })
    ? `${shown}/ is no folder in the copy, which keeps what it has; nothing in it was sent`
    : `${shown} has changed; the copy keeps the older version`;
}

function plainName(job: PushJob, cipherPath: Uint8Array): string {
  return showPath(job.context.view.plainPath(cipherPath)?.path ?? cipherPath);
}
