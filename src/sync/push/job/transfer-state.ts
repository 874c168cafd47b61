/** The memory of a destination that runs save, and the listeners that they share. */
import { collectGarbageSooner, MANY_OBJECTS } from '../../garbage-collection.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { Findings } from './findings.ts';
import { isTransfer } from './itemize.ts';
import { ledgerListeners, noteDeleted, noteServerLine, type PushJob } from './push-job.ts';
import type { PushState } from '../memory/push-state.ts';
import type { RunListeners } from './rsync-run.ts';

/** A push's memory of its destination between runs. */
export interface Memory {
  readonly state: PushState;
  /** Saves the state, so that a push cut off here continues from here. */
  save(): void;
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
      findings.notePrune();
      noteDeleted(job, path, isDir);
    },
    onMessage: (level, text) => {
      if (NOT_EMPTY.test(text)) findings.notePrune();
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
      findings.noteSpent();
      return true;
    },
    onItem: (entry, iflags, xname, ndx) => {
      if (isTransfer(iflags)) {
        findings.noteRequested(entry, iflags);
        if (isWithheld(entry)) return;
      }
      books.onItem(entry, iflags, xname, ndx);
    },
    onSent: (entry, literal, matched) => {
      findings.noteSent(entry);
      if (knowsMany && findings.sent.size === MANY_FILES) collectGarbageSooner('pushing');
      books.onSent(entry, literal, matched);
    },
    onProblem: (entry, error) => {
      if (error.code === 'changed-while-read') findings.noteChanged(entry);
      books.onProblem(entry, error);
    },
    onProgress: (entry, bytes) => job.progress.within(entry, bytes),
  };
}
