/** Renames moved files at the destination by hard links, without sending them. */
import { randomBytes } from 'node:crypto';
import { RemoteError } from '../../../errors.ts';
import { STEP_PREFIX, TEMPORARY_DIRECTORY } from '../../../gocryptfs/names/names.ts';
import { ITEM_RECORDS_SINCE } from '../../../rsync/wire/constants.ts';
import { compareFlist } from '../../../rsync/flist/sort.ts';
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import { isDirectory, S_IFDIR } from '../../../tree/entry.ts';
import { isAtOrBelowAny, parentKey, pathKey, splitPath } from '../../../bytes/paths.ts';
import { isHardLink, isNew, isSignificant, isTransfer } from '../job/itemize.ts';
import type { Location } from '../memory/locations.ts';
import type { MovedFile, Moves } from '../memory/moves.ts';
import type { PushEntry } from '../source/push-entry.ts';
import { accept, transferOptions, type PushJob } from '../job/push-job.ts';
import type { PushState } from '../memory/push-state.ts';
import { ask } from '../job/question.ts';
import { runRsync, type RunOutcome, type RunPlan } from '../job/rsync-run.ts';
import { tempDirOf } from '../job/run-options.ts';
import { tempDirEntry } from '../job/staging.ts';

/**
 * How a moved file gets its new name at the destination without being sent. The protocol has no
 * rename, but a list may say that two names are hard links of one file. If one name exists and is
 * up to date, the server links the other one to it. The old name is removed with the due deletions.
 *
 * First a dry run asks which of the old names still hold the remembered files. Only these are
 * linked, and none without an answer. Missing folders are not listed, since the server would make
 * them.
 */

/** Mode of an old folder about which nothing is known. */
const UNKNOWN_FOLDER_MODE = S_IFDIR | 0o700;

/** Options of the run that asks. */
function confirmOptions(job: PushJob): TransferOptions {
  return transferOptions(job.settings, {
    dryRun: true,
    checksum: false,
    hardLinks: false,
    ignoreExisting: false,
  });
}

function linkOptions(job: PushJob, state: PushState): TransferOptions {
  const tempDir = tempDirOf(job, state);
  return transferOptions(job.settings, {
    checksum: false,
    hardLinks: true,
    // The old name exists and must be listed, since the server links the new name to it.
    ignoreExisting: false,
    ...(tempDir !== undefined && { tempDir }),
  });
}

/** Options of the run that follows the skeleton, if files have moved. */
export function afterSkeleton(job: PushJob): TransferOptions | undefined {
  return hasMoves(job) ? confirmOptions(job) : undefined;
}

function hasMoves({ moves, settings }: PushJob): boolean {
  return moves.files.length > 0 && settings.protocolMax >= ITEM_RECORDS_SINCE;
}

/**
 * Has the server rename moved files, as far as it has them under the old names.
 *
 * @param next - options of the run that follows
 * @throws {ConnectionError | RemoteError | ProtocolError | InterruptedError} the conversation broke
 */
export async function moveFiles(
  job: PushJob,
  state: PushState,
  next: () => TransferOptions | undefined,
): Promise<LinkedFiles> {
  if (!hasMoves(job)) return { linked: new Set(), hasSteps: false };
  const isBuilt = true;
  const files = await confirmMoves(job, { isBuilt, next: () => linkOptions(job, state) });
  return linkMoved(job, state, { files, next });
}

/**
 * Asks the server which moved files it has at their old places, as they were pushed.
 *
 * @param options.isBuilt - the new folders should exist by now
 * @throws {ConnectionError | RemoteError | …} as `accept`
 */
export async function confirmMoves(
  job: PushJob,
  options: { readonly isBuilt: boolean; readonly next?: () => TransferOptions },
): Promise<readonly MovedFile[]> {
  const { files } = job.moves;
  if (!hasMoves(job)) return [];
  const folders = new Folders(job);
  const asked = new Set(files.map(({ fromCipherPath }) => pathKey(fromCipherPath)));
  const others = new Set<string>();
  // Linking would update attributes too.
  const adds = job.settings.appendOnly;
  const olds = files.map((file) => oldName(file, {}));
  const news = options.isBuilt ? files.map(({ entry }) => entry) : [];
  const answer = await ask(job, {
    entries: [...folders.above([...olds, ...news]), ...olds].sort(compareFlist),
    options: confirmOptions(job),
    ...(options.next && { next: options.next }),
    onItem: (entry, iflags) => {
      const key = pathKey(entry.path);
      const isOther = adds ? isSignificant(iflags) : isTransfer(iflags);
      if (isDirectory(entry) ? isNew(iflags) : asked.has(key) && isOther) others.add(key);
    },
  });
  accept(job, answer.outcome);
  if (!answer.isAnswered || !answer.hasItemRecords) return [];
  const isThere = (path: Uint8Array): boolean => !isAtOrBelowAny(pathKey(path), others);
  return files.filter(
    ({ entry, fromCipherPath }) =>
      isThere(fromCipherPath) && (!options.isBuilt || isThere(splitPath(entry.path).directory)),
  );
}

/**
 * Gives moved files their new names. The content run sends files that cannot be linked, so a
 * failure here does not fail the push.
 *
 * @param files - as {@link confirmMoves} returned them
 * @throws {ConnectionError | ProtocolError | InterruptedError} the conversation broke
 */
async function linkMoved(
  job: PushJob,
  state: PushState,
  {
    files,
    next,
  }: { readonly files: readonly MovedFile[]; readonly next: () => TransferOptions | undefined },
): Promise<LinkedFiles> {
  const { direct, stepping } = planLinks(job, files);
  const options = linkOptions(job, state);
  const first = [...direct, ...stepping.map(({ from, step, file }) => ({ file, from, to: step }))];
  const linked = new Set<PushEntry>();
  if (first.length === 0) return { linked, hasSteps: false };
  const hasSteps = stepping.length > 0;
  const run = { options, linked };
  const isDone = await runLinks(job, first, { ...run, next: hasSteps ? () => options : next });
  if (hasSteps && isDone) {
    const second = stepping.map(({ step, to, file }) => ({ file, from: step, to }));
    await runLinks(job, second, { ...run, next });
  }
  return { linked, hasSteps };
}

/** The result of linking. */
interface LinkedFiles {
  /** Moved files that the server has linked under their new names. */
  readonly linked: ReadonlySet<PushEntry>;
  /** Intermediate names are left, and must be removed. */
  readonly hasSteps: boolean;
}

/** A name to make, and the existing name of the same file. */
interface Link {
  readonly file: MovedFile;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** A link by way of an intermediate name. */
interface SteppingLink extends Link {
  readonly step: Uint8Array;
}

/**
 * Each name occurs only once in a list. A server that meets a new name before the old one requests
 * content to replace the existing file. So a file gets an intermediate name if another moved file
 * still has its new name, or if it comes too early in the list, as long as that helps.
 */
function planLinks(
  job: PushJob,
  files: readonly MovedFile[],
): { readonly direct: readonly Link[]; readonly stepping: readonly SteppingLink[] } {
  const leaving = new Set(files.map(({ fromCipherPath }) => pathKey(fromCipherPath)));
  const token = randomBytes(6).toString('hex');
  const direct: Link[] = [];
  const stepping: SteppingLink[] = [];
  for (const file of files) {
    const { entry, fromCipherPath: from, isOccupied } = file;
    const { path: to, mode } = entry;
    const comesBefore = (path: Uint8Array): boolean => compareFlist({ path, mode }, entry) < 0;
    if (!leaving.has(pathKey(to)) && (!isOccupied || comesBefore(from))) {
      direct.push({ file, from, to });
      continue;
    }
    const step = stepName(job, `${token}-${stepping.length}`);
    if (comesBefore(step)) stepping.push({ file, from, to, step });
  }
  return { direct, stepping };
}

/** A name that no mount shows. As a file of the root it precedes everything inside of folders. */
function stepName(job: PushJob, name: string): Uint8Array {
  const { isPlain } = job.context.view.names;
  return Buffer.from(isPlain ? `${TEMPORARY_DIRECTORY}/${name}` : `${STEP_PREFIX}${name}.name`);
}

/** @returns false if the server refused the whole run */
async function runLinks(
  job: PushJob,
  links: readonly Link[],
  { linked, ...run }: Pick<RunPlan, 'options' | 'next'> & { readonly linked: Set<PushEntry> },
): Promise<boolean> {
  const folders = new Folders(job);
  const made = new Map<PushEntry, MovedFile>();
  const names = links.flatMap(({ file, from, to }, number) => {
    const target = oldName(file, { path: to, linkGroup: number + 1 });
    if (Buffer.compare(to, file.entry.path) === 0) made.set(target, file);
    return [target, oldName(file, { path: from, linkGroup: number + 1 })];
  });
  const outcome = await runRsync(job.context, {
    entries: [...folders.above(names), ...names].sort(compareFlist),
    ...run,
    // Files that changed after all are left to the content run.
    decline: () => true,
    onItem: (entry, iflags) => {
      const file = made.get(entry);
      if (file !== undefined && isHardLink(iflags)) {
        linked.add(file.entry);
        job.context.ledger.item(file.entry, iflags, file.from.path);
      }
    },
  });
  return isTolerable(job, outcome);
}

/**
 * A file system without hard links causes one failure per file, and a server may refuse to make
 * any.
 */
function isTolerable(job: PushJob, outcome: RunOutcome): boolean {
  const { error, exitCode, protocol } = outcome;
  if (error === undefined) return true;
  if (protocol !== undefined && (exitCode === 23 || exitCode === 24)) return true;
  if (error instanceof RemoteError) return false;
  return accept(job, outcome);
}

/** A moved file as it was pushed, under one of its names, with its present attributes. */
function oldName(
  { entry, from, fromCipherPath }: MovedFile,
  { path = fromCipherPath, linkGroup }: { path?: Uint8Array; linkGroup?: number },
): PushEntry {
  const { mode, uid, gid } = entry;
  const { size, mtimeSec, mtimeNsec } = from;
  const common = { path, mode, uid, gid, size, mtimeSec, mtimeNsec };
  return linkGroup === undefined ? common : { ...common, linkGroup };
}

/** Moved files as they are now, listed under their old names, to ask what differs. */
export function underOldNames(
  job: PushJob,
  files: readonly MovedFile[],
): {
  readonly entries: readonly PushEntry[];
  readonly filesByEntry: ReadonlyMap<PushEntry, MovedFile>;
} {
  const filesByEntry = new Map(
    files.map((file) => {
      const { size, mtimeSec, mtimeNsec } = file.entry;
      return [{ ...oldName(file, {}), size, mtimeSec, mtimeNsec }, file] as const;
    }),
  );
  const names = [...filesByEntry.keys()];
  const entries = [...new Folders(job).above(names), ...names].sort(compareFlist);
  return { entries, filesByEntry };
}

/** The folders that a list of moved files needs: existing ones as they are, others as they were. */
class Folders {
  readonly #root: PushEntry | undefined;
  readonly #present: ReadonlyMap<string, PushEntry>;
  readonly #moves: Moves;
  readonly #job: PushJob;

  constructor(job: PushJob) {
    const { entries } = job.snapshot;
    this.#job = job;
    this.#root = entries[0];
    this.#present = new Map(entries.filter(isDirectory).map((one) => [pathKey(one.path), one]));
    this.#moves = job.moves;
  }

  /** Every folder above these names, including the root. */
  above(names: readonly PushEntry[]): PushEntry[] {
    const found = new Map<string, PushEntry>();
    if (this.#root === undefined) return [];
    found.set('.', this.#root);
    for (const { path } of names) {
      for (let key = parentKey(pathKey(path)); !found.has(key); key = parentKey(key)) {
        found.set(key, this.#at(key, this.#root));
      }
    }
    return [...found.values()];
  }

  #at(key: string, root: PushEntry): PushEntry {
    if (key === TEMPORARY_DIRECTORY) return tempDirEntry(root);
    const present = this.#present.get(key);
    if (present !== undefined) return present;
    const path = Buffer.from(key, 'latin1');
    const { mode, mtimeSec, mtimeNsec } = this.#remembered(path) ?? {
      mode: UNKNOWN_FOLDER_MODE,
      mtimeSec: 0,
      mtimeNsec: 0,
    };
    const { uid, gid } = root;
    return { path, mode, size: 0, mtimeSec, mtimeNsec, uid, gid };
  }

  #remembered(path: Uint8Array): Location | undefined {
    const plain = this.#job.context.view.plainPath(path);
    return plain && this.#moves.goneFolders.get(pathKey(plain.path));
  }
}
