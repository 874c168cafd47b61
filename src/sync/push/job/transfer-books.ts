/** What the runs of a transfer share, and how each of them keeps the books. */
import { RemoteError } from '../../../errors.ts';
import { collectGarbageSooner, MANY_OBJECTS } from '../../garbage-collection.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { isTransfer, isWantedForItsTime } from './itemize.ts';
import { bookkeeping, noteDeleted, noteServerLine, type PushJob } from './push-job.ts';
import { progressOf } from './push-progress.ts';
import type { PushState } from '../memory/push-state.ts';
import type { RunOutcome, RunPlan } from './rsync-run.ts';

/** What the runs of one push share, and how each of them keeps the books. */

/** Where a push's memory of its destination is kept between runs. */
export interface Memory {
  readonly state: PushState;
  /** Writes the state down, so that a push cut off here continues from here. */
  save(): void;
}

/** What a transfer found out on its way. */
export interface Findings {
  /** A staging run, or a push that did not end, left something in the temporary directory. */
  staged: boolean;
  /** A push before this one may have left folders half made or half removed. */
  readonly halfFolders: boolean;
  /** A push that did not end came before this one. */
  readonly isResuming: boolean;
  /** The first deletion pass removed something, or met folders it could not empty. */
  pruneNeeded: boolean;
  /** The first deletion pass met something that it could not delete. */
  undeletable: boolean;
  /** Deleting was asked for and is allowed. */
  deleting: boolean;
  /** It begins when all content is there, with a content run of its own. */
  deletesLater: boolean;
  /** Files the content run did not send because their block sums would be too many. */
  readonly tooLarge: Set<PushEntry>;
  /** `--max-bytes` was reached, and something is left to send. */
  isSpent: boolean;
  /** Files that have changed since the last push and were not asked for yet. */
  readonly unasked: Set<PushEntry>;
  /** Moved files that the server has made under their new names. */
  linked: ReadonlySet<PushEntry>;
  /** Files whose content was sent in this push. */
  readonly sent: Set<PushEntry>;
  /** Files that the server wanted because it has them with another time. */
  readonly otherTime: Set<PushEntry>;
  /** Files that changed while they were read. */
  readonly changed: Set<PushEntry>;
  /** This push has seen for itself that the copy is this vault's. */
  isCopyConfirmed: boolean;
}

/** A server's way of saying that it will not use our temporary directory. */
const TEMP_DIR_REFUSED = /temp-dir|receiver option|link-dest|unsafe arg|alternate-?dest/i;

export function isTempDirRefusal(outcome: RunOutcome): boolean {
  return outcome.error instanceof RemoteError && TEMP_DIR_REFUSED.test(outcome.saidText);
}

export function nameLists(job: PushJob): Pick<RunPlan, 'names'> {
  return job.names === undefined ? {} : { names: job.names };
}

/** From so many sent files on, memory matters more than the last few percent of time. */
const MANY_FILES = 100;

const NOT_EMPTY = /^cannot delete non-empty directory: /;

export type Message = (level: 'info' | 'warning' | 'error', text: string) => void;

export function tellMessage(job: PushJob, level: 'info' | 'warning' | 'error', text: string): void {
  if (level === 'info') return;
  for (const line of text.split('\n')) {
    if (line.trim() !== '') noteServerLine(job, line);
  }
}

/** Listeners of a run that deletes: what goes is told once, in plaintext. */
export function deletionListeners(
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
export function contentListeners(
  job: PushJob,
  findings: Findings,
): Pick<RunPlan, 'withhold' | 'onItem' | 'onSent' | 'onProblem' | 'onProgress'> {
  const books = bookkeeping(job);
  const { maxBytes = Infinity } = job.settings;
  const knowsMany = job.snapshot.entries.length >= MANY_OBJECTS;
  const isWithheld = (entry: PushEntry): boolean =>
    entry.plain !== undefined && job.context.ledger.literalBytes >= maxBytes;
  return {
    withhold: (entry) => {
      if (!isWithheld(entry)) return false;
      findings.isSpent = true;
      return true;
    },
    onItem: (entry, iflags, xname, ndx) => {
      if (isTransfer(iflags)) {
        findings.unasked.delete(entry);
        if (isWantedForItsTime(iflags)) findings.otherTime.add(entry);
        if (isWithheld(entry)) return;
      }
      books.onItem(entry, iflags, xname, ndx);
    },
    onSent: (entry, literal, matched) => {
      findings.sent.add(entry);
      if (knowsMany && findings.sent.size === MANY_FILES) collectGarbageSooner('pushing');
      books.onSent?.(entry, literal, matched);
    },
    onProblem: (entry, error) => {
      if (error.code === 'changed-while-read') findings.changed.add(entry);
      books.onProblem?.(entry, error);
    },
    onProgress: (entry, bytes) => progressOf(job).within(entry, bytes),
  };
}
