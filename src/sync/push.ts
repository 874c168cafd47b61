import { performance } from 'node:perf_hooks';
import type { Derivation } from '../gocryptfs/layout.ts';
import type { LocalEntry } from '../tree/local-entry.ts';
import { LocalTree } from '../tree/local-tree.ts';
import { TreeAhead } from '../tree/tree-ahead.ts';
import { groupNames, userNames } from '../tree/owner-names.ts';
import { throttled } from '../transport/throttle.ts';
import { EncryptedView } from '../view/encrypted-view.ts';
import type { Inherited } from '../view/inherited.ts';
import { MirrorView } from '../view/mirror-view.ts';
import type { ConfFile, VirtualTimes } from '../view/virtual-files.ts';
import { mendFiles } from './adopt-repair.ts';
import {
  collectGarbageLater,
  collectGarbageSooner,
  MANY_OBJECTS,
  prepareHeap,
} from './collect-sooner.ts';
import { deletionScope, previewRules } from './deletion.ts';
import { destinationOptions, type LoginQuestions } from './destination-options.ts';
import { givenUp, type OpenDestination, openDestination } from './destination-remote.ts';
import { startFirstRun, type FirstRun } from './first-run.ts';
import { Ledger } from './ledger.ts';
import { LINKED } from './itemize.ts';
import { Births, NO_MOVES, readMoves, type MoveBooks, type MoveStores } from './moves.ts';
import { confirmMoves } from './moves-links.ts';
import type { PushView } from './push-entry.ts';
import {
  accept,
  bookkeeping,
  figuresOf,
  noteDeleted,
  type PushJob,
  transferOptions,
} from './push-job.ts';
import type { PushReporter, PushSettings, PushSummary } from './push-settings.ts';
import { decodeState, encodeState, type PushState } from './push-state.ts';
import { decideDeletion, refuseOverlap } from './preflight.ts';
import { type PushEnd, summarise } from './push-summary.ts';
import { readyToPush } from './ready-to-push.ts';
import { runRsync } from './rsync-run.ts';
import { NOT_ENCRYPTED } from './run-settings.ts';
import { Selection } from './selection.ts';
import { type Snapshot, takeSnapshot } from './snapshot.ts';
import { transfer } from './transfer.ts';
import { assertXattrsSupported, rsyncForXattrs, withXattrs } from './xattrs.ts';

/** An opened vault: the conf as it is pushed, the key it wraps, and how the view is made. */
export interface OpenVault {
  readonly confBytes: Uint8Array;
  readonly confMtimeSec: number;
  /** 0 when absent. */
  readonly confMtimeNsec?: number;
  /** Permission bits; 0400 when absent. */
  readonly confMode?: number;
  /** Owner of the conf in the copy; that of the source folder when absent. */
  readonly confUid?: number;
  readonly confGid?: number;
  /** 32 bytes; may still be on its way, while the login already begins. */
  readonly masterkey: Uint8Array | Promise<Uint8Array>;
  /** Default `keyed`; `reverse` for layout `reverse`. */
  readonly derivation?: Derivation;
  /** Default `fixed`. */
  readonly virtualTimes?: VirtualTimes;
  /** What an adopted copy has, see `InheritedIndex.decode`. */
  readonly inherited?: Inherited;
}

/** Where the memory of one destination is kept; its content is {@link PushState}. */
export interface StateStore {
  read(): Uint8Array | undefined;
  write(bytes: Uint8Array): void;
}

/** What a push talks to beside its destination. */
export interface PushSurroundings {
  readonly reporter: PushReporter;
  /** Aborts cleanly: the server is told, and the destination stays a clean tree. */
  readonly signal: AbortSignal;
  readonly store: StateStore;
  /** Memory of what has moved; without it everything is where it was born. */
  readonly moves?: MoveStores;
  readonly questions?: LoginQuestions;
  /** The destination, when it is open already; it is closed at the end all the same. */
  readonly opened?: OpenDestination;
  /**
   * Keys of cipher paths: these files are sent, whatever the destination has in their place, and
   * nothing else happens.
   */
  readonly mend?: ReadonlySet<string>;
  /** The destination is open and the view is known; the source is still being looked at. */
  readonly onReached?: (basis: FirstRun) => void;
}

/** The source as this push sees it. */
interface Source {
  readonly view: PushView;
  readonly snapshot: Snapshot;
  readonly moves: MoveBooks;
}

function confFile(vault: OpenVault): ConfFile {
  const { confMtimeNsec, confMode, confUid, confGid } = vault;
  return {
    bytes: vault.confBytes,
    mtimeSec: vault.confMtimeSec,
    ...(confMtimeNsec !== undefined && { mtimeNsec: confMtimeNsec }),
    ...(confMode !== undefined && { mode: confMode }),
    ...(confUid !== undefined && { uid: confUid }),
    ...(confGid !== undefined && { gid: confGid }),
  };
}

/** The encrypted view of a folder, as soon as the key is there; the folder is listed meanwhile. */
async function encrypted(
  plain: LocalTree,
  vault: OpenVault,
  { births, ledger }: { readonly births: Births; readonly ledger: Ledger },
): Promise<EncryptedView<LocalEntry>> {
  const ahead = new TreeAhead(plain);
  void ahead.run();
  const masterkey = await Promise.resolve(vault.masterkey).finally(() => {
    ahead.stop();
  });
  return new EncryptedView(ahead, {
    conf: confFile(vault),
    masterkey,
    ...(vault.derivation && { derivation: vault.derivation }),
    ...(vault.virtualTimes && { virtualTimes: vault.virtualTimes }),
    ...(vault.inherited && { inherited: vault.inherited }),
    onProblem: (_path, error) => ledger.problem(error),
    birthOf: (path) => births.of(path),
    threads: { fileOf: (entry) => ({ fullPath: plain.locate(entry), listed: entry }) },
  });
}

/** Opens the view and walks it once. */
async function lookAtSource(
  settings: PushSettings,
  vault: OpenVault | typeof NOT_ENCRYPTED,
  books: {
    readonly selection: Selection;
    readonly ledger: Ledger;
    readonly reporter: PushReporter;
    readonly stores: MoveStores | undefined;
    readonly onView: (view: PushView) => void;
  },
  signal: AbortSignal,
): Promise<Source> {
  const { selection, ledger, reporter, stores, onView } = books;
  const births = new Births();
  const plain = new LocalTree(settings.source, {
    filter: selection,
    ...(selection.limits && { limits: selection.limits }),
    vaultDirectory: settings.vaultDir,
    onProblem: (_path, error) => ledger.problem(error),
  });
  const view: PushView =
    vault === NOT_ENCRYPTED
      ? new MirrorView(plain, (_path, error) => ledger.problem(error))
      : await encrypted(plain, vault, { births, ledger });
  onView(view);
  const snapshot = await takeSnapshot(view, {
    signal,
    hardLinks: settings.hardLinks,
    sawFailure: () => ledger.failures > 0,
    onCount: (filesTotal) =>
      reporter.progress({ stage: 'scan', filesDone: 0, filesTotal, bytesDone: 0, bytesTotal: 0 }),
  });
  const { source } = settings;
  const moves = stores
    ? readMoves(stores, births, {
        source,
        snapshot,
        view,
        isPart: selection.within.length > 0,
        isFiltered: settings.rules.length > 0 || settings.limits !== undefined,
      })
    : { moves: { ...NO_MOVES, changed: [] }, save: () => undefined };
  if (settings.xattrs !== true) return { view, snapshot, moves };
  return { view, moves, snapshot: await withXattrs(view, snapshot, { source, signal, ledger }) };
}

/** Runs the login and the scan side by side; the first failure ends both. */
async function connectAndLook(
  connect: () => Promise<OpenDestination>,
  look: (signal: AbortSignal, connecting: Promise<OpenDestination>) => Promise<Source>,
  signal: AbortSignal,
): Promise<Source & { readonly opened: OpenDestination }> {
  const failed = new AbortController();
  const connecting = connect().catch((error: unknown) => {
    failed.abort(error);
    throw error;
  });
  // It may fail while the look is still on; whoever awaits it hears of that then.
  connecting.catch(() => undefined);
  try {
    const source = await look(AbortSignal.any([signal, failed.signal]), connecting);
    return { ...source, opened: await connecting };
  } catch (error) {
    throw givenUp(connecting, error, signal);
  }
}

/**
 * What a push would do, asked of the server in runs that change nothing.
 *
 * @throws what the push itself would refuse
 */
async function preview(job: PushJob, remembered: PushState | undefined): Promise<PushEnd> {
  const { deleting, overLimit } = await decideDeletion(job, remembered);
  for (const { entry, from } of await confirmMoves(job, { isBuilt: false })) {
    job.context.ledger.item(entry, LINKED, from.path);
  }
  const outcome = await runRsync(job.context, {
    ...bookkeeping(job),
    ...(job.names && { names: job.names }),
    entries: job.snapshot.entries,
    options: transferOptions(job.settings, {
      dryRun: true,
      deleteAfter: deleting,
      xattrs: job.settings.xattrs === true,
    }),
    rules: previewRules(job.scope),
    onDeleted: (path, isDir) => {
      noteDeleted(job, path, isDir);
    },
    onMessage: () => undefined,
  });
  accept(job, outcome);
  return overLimit === undefined ? {} : { overLimit };
}

/**
 * Pushes a vault: encrypts what changed in-process and lets the destination's rsync take it.
 *
 * @returns the figures; `exitCode` 23, 24, 25 or 75 when part of it could not be done
 * @throws {UsageError} `destination-overlaps`, `destination-unsupported`, `path-outside`,
 *   `xattrs-unsupported`
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
    state: PushState | undefined,
    moves: MoveBooks,
  ): Promise<PushSummary> => {
    try {
      if (mend !== undefined) {
        await mendFiles(job, mend);
        return summarise(job, startedMs);
      }
      const { dryRun } = job.settings;
      const ready = await readyToPush(job, state);
      if (ready.tooManyChanges !== undefined && !dryRun) return summarise(job, startedMs, ready);
      const end = dryRun
        ? await preview(ready.job, state)
        : await transfer(ready.job, state, (now) => store.write(encodeState(now)));
      // Updates that a server ignores count as changes until it takes them.
      if (!dryRun && end.ignoresUpdates !== true) moves.save();
      return summarise(ready.job, startedMs, { ...ready, ...end });
    } catch (error) {
      reporter.cutOff?.(figuresOf(job, startedMs));
      throw error;
    }
  };
  const onReached = mend === undefined ? { onReached: startFirstRun } : {};
  return withPushJob(asked, vault, { ...surroundings, ...onReached }, work);
}

/** Where no block size is asked for, that of one cipher block, so that one edit costs two blocks. */
function withBlockSize(settings: PushSettings, view: PushView): PushSettings {
  const blockSize = settings.blockSize ?? view.cipherBlockLength;
  return blockSize === undefined ? settings : { ...settings, blockSize };
}

/**
 * Logs in, looks at the source, and has `work` done with the two; the destination is closed at the end.
 *
 * @throws as {@link push}, before any work is done
 */
export async function withPushJob<T>(
  asked: PushSettings,
  vault: OpenVault | typeof NOT_ENCRYPTED,
  { reporter, signal, store, questions = {}, ...rest }: PushSurroundings,
  work: (job: PushJob, remembered: PushState | undefined, moves: MoveBooks) => Promise<T>,
): Promise<T> {
  refuseOverlap(asked);
  assertXattrsSupported(asked);
  const localRsync = rsyncForXattrs(asked);
  const settings = localRsync === undefined ? asked : { ...asked, rsyncPath: localRsync };
  const ledger = new Ledger(reporter, settings.top);
  const { rules, source, paths, limits, bandwidth } = settings;
  const selection = new Selection(rules, Buffer.from(source), paths, limits);
  const state = decodeState(store.read());
  prepareHeap();
  // A first push sends everything there is; extended attributes are all held at once.
  if (state === undefined || settings.xattrs === true) collectGarbageSooner('pushing');
  const { rsyncPath = 'rsync', timeoutSec, numericIds } = settings;
  const books = { selection, ledger, reporter, stores: rest.moves };
  const startAhead =
    (connecting: Promise<OpenDestination>) =>
    (view: PushView): void => {
      const basis = { settings: withBlockSize(settings, view), view, state, rsyncPath };
      connecting.then(
        (opened) => rest.onReached?.({ ...basis, opened }),
        () => undefined, // its failure is told by who awaits it
      );
    };
  const { opened, view, snapshot, moves } = await connectAndLook(
    async () =>
      rest.opened ??
      openDestination(settings.destination, destinationOptions(settings, ledger, questions)),
    (either, connecting) =>
      lookAtSource(settings, vault, { ...books, onView: startAhead(connecting) }, either),
    signal,
  );
  if (snapshot.entries.length < MANY_OBJECTS) collectGarbageLater();
  try {
    const job: PushJob = {
      settings: withBlockSize(settings, view),
      reporter,
      snapshot,
      scope: deletionScope(selection, view),
      moves: moves.moves,
      context: {
        remote: bandwidth === undefined ? opened.remote : throttled(opened.remote, bandwidth),
        destination: opened.path,
        view,
        ledger,
        rsyncPath,
        timeoutSec,
        signal,
      },
      ...(!numericIds && { names: { users: userNames(), groups: groupNames() } }),
    };
    return await work(job, state, moves);
  } finally {
    await view.close();
    await opened.remote.close();
  }
}
