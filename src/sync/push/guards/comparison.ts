/** What a destination has in place of a list, as far as its server says. */
import { ConnectionError, ProtocolError, RemoteError } from '../../../errors.ts';
import { isDirectory, isRegularFile } from '../../../tree/entry.ts';
import { isAtOrBelowAny, parentKey, pathKey } from '../../../bytes/paths.ts';
import { kindOf } from '../job/control-entry.ts';
import { isCreation, isHardLink, isNew, isTransfer } from '../job/itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { accept, type PushJob } from '../job/push-job.ts';
import { type Answer, ask, assertHeard, comparesExisting, type Unknown } from '../job/question.ts';
import type { RunOutcome } from '../job/rsync-run.ts';

/** What a destination has in place of a list. */
export interface Comparison {
  /** What is there and is another file, link or kind of object. */
  readonly differing: ReadonlySet<PushEntry>;
  /** What is not there. */
  readonly absent: ReadonlySet<PushEntry>;
  /** What is there, and nobody can tell whether it differs: the server compares nothing that exists. */
  readonly unknown: ReadonlySet<PushEntry>;
}

/** `NAME exists (file change)`; before rsync 3.2.4 without the reason. */
const EXISTS = /^([\s\S]+) exists(?: \((\w+ change|uptodate)\))?\n?$/;
const OTHER_CONTENT: ReadonlySet<string | undefined> = new Set([
  'file change',
  'sum change',
  'type change',
]);

/**
 * Has the server compare a list with what it has, in dry runs: what would be made, and what would
 * take the place of something else. It is asked in a way that a server answers, too, which is made to
 * leave everything alone that exists (`rrsync -no-overwrite`): for each existing object a line that
 * says so. Where one line is missing (the `max verbosity` of a daemon swallows them), nothing is
 * concluded from any, and two runs that differ in one option tell instead.
 *
 * @param how.checksum - by content; otherwise as the push is asked to compare
 * @param how.unknown - what cannot be told without an answer
 * @throws {RemoteError} `answers-withheld`
 * @throws as `accept`, but for files that could not be examined
 */
export async function compareWithCopy(
  job: PushJob,
  entries: readonly PushEntry[],
  how: { readonly checksum?: boolean; readonly unknown?: Unknown } = {},
): Promise<Comparison> {
  const { checksum = job.settings.checksum, unknown = DIFFERENCES } = how;
  const lines = await look(job, entries, { checksum, ignoreExisting: true, reportSkipped: true });
  if (!isRefusal(lines.answer.outcome)) {
    acceptWhole(job, lines.answer.outcome);
    assertHeard(job, lines.answer, unknown);
    if (isComplete(lines, entries)) {
      return { differing: lines.differing, absent: lines.wanted, unknown: new Set() };
    }
  }
  const missing = await look(job, entries, { checksum, ignoreExisting: true });
  acceptWhole(job, missing.answer.outcome);
  assertHeard(job, missing.answer, unknown);
  const either = await look(job, entries, { checksum, ignoreExisting: false });
  acceptWhole(job, either.answer.outcome);
  assertHeard(job, either.answer, unknown);
  const absent = missing.wanted;
  const differing = new Set([...either.wanted].filter((entry) => !absent.has(entry)));
  const isCompared = [...differing].some(isRegularFile) || (await compares(job, entries, absent));
  if (isCompared) return { differing, absent, unknown: new Set() };
  const isThere = (entry: PushEntry): boolean => !isDirectory(entry) && !absent.has(entry);
  return { differing, absent, unknown: new Set(entries.filter(isThere)) };
}

const DIFFERENCES: Unknown = { what: 'which files it has in another version' };

/** Whether the server compares what exists, tried on a file of the list; true when there is none. */
async function compares(
  job: PushJob,
  entries: readonly PushEntry[],
  absent: ReadonlySet<PushEntry>,
): Promise<boolean> {
  const known = entries.find((entry) => isRegularFile(entry) && !absent.has(entry));
  if (known === undefined) return true;
  const part = { ...job, snapshot: { ...job.snapshot, entries } };
  return (await comparesExisting(part, known)).compares;
}

/** What one run has said about a list. */
interface Look {
  readonly answer: Answer;
  /** What the server would make or ask for. */
  readonly wanted: ReadonlySet<PushEntry>;
  /** What it would leave alone though it differs. */
  readonly differing: ReadonlySet<PushEntry>;
  /** Of how many objects that are no folders it says that they exist, and whether they differ. */
  readonly told: number;
}

async function look(
  job: PushJob,
  entries: readonly PushEntry[],
  options: {
    readonly checksum: boolean;
    readonly ignoreExisting: boolean;
    readonly reportSkipped?: boolean;
  },
): Promise<Look> {
  const wanted = new Set<PushEntry>();
  const differing = new Set<PushEntry>();
  let told = 0;
  let named: ReadonlyMap<string, readonly PushEntry[]> | undefined;
  const answer = await ask(job, {
    entries,
    options: { xattrs: job.settings.xattrs, ...options },
    onItem: (entry, iflags) => {
      const isMade = isNew(iflags) || (isCreation(iflags) && !isHardLink(iflags));
      if (isTransfer(iflags) || isMade) wanted.add(entry);
    },
    onMessage: (_level, text) => {
      const [, name, difference] = EXISTS.exec(text) ?? [];
      if (name === undefined || difference === undefined) return;
      told++;
      if (!OTHER_CONTENT.has(difference)) return;
      named ??= byShownName(entries);
      const meant = named.get(name) ?? [];
      for (const entry of meant) differing.add(entry);
      if (meant.every(isDirectory)) told--;
    },
  });
  return { answer, wanted, differing, told };
}

/**
 * Whether the server has said of everything either that it lacks it or that it exists. Not of folders,
 * nor of kinds that it does not store, nor of what is below something that is no folder there.
 */
function isComplete(
  { answer, wanted, differing, told }: Look,
  entries: readonly PushEntry[],
): boolean {
  const barred = new Set([...differing].filter(isDirectory).map(({ path }) => pathKey(path)));
  let existing = 0;
  for (const entry of entries) {
    const kind = kindOf(entry);
    if (kind === undefined || wanted.has(entry) || isBelow(entry.path, barred)) continue;
    if (kind === 'file' || !answer.mute.has(kind)) existing++;
  }
  return told === existing;
}

function isBelow(path: Uint8Array, places: ReadonlySet<string>): boolean {
  return isAtOrBelowAny(parentKey(pathKey(path)), places);
}

/** By their names as a message shows them: bytes that are not UTF-8 may look alike there. */
function byShownName(entries: readonly PushEntry[]): ReadonlyMap<string, readonly PushEntry[]> {
  const named = new Map<string, PushEntry[]>();
  for (const entry of entries) {
    const name = Buffer.from(pathKey(entry.path), 'latin1').toString('utf8');
    const others = named.get(name);
    if (others === undefined) named.set(name, [entry]);
    else others.push(entry);
  }
  return named;
}

/**
 * Whether a server did not hold the conversation with `--info`, which rsync before 3.1 does not know and a
 * daemon may refuse. What it says is not the same everywhere, and daemons of old versions just close.
 */
function isRefusal({ protocol, error }: RunOutcome): boolean {
  if (protocol !== undefined || error === undefined || error.code === 'timeout') return false;
  return (
    error instanceof RemoteError ||
    error instanceof ConnectionError ||
    error instanceof ProtocolError
  );
}

/** Files below something that is no folder there cannot be examined: that is an answer, too. */
function acceptWhole(job: PushJob, outcome: RunOutcome): void {
  const isPartial = outcome.exitCode === 23 || outcome.exitCode === 24;
  if (outcome.protocol === undefined || !isPartial) accept(job, outcome);
}
