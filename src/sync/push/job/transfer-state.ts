/** State that the runs of a transfer share, and their listeners. */
import { RemoteError } from '../../../errors.ts';
import { collectGarbageSooner, MANY_OBJECTS } from '../../garbage-collection.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { isTransfer, isWantedForItsTime } from './itemize.ts';
import { ledgerListeners, noteDeleted, noteServerLine, type PushJob } from './push-job.ts';
import type { PushState } from '../memory/push-state.ts';
import type { RunListeners, RunOutcome } from './rsync-run.ts';

/** A push's memory of its destination between runs. */
export interface Memory {
  readonly state: PushState;
  /** Saves the state, so that a push cut off here continues from here. */
  save(): void;
}

/** What a transfer has found so far. */
export interface Findings {
  /** A staging run, or an unfinished push, left something in the temporary directory. */
  staged: boolean;
  /** An earlier push may have left half-made or half-removed folders. */
  readonly halfFolders: boolean;
  /** The previous push did not finish. */
  readonly isResuming: boolean;
  /** The first deletion pass removed something, or met folders it could not empty. */
  pruneNeeded: boolean;
  /** The first deletion pass met something that it could not delete. */
  undeletable: boolean;
  /** Deleting was requested and is allowed. */
  deleting: boolean;
  /** Deletions wait until all content is stored, and start with a content run of their own. */
  deletesLater: boolean;
  /** Files that the content run did not send because their block sums would be too many. */
  readonly tooLarge: Set<PushEntry>;
  /** `--max-bytes` was reached before everything was sent. */
  isSpent: boolean;
  /** Files that have changed since the last push and that the server has not requested yet. */
  readonly unrequested: Set<PushEntry>;
  /** Moved files that the server has linked under their new names. */
  linked: ReadonlySet<PushEntry>;
  /** Files whose content was sent in this push. */
  readonly sent: Set<PushEntry>;
  /** Files that the server requested because it has them with another time. */
  readonly otherTime: Set<PushEntry>;
  /** Files that changed while they were read. */
  readonly changed: Set<PushEntry>;
  /** This push has verified that the copy is this vault's. */
  isCopyConfirmed: boolean;
}

/** Messages of servers that refuse our temporary directory. */
const TEMP_DIR_REFUSED = /temp-dir|receiver option|link-dest|unsafe arg|alternate-?dest/i;

export function isTempDirRefusal(outcome: RunOutcome): boolean {
  return outcome.error instanceof RemoteError && TEMP_DIR_REFUSED.test(outcome.saidText);
}

/** Above this number of sent files, saving memory is worth a few percent of the time. */
const MANY_FILES = 100;

const NOT_EMPTY = /^cannot delete non-empty directory: /;

export type Message = (level: 'info' | 'warning' | 'error', text: string) => void;

export function reportMessage(
  job: PushJob,
  level: 'info' | 'warning' | 'error',
  text: string,
): void {
  if (level === 'info') return;
  for (const line of text.split('\n')) {
    if (line.trim() !== '') noteServerLine(job, line);
  }
}

/** Listeners of a run that deletes. Each deletion is reported once, in plaintext. */
export function deletionListeners(
  job: PushJob,
  findings: Findings,
  tell: Message,
): RunListeners<'onDeleted' | 'onMessage'> {
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

/** Listeners of a run that sends content. They also note what the next push must know. */
export function contentListeners(
  job: PushJob,
  findings: Findings,
): RunListeners<'withhold' | 'onItem' | 'onSent' | 'onProblem' | 'onProgress'> {
  const books = ledgerListeners(job);
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
        findings.unrequested.delete(entry);
        if (isWantedForItsTime(iflags)) findings.otherTime.add(entry);
        if (isWithheld(entry)) return;
      }
      books.onItem(entry, iflags, xname, ndx);
    },
    onSent: (entry, literal, matched) => {
      findings.sent.add(entry);
      if (knowsMany && findings.sent.size === MANY_FILES) collectGarbageSooner('pushing');
      books.onSent(entry, literal, matched);
    },
    onProblem: (entry, error) => {
      if (error.code === 'changed-while-read') findings.changed.add(entry);
      books.onProblem(entry, error);
    },
    onProgress: (entry, bytes) => job.progress.within(entry, bytes),
  };
}
