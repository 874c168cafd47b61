/** Asks a server by a dry run. Its silence counts only if control entries were answered. */
import { RemoteError } from '../../../errors.ts';
import { ITEM_RECORDS_SINCE } from '../../../rsync/wire/constants.ts';
import { SERVER_GONE } from '../../../rsync/outcome/status.ts';
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import { isRegularFile } from '../../../tree/entry.ts';
import { absentControls, withControls, type StoredKind } from './control-entry.ts';
import { isNew, isTransfer } from './itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { accept, type PushJob, transferOptions } from './push-job.ts';
import { runRsync, type RunOutcome, type RunPlan } from './rsync-run.ts';
import { withAncestors } from '../source/skeleton.ts';

/**
 * A dry run only reports differences. A server that reports nothing may have everything as it
 * should be, or may not answer: openrsync requests nothing in a dry run, a daemon suppresses
 * messages by `max verbosity`, a restricted shell drops options. So each question also lists an
 * entry whose answer is known. Without that answer the result is unknown, and never "nothing".
 */

/**
 * A dry run: what is listed, and who receives the answers. Controls are added, and their answers
 * are not passed on.
 */
export interface Question extends Omit<RunPlan, 'options'> {
  /** Changes to the options of a dry run with the settings of the job. */
  readonly options?: Partial<TransferOptions>;
}

/** The answer to a question. */
export interface Answer {
  /** Not accepted yet. */
  readonly outcome: RunOutcome;
  /**
   * Whether the server reported the missing control file, so that its silence about others is an
   * answer.
   */
  readonly isAnswered: boolean;
  /**
   * Kinds of objects in the list about which the server reports nothing. Known from protocol 29 on.
   */
  readonly mute: ReadonlySet<StoredKind>;
  /** Whether records distinguish a missing object from a different one. */
  readonly hasItemRecords: boolean;
}

/**
 * Asks, without judging the answer.
 *
 * @throws as `runRsync`
 */
export async function ask(job: PushJob, question: Question): Promise<Answer> {
  const { options: changes, entries, ...listeners } = question;
  const options = transferOptions(job.settings, { dryRun: true, ...changes });
  const controls = absentControls(entries, options);
  const kinds = new Map<PushEntry, StoredKind>(controls.map(({ entry, kind }) => [entry, kind]));
  const heard = new Set<StoredKind>();
  const outcome = await runRsync(job.context, {
    ...listeners,
    entries: withControls(entries, controls),
    options,
    decline: (entry) => kinds.has(entry) || question.decline?.(entry) === true,
    onOpen: (entry) => {
      if (!kinds.has(entry)) question.onOpen?.(entry);
    },
    onItem: (entry, iflags, xname, ndx) => {
      const kind = kinds.get(entry);
      if (kind === undefined) question.onItem?.(entry, iflags, xname, ndx);
      else if (isTransfer(iflags) || isNew(iflags)) heard.add(kind);
    },
  });
  const { protocol = ITEM_RECORDS_SINCE } = outcome;
  const hasItemRecords = protocol >= ITEM_RECORDS_SINCE;
  if (!hasItemRecords && options.deleteAfter) await askForDeletions(job, question, options);
  const mute = new Set(controls.map(({ kind }) => kind).filter((kind) => !heard.has(kind)));
  return {
    outcome,
    isAnswered: controls.length === 0 || heard.has('file'),
    mute: hasItemRecords ? mute : new Set(),
    hasItemRecords,
  };
}

const DELETING = /^(?:\*?deleting) +([\s\S]+?)(\/?)\n?$/;

/** Before protocol 29 a verbose server prints what it would delete as text. */
async function askForDeletions(
  job: PushJob,
  { entries, rules, onDeleted }: Question,
  options: TransferOptions,
): Promise<void> {
  const outcome = await runRsync(job.context, {
    ...(rules && { rules }),
    entries,
    options: { ...options, verbose: true },
    onMessage: (_level, text) => {
      const [, name, slash] = DELETING.exec(text) ?? [];
      if (name !== undefined) onDeleted?.(Buffer.from(name), slash === '/');
    },
  });
  accept(job, outcome);
}

/**
 * Asks a question whose answer is required.
 *
 * @param unknown - what is unknown without an answer, and the remedy
 * @throws {RemoteError} `answers-withheld`
 * @throws as `accept`
 */
export async function askOrRefuse(
  job: PushJob,
  question: Question,
  unknown: Unknown,
): Promise<Answer> {
  const answer = await ask(job, question);
  if (isBrokenOff(answer.outcome)) {
    // openrsync crashes at some options. A question without them shows what the server is.
    const plain = await ask(job, { entries: question.entries.slice(0, 1) });
    if (!isBrokenOff(plain.outcome)) assertAnswered(job, plain, unknown);
  }
  accept(job, answer.outcome);
  assertAnswered(job, answer, unknown);
  return answer;
}

function isBrokenOff({ protocol, error }: RunOutcome): boolean {
  return protocol === undefined && error !== undefined && SERVER_GONE.has(error.code);
}

/** What is unknown without an answer. */
export interface Unknown {
  /** Completes "…, so nobody can tell": `whose copy is there`. */
  readonly what: string;
  /** The remedy, beside another rsync there. */
  readonly remedy?: string;
}

export const WHAT_A_PUSH_DOES: Unknown = {
  what: 'what a push would do',
  remedy: 'A push works all the same.',
};

/** @throws {RemoteError} `answers-withheld` */
export function assertAnswered(
  job: PushJob,
  { isAnswered, outcome }: Answer,
  unknown: Unknown,
): void {
  if (!isAnswered) throw answersWithheld(job, unknown, outcome.protocol);
}

/** The error of a server that does not answer a required question. */
export function answersWithheld(
  { settings, context }: PushJob,
  { what, remedy }: Unknown,
  protocol?: number,
): RemoteError {
  const { shown } = settings.destination;
  const spoken = protocol === undefined ? '' : ` (protocol ${protocol})`;
  const install = `Install rsync 3 there${context.rsyncPath === 'rsync' ? '' : ' in its place'}, or name one with --rsync-path`;
  return new RemoteError(
    'answers-withheld',
    `${shown}: its rsync${spoken} does not answer dry runs, as openrsync does not, so nobody can tell ${what}`,
    { hint: remedy === undefined ? `${install}.` : `${install}. ${remedy}` },
  );
}

export function isWithheld(error: unknown): boolean {
  return error instanceof RemoteError && error.code === 'answers-withheld';
}

/**
 * Whether a server compares existing files: it is asked about a file with another size, and must
 * request it. A server that ignores existing files does not.
 *
 * @param known - a regular file of the snapshot that exists there
 * @throws as `accept`
 */
export async function comparesExisting(
  job: PushJob,
  known: PushEntry,
): Promise<{ readonly compares: boolean; readonly rootIsNew: boolean; readonly answer: Answer }> {
  const { entries } = job.snapshot;
  const [root] = entries;
  const longer = resized(known);
  const list = withAncestors(entries, new Set([known])).map((one) =>
    one === known ? longer : one,
  );
  const said = { rootIsNew: false, compares: false };
  const answer = await ask(job, {
    entries: list,
    options: { checksum: false, ignoreExisting: false },
    onItem: (entry, iflags) => {
      if (entry === root) said.rootIsNew = isNew(iflags);
      else if (entry === longer && isTransfer(iflags)) said.compares = true;
    },
  });
  accept(job, answer.outcome);
  return { ...said, answer };
}

/** The same file, a byte longer. */
function resized({ path, mode, size, mtimeSec, mtimeNsec, uid, gid }: PushEntry): PushEntry {
  return { path, mode, size: size + 1, mtimeSec, mtimeNsec, uid, gid };
}

/**
 * Whether a server reports what it would delete: a dry run leaves out one existing file, and
 * protects everything else.
 *
 * @throws as `accept`
 */
export async function tellsDeletions(job: PushJob): Promise<boolean> {
  const [root] = job.snapshot.entries;
  const known = recognisingFile(job);
  if (root === undefined || known === undefined) return false;
  let isTold = false;
  const answer = await ask(job, {
    entries: [root],
    options: { deleteAfter: true, checksum: false },
    rules: [
      { action: 'risk', pattern: Buffer.concat([Buffer.from('/'), known.path]) },
      { action: 'protect', pattern: Buffer.from('*') },
    ],
    onDeleted: () => {
      isTold = true;
    },
  });
  accept(job, answer.outcome);
  return isTold;
}

/** The file that identifies a copy: its conf, or the marker of a mirror. */
export function recognisingFile({ snapshot }: PushJob): PushEntry | undefined {
  return snapshot.entries.find(
    (entry) => isRegularFile(entry) && (entry.virtual === 'conf' || entry.virtual === 'mirror'),
  );
}
