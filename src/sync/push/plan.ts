/** Reports what a push would do, without changing anything. */
import { performance } from 'node:perf_hooks';
import { RemoteError } from '../../errors.ts';
import { TEMPORARY_DIRECTORY } from '../../gocryptfs/names/names.ts';
import { isDirectory, isRegularFile } from '../../tree/entry.ts';
import { pathKey } from '../../bytes/paths.ts';
import { withLinkedNames } from './runs/content-run.ts';
import { previewRules, protectForeign } from './job/deletion.ts';
import { isNew, isTransfer, LINKED } from './job/itemize.ts';
import { confirmMoves, underOldNames } from './runs/moves-links.ts';
import { suspectsOf } from './runs/suspects.ts';
import { decideDeletion } from './guards/preflight.ts';
import {
  accept,
  ledgerListeners,
  isTooLargeForBlockSize,
  noteDeleted,
  type PushJob,
  transferOptions,
} from './job/push-job.ts';
import type { OpenVault } from './opened-vault.ts';
import { withPushJob, type PushSurroundings } from './push.ts';
import type { PushEntry } from './source/push-entry.ts';
import type { PlanSummary, PushSettings } from './source/push-settings.ts';
import { emptyState, type PushState } from './memory/push-state.ts';
import { summarise } from './push-summary.ts';
import { type Answer, ask, assertAnswered, WHAT_A_PUSH_DOES } from './job/question.ts';
import type { MovedFile } from './memory/moves.ts';
import { readyToPush } from './guards/ready-to-push.ts';
import type { RunOutcome } from './job/rsync-run.ts';
import { NO_TEMP_DIR } from './job/run-options.ts';
import type { NOT_ENCRYPTED } from '../run-settings.ts';
import { newStructure, withAncestors } from './source/skeleton.ts';
import { foundingRuns } from './job/staging.ts';
import { noteUnstored } from './runs/unstored-kinds.ts';

/** Messages of servers that do not support measuring. */
const MEASURE_REFUSED = /only-write-batch|unknown option|unrecognized option|syntax or usage/i;

/**
 * Reports what a push would do. Changes nothing.
 *
 * @param options.exact - let the server compare blocks, to know the exact number of bytes
 * @returns the figures; `exitCode` 23, 24 or 25 if the push could not do all of it
 * @throws as `push`
 */
export async function plan(
  settings: PushSettings,
  vault: OpenVault | typeof NOT_ENCRYPTED,
  surroundings: PushSurroundings,
  options: { readonly exact: boolean },
): Promise<PlanSummary> {
  const startedMs = performance.now();
  const asked = { ...settings, dryRun: true };
  return withPushJob(asked, vault, surroundings, async (whole, remembered) => {
    const { job, tooManyChanges } = await readyToPush(whole, remembered);
    const { deleting, ...decided } = await decideDeletion(job, remembered);
    const moved = await tellMoves(job);
    const estimate = new Estimate(job, remembered ?? emptyState(), { deleting, ...moved });
    const exact = await estimate.ask(options.exact);
    return {
      ...summarise(job, startedMs, {
        ...decided,
        ...(tooManyChanges && { tooManyChanges }),
      }),
      filesSent: estimate.filesSent,
      filesNew: estimate.filesNew,
      foldersNew: estimate.foldersNew,
      contentBytesMax: estimate.contentBytesMax,
      exact,
    };
  });
}

/** Files that are renamed before anything is sent. */
interface PlannedMoves {
  /** Files that need no further question. */
  readonly linked: ReadonlySet<PushEntry>;
  /** Files whose content is compared under their old names, where the destination has it. */
  readonly edited: ReadonlyMap<PushEntry, MovedFile>;
}

/** Reports which files get a new name. */
async function tellMoves(job: PushJob): Promise<PlannedMoves> {
  const linked = new Set<PushEntry>();
  const edited = new Map<PushEntry, MovedFile>();
  for (const file of await confirmMoves(job, { isBuilt: false })) {
    const { entry, from, isOccupied } = file;
    job.context.ledger.item(entry, LINKED, from.path);
    const isSame = from.size === entry.size && from.mtimeSec === entry.mtimeSec;
    const isEdited = !isSame || job.moves.suspects.has(entry);
    // If it is not listed, the existing file under the new name would count as deleted.
    if (!isEdited && !isOccupied) linked.add(entry);
    if (isEdited && entry.linkGroup === undefined) edited.set(entry, file);
  }
  return { linked, edited };
}

/** One list to ask about, as the push would send it in a run of its own. */
interface PlannedRun {
  readonly entries: readonly PushEntry[];
  readonly measure: boolean;
  readonly deleting?: boolean;
  readonly ignoreTimes?: boolean;
  readonly noBlockSize?: boolean;
  /** Too many blocks for this run: the push sends the file in another one. */
  readonly decline?: (entry: PushEntry) => boolean;
  /** Files that are listed under their old names. */
  readonly moved?: ReadonlyMap<PushEntry, MovedFile>;
}

/** Collects what the runs of a push would send. */
class Estimate {
  filesSent = 0;
  filesNew = 0;
  foldersNew = 0;
  contentBytesMax = 0;
  readonly #job: PushJob;
  readonly #state: PushState;
  readonly #deleting: boolean;
  readonly #linked: PlannedMoves['linked'];
  readonly #edited: PlannedMoves['edited'];
  readonly #staged: ReadonlySet<string>;
  readonly #wanted = new Set<PushEntry>();
  readonly #declined = new Set<PushEntry>();

  constructor(
    job: PushJob,
    state: PushState,
    about: { readonly deleting: boolean } & PlannedMoves,
  ) {
    this.#job = job;
    this.#state = state;
    this.#deleting = about.deleting;
    this.#linked = about.linked;
    this.#edited = about.edited;
    this.#staged = stagedFiles(job, state);
  }

  /**
   * Asks about everything, in the runs in which the push would send it.
   *
   * @returns whether the server has measured
   */
  async ask(measure: boolean): Promise<boolean> {
    const { entries } = this.#job.snapshot;
    const isExact = await this.#askAboutAll(measure);
    if (isExact) await this.#askAboutEdited();
    if (this.#declined.size > 0) {
      const files = withLinkedNames(this.#job, this.#declined);
      this.#declined.clear();
      await this.#askAbout({
        entries: withAncestors(entries, files),
        measure: isExact,
        noBlockSize: true,
      });
    }
    const suspects = suspectsOf(this.#job, this.#state, { sent: this.#wanted });
    if (suspects.size > 0) {
      const files = withLinkedNames(this.#job, suspects);
      const list = withAncestors(entries, files);
      await this.#askAbout({ entries: list, measure: isExact, ignoreTimes: true });
    }
    return isExact;
  }

  async #askAboutAll(measure: boolean): Promise<boolean> {
    const { settings, snapshot, context } = this.#job;
    const entries = snapshot.entries.filter((entry) => !this.#linked.has(entry));
    const question = { entries, deleting: this.#deleting };
    if (measure) {
      const answer = await this.#run({
        ...question,
        measure: true,
        decline: (entry) => this.#edited.has(entry) || isTooLargeForBlockSize(entry, settings),
      });
      if (!isMeasureRefusal(answer.outcome)) {
        this.#accept(answer);
        return true;
      }
      context.ledger.note(
        'measure-refused',
        `${settings.destination.shown}: its rsync does not tell how much would be sent (no --only-write-batch), so the plan has an upper limit only`,
      );
    }
    await this.#askAbout({ ...question, measure: false });
    return false;
  }

  /**
   * Files that were renamed and edited. A push links them first, and then sends the differences.
   */
  async #askAboutEdited(): Promise<void> {
    const { settings } = this.#job;
    for (const noBlockSize of [false, true]) {
      const files = [...this.#edited.values()].filter(
        ({ entry }) => isTooLargeForBlockSize(entry, settings) === noBlockSize,
      );
      if (files.length === 0) continue;
      const { entries, filesByEntry: moved } = underOldNames(this.#job, files);
      await this.#askAbout({ entries, moved, noBlockSize, measure: true, ignoreTimes: true });
    }
  }

  async #askAbout(question: PlannedRun): Promise<void> {
    this.#accept(await this.#run(question));
  }

  #accept(answer: Answer): void {
    accept(this.#job, answer.outcome);
    assertAnswered(this.#job, answer, WHAT_A_PUSH_DOES);
    noteUnstored(this.#job, answer);
  }

  async #run(question: PlannedRun): Promise<Answer> {
    const { settings, scope, context } = this.#job;
    const { measure, deleting = false, ignoreTimes = false, noBlockSize = false, moved } = question;
    const books = ledgerListeners(this.#job);
    const { blockSize, ...options } = transferOptions(settings, {
      dryRun: !measure,
      measure,
      deleteAfter: deleting,
      ignoreTimes,
      xattrs: settings.xattrs,
    });
    return ask(this.#job, {
      ...books,
      entries: question.entries,
      options: noBlockSize || blockSize === undefined ? options : { ...options, blockSize },
      ...(deleting && { rules: [...previewRules(scope), ...protectForeign(scope)] }),
      ...(question.decline && { decline: question.decline }),
      ...(moved && { open: (entry) => context.view.open(moved.get(entry)?.entry ?? entry) }),
      onItem: (entry, iflags, xname, ndx) => {
        if (isTransfer(iflags) && question.decline?.(entry) === true) {
          if (!this.#edited.has(entry)) this.#declined.add(entry);
          return;
        }
        const file = moved?.get(entry);
        if (moved !== undefined) {
          if (file !== undefined) this.#note(file.entry, iflags);
          return;
        }
        this.#note(entry, iflags);
        books.onItem(entry, iflags, xname, ndx);
      },
      onSent: (listed, literal, matched) => {
        const entry = moved?.get(listed)?.entry ?? listed;
        if (!this.#staged.has(pathKey(entry.path))) books.onSent(entry, literal, matched);
      },
      onDeleted: (path, isDir) => {
        noteDeleted(this.#job, path, isDir);
      },
    });
  }

  #note(entry: PushEntry, iflags: number): void {
    if (isDirectory(entry) && isNew(iflags)) this.foldersNew++;
    if (!isTransfer(iflags) || !isRegularFile(entry) || this.#wanted.has(entry)) return;
    this.#wanted.add(entry);
    if (!this.#staged.has(pathKey(entry.path))) this.contentBytesMax += entry.size;
    if (entry.plain === undefined) return;
    this.filesSent++;
    if (isNew(iflags)) this.filesNew++;
  }
}

function isMeasureRefusal(outcome: RunOutcome): boolean {
  return (
    outcome.protocol === undefined &&
    outcome.error instanceof RemoteError &&
    MEASURE_REFUSED.test(outcome.saidText)
  );
}

/**
 * Cipher paths of the files that a push needs to create a folder. They are staged ahead of it, a
 * few dozen bytes each, and count as overhead and not as content.
 */
function stagedFiles(job: PushJob, state: PushState): ReadonlySet<string> {
  const { entries } = job.snapshot;
  const wanted = new Set(newStructure(entries, state.known));
  const founding = foundingRuns(withAncestors(entries, wanted), wanted).flat();
  const staged = new Set<string>();
  for (const entry of founding) {
    if (entry.virtual === undefined) continue;
    const key = pathKey(entry.path);
    const isCopy = key.startsWith(`${TEMPORARY_DIRECTORY}/`);
    if (!isCopy) staged.add(key);
    else if (state.tempDirChoice !== NO_TEMP_DIR) {
      staged.add(key.slice(TEMPORARY_DIRECTORY.length + 1));
    }
  }
  return staged;
}
