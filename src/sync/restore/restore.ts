/** Restores a copy, or parts of it, into a folder. */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { FileError, UsageError, VaultError } from '../../errors.ts';
import { openLayout } from '../../gocryptfs/layout.ts';
import { CONF_LENGTH_MAX, PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import { CONF_NAME } from '../../gocryptfs/names/names.ts';
import type { FlistEntry } from '../../rsync/flist/decode.ts';
import type { LocalEntry } from '../../tree/local/local-entry.ts';
import { throttledReading } from '../../transport/throttle.ts';
import { LocalStore } from '../../tree/target/local-store.ts';
import { overlap } from '../../tree/local/overlap.ts';
import { restoreTime } from '../../tree/target/restore-time.ts';
import { prepareFolder, removeIfEmpty } from '../../tree/target/prepare-folder.ts';
import { ANY_NAMES, WINDOWS_NAMES, type NameRules } from '../../tree/target/target-names.ts';
import { probeNames } from '../../tree/target/target-names-probe.ts';
import { UnfinishedFiles, UNFINISHED_FOLDER } from '../../tree/target/unfinished-files.ts';
import { acquireTargetLock } from '../../vault/lock/lock.ts';
import { readSmallFile } from '../../view/decrypt/decrypted-view-listing.ts';
import type { CopyProblem } from '../../view/decrypt/decrypted-view-problem.ts';
import { MIRROR_FORM } from '../../view/mirror/mirror-form.ts';
import { MIRROR_MARKER_NAME, MirrorCopy } from '../../view/mirror/mirror-view.ts';
import { bytesOf, pathKey, ROOT_PATH } from '../../bytes/paths.ts';
import type { StoredForm } from '../../view/restoring-store.ts';
import { derivationByRoot } from '../copy/derivation.ts';
import { collectGarbageSooner, MANY_OBJECTS } from '../garbage-collection.ts';
import { destinationOptions, type LoginQuestions } from '../reach/destination-options.ts';
import {
  abandonLogin,
  openDestination,
  type OpenDestination,
} from '../reach/destination-remote.ts';
import { unlessAborted } from '../../interruption.ts';
import { assertHoldsCopy, refuseMirror } from '../copy/copy-root.ts';
import { assertKeyFits } from './key-fits.ts';
import { makeSpecial } from '../reach/local-special.ts';
import { LocalSourceRemote } from './local-source.ts';
import { RemoteTree } from '../copy/remote-tree.ts';
import type { RemoteSource } from '../copy/remote-tree-run.ts';
import { RestoreLedger } from './restore-ledger.ts';
import { RestoreChecks } from './restore-checks.ts';
import { copyFolder, fetchContent } from './restore-fetch.ts';
import { planRestore, type PlanJob, type RestorePlan } from './restore-plan.ts';
import { assertRestoresXattrs, RestoredXattrs } from './restore-xattrs.ts';
import type { RestoreReporter, RestoreSettings, RestoreSummary } from './restore-settings.ts';
import { NOT_ENCRYPTED } from '../run-settings.ts';
import { Selection } from '../push/source/selection.ts';
import type { CopyKeys, UnlockCopy } from '../push/memory/copy-keys.ts';

/** Callbacks and prompts of a restore. */
export interface RestoreSurroundings {
  readonly reporter: RestoreReporter;
  /** Aborts cleanly: complete files stay, and the next run continues. */
  readonly signal: AbortSignal;
  readonly questions?: LoginQuestions;
}

/**
 * Restores a copy, or parts of it, into a folder. It lists and decrypts the structure, then fetches
 * the content of everything that is missing and decrypts it on arrival. A file gets its name only
 * when it is complete and authenticated.
 *
 * @returns the figures; `exitCode` 23, 24 or 26 if part of it could not be done
 * @throws {UsageError} `target-overlaps`, `path-missing`, `path-outside`,
 *   `destination-unsupported`, `xattrs-unsupported`
 * @throws {FileError} `parent-missing`, `write-failed` — the target cannot be used
 * @throws {VaultError} `layout-unsupported`, `not-a-mirror`, `not-encrypted`, `not-a-copy`
 * @throws {LoginError | ConnectionError | RemoteError | ProtocolError} the peer
 * @throws {InterruptedError} `interrupted`; what opening the key throws
 */
export async function restore(
  settings: RestoreSettings,
  keys: CopyKeys | UnlockCopy | typeof NOT_ENCRYPTED,
  { reporter, signal, questions = {} }: RestoreSurroundings,
): Promise<RestoreSummary> {
  const startedMs = performance.now();
  refuseOverlappingTarget(settings);
  assertRestoresXattrs(settings);
  const ledger = new RestoreLedger(reporter, settings);
  const selection = new Selection(settings.rules, Buffer.from(settings.target), settings.paths);
  const known = typeof keys === 'object' ? keys.masterkey : undefined;
  const open = (ending: AbortSignal): Promise<OpenDestination> =>
    openSource(settings, ledger, questions, ending);
  const opened = await whileUnlocking(open, known, signal);
  const { rsyncPath = 'rsync', timeoutSec, protocolMax } = settings;
  const { bandwidth } = settings;
  const remote = bandwidth ? throttledReading(opened.remote, bandwidth) : opened.remote;
  const reached: RemoteSource = { ...opened, remote, rsyncPath, timeoutSec, protocolMax, signal };
  try {
    const { tree, source, isSftp } = await list({ source: reached, ledger, reporter }, settings);
    // With a few large files it would only cost time.
    if (tree.count > MANY_OBJECTS) collectGarbageSooner('reading');
    const about = { settings, selection, ledger, signal };
    const copy =
      keys === NOT_ENCRYPTED ? await mirror(tree, settings) : await unlocked(tree, keys, about);
    const carriesXattrs = settings.xattrs === true && !isSftp;
    if (settings.xattrs === true && isSftp) ledger.problem(noXattrs(settings));
    const run: Run = { ...about, copy, source, carriesXattrs, reporter };
    return summarise(ledger, await restoreFrom(run, tree), startedMs);
  } finally {
    await opened.remote.close();
  }
}

/** The parts of one restore. */
interface Run {
  readonly settings: RestoreSettings;
  readonly copy: OpenedCopy;
  readonly source: RemoteSource;
  readonly carriesXattrs: boolean;
  readonly selection: Selection;
  readonly ledger: RestoreLedger;
  readonly reporter: RestoreReporter;
  readonly signal: AbortSignal;
}

/** A copy that can be read. */
interface OpenedCopy {
  readonly form: StoredForm;
  /** Bytes of a whole encrypted block. */
  readonly blockSize?: number;
  /** Absent: nothing is authenticated. */
  readonly checks?: RestoreChecks<FlistEntry>;
  view(onProblem: (problem: CopyProblem) => void): PlanJob<FlistEntry>['view'];
}

async function unlocked(
  tree: RemoteTree,
  keys: CopyKeys | UnlockCopy,
  about: Pick<Run, 'settings' | 'selection' | 'ledger' | 'signal'>,
): Promise<OpenedCopy> {
  const { from } = about.settings;
  const confBytes = await readConf(tree);
  if (confBytes === undefined) await refuseMirror(tree, from.shown);
  const opening = typeof keys === 'function' ? await keys(confBytes) : keys;
  const { conf } = opening;
  const masterkey = await opening.masterkey;
  const derivation = opening.derivation ?? (await derivationByRoot(tree, conf, about.signal));
  const layout = openLayout(conf, masterkey, derivation);
  if (tree.incomplete === undefined) await assertHoldsCopy(tree, layout.names, from.shown);
  if (opening.isUnproven === true) await assertKeyFits(tree, layout);
  const checks = new RestoreChecks({ ...about, tree, layout, opening });
  return {
    form: checks.form,
    blockSize: PLAIN_BLOCK_SIZE + layout.content.overhead,
    checks,
    view: (onProblem) => checks.view(onProblem),
  };
}

/** @throws {VaultError} `not-a-mirror` — it may be an encrypted copy, or something else */
async function mirror(tree: RemoteTree, { from }: RestoreSettings): Promise<OpenedCopy> {
  const marker = await tree.child(await tree.root(), Buffer.from(MIRROR_MARKER_NAME));
  if (marker === undefined) {
    throw new VaultError('not-a-mirror', `${from.shown} has no ${MIRROR_MARKER_NAME}`, {
      hint: 'Is this the right destination? `ecsync push` makes a mirror there.',
    });
  }
  return { form: MIRROR_FORM, view: () => new MirrorCopy(tree) };
}

/** The conf of a copy, if it has one. */
async function readConf(tree: RemoteTree): Promise<Uint8Array | undefined> {
  const file = await tree.child(await tree.root(), Buffer.from(CONF_NAME));
  return file && readSmallFile(tree, file, CONF_LENGTH_MAX);
}

/** Plans a restore from a listing, and fetches the content. */
async function restoreFrom(run: Run, tree: RemoteTree): Promise<RestorePlan> {
  const { target: folder, dryRun } = run.settings;
  const rootIsNew = prepareFolder(folder, dryRun);
  try {
    return await restoreInto(run, tree, rootIsNew);
  } catch (error) {
    if (rootIsNew) removeIfEmpty(folder);
    throw error;
  }
}

async function restoreInto(run: Run, tree: RemoteTree, rootIsNew: boolean): Promise<RestorePlan> {
  const { target: folder, dryRun, keepsWorkplace } = run.settings;
  const look = new LocalStore(folder);
  const root = await look.lookup(ROOT_PATH);
  const workplace = dryRun ? undefined : UnfinishedFiles.open(folder, acquireTargetLock);
  try {
    // Making the workplace has changed the root's time.
    if (workplace && root !== undefined) await setTime(look, root, run.ledger);
    for (const failure of (await workplace?.owed.settle(look)) ?? []) run.ledger.problem(failure);
    const plan = await planOrReportUnlisted(run, tree, look);
    const isKnownIncomplete = tree.incomplete !== undefined;
    await fetchInto(run, plan, { rootIsNew, isKnownIncomplete, look, workplace });
    return plan;
  } finally {
    look.close();
    if (keepsWorkplace === true) workplace?.close();
    else workplace?.leave();
  }
}

/** The target before anything is written. */
interface Target {
  readonly rootIsNew: boolean;
  readonly isKnownIncomplete: boolean;
  readonly look: LocalStore;
  readonly workplace: UnfinishedFiles | undefined;
}

/** If planning fails, reports what could not be listed, in plaintext as far as names are known. */
async function planOrReportUnlisted(
  run: Run,
  tree: RemoteTree,
  look: LocalStore,
): Promise<RestorePlan> {
  const { settings, ledger } = run;
  let planned: RestorePlan['planned'] = new Map();
  try {
    const plan = await planFrom(run, look);
    ({ planned } = plan);
    const isWhole = tree.incomplete === undefined;
    const left = await run.copy.checks?.afterListing(planned, isWhole);
    return left === undefined ? plan : { ...plan, planned: left };
  } finally {
    const folder = copyFolder(settings);
    if (tree.incomplete !== undefined) ledger.incomplete(tree.incomplete, { folder, planned });
  }
}

async function fetchInto(
  run: Run,
  plan: RestorePlan,
  { rootIsNew, isKnownIncomplete, look, workplace }: Target,
): Promise<void> {
  const target = new LocalStore(run.settings.target, {
    makeSpecial,
    ...(workplace && { owed: workplace.owed }),
    // A rename works only within one file system.
    ...(workplace && !plan.spansDisks && { tempDir: UNFINISHED_FOLDER }),
  });
  try {
    const unfinished = workplace && { unfinished: workplace };
    const { form, blockSize } = run.copy;
    const xattrs = run.carriesXattrs ? new RestoredXattrs({ ...run, form }) : undefined;
    const given = { form, blockSize, plan, target, rootIsNew, isKnownIncomplete, xattrs };
    await fetchContent({ ...run, ...unfinished, ...given });
    await run.copy.checks?.afterFetch();
    await xattrs?.apply(target);
    const root = await look.lookup(ROOT_PATH);
    if (run.settings.keepsWorkplace === true) workplace?.empty();
    else workplace?.remove();
    // Removing the workplace has changed the root's time.
    if (workplace && root !== undefined) await setTime(target, root, run.ledger);
  } finally {
    target.close();
  }
}

/** Restores the root's time after the workplace came or went. A failure is one of the restore. */
async function setTime(store: LocalStore, seen: LocalEntry, ledger: RestoreLedger): Promise<void> {
  const failure = await restoreTime(store, seen);
  if (failure !== undefined) ledger.problem(failure);
}

/** A listed copy, and how it is read. */
interface Listed {
  readonly tree: RemoteTree;
  readonly source: RemoteSource;
  readonly isSftp: boolean;
}

/** Lists the copy. Uses SFTP if the login has no rsync and nothing will be pushed there later. */
async function list(
  { source, ledger, reporter }: Pick<Run, 'source' | 'ledger' | 'reporter'>,
  { keepsWorkplace, rsyncPath }: RestoreSettings,
): Promise<Listed> {
  const nothing = { filesDone: 0, filesTotal: 0, bytesDone: 0, bytesTotal: 0 };
  reporter.progress({ stage: 'list', ...nothing });
  const isSftpEnough = keepsWorkplace !== true && rsyncPath === undefined;
  const listed = await RemoteTree.list(source).then(
    (tree) => ({ tree, source: tree.source, isSftp: false }),
    async (error: unknown) => {
      const { mayBeSftpOnly, sftpSource } = await import('../copy/sftp-source.ts');
      if (!isSftpEnough || !mayBeSftpOnly(error)) throw error;
      const overSftp = await sftpSource(source).catch(() => undefined);
      if (overSftp === undefined) throw error;
      const tree = await RemoteTree.list(overSftp);
      return { tree, source: tree.source, isSftp: true };
    },
  );
  ledger.bytesSent += listed.tree.traffic.bytesSent;
  ledger.bytesReceived += listed.tree.traffic.bytesReceived;
  return listed;
}

async function planFrom(run: Run, look: LocalStore): Promise<RestorePlan> {
  const { settings, copy, selection, ledger, reporter, signal } = run;
  const view = copy.view((problem) => {
    const { plainPath, plainDirectory, kind } = problem;
    // Problems outside of the way to the selected objects do not concern this run.
    const isFolder = kind === 'directory';
    if (plainPath !== undefined && selection.verdict(plainPath, isFolder) === 'exclude') return;
    if (plainPath === undefined && selection.verdict(plainDirectory, false) === 'exclude') return;
    ledger.structureProblem(problem);
  });
  const { vaultDir } = settings;
  const vault = vaultDir === undefined ? undefined : new LocalStore(vaultDir);
  try {
    return await planRestore({
      view,
      selection,
      target: look,
      vaultDir: await vault?.lookup(ROOT_PATH),
      base: pathKey(bytesOf(settings.base ?? '')),
      overwrite: settings.overwrite,
      makes: settings,
      names: namesOf(settings),
      ledger,
      signal,
      onCount: (filesTotal) =>
        reporter.progress({ stage: 'list', filesDone: 0, filesTotal, bytesDone: 0, bytesTotal: 0 }),
    });
  } finally {
    vault?.close();
  }
}

function namesOf({ names, target, dryRun }: RestoreSettings): NameRules {
  if (names === 'windows') return WINDOWS_NAMES;
  if (names === 'any') return ANY_NAMES;
  return probeNames(dryRun ? undefined : join(target, UNFINISHED_FOLDER), process.platform);
}

function noXattrs({ from }: RestoreSettings): FileError {
  const message = `${from.shown} is reached over SFTP, which has no extended attributes: none is restored`;
  return new FileError('xattrs-unavailable', message, {
    hint: 'Restore without -X, or over an account that may start rsync.',
  });
}

function refuseOverlappingTarget({ from, target }: RestoreSettings): void {
  const how = from.kind === 'local' ? overlap(target, from.path) : undefined;
  if (how === undefined) return;
  throw new UsageError('target-overlaps', `${target} ${how} the copy ${from.shown}`, {
    hint: 'Restore into a folder outside of the copy.',
  });
}

/** Reaches the copy while the key is being opened. A wrong key closes a login under way. */
async function whileUnlocking(
  open: (signal: AbortSignal) => Promise<OpenDestination>,
  key: Uint8Array | Promise<Uint8Array> | undefined,
  signal: AbortSignal,
): Promise<OpenDestination> {
  const abandoned = new AbortController();
  const opening = open(AbortSignal.any([signal, abandoned.signal]));
  try {
    const [opened] = await unlessAborted(Promise.all([opening, key]), signal);
    return opened;
  } catch (error) {
    abandoned.abort(error);
    throw abandonLogin(opening, error, signal);
  }
}

function openSource(
  settings: RestoreSettings,
  ledger: RestoreLedger,
  questions: LoginQuestions,
  signal: AbortSignal,
): Promise<OpenDestination> {
  const folder = copyFolder(settings);
  if (folder !== undefined) {
    const path = folder.endsWith('/') ? folder : `${folder}/`;
    return Promise.resolve({ remote: new LocalSourceRemote(), path });
  }
  return openDestination(settings.from, destinationOptions(settings, ledger, questions, signal));
}

function summarise(ledger: RestoreLedger, plan: RestorePlan, startedMs: number): RestoreSummary {
  const { filesRestored, filesKept, damaged, misplaced, renamed } = ledger;
  const { literalBytes, matchedBytes, bytesSent, bytesReceived } = ledger;
  return {
    ...ledger.summary(),
    filesTotal: plan.count,
    filesRestored,
    filesKept,
    damaged,
    misplaced,
    renamed,
    literalBytes,
    matchedBytes,
    bytesSent,
    bytesReceived,
    elapsedMs: Math.round(performance.now() - startedMs),
    totalBytes: plan.plainBytes,
  };
}
