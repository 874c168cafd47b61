/** Keeps a push with `--append-only` from replacing anything. */
import { RemoteError } from '../../../errors.ts';
import { isDirectory } from '../../../tree/entry.ts';
import { showPath } from '../../../tree/file-failure.ts';
import { isAtOrBelowAny, parentKey, pathKey } from '../../../bytes/paths.ts';
import { compareWithCopy } from './comparison.ts';
import type { Moves } from '../memory/moves.ts';
import { refuseOtherCopy } from './preflight.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { withEntries, type PushJob } from '../job/push-job.ts';
import type { PushState } from '../memory/push-state.ts';
import type { Unknown } from '../job/question.ts';
import { afterMoves, staleSuspects } from '../memory/racy.ts';
import { withAncestors } from '../source/skeleton.ts';
import { filesInDoubt, selectionTerms } from '../memory/unfinished.ts';

/**
 * A push that only adds (`--append-only`). Before anything is sent, the server is asked which of
 * its objects differ. These are reported and left out of all later lists. The rest is an ordinary
 * push, with `--ignore-existing` in every run for objects that appear meanwhile.
 */

/** Limits the number of reported lines. The rest is counted. */
const LINES_MAX = 100;

/**
 * The job without everything that would replace something at the destination.
 *
 * @param remembered - state of the destination
 * @throws {VaultError} `destination-other-vault`
 * @throws as `accept`
 */
export async function preserveExisting(
  job: PushJob,
  remembered: PushState | undefined,
): Promise<PushJob> {
  const { entries } = job.snapshot;
  const { differing, unsettled, unknown } = await differingEntries(job, remembered);
  if (unknown.size > 0) reportUnknown(job, unknown);
  // A server that compares nothing cannot say what it has under an old name.
  const isLinkable = unknown.size === 0;
  if (differing.size === 0) return { ...job, moves: addingMoves(job.moves, () => isLinkable) };
  const barred = barredPlaces(differing);
  if (barred.has('.')) refuseOtherCopy(job);
  const isLeft = (entry: PushEntry): boolean =>
    !differing.has(entry) && !isAtOrBelowAny(pathKey(entry.path), barred);
  const left = entries.filter(isLeft);
  reportKept(
    job,
    entries.filter((entry) => !isLeft(entry)),
    differing,
  );
  return {
    ...withEntries(job, left),
    moves: addingMoves(job.moves, (entry) => isLinkable && isLeft(entry)),
    unsettled,
  };
}

/** Existing objects of the copy that may differ. */
interface Differences {
  /** Objects that differ. Compared by content where size and time prove nothing. */
  readonly differing: ReadonlySet<PushEntry>;
  /** Objects whose difference only that comparison has shown. */
  readonly unsettled: ReadonlySet<PushEntry>;
  /** Existing objects that the server does not compare. */
  readonly unknown: ReadonlySet<PushEntry>;
}

const OLDER_VERSIONS: Unknown = {
  what: 'which files the copy has in an older version',
  remedy: 'A push without --append-only works.',
};

async function differingEntries(
  job: PushJob,
  remembered: PushState | undefined,
): Promise<Differences> {
  const { entries } = job.snapshot;
  const about = { unknown: OLDER_VERSIONS };
  const { differing, absent, unknown } = await compareWithCopy(job, entries, about);
  if (job.settings.checksum || unknown.size > 0) {
    return { differing, unsettled: new Set(), unknown };
  }
  // Ignore differences in the times of diriv and .name files.
  const sure = new Set([...differing].filter(({ virtual }) => virtual === undefined));
  const racy = afterMoves(remembered?.racy ?? [], job.moves);
  const doubtful = staleSuspects(entries, racy, new Set([...sure, ...absent]));
  const terms = selectionTerms(job.settings);
  const inDoubt = filesInDoubt(entries, remembered?.unfinished, terms);
  for (const file of [...job.moves.suspects, ...inDoubt]) {
    if (!absent.has(file)) doubtful.add(file);
  }
  for (const entry of differing) if (!sure.has(entry)) doubtful.add(entry);
  for (const entry of sure) doubtful.delete(entry);
  if (doubtful.size === 0) return { differing, unsettled: doubtful, unknown };
  const list = withAncestors(entries, doubtful);
  const seen = await compareWithCopy(job, list, { ...about, checksum: true });
  const unsettled = new Set([...seen.differing].filter((entry) => doubtful.has(entry)));
  return { differing: new Set([...sure, ...unsettled]), unsettled, unknown };
}

/** Reports that a server compares nothing, and names what has changed here since the last push. */
function reportUnknown(job: PushJob, unknown: ReadonlySet<PushEntry>): void {
  const { settings, context, moves } = job;
  context.ledger.note(
    'comparison-withheld',
    `${settings.destination.shown}: the server does not tell whether files that exist are as they are here`,
  );
  reportUnsure(
    job,
    (moves.changed ?? []).filter((entry) => unknown.has(entry)),
  );
}

/**
 * Names files that have changed here, if the server does not tell whether the copy is up to date.
 */
function reportUnsure(job: PushJob, files: readonly PushEntry[]): void {
  const { ledger } = job.context;
  const lines = files.map(
    ({ plain, path }) =>
      `${showPath(plain?.path ?? path)} has changed; the server does not tell whether the copy has it as it is now`,
  );
  reportLines(job, 'kept-unknown', lines, 'of which the same is true');
  ledger.failures += files.length;
}

function reportLines(
  { context }: PushJob,
  code: string,
  lines: readonly string[],
  rest: string,
): void {
  for (const line of lines.slice(0, LINES_MAX)) context.ledger.note(code, line);
  const more = lines.length - LINES_MAX;
  if (more > 0) context.ledger.note(code, `… and ${more} more ${rest}`);
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

/** Moves that only need an additional name for an unchanged file. */
function addingMoves(moves: Moves, isLeft: (entry: PushEntry) => boolean): Moves {
  const files = moves.files.filter(
    ({ entry, from, isOccupied }) => isLeft(entry) && !isOccupied && from.mode === entry.mode,
  );
  return { ...moves, files, suspects: new Set() };
}

/**
 * Reports what the copy does not accept, as far as it is a plaintext object or the conf.
 *
 * @param kept - everything that is not sent, in list order
 * @param differing - the ones of these that exist in the copy
 */
function reportKept(
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
  reportLines(job, 'kept', lines, 'that the copy keeps as they were');
}

/**
 * Whether a server has silently ignored updates of existing files. These files are reported, and so
 * are those about which it does not tell.
 *
 * @param unrequested - files that have changed since the last push and that the server did not
 *   request
 * @throws {ConnectionError | ProtocolError | InterruptedError} the conversation broke
 */
export async function ignoresUpdates(
  job: PushJob,
  unrequested: ReadonlySet<PushEntry>,
): Promise<boolean> {
  const { settings, snapshot } = job;
  if (unrequested.size === 0 || settings.appendOnly) return false;
  const isUnrequested = (entry: PushEntry): boolean => unrequested.has(entry);
  const list = withAncestors(snapshot.entries, unrequested);
  const seen = await compareWithCopy(job, list).catch((error: unknown) => {
    if (error instanceof RemoteError) return undefined; // it does not answer such questions
    throw error;
  });
  if (seen === undefined) {
    reportUnsure(job, [...unrequested]);
    return false;
  }
  reportUnsure(job, [...seen.unknown].filter(isUnrequested));
  const ignored = new Set([...seen.differing].filter(isUnrequested));
  reportKept(job, [...ignored], ignored);
  return ignored.size > 0;
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
