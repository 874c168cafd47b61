import { EcsyncError, InterruptedError, RemoteError } from '../errors.ts';
import { isDirectory, isRegularFile } from '../tree/entry.ts';
import type { PushEntry } from './push-entry.ts';
import { collectGarbageSooner } from './collect-sooner.ts';
import { contentRules, pruneRules, sweepRules } from './deletion.ts';
import { asNew, isCreation, isTransfer } from './itemize.ts';
import { deletionTerms } from './delete-limit.ts';
import { decideDeletion, refuseOtherVault } from './preflight.ts';
import {
  accept,
  bookkeeping,
  inPlaintext,
  isTooLargeForBlockSize,
  noteDeleted,
  type PushJob,
  shownPath,
  transferOptions,
} from './push-job.ts';
import { afterSkeleton, moveFiles } from './moves-links.ts';
import { emptyState, type PushState } from './push-state.ts';
import { progressOf } from './push-progress.ts';
import { afterMoves, recentFiles, staleSuspects } from './racy.ts';
import type { TransferOptions } from '../rsync/options.ts';
import { contentOptions, NO_TEMP_DIR, skeletonOptions, tempDirOf } from './run-options.ts';
import { runRsync, type RunOutcome, type RunPlan } from './rsync-run.ts';
import { isStructural, knownKey, newStructure, withAncestors } from './skeleton.ts';
import { pathKey } from '../view/path-bytes.ts';
import { foundingRuns, tempDirEntry, tempDirSpellings, withTempDir } from './staging.ts';

/** Where a push's memory of its destination is kept between runs. */
export interface Memory {
  readonly state: PushState;
  /** Writes the state down, so that a push cut off here continues from here. */
  save(): void;
}

/** What a transfer found out on its way. */
interface Findings {
  /** A staging run left copies in the temporary directory. */
  staged: boolean;
  /** The first deletion pass removed something, or met folders it could not empty. */
  pruneNeeded: boolean;
  /** The first deletion pass met something that it could not delete. */
  undeletable: boolean;
  /** Deleting was asked for and is allowed. */
  deleting: boolean;
  /** Files the content run did not send because their block sums would be too many. */
  readonly tooLarge: Set<PushEntry>;
  /** Files whose content was sent in this push. */
  readonly sent: Set<PushEntry>;
  /** Files that changed while they were read. */
  readonly changed: Set<PushEntry>;
}

/** A server's way of saying that it will not use our temporary directory. */
const TEMP_DIR_REFUSED = /temp-dir|receiver option|link-dest|unsafe arg|alternate-?dest/i;

function isTempDirRefusal(outcome: RunOutcome): boolean {
  return outcome.error instanceof RemoteError && TEMP_DIR_REFUSED.test(outcome.saidText);
}

function nameLists(job: PushJob): Pick<RunPlan, 'names'> {
  return job.names === undefined ? {} : { names: job.names };
}

/** A failed housekeeping run costs tidiness, not data: only an interruption may end the push. */
async function tolerating(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (error instanceof InterruptedError || !(error instanceof EcsyncError)) throw error;
  }
}

/** One of the runs that come before the skeleton: a new root, and what is to be staged. */
async function stage(
  job: PushJob,
  copies: readonly PushEntry[],
  next: () => TransferOptions | undefined,
): Promise<void> {
  const [root] = job.snapshot.entries;
  const { onItem } = bookkeeping(job);
  const outcome = await runRsync(job.context, {
    entries: copies,
    options: transferOptions(job.settings, { checksum: false, hardLinks: false }),
    next,
    ...nameLists(job),
    // The root is no copy: this is the run that creates it, or mends its attributes.
    onItem: (entry, ...item) => {
      if (entry === root) onItem(entry, ...item);
    },
    onMessage: (level, text) => tellMessage(job, level, text),
  });
  accept(job, outcome);
}

/**
 * Creates what is new of the skeleton: folders with their diriv, `.name` files, the conf. Tries the
 * spellings of the temporary directory until the server accepts one.
 */
async function buildSkeleton(job: PushJob, memory: Memory, findings: Findings): Promise<void> {
  const { entries } = job.snapshot;
  const { state } = memory;
  const fresh = newStructure(entries, state.known);
  if (fresh.length === 0) return;
  const wanted = new Set(fresh);
  const list = withAncestors(entries, wanted);
  const founding = foundingRuns(list, wanted);
  for (const entriesOfRun of founding) {
    await stage(job, entriesOfRun, () =>
      entriesOfRun === founding.at(-1) ? skeletonOptions(job, state) : undefined,
    );
  }
  if (founding.length > 0) findings.staged = true;
  const spellings = tempDirSpellings(job.context.destination);
  for (;;) {
    const tempDir = tempDirOf(job, state);
    const books = bookkeeping(job);
    const outcome = await runRsync(job.context, {
      ...books,
      ...nameLists(job),
      onItem: (entry, iflags, xname, ndx) => {
        const isNewFolder = isDirectory(entry) && isCreation(iflags);
        books.onItem(entry, isNewFolder ? asNew(iflags) : iflags, xname, ndx);
      },
      entries: withTempDir(list),
      options: skeletonOptions(job, state),
      next: () => afterSkeleton(job) ?? contentOptions(job, state, findings.deleting),
      onMessage: (level, text) => tellMessage(job, level, text),
    });
    if (tempDir !== undefined && isTempDirRefusal(outcome)) {
      state.tempDirChoice =
        state.tempDirChoice + 1 < spellings.length ? state.tempDirChoice + 1 : NO_TEMP_DIR;
      continue;
    }
    if (accept(job, outcome)) for (const entry of fresh) state.known.add(knownKey(entry));
    memory.save();
    return;
  }
}

/** From so many sent files on, memory matters more than the last few percent of time. */
const MANY_FILES = 100;

const NOT_EMPTY = /^cannot delete non-empty directory: /;

type Message = (level: 'info' | 'warning' | 'error', text: string) => void;

function tellMessage(job: PushJob, level: 'info' | 'warning' | 'error', text: string): void {
  if (level === 'info') return;
  for (const line of text.split('\n')) {
    if (line.trim() !== '')
      job.context.ledger.note('remote-message', `server: ${inPlaintext(job, line.trim())}`);
  }
}

/** Listeners of a run that deletes: what goes is told once, in plaintext. */
function deletionListeners(
  job: PushJob,
  findings: Findings,
  tell: Message,
): Pick<RunPlan, 'onDeleted' | 'onMessage'> {
  return {
    onDeleted: (path, isDir) => {
      findings.pruneNeeded = true;
      noteDeleted(job, path, isDir);
    },
    onMessage: (level, text) => {
      if (NOT_EMPTY.test(text)) findings.pruneNeeded = true;
      else tell(level, text);
    },
  };
}

/** Listeners of a run that sends content: what the next push must know is noted beside the books. */
function contentListeners(
  job: PushJob,
  findings: Findings,
): Pick<RunPlan, 'onItem' | 'onSent' | 'onProblem' | 'onProgress'> {
  const books = bookkeeping(job);
  return {
    onItem: books.onItem,
    onSent: (entry, literal, matched) => {
      findings.sent.add(entry);
      if (findings.sent.size === MANY_FILES) collectGarbageSooner();
      books.onSent?.(entry, literal, matched);
    },
    onProblem: (entry, error) => {
      if (error.code === 'changed-while-read') findings.changed.add(entry);
      books.onProblem?.(entry, error);
    },
    onProgress: (entry, bytes) => progressOf(job).within(entry, bytes),
  };
}

/**
 * The main run: everything is listed, the server asks for what differs, and afterwards removes
 * content that is gone from the source.
 *
 * @returns false when the server lost our temporary directory, and with it our idea of its state
 */
async function sendContent(job: PushJob, memory: Memory, findings: Findings): Promise<boolean> {
  const tempDir = tempDirOf(job, memory.state);
  const options = contentOptions(job, memory.state, findings.deleting);
  const books = contentListeners(job, findings);
  const progress = progressOf(job);
  const { ledger } = job.context;
  const failuresBefore = ledger.failures;
  const messages: Parameters<Message>[] = [];
  if (findings.deleting && !memory.state.prunePending) {
    memory.state.prunePending = true;
    memory.save();
  }
  const outcome = await runRsync(job.context, {
    ...books,
    ...nameLists(job),
    ...deletionListeners(job, findings, (...message) => messages.push(message)),
    entries: withTempDir(job.snapshot.entries),
    options,
    next: () => (findings.deleting && findings.pruneNeeded ? options : undefined),
    rules: contentRules(job.scope),
    decline: (entry) => isTooLargeForBlockSize(entry, job.settings),
    onItem: (entry, iflags, xname, ndx) => {
      progress.reached(ndx);
      if (isTransfer(iflags) && isTooLargeForBlockSize(entry, job.settings)) {
        findings.tooLarge.add(entry);
      } else {
        books.onItem(entry, iflags, xname, ndx);
      }
    },
  });
  if (tempDir !== undefined && isTempDirRefusal(outcome)) return false;
  const isPartial = outcome.protocol !== undefined && outcome.exitCode === 23;
  if (findings.deleting && isPartial && ledger.failures === failuresBefore) {
    // What stands in the way may be a folder whose diriv this pass protects: the second one tells.
    findings.pruneNeeded = true;
    findings.undeletable = true;
    return true;
  }
  for (const message of messages) tellMessage(job, ...message);
  accept(job, outcome);
  return true;
}

/** All names of the hard-link groups that any of the given entries belongs to. */
export function withLinkedNames(job: PushJob, files: ReadonlySet<PushEntry>): Set<PushEntry> {
  const groups = new Set([...files].flatMap((file) => file.linkGroup ?? []));
  if (groups.size === 0) return new Set(files);
  const linked = job.snapshot.entries.filter(
    (e) => e.linkGroup !== undefined && groups.has(e.linkGroup),
  );
  return new Set([...files, ...linked]);
}

/** Sends some files in a run of their own, with options that would be wrong for all of them. */
async function sendApart(
  job: PushJob,
  memory: Memory,
  findings: Findings,
  apart: {
    readonly files: ReadonlySet<PushEntry>;
    readonly noBlockSize?: boolean;
    readonly ignoreTimes?: boolean;
  },
): Promise<void> {
  const { files, noBlockSize = false, ignoreTimes = false } = apart;
  if (files.size === 0) return;
  const tempDir = tempDirOf(job, memory.state);
  const { blockSize, ...options } = transferOptions(job.settings, {
    ignoreTimes,
    xattrs: job.settings.xattrs === true,
    ...(tempDir !== undefined && { tempDir }),
  });
  const outcome = await runRsync(job.context, {
    ...contentListeners(job, findings),
    ...nameLists(job),
    entries: withTempDir(withAncestors(job.snapshot.entries, withLinkedNames(job, files))),
    options: noBlockSize || blockSize === undefined ? options : { ...options, blockSize },
    onMessage: (level, text) => tellMessage(job, level, text),
  });
  accept(job, outcome);
}

/** Content that the second pass would delete: the first one should have, and could not. */
async function undeletedContent(job: PushJob): Promise<string[]> {
  const remaining: string[] = [];
  const outcome = await runRsync(job.context, {
    entries: withTempDir(job.snapshot.entries),
    ...nameLists(job),
    options: transferOptions(job.settings, { dryRun: true, deleteAfter: true }),
    rules: pruneRules(job.scope),
    onItem: () => undefined,
    onDeleted: (path, isDir) => {
      if (!isDir && !shownPath(job, path).virtual) remaining.push(pathKey(path));
    },
    onMessage: () => undefined,
  });
  accept(job, outcome);
  return remaining;
}

/** The second deletion pass: emptied folders, orphaned `.name` files, staged copies. */
async function prune(job: PushJob, memory: Memory, findings: Findings): Promise<void> {
  job.reporter.progress({ ...progressOf(job).now(), stage: 'delete' });
  const remaining = findings.undeletable ? await undeletedContent(job) : [];
  const outcome = await runRsync(job.context, {
    ...contentListeners(job, findings),
    ...nameLists(job),
    ...deletionListeners(job, findings, (...message) => tellMessage(job, ...message)),
    entries: withTempDir(job.snapshot.entries),
    options: contentOptions(job, memory.state, true),
    rules: pruneRules(job.scope, remaining),
    decline: (entry) => isTooLargeForBlockSize(entry, job.settings),
  });
  accept(job, outcome);
  memory.state.prunePending = false;
}

/** Empties the temporary directory when nothing else did. */
async function sweep(job: PushJob): Promise<void> {
  const [root] = job.snapshot.entries;
  if (root === undefined) return;
  await runRsync(job.context, {
    entries: [root, tempDirEntry(root)],
    options: transferOptions(job.settings, { deleteAfter: true, checksum: false }),
    rules: sweepRules(),
    ...nameLists(job),
    onItem: () => undefined,
    onMessage: () => undefined,
  });
}

/**
 * Brings the destination up to date in an order in which every prefix is a tree stock gocryptfs
 * calls clean: the skeleton first, then content, then deletions (content before `.name` before
 * diriv before the folder). When nothing structural changed it is a single rsync run.
 *
 * @returns how many deletions were withheld by the limit, if any
 */
export async function transfer(
  job: PushJob,
  remembered: PushState | undefined,
  save: (state: PushState) => void,
): Promise<{ overLimit?: number }> {
  const state = remembered ?? emptyState();
  const memory: Memory = { state, save: () => save(state) };
  const findings: Findings = {
    staged: false,
    pruneNeeded: state.prunePending,
    undeletable: false,
    deleting: false,
    tooLarge: new Set(),
    sent: new Set(),
    changed: new Set(),
  };
  if (remembered === undefined) await refuseOtherVault(job);
  const { deleting, overLimit } = await decideDeletion(job, state);
  findings.deleting = deleting;
  if (deleting) state.foreignChecked = true;
  await buildSkeleton(job, memory, findings);
  const next = (): TransferOptions => contentOptions(job, state, deleting);
  if (await moveFiles(job, state, next)) findings.staged = true;
  if (!(await sendContent(job, memory, findings))) {
    state.known.clear();
    state.tempDirChoice = 0;
    await buildSkeleton(job, memory, findings);
    await sendContent(job, memory, findings);
  }
  await sendApart(job, memory, findings, { files: findings.tooLarge, noBlockSize: true });
  const racy = afterMoves(state.racy, job.moves);
  const suspects = staleSuspects(job.snapshot.entries, racy, findings.sent);
  for (const file of job.moves.suspects) if (!findings.sent.has(file)) suspects.add(file);
  await sendApart(job, memory, findings, { files: suspects, ignoreTimes: true });
  if (findings.deleting && findings.pruneNeeded) await prune(job, memory, findings);
  else if (findings.staged) await tolerating(sweep(job));
  if (findings.deleting && !findings.pruneNeeded) state.prunePending = false;
  remember(job, memory, findings);
  return overLimit === undefined ? {} : { overLimit };
}

/** Writes down what the next push may rely on. */
function remember(job: PushJob, memory: Memory, findings: Findings): void {
  const { state } = memory;
  const isAllDeleted = findings.deleting && job.context.ledger.failures === 0;
  const isWhole = job.settings.paths.length === 0;
  state.deletedUnder = isAllDeleted && isWhole ? deletionTerms(job.settings) : undefined;
  if (findings.deleting && job.settings.paths.length === 0) {
    const present = new Set(job.snapshot.entries.filter(isStructural).map(knownKey));
    for (const key of state.known) if (!present.has(key)) state.known.delete(key);
  }
  state.racy = recentFiles(
    job.snapshot.entries.filter((entry) => isRegularFile(entry) && entry.plain !== undefined),
    job.snapshot.startedMs,
    findings.changed,
  );
  memory.save();
}
