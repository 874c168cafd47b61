/** A question to a server: a dry run whose silence counts only where control entries were answered. */
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
 * A dry run only ever says what differs. A server that says nothing may have everything as it should
 * be, or may not be answering: openrsync requests nothing in a dry run, a daemon swallows messages by
 * `max verbosity`, a restricted shell drops options. So each question asks about something whose answer
 * is known, too. Where that answer does not come, the result is unknown, and never "nothing".
 */

/** A dry run: what is listed, and who hears the answers. Controls are added, and heard by nobody else. */
export interface Question extends Omit<RunPlan, 'options' | 'names' | 'onItem'> {
  /** Changes to the options of a dry run under the settings of the job. */
  readonly options?: Partial<TransferOptions>;
  onItem?: RunPlan['onItem'];
}

/** What came of a question. */
export interface Answer {
  /** Not accepted yet. */
  readonly outcome: RunOutcome;
  /** Whether the server reported the file that cannot be there: silence about others is an answer, too. */
  readonly isHeard: boolean;
  /** Kinds of objects in the list about which the server says nothing. Known from protocol 29 on. */
  readonly mute: ReadonlySet<StoredKind>;
  /** Whether records tell a missing object from a different one. */
  readonly hasItemRecords: boolean;
}

/**
 * Asks, without judging what came.
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
    onMessage: () => undefined,
    ...listeners,
    ...(job.names && { names: job.names }),
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
    isHeard: controls.length === 0 || heard.has('file'),
    mute: hasItemRecords ? mute : new Set(),
    hasItemRecords,
  };
}

const DELETING = /^(?:\*?deleting) +([\s\S]+?)(\/?)\n?$/;

/** Before protocol 29 a server names what it would delete in lines for people, when it is made to talk. */
async function askForDeletions(
  job: PushJob,
  { entries, rules, onDeleted }: Question,
  options: TransferOptions,
): Promise<void> {
  const outcome = await runRsync(job.context, {
    ...(job.names && { names: job.names }),
    ...(rules && { rules }),
    entries,
    options: { ...options, verbose: true },
    onItem: () => undefined,
    onMessage: (_level, text) => {
      const [, name, slash] = DELETING.exec(text) ?? [];
      if (name !== undefined) onDeleted?.(Buffer.from(name), slash === '/');
    },
  });
  accept(job, outcome);
}

/**
 * Asks a question whose answer decides something.
 *
 * @param unknown - what nobody can tell without an answer, and the way on
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
    // openrsync crashes at some options: what it is shows in a question without them.
    const plain = await ask(job, { entries: question.entries.slice(0, 1) });
    if (!isBrokenOff(plain.outcome)) assertHeard(job, plain, unknown);
  }
  accept(job, answer.outcome);
  assertHeard(job, answer, unknown);
  return answer;
}

function isBrokenOff({ protocol, error }: RunOutcome): boolean {
  return protocol === undefined && error !== undefined && SERVER_GONE.has(error.code);
}

/** What stays unknown. */
export interface Unknown {
  /** Completes "…, so nobody can tell": `whose copy is there`. */
  readonly what: string;
  /** What to do about it, beside another rsync there. */
  readonly remedy?: string;
}

export const WHAT_A_PUSH_DOES: Unknown = {
  what: 'what a push would do',
  remedy: 'A push works all the same.',
};

/** @throws {RemoteError} `answers-withheld` */
export function assertHeard(job: PushJob, { isHeard, outcome }: Answer, unknown: Unknown): void {
  if (!isHeard) throw answersWithheld(job, unknown, outcome.protocol);
}

/** A server that does not answer what must be known. */
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
 * Whether a server compares a file that it has: it is asked about the file with another size, and must
 * want it. One that is made to ignore existing files does not.
 *
 * @param known - a regular file of the snapshot that is there
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
 * Whether a server says what it would delete: it is asked in a dry run that leaves out a file that is
 * there, and protects everything else.
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

/** The file by which a copy is recognised: its conf, or the marker of a mirror. */
export function recognisingFile({ snapshot }: PushJob): PushEntry | undefined {
  return snapshot.entries.find(
    (entry) => isRegularFile(entry) && (entry.virtual === 'conf' || entry.virtual === 'mirror'),
  );
}
