/** One push under way, and what all its runs share. */
import { performance } from 'node:perf_hooks';
import type { EcsyncError } from '../../../errors.ts';
import { TEMPORARY_DIRECTORY } from '../../../gocryptfs/names/names.ts';
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import { stripRsyncPrefix } from '../../../rsync/outcome/server-errors.ts';
import type { MountPoints } from '../source/mount-points.ts';
import type { Moves } from '../memory/moves.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { DeletionScope } from './deletion.ts';
import { isHardLink } from './itemize.ts';
import type { ShownPath } from './ledger.ts';
import type { KeptNames } from './kept-names.ts';
import type { PushState, RootThere } from '../memory/push-state.ts';
import type { PushFigures, PushReporter, PushSettings } from '../source/push-settings.ts';
import type { RunContext, RunListeners, RunOutcome } from './rsync-run.ts';
import { pathKey } from '../../../bytes/paths.ts';
import { ProgressMeter } from './push-progress.ts';
import type { ServerMessages } from './server-message.ts';
import type { Snapshot } from '../source/snapshot.ts';

/**
 * A file with more block sums than this is sent without `-B`, in a run of its own: 8 GiB at the
 * default.
 */
const BLOCKS_PER_FILE_MAX = 2 ** 21;

/** Decides what a push does about another conf in the copy: see `copy-conf.ts`. */
export interface ConfJudge {
  keeps(entry: PushEntry): boolean;
  judge(job: PushJob, remembered: PushState | undefined): Promise<void>;
  provesOurs(job: PushJob): Promise<boolean>;
}

/** One push under way: what is sent, its destination, and its ledger. */
export interface PushJob {
  /**
   * The block size is that of one cipher block unless one was given, so that one edit costs two
   * blocks.
   */
  readonly settings: PushSettings;
  readonly context: RunContext;
  readonly reporter: PushReporter;
  readonly snapshot: Snapshot;
  /** Of this snapshot. */
  readonly progress: ProgressMeter;
  /** Translates what servers say. */
  readonly messages: ServerMessages;
  readonly scope: DeletionScope;
  readonly moves: Moves;
  readonly mounts: MountPoints;
  /** The destination folder does not exist yet, so nothing can be deleted there. */
  readonly isNewFolder?: boolean;
  /** Files of which the copy has another version although size and second may be equal. */
  readonly unsettled?: ReadonlySet<PushEntry>;
  /** Foreign objects that are kept in the copy. */
  readonly kept: KeptNames;
  /** The root of the copy as it is listed. Absent: not known yet. */
  readonly root?: RootThere | undefined;
  /** For an encrypted copy: what happens to another conf there. */
  readonly confThere?: ConfJudge;
}

/** The same push of another list. */
export function withEntries(
  job: PushJob,
  entries: readonly PushEntry[],
  { isPart = job.snapshot.isPart === true } = {},
): PushJob {
  const snapshot = { ...job.snapshot, entries, isPart };
  return { ...job, snapshot, progress: new ProgressMeter(snapshot, job.reporter) };
}

export function transferOptions(
  settings: PushSettings,
  changes: Partial<TransferOptions> = {},
): TransferOptions {
  return {
    protocolMax: settings.protocolMax,
    links: true,
    perms: settings.perms,
    times: true,
    owner: settings.owner,
    group: settings.group,
    devices: settings.devices,
    specials: settings.specials,
    hardLinks: settings.hardLinks,
    checksum: settings.checksum,
    dryRun: false,
    numericIds: settings.numericIds,
    ignoreTimes: false,
    deleteAfter: false,
    ignoreExisting: settings.appendOnly,
    ...(settings.blockSize !== undefined && { blockSize: settings.blockSize }),
    ...(settings.modifyWindowSec !== undefined && { modifyWindowSec: settings.modifyWindowSec }),
    ...(settings.timeoutSec > 0 && { timeoutSec: settings.timeoutSec }),
    ...changes,
  };
}

/** Whether a file's block sums would be too many for one run's block size. */
export function isTooLargeForBlockSize(entry: PushEntry, settings: PushSettings): boolean {
  return entry.size > BLOCKS_PER_FILE_MAX * (settings.blockSize ?? Infinity);
}

/** Whether a cipher path is the temporary directory or inside it. */
export function isScratch(cipherPath: Uint8Array): boolean {
  return pathKey(cipherPath).split('/', 1)[0] === TEMPORARY_DIRECTORY;
}

/** Also matches inside a folder whose long name only the destination still has. */
const STRUCTURAL_NAME = /(^|\/)gocryptfs\.(diriv|longname\.[^/]+\.name)$/;

/** The parts of a push that say what a cipher path is. */
export interface PathBasis extends Pick<PushJob, 'kept'> {
  readonly context: Pick<RunContext, 'view'>;
}

/** Translates a cipher path into plaintext. */
export function shownPath(job: PathBasis, cipherPath: Uint8Array): ShownPath {
  if (isScratch(cipherPath)) return { path: cipherPath, plain: false, virtual: true };
  const { names } = job.context.view;
  const plain = job.context.view.plainPath(cipherPath);
  if (plain === undefined) {
    const isStructural = STRUCTURAL_NAME.test(pathKey(cipherPath));
    const virtual = !names.isPlain && (isStructural || job.kept.holds(cipherPath, true));
    return { path: cipherPath, plain: false, virtual };
  }
  return { path: plain.path, plain: true, virtual: plain.virtual !== undefined };
}

/** Records a deletion by the server. The old name of a moved object does not count. */
export function noteDeleted(job: PushJob, cipherPath: Uint8Array, isDirectory: boolean): void {
  if (job.moves.left.has(pathKey(cipherPath))) return;
  job.context.ledger.deleted(shownPath(job, cipherPath), isDirectory);
}

/** The plaintext name for the cipher path that a hard link points to. */
function linkTarget(job: PushJob, iflags: number, xname?: Uint8Array): Uint8Array | undefined {
  // The record of an existing link has an empty name.
  if (xname === undefined || xname.length === 0 || !isHardLink(iflags)) return undefined;
  return shownPath(job, xname).path;
}

/** Listeners that record a run of the snapshot's entries in the ledger. */
export function ledgerListeners(job: PushJob): RunListeners<'onItem' | 'onSent' | 'onProblem'> {
  const { ledger } = job.context;
  return {
    onItem: (entry, iflags, xname) => ledger.item(entry, iflags, linkTarget(job, iflags, xname)),
    onSent: (entry, literal, matched) => ledger.sent(entry, literal, matched),
    onProblem: (entry: PushEntry, error: EcsyncError) => ledger.problem(error, entry),
  };
}

/** The figures of a push so far. */
export function figuresOf(job: PushJob, startedMs: number): PushFigures {
  const { ledger } = job.context;
  return {
    filesTotal: job.snapshot.plainCount,
    filesSent: ledger.filesSent,
    filesDeleted: ledger.filesDeleted,
    filesKept: ledger.filesKept,
    literalBytes: ledger.literalBytes,
    matchedBytes: ledger.matchedBytes,
    bytesSent: ledger.bytesSent,
    bytesReceived: ledger.bytesReceived,
    elapsedMs: Math.round(performance.now() - startedMs),
    totalBytes: job.snapshot.plainBytes,
    runs: ledger.runs,
  };
}

/** A server's message with cipher paths translated into plaintext where possible. */
function inPlaintext({ context: { view }, messages }: PushJob, text: string): string {
  return view.names.isPlain ? text : messages.inPlaintext(text);
}

/**
 * A line of the destination's rsync in plaintext. Lines of a local folder are our own and need no
 * prefix.
 */
export function plainLine(job: PushJob, line: string): string {
  const text = inPlaintext(job, line.trim());
  return isOwnServer(job) ? stripRsyncPrefix(text) : text;
}

/** Whether the destination is a local folder that this process serves itself. */
export function isOwnServer({
  settings: { destination, rsyncPath },
}: {
  readonly settings: Pick<PushSettings, 'destination' | 'rsyncPath'>;
}): boolean {
  return destination.kind === 'local' && rsyncPath === undefined;
}

/** Reports one line of the destination's rsync. */
export function noteServerLine(job: PushJob, line: string): void {
  const { destination } = job.settings;
  const from = isOwnServer(job) ? destination.shown : 'server';
  job.context.ledger.note('remote-message', `${from}: ${plainLine(job, line)}`);
}

const MESSAGES_MAX = 20;

/** Reports the standard error of a server that failed, without its closing line. */
function reportServerMessages(job: PushJob, outcome: RunOutcome): void {
  const lines = outcome.stderrText
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('rsync error: '));
  for (const line of lines.slice(0, MESSAGES_MAX)) {
    noteServerLine(job, line);
  }
  if (lines.length > MESSAGES_MAX) {
    const more = lines.length - MESSAGES_MAX;
    job.context.ledger.note('remote-message', `server: … and ${more} more lines`);
  }
}

/**
 * Accepts the end of a run if it is a success, or a partial failure that the ledger records.
 *
 * @throws {EcsyncError} everything else
 * @returns true if the server stored everything it was sent
 */
export function accept(job: PushJob, outcome: RunOutcome): boolean {
  if (outcome.error === undefined) return true;
  const isWhole = outcome.protocol !== undefined;
  const isPartial = outcome.exitCode === 23 || outcome.exitCode === 24;
  if (!isWhole || !isPartial) throw outcome.error;
  reportServerMessages(job, outcome);
  const { ledger } = job.context;
  if (outcome.exitCode === 24) ledger.vanished++;
  else ledger.failures++;
  if (outcome.error.code === 'remote-disk-full') ledger.cause ??= outcome.error;
  return false;
}
