/** Pushes a vault to a destination, from the login to the summary. */
import { performance } from 'node:perf_hooks';
import { FileError, UsageError, VaultError } from '../../errors.ts';
import { isThere } from '../../tree/local/glance.ts';
import { refuseOverlap } from '../../tree/local/overlap.ts';
import { mendFiles } from './runs/repair-run.ts';
import {
  collectGarbageLater,
  collectGarbageSooner,
  MANY_OBJECTS,
  prepareHeap,
} from '../garbage-collection.ts';
import { previewRules, protectForeign, whatIsKept } from './job/deletion.ts';
import { destinationOptions, type LoginQuestions } from '../reach/destination-options.ts';
import {
  abandonLogin,
  type OpenDestination,
  openDestination,
} from '../reach/destination-remote.ts';
import { unlessAborted } from '../../interruption.ts';
import { startFirstRun, type FirstRun } from './first-run.ts';
import { Ledger } from './job/ledger.ts';
import { LINKED } from './job/itemize.ts';
import { type MoveMemory, type MoveStores } from './memory/moves.ts';
import { confirmMoves } from './runs/moves-links.ts';
import type { OpenVault } from './opened-vault.ts';
import type { PushView } from './source/push-entry.ts';
import { ledgerListeners, figuresOf, noteDeleted, type PushJob } from './job/push-job.ts';
import type { PushReporter, PushSettings, PushSummary } from './source/push-settings.ts';
import { decodeState, encodeState, type PushState } from './memory/push-state.ts';
import { decideDeletion } from './guards/preflight.ts';
import { pushJob, withBlockSize } from './push-parts.ts';
import { lookAtSource, type Source } from './scan.ts';
import { summarise } from './push-summary.ts';
import { PushMarker } from './memory/push-mark.ts';
import { askOrRefuse, WHAT_A_PUSH_DOES } from './job/question.ts';
import { readyToPush } from './guards/ready-to-push.ts';
import { keepRoot } from './guards/existing-root.ts';
import { NOT_ENCRYPTED } from '../run-settings.ts';
import { Selection } from './source/selection.ts';
import { rootIVOf } from './source/skeleton.ts';
import { transfer } from './runs/transfer.ts';
import { noteUnstored } from './runs/unstored-kinds.ts';
import { asKept } from './runs/kept-attributes.ts';
import { noteLinkedFiles } from './linked-files.ts';
import { assertXattrsSupported, rsyncForXattrs } from './xattrs.ts';
import type { StateStore } from './memory/vault-memory.ts';
import type { PushEnd } from './guards/push-end.ts';

/** What a push talks to beside its destination. */
export interface PushSurroundings {
  readonly reporter: PushReporter;
  /** Aborts cleanly: the server is told, and the destination stays a clean tree. */
  readonly signal: AbortSignal;
  readonly store: StateStore;
  /** Memory of moved files. Without it every file has its default birth. */
  readonly moves?: MoveStores;
  /** Whether the memory of the destination is reliable. */
  readonly mark?: StateStore;
  readonly questions?: LoginQuestions;
  /** A destination that is open already. The push closes it at the end. */
  readonly opened?: OpenDestination;
  /** The same for the first attempt. Undefined if there is none or it was taken. */
  readonly loggedIn?: () => OpenDestination | undefined;
  /** Keys of cipher paths. Sends these files unconditionally, and does nothing else. */
  readonly mend?: ReadonlySet<string>;
  /** Called during the scan when the destination is open and the view is known. */
  readonly onReached?: (basis: FirstRun) => void;
}

/** Runs the login and the scan in parallel. The first failure ends both. */
async function connectAndLook(
  connect: (signal: AbortSignal) => Promise<OpenDestination>,
  look: (signal: AbortSignal, connecting: Promise<OpenDestination>) => Promise<Source>,
  signal: AbortSignal,
): Promise<Source & { readonly opened: OpenDestination }> {
  const failed = new AbortController();
  const abandoned = new AbortController();
  const loginEnd = AbortSignal.any([signal, abandoned.signal]);
  const connecting = connect(loginEnd).catch((error: unknown) => {
    failed.abort(error);
    throw error;
  });
  // It may fail during the scan; `look` or the `await` below handles that.
  connecting.catch(() => undefined);
  try {
    const source = await look(AbortSignal.any([signal, failed.signal]), connecting);
    return { ...source, opened: await unlessAborted(connecting, signal) };
  } catch (error) {
    abandoned.abort(error);
    throw abandonLogin(connecting, error, signal);
  }
}

/**
 * Asks the server what a push would do, in runs that change nothing.
 * @throws what the push itself would refuse
 */
async function preview(job: PushJob, remembered: PushState | undefined): Promise<PushEnd> {
  const { deleting, ...decided } = await decideDeletion(job, remembered);
  for (const { entry, from } of await confirmMoves(job, { isBuilt: false })) {
    job.context.ledger.item(entry, LINKED, from.path);
  }
  const answer = await askOrRefuse(
    job,
    {
      ...ledgerListeners(job),
      entries: job.snapshot.entries,
      options: { deleteAfter: deleting, xattrs: job.settings.xattrs },
      rules: [...previewRules(job.scope), ...protectForeign(job.scope)],
      onDeleted: (path, isDir) => {
        noteDeleted(job, path, isDir);
      },
    },
    WHAT_A_PUSH_DOES,
  );
  noteUnstored(job, answer);
  return decided;
}

/**
 * Pushes a vault: encrypts what changed in-process and lets the destination's rsync take it.
 *
 * @returns the figures; `exitCode` 23, 24, 25 or 75 when part of it could not be done
 * @throws {UsageError} `destination-overlaps`, `destination-unsupported`, `path-outside`,
 *   `source-differs`, `xattrs-unsupported`
 * @throws {VaultError} `destination-other-vault`, `destination-not-a-copy`, `destination-mirror`,
 *   `destination-encrypted`, `layout-unsupported`
 * @throws {LoginError | ConnectionError | RemoteError | ProtocolError} the peer
 * @throws {FileError} the source folder, or a destination that cannot store anything
 * @throws {InterruptedError} `interrupted`
 */
export async function push(
  asked: PushSettings,
  vault: OpenVault | typeof NOT_ENCRYPTED,
  surroundings: PushSurroundings,
): Promise<PushSummary> {
  const startedMs = performance.now();
  const { store, mend, reporter } = surroundings;
  const work = async (
    job: PushJob,
    remembered: PushState | undefined,
    moves: MoveMemory,
  ): Promise<PushSummary> => {
    const state = isOfThisView(job, remembered) ? remembered : undefined;
    try {
      if (mend !== undefined) {
        await mendFiles(await keepRoot(job), mend);
        return summarise(job, startedMs);
      }
      const { dryRun } = job.settings;
      if (state === undefined && !dryRun) noteLinkedFiles(job);
      job.progress.enter('compare');
      const ready = await readyToPush(job, state);
      if (ready.tooManyChanges !== undefined && !dryRun) return summarise(job, startedMs, ready);
      if (dryRun) {
        const end = await preview(ready.job, state);
        return summarise(ready.job, startedMs, { ...ready, ...end });
      }
      const marker = new PushMarker(surroundings);
      const isAdopted = vault !== NOT_ENCRYPTED && vault.inherited !== undefined;
      const isFounding = ready.isFounding === true && !isAdopted;
      const isUnknown = ready.isFounding !== true && remembered === undefined && !isAdopted;
      const isContinued = isUnknown && ready.job.context.view.keepsIdentities;
      const { hardLinks } = job.settings;
      const lost = marker.begin({ isFounding, isContinued, hardLinks });
      if (lost !== undefined) job.context.ledger.note('births-lost', lost);
      let deletedUnder: string | undefined;
      const end = await transfer(ready.job, state, (now) => {
        store.write(encodeState(now));
        ({ deletedUnder } = now);
      });
      ready.job.progress.finish(end.isSpent === true);
      // Updates that a server ignores, and the content of unmounted disks, count as pending.
      const isWhole = end.lostMounts === undefined;
      const isAllDeleted = deletedUnder !== undefined;
      if (isWhole && end.ignoresUpdates !== true) {
        const hasOthers = surroundings.moves?.births.hasOthers?.() === true;
        moves.save(isAllDeleted && !hasOthers ? whatIsKept(ready.job) : () => true);
      }
      const summary = summarise(ready.job, startedMs, { ...ready, ...end });
      const endedWell = isWhole && summary.exitCode === 0;
      marker.end({ settings: job.settings, isAllDeleted, endedWell });
      if (summary.exitCode === 24) assertSourceThere(job.settings);
      return summary;
    } catch (error) {
      reporter.cutOff?.(figuresOf(job, startedMs));
      // The vault is often in the folder, and then cannot be written either.
      if (error instanceof FileError) assertSourceThere(job.settings);
      throw error;
    }
  };
  const onReached = mend === undefined ? { onReached: startFirstRun } : {};
  return withPushJob(asked, vault, { ...surroundings, ...onReached }, work);
}

/**
 * When files vanish, the folder itself may have.
 *
 * @throws {VaultError} `source-missing`
 */
function assertSourceThere({ source, frozen }: PushSettings): void {
  const folder = frozen?.folder ?? source;
  if (isThere(folder)) return;
  throw new VaultError('source-missing', `${folder} has gone while it was pushed`, {
    hint: 'Is its disk still mounted? Was it renamed? The copy has what was pushed, and nothing was deleted there for it.',
    facts: { path: folder },
  });
}

/** Whether the remembered state is about the same root as this view. */
function isOfThisView(job: PushJob, remembered: PushState | undefined): boolean {
  return remembered?.rootIV === undefined || remembered.rootIV === rootIVOf(job.snapshot.entries);
}

/** @throws {UsageError} `source-differs` */
function refuseOtherSource({ source, vaultDir }: PushSettings, vault: OpenVault): void {
  if (vault.source === source && vault.vaultDir === vaultDir) return;
  throw new UsageError('source-differs', `${source} is not the folder of the vault that is open`, {
    hint: `Push ${vault.source} with it, or open the vault of the other folder.`,
  });
}

/** The requested settings, adapted to this destination. */
function settingsAt(asked: PushSettings, remembered: PushState | undefined): PushSettings {
  const localRsync = rsyncForXattrs(asked);
  return {
    ...asked,
    ...(localRsync !== undefined && { rsyncPath: localRsync }),
    ...(remembered && asKept(asked, remembered)),
  };
}

/**
 * Logs in, scans the source, and calls `work` with both. Closes the destination at the end.
 *
 * @throws as {@link push}, before any work is done
 */
export async function withPushJob<T>(
  asked: PushSettings,
  vault: OpenVault | typeof NOT_ENCRYPTED,
  { reporter, signal, store, questions = {}, ...rest }: PushSurroundings,
  work: (job: PushJob, remembered: PushState | undefined, moves: MoveMemory) => Promise<T>,
): Promise<T> {
  if (vault !== NOT_ENCRYPTED) refuseOtherSource(asked, vault);
  refuseOverlap(asked.source, asked.destination);
  assertXattrsSupported(asked);
  const state = asked.newCopy ? undefined : decodeState(store.read());
  const settings = settingsAt(asked, state);
  const ledger = new Ledger(reporter, settings.top);
  const { rules, paths, limits } = settings;
  const selection = new Selection(rules, Buffer.from(settings.source), paths, limits);
  prepareHeap();
  // A first push sends everything. All extended attributes are in memory at once.
  if (state === undefined || settings.xattrs) collectGarbageSooner('pushing');
  const { rsyncPath = 'rsync' } = settings;
  const books = { selection, ledger, reporter, stores: rest.moves };
  const startAhead =
    (connecting: Promise<OpenDestination>) =>
    (view: PushView): void => {
      const basis = { settings: withBlockSize(settings, view), view, state, rsyncPath };
      connecting.then(
        (opened) => rest.onReached?.({ ...basis, opened }),
        () => undefined, // its failure is reported where it is awaited
      );
    };
  const { opened, view, snapshot, moves } = await connectAndLook(
    async (ending) =>
      rest.opened ??
      rest.loggedIn?.() ??
      openDestination(
        settings.destination,
        destinationOptions(settings, ledger, questions, ending),
      ),
    (either, connecting) =>
      lookAtSource(settings, vault, { ...books, onView: startAhead(connecting) }, either),
    signal,
  );
  if (snapshot.entries.length < MANY_OBJECTS) collectGarbageLater();
  selection.reportForeignRules((message) => ledger.note('ignore-file-foreign', message));
  try {
    const source = { view, snapshot, moves };
    const parts = { vault, opened, source, selection, state, ledger, reporter, signal };
    return await work(pushJob(settings, parts), state, moves);
  } finally {
    await view.close();
    await opened.remote.close();
  }
}
