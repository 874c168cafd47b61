/** What a push finds out while its runs are under way, and what later runs of it make of that. */
import type { PushEntry } from '../source/push-entry.ts';
import type { PushState } from '../memory/push-state.ts';
import { isWantedForItsTime } from './itemize.ts';

/**
 * When a push deletes: never, because deleting was not requested or is not allowed; from the first
 * content run on; or in a content run of its own, after all content is stored.
 */
export type DeletionTime = 'never' | 'from-start' | 'at-end';

/** What a push knows of its copy before its first run. */
export interface Beginning {
  readonly state: Pick<PushState, 'prunePending' | 'sweepPending' | 'halfFolders'>;
  /** Files that have changed since the last push. Absent: unknown. */
  readonly changed: readonly PushEntry[] | undefined;
  readonly deletion: DeletionTime;
  readonly isCopyConfirmed: boolean;
}

/** What a push has found so far. The runs note what they meet, in the order of the runs. */
export class Findings {
  /** An earlier push may have left half-made or half-removed folders. */
  readonly halfFolders: boolean;
  /** The previous push did not finish. */
  readonly isResuming: boolean;
  readonly #unrequested: Set<PushEntry>;
  readonly #tooLarge = new Set<PushEntry>();
  readonly #sent = new Set<PushEntry>();
  readonly #otherTime = new Set<PushEntry>();
  readonly #changed = new Set<PushEntry>();
  #linked: ReadonlySet<PushEntry> = new Set();
  #deletion: DeletionTime;
  #isStaged: boolean;
  #needsPrune: boolean;
  #isUndeletable = false;
  #isSpent = false;
  #isCopyConfirmed: boolean;

  constructor({ state, changed = [], deletion, isCopyConfirmed }: Beginning) {
    this.halfFolders = state.halfFolders === true;
    this.isResuming = state.sweepPending === true;
    this.#isStaged = state.sweepPending === true;
    this.#needsPrune = state.prunePending;
    this.#unrequested = new Set(changed);
    this.#deletion = deletion;
    this.#isCopyConfirmed = isCopyConfirmed;
  }

  /** The content run deletes. */
  get isDeleting(): boolean {
    return this.#deletion === 'from-start';
  }

  /** Another content run follows, which deletes. */
  get deletesLater(): boolean {
    return this.#deletion === 'at-end' && !this.#isSpent;
  }

  /** From here on the content run deletes. */
  startDeleting(): void {
    this.#deletion = 'from-start';
  }

  /** A staging run, or an unfinished push, left something in the temporary directory. */
  get isStaged(): boolean {
    return this.#isStaged;
  }

  noteStaged(): void {
    this.#isStaged = true;
  }

  /** The first deletion pass removed something, or met folders it could not empty. */
  get needsPrune(): boolean {
    return this.#needsPrune;
  }

  notePrune(): void {
    this.#needsPrune = true;
  }

  /** The first deletion pass met something that it could not delete. */
  get isUndeletable(): boolean {
    return this.#isUndeletable;
  }

  /** The second pass finds out what it is. */
  noteUndeletable(): void {
    this.#isUndeletable = true;
    this.#needsPrune = true;
  }

  /** This push has verified that the copy is this vault's. */
  get isCopyConfirmed(): boolean {
    return this.#isCopyConfirmed;
  }

  confirmCopy(): void {
    this.#isCopyConfirmed = true;
  }

  /** `--max-bytes` was reached before everything was sent. */
  get isSpent(): boolean {
    return this.#isSpent;
  }

  noteSpent(): void {
    this.#isSpent = true;
  }

  /** Moved files that the server has linked under their new names. */
  get linked(): ReadonlySet<PushEntry> {
    return this.#linked;
  }

  noteLinked(files: ReadonlySet<PushEntry>): void {
    this.#linked = files;
  }

  /** Files that have changed since the last push and that the server has not requested yet. */
  get unrequested(): ReadonlySet<PushEntry> {
    return this.#unrequested;
  }

  /** Files that the server requested because it has them with another time. */
  get otherTime(): ReadonlySet<PushEntry> {
    return this.#otherTime;
  }

  noteRequested(entry: PushEntry, iflags: number): void {
    this.#unrequested.delete(entry);
    if (isWantedForItsTime(iflags)) this.#otherTime.add(entry);
  }

  /** Files that the content run did not send because their block sums would be too many. */
  get tooLarge(): ReadonlySet<PushEntry> {
    return this.#tooLarge;
  }

  /** The server requested a file that this run does not send. */
  noteTooLarge(entry: PushEntry): void {
    this.#unrequested.delete(entry);
    this.#tooLarge.add(entry);
  }

  /** Files whose content was sent in this push. */
  get sent(): ReadonlySet<PushEntry> {
    return this.#sent;
  }

  noteSent(entry: PushEntry): void {
    this.#sent.add(entry);
  }

  /** Files that changed while they were read. */
  get changed(): ReadonlySet<PushEntry> {
    return this.#changed;
  }

  noteChanged(entry: PushEntry): void {
    this.#changed.add(entry);
  }
}
