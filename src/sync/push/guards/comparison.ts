/** Compares a list with a destination by its server's answers. */
import { ConnectionError, ProtocolError, RemoteError } from '../../../errors.ts';
import { isDirectory, isRegularFile } from '../../../tree/entry.ts';
import { isAtOrBelowAny, parentKey, pathKey } from '../../../bytes/paths.ts';
import { kindOf } from '../job/control-entry.ts';
import { isCreation, isHardLink, isNew, isTransfer } from '../job/itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { accept, withEntries, type PushJob } from '../job/push-job.ts';
import {
  type Answer,
  ask,
  assertAnswered,
  comparesExisting,
  type Unknown,
} from '../job/question.ts';
import type { RunOutcome } from '../job/rsync-run.ts';

/** How a destination compares with a list. */
export interface Comparison {
  /** Existing objects that are another file, link or kind of object. */
  readonly differing: ReadonlySet<PushEntry>;
  /** Missing objects. */
  readonly absent: ReadonlySet<PushEntry>;
  /** Existing objects that may differ, because the server does not compare existing files. */
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
 * Has the server compare a list with the copy in dry runs: what it would make, and what would
 * replace something else. The question also works with a server that ignores existing files
 * (`rrsync -no-overwrite`): it prints a line for each existing object. If one line is missing (the
 * `max verbosity` of a daemon suppresses them), the lines are ignored, and two runs that differ in
 * one option are compared instead.
 *
 * @param how.checksum - by content; otherwise as the push compares
 * @param how.unknown - what is unknown without an answer
 * @throws {RemoteError} `answers-withheld`
 * @throws as `accept`, except for files that could not be examined
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
    assertAnswered(job, lines.answer, unknown);
    if (isComplete(lines, entries)) {
      return { differing: lines.differing, absent: lines.wanted, unknown: new Set() };
    }
  }
  const missing = await look(job, entries, { checksum, ignoreExisting: true });
  acceptWhole(job, missing.answer.outcome);
  assertAnswered(job, missing.answer, unknown);
  const either = await look(job, entries, { checksum, ignoreExisting: false });
  acceptWhole(job, either.answer.outcome);
  assertAnswered(job, either.answer, unknown);
  const absent = missing.wanted;
  const differing = new Set([...either.wanted].filter((entry) => !absent.has(entry)));
  const isCompared = [...differing].some(isRegularFile) || (await compares(job, entries, absent));
  if (isCompared) return { differing, absent, unknown: new Set() };
  const isThere = (entry: PushEntry): boolean => !isDirectory(entry) && !absent.has(entry);
  return { differing, absent, unknown: new Set(entries.filter(isThere)) };
}

const DIFFERENCES: Unknown = { what: 'which files it has in another version' };

/**
 * Whether the server compares existing files, tested on a file of the list. True if there is none.
 */
async function compares(
  job: PushJob,
  entries: readonly PushEntry[],
  absent: ReadonlySet<PushEntry>,
): Promise<boolean> {
  const known = entries.find((entry) => isRegularFile(entry) && !absent.has(entry));
  if (known === undefined) return true;
  return (await comparesExisting(withEntries(job, entries), known)).compares;
}

/** The answers of one run about a list. */
interface Look {
  readonly answer: Answer;
  /** Objects that the server would make or request. */
  readonly wanted: ReadonlySet<PushEntry>;
  /** Objects that it would leave alone although they differ. */
  readonly differing: ReadonlySet<PushEntry>;
  /** For how many objects other than folders it says that they exist and whether they differ. */
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
 * Whether the server has said about everything either that it is missing or that it exists.
 * Excepted are folders, kinds that it does not store, and objects below something that is no folder
 * there.
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

/** By their names as a message shows them. Names that are not UTF-8 may look alike. */
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
 * Whether a server did not hold the conversation with `--info`, which rsync before 3.1 does not
 * know and a daemon may refuse. Error messages vary, and daemons of old versions just close the
 * connection.
 */
function isRefusal({ protocol, error }: RunOutcome): boolean {
  if (protocol !== undefined || error === undefined || error.code === 'timeout') return false;
  return (
    error instanceof RemoteError ||
    error instanceof ConnectionError ||
    error instanceof ProtocolError
  );
}

/** Accepts that files below something that is no folder there cannot be examined. */
function acceptWhole(job: PushJob, outcome: RunOutcome): void {
  const isPartial = outcome.exitCode === 23 || outcome.exitCode === 24;
  if (outcome.protocol === undefined || !isPartial) accept(job, outcome);
}
