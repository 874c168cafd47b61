/** Has the server compare a list with the copy, for `verify`. */
import { RemoteError } from '../../errors.ts';
import { isRegularFile } from '../../tree/entry.ts';
import { kindOf, type StoredKind } from '../push/job/control-entry.ts';
import { previewRules } from '../push/job/deletion.ts';
import { asNew, isSignificant, withoutModeAndOwner } from '../push/job/itemize.ts';
import { accept, isScratch, type PushJob } from '../push/job/push-job.ts';
import type { PushEntry } from '../push/source/push-entry.ts';
import type { PushProgress } from '../push/source/push-settings.ts';
import { ask, assertAnswered, tellsDeletions, type Unknown } from '../push/job/question.ts';
import type { RunOutcome } from '../push/job/rsync-run.ts';
import { findMissing } from '../push/runs/unstored-kinds.ts';
import type { Difference, Extra } from './verify-finding.ts';

/** What a server reported about a list, and about objects that are not in it. */
export interface Inspection {
  readonly differences: readonly Difference[];
  readonly extras: readonly Extra[];
  readonly extrasAsked: boolean;
  readonly hasItemRecords: boolean;
}

/** Messages of servers that do not allow this key to delete. */
const DELETE_REFUSED = /delete/i;

/**
 * Has the server compare a list with the copy.
 *
 * @param what.checksum - by content; otherwise by size and time
 * @param what.extras - also report objects that are not in the list, which must be complete then
 */
export async function inspect(
  job: PushJob,
  what: {
    readonly entries: readonly PushEntry[];
    readonly checksum: boolean;
    readonly extras: boolean;
  },
): Promise<Inspection> {
  const { ledger } = job.context;
  if (what.extras && job.snapshot.incomplete) {
    reportNoExtras(job, 'the source could not be read completely');
    return inspect(job, { ...what, extras: false });
  }
  const differences: Difference[] = [];
  const extras: Extra[] = [];
  const troubled = new Set<PushEntry>();
  let deletions = 0;
  const answer = await ask(job, {
    entries: what.entries,
    options: {
      checksum: what.checksum,
      deleteAfter: what.extras,
      xattrs: job.settings.xattrs,
    },
    ...(what.extras && { rules: previewRules(job.scope) }),
    onOpen: hashingProgress(job, what.entries),
    onItem: (entry, told) => {
      // A root that existed before the copy keeps its own attributes.
      const isKept = job.root === undefined && entry === job.snapshot.entries[0];
      const iflags = isKept ? withoutModeAndOwner(told) : told;
      if (isSignificant(iflags)) differences.push({ entry, iflags });
    },
    onDeleted: (cipherPath, isDirectory) => {
      deletions++;
      if (!isScratch(cipherPath)) extras.push({ cipherPath, isDirectory });
    },
    onProblem: (entry, error) => {
      troubled.add(entry);
      ledger.problem(error, entry);
    },
  });
  if (what.extras && isDeleteRefusal(answer.outcome)) {
    reportNoExtras(job, 'this key may not delete, so the server does not tell');
    return inspect(job, { ...what, extras: false });
  }
  accept(job, answer.outcome);
  assertAnswered(job, answer, WHETHER_WHOLE);
  const { mute, hasItemRecords } = answer;
  if (mute.size > 0) differences.push(...(await missingOf(job, what.entries, mute)));
  const extrasAsked = what.extras && (deletions > 0 || (await tellsDeletions(job)));
  if (what.extras && !extrasAsked) reportNoExtras(job, 'the server does not tell');
  return {
    // Files that could not be read here were sent with a checksum of nothing.
    differences: differences.filter(({ entry }) => !troubled.has(entry)),
    extras,
    extrasAsked,
    hasItemRecords,
  };
}

export const WHETHER_WHOLE: Unknown = { what: 'whether the copy is whole' };

/**
 * Reports missing objects of the kinds about which the server says nothing. Existing ones are not
 * compared.
 */
async function missingOf(
  job: PushJob,
  entries: readonly PushEntry[],
  mute: ReadonlySet<StoredKind>,
): Promise<readonly Difference[]> {
  const unsaid = entries.filter((entry) => {
    const kind = kindOf(entry);
    return kind !== undefined && mute.has(kind);
  });
  const missing = await findMissing(job, unsaid);
  const there = unsaid.length - missing.length;
  if (there > 0) {
    const kinds = [...mute].map((kind) => (kind === 'special' ? 'pipe' : kind)).join(', ');
    job.context.ledger.note(
      'kinds-unknown',
      `the server says nothing about objects of some kinds (${kinds}): ${there} that are there were not compared`,
    );
  }
  return missing.map((entry) => ({ entry, iflags: asNew(0) }));
}

function reportNoExtras(job: PushJob, reason: string): void {
  const text = `what the copy has beyond the vault was not looked for: ${reason}`;
  job.context.ledger.note('extras-unknown', text);
}

function isDeleteRefusal(outcome: RunOutcome): boolean {
  return (
    outcome.protocol === undefined &&
    outcome.error instanceof RemoteError &&
    DELETE_REFUSED.test(outcome.saidText)
  );
}

/** Reports the progress of hashing. Files are opened in the order of the list. */
function hashingProgress(job: PushJob, entries: readonly PushEntry[]): (entry: PushEntry) => void {
  const files = entries.filter(isRegularFile);
  const bytesTotal = files.reduce((sum, { size }) => sum + size, 0);
  let filesDone = 0;
  let bytesDone = 0;
  return (entry) => {
    const progress: PushProgress = {
      stage: 'compare',
      filesDone: filesDone++,
      filesTotal: files.length,
      bytesDone,
      bytesTotal,
      ...(entry.plain && { current: entry.plain.path }),
    };
    bytesDone += entry.size;
    job.reporter.progress(progress);
  };
}
