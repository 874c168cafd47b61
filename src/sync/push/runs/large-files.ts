/**
 * Sends large files so that the part already sent stays at the destination if the push is cut off.
 */
import { randomBytes } from 'node:crypto';
import { RemoteError } from '../../../errors.ts';
import { PLAIN_BLOCK_SIZE } from '../../../gocryptfs/format/limits.ts';
import { TEMPORARY_DIRECTORY } from '../../../gocryptfs/names/names.ts';
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import type { Basis } from '../../../rsync/send/send-job.ts';
import { isDirectory } from '../../../tree/entry.ts';
import { beforeDeletions, unlessFsyncRefused } from '../job/durable-order.ts';
import { sparseBlockLength, upToHole } from './file-beginning.ts';
import type { Findings } from '../job/findings.ts';
import { asNewFile } from '../job/itemize.ts';
import { largeFiles, LARGE_TOKEN_BYTES } from './large-choice.ts';
import type { PushEntry } from '../source/push-entry.ts';
import {
  isOwnServer,
  isTooLargeForBlockSize,
  type PushJob,
  transferOptions,
} from '../job/push-job.ts';
import { type LargePlace, type PushState } from '../memory/push-state.ts';
import {
  runRsync,
  type ItemRecord,
  type RunListeners,
  type RunOutcome,
  type RunPlan,
} from '../job/rsync-run.ts';
import { contentOptions, largeFolder, linksFrom, tempDirOf } from '../job/run-options.ts';
import { withAncestors } from '../source/skeleton.ts';
import { stagedFolder, withTempDir } from '../job/staging.ts';
import { contentListeners, type Memory } from '../job/transfer-state.ts';
import { structureKey } from '../source/structure-key.ts';

/**
 * An interrupted rsync discards a partial file, or keeps it where it is not found again. So a large
 * file is first received in a folder of the temporary directory. It grows there in place
 * (`--inplace`) below its own path. However the push ends, the next push finds it there, and uses
 * it as the basis of the delta. The content run then takes the file from there by a hard link
 * (`--link-dest`).
 *
 * `--compare-dest` with the copy itself avoids sending files that exist already. A file that exists
 * in an older version is left to the content run, unless a push was cut off. After that it is
 * copied within the server, and the copy is updated, so that the end of the old version is used.
 *
 * Once names may have been given, the files share their content with the copy, and are not written
 * to any more. A later push gives the remaining names, and starts a new folder.
 */

/**
 * First protocol whose servers replace an existing file by the `--link-dest` one: that of rsync
 * 3.1.
 */
const REPLACING_LINKS_SINCE = 31;
/** Copying speed of a slow disk. The server is silent meanwhile. */
const COPIED_BYTES_PER_SEC = 20_000_000;
/** Time of a copy that is not updated yet, so that no file is mistaken for it. */
const COPIED_MTIME_SEC = 1;

/** Spellings of the copy's path relative to the folder in which large files grow. */
function aboveSpellings(destination: string): readonly string[] {
  const base = destination.replace(/^(\.?\/+)+/, '').replace(/\/+$/, '');
  // A restricted shell refuses dots, and resolves a full path against its own root.
  return ['../..', `/${base === '.' ? '' : base}`];
}

/**
 * Options of the run that follows when new folders are made and moved files are linked, if it goes
 * to the copy.
 */
export function afterLinks(
  job: PushJob,
  state: PushState,
  findings: Findings,
): TransferOptions | undefined {
  const isDue = tempDirOf(job, state) !== undefined && largeFiles(job, findings).size > 0;
  return isDue ? undefined : contentOptions(job, state, findings.isDeleting);
}

/** Sends the large files of a push, and continues those that were cut off. */
export async function sendLarge(job: PushJob, memory: Memory, findings: Findings): Promise<void> {
  const { state } = memory;
  const files =
    tempDirOf(job, state) === undefined ? new Set<PushEntry>() : largeFiles(job, findings);
  if (files.size === 0) {
    state.large = undefined;
    return;
  }
  if (state.large?.isLinking === true) {
    await giveNames(job, memory, files);
    state.large = undefined;
  }
  const place = state.large ?? newPlace();
  state.large = place;
  findings.noteStaged();
  memory.save();
  if (!(await new Growth(job, memory, findings).grow(files))) return;
  state.large = { ...state.large, isLinking: true };
  memory.save();
}

function newPlace(): LargePlace {
  return { token: randomBytes(LARGE_TOKEN_BYTES).toString('hex'), isLinking: false, mixed: [] };
}

/** Names the files that an earlier push has sent completely. Sends nothing. */
async function giveNames(
  job: PushJob,
  { state }: Memory,
  files: ReadonlySet<PushEntry>,
): Promise<void> {
  const tempDir = tempDirOf(job, state);
  if (tempDir === undefined) return;
  const { snapshot, context, settings } = job;
  const outcome = await runRsync(context, {
    entries: withTempDir(withAncestors(snapshot.entries, files), context.view),
    options: transferOptions(settings, {
      checksum: false,
      hardLinks: false,
      tempDir,
      ...linksFrom(tempDir, state.large),
    }),
    decline: () => true,
  });
  isDone(outcome, false);
}

/**
 * @returns false if the server does not support this
 * @throws {EcsyncError} the conversation broke, or the disk is full
 */
function isDone({ error, exitCode, protocol }: RunOutcome, isUnderWay: boolean): boolean {
  if (error === undefined) return true;
  // The content run meets the failures of single files again, and reports them.
  if (protocol !== undefined && (exitCode === 23 || exitCode === 24)) return true;
  // Some servers crash at unknown options. If the connection is really lost, the next run fails
  // too.
  const isRefusal = error instanceof RemoteError || error.code === 'connection-lost';
  if (isUnderWay || !isRefusal) throw error;
  return false;
}

/** The runs in which the large files of one push grow. */
class Growth {
  readonly #job: PushJob;
  readonly #memory: Memory;
  readonly #findings: Findings;
  /** Files of which the copy has another version, with its size. */
  readonly #older = new Map<PushEntry, number>();
  readonly #changed: ReadonlySet<PushEntry>;
  #protocol = 0;

  constructor(job: PushJob, memory: Memory, findings: Findings) {
    this.#job = job;
    this.#changed = new Set(job.moves.changed);
    this.#memory = memory;
    this.#findings = findings;
  }

  /** @returns false if the server does not support it */
  async grow(files: ReadonlySet<PushEntry>): Promise<boolean> {
    const again = [...files].filter((file) => this.#isMixed(file));
    const others = [...files].filter((file) => !this.#isMixed(file));
    const { isResuming } = this.#findings;
    const isLast = (): boolean => this.#older.size === 0 || !isResuming;
    if (!(await this.#receive(again, { ignoreTimes: true }, () => others.length === 0)))
      return false;
    const isTaken = await this.#named((compareDest) =>
      this.#receive(others, { compareDest }, isLast),
    );
    if (!isTaken) return false;
    if (isLast()) return true;
    return this.#receive(await this.#copyOlder(), { ignoreTimes: true }, () => true);
  }

  /** Tries the spellings of the copy's path until the server accepts one. */
  async #named(attempt: (above: string) => Promise<boolean>): Promise<boolean> {
    const { state } = this.#memory;
    const spellings = aboveSpellings(this.#job.context.destination);
    for (const [choice, above] of spellings.entries()) {
      if (choice < (state.aboveChoice ?? 0)) continue;
      if (!(await attempt(above))) continue;
      if (choice > 0) state.aboveChoice = choice;
      return true;
    }
    return false;
  }

  /**
   * Files beyond the block size of the others are sent in a run of their own, and so are sparse
   * ones.
   *
   * @param isLast - whether the content run follows
   */
  async #receive(
    files: readonly PushEntry[],
    changes: Partial<TransferOptions>,
    isLast: () => boolean,
  ): Promise<boolean> {
    const { settings } = this.#job;
    const sparse = files.filter(({ plain }) => plain?.isSparse === true);
    const dense = files.filter(({ plain }) => plain?.isSparse !== true);
    const huge = dense.filter((file) => isTooLargeForBlockSize(file, settings));
    const others = dense.filter((file) => !isTooLargeForBlockSize(file, settings));
    const { blockSize, ...options } = transferOptions(settings, {
      checksum: false,
      hardLinks: false,
      // A restricted server may add it nevertheless. Then the content run continues with the
      // partial files.
      ignoreExisting: false,
      inPlace: true,
      xattrs: settings.xattrs,
      ...changes,
    });
    const inBlocks = blockSize === undefined ? options : { ...options, blockSize };
    const areDense = (): boolean => sparse.length === 0 && isLast();
    const isDenseTaken =
      (await this.#run(others, inBlocks, () => huge.length === 0 && areDense())) &&
      (await this.#run(huge, options, areDense));
    if (!isDenseTaken) return false;
    // If a server makes no holes in place, the content run sends these files.
    return (await this.#receiveSparse(sparse, inBlocks, isLast)) || dense.length > 0;
  }

  /**
   * Sends the beginning of a file first, or somewhat more of a partial one. All other holes are
   * copied from the hole in it. In this process holes are not sent as bytes anyway.
   */
  async #receiveSparse(
    files: readonly PushEntry[],
    options: TransferOptions,
    isLast: () => boolean,
  ): Promise<boolean> {
    const { view } = this.#job.context;
    const usual = options.blockSize ?? PLAIN_BLOCK_SIZE;
    const blockSize = sparseBlockLength(
      files.map(({ size }) => size),
      usual,
    );
    const inHoles: TransferOptions = { ...options, blockSize, sparse: true };
    if (!isOwnServer(this.#job)) {
      const open: RunPlan['open'] = async (entry, basisSize) =>
        upToHole(await view.open(entry), blockSize, basisSize);
      if (!(await this.#run(files, inHoles, () => false, open))) return false;
    }
    return this.#run(files, inHoles, isLast);
  }

  /** @param open - opens beginnings of files */
  async #run(
    files: readonly PushEntry[],
    options: TransferOptions,
    isLast: () => boolean,
    open?: RunPlan['open'],
  ): Promise<boolean> {
    if (files.length === 0) return true;
    const { context } = this.#job;
    const { isDeleting } = this.#findings;
    const { state } = this.#memory;
    const books = contentListeners(this.#job, this.#findings);
    const isMended = options.ignoreTimes;
    let last: ItemRecord | undefined;
    let isUnderWay = false;
    const plan: Omit<RunPlan, 'options'> = {
      ...books,
      entries: this.#list(new Set(files)),
      destination: this.#destination(),
      onItem: (...item) => {
        last = item;
      },
      ...(open && { open }),
      withhold: (entry, basis) => {
        isUnderWay = true;
        if (isMended ? basis.size === 0 : this.#isOlder(entry, basis)) return true;
        if (books.withhold(entry, basis)) return true;
        if (!isMended && basis.size > 0) this.#noteMixed([entry]);
        if (last !== undefined) this.#tell(books, last);
        return false;
      },
      onSent: (entry, literalBytes, matchedBytes) => {
        if (open !== undefined) {
          context.ledger.literalBytes += literalBytes;
          return;
        }
        books.onSent(entry, literalBytes, matchedBytes);
        this.#job.progress.sentAhead(entry);
      },
      next: () => (isLast() ? contentOptions(this.#job, state, isDeleting) : undefined),
    };
    const outcome = await unlessFsyncRefused(
      state,
      () => ({ ...options, ...beforeDeletions(this.#job, state, isDeleting) }),
      (optionsNow) => runRsync(context, { ...plan, options: optionsNow }),
    );
    this.#protocol = outcome.protocol ?? 0;
    return isDone(outcome, isUnderWay);
  }

  #tell(books: RunListeners<'onItem'>, [entry, iflags, xname, ndx]: ItemRecord): void {
    const isChange = this.#changed.has(entry) || this.#older.has(entry);
    books.onItem(entry, isChange ? iflags : asNewFile(iflags), xname, ndx);
  }

  #isOlder(entry: PushEntry, { size, isElsewhere }: Basis): boolean {
    if (isElsewhere) this.#older.set(entry, size);
    return isElsewhere;
  }

  /**
   * Has the server copy older versions into the folder.
   *
   * @returns files whose copy probably exists
   */
  async #copyOlder(): Promise<readonly PushEntry[]> {
    if (this.#protocol < REPLACING_LINKS_SINCE) return [];
    const { settings, context } = this.#job;
    const limit = settings.timeoutSec === 0 ? Infinity : settings.timeoutSec * COPIED_BYTES_PER_SEC;
    const older = [...this.#older].filter(([, size]) => size <= limit);
    if (older.length === 0) return [];
    const files = new Map(older);
    const isCopied = await this.#named(async (copyDest) => {
      const outcome = await runRsync(context, {
        entries: this.#list(new Set(files.keys())).map((entry) => {
          const size = files.get(entry);
          return size === undefined ? entry : asCopied(entry, size);
        }),
        destination: this.#destination(),
        options: transferOptions(settings, {
          checksum: false,
          hardLinks: false,
          ignoreExisting: false,
          sizeOnly: true,
          copyDest,
        }),
        decline: () => true,
      });
      return isDone(outcome, false);
    });
    if (!isCopied) return [];
    const copied = [...files.keys()];
    this.#noteMixed(copied);
    return copied;
  }

  /** The files, in folders that are open to everybody who may enter the temporary directory. */
  #list(files: ReadonlySet<PushEntry>): readonly PushEntry[] {
    return withAncestors(this.#job.snapshot.entries, files).map((entry) =>
      isDirectory(entry) ? stagedFolder(entry) : entry,
    );
  }

  #destination(): string {
    const { large } = this.#memory.state;
    const { destination } = this.#job.context;
    return `${destination}${TEMPORARY_DIRECTORY}/${large === undefined ? '' : largeFolder(large)}/`;
  }

  #isMixed({ path }: PushEntry): boolean {
    return this.#memory.state.large?.mixed.includes(structureKey(path)) === true;
  }

  /** Saves that the length of these files will say nothing about them. */
  #noteMixed(files: readonly PushEntry[]): void {
    const { state } = this.#memory;
    if (state.large === undefined) return;
    const mixed = new Set([...state.large.mixed, ...files.map(({ path }) => structureKey(path))]);
    state.large = { ...state.large, mixed: [...mixed] };
    this.#memory.save();
  }
}

/** An entry that makes a server take an older version for the file. */
function asCopied({ path, mode, mtimeNsec, uid, gid }: PushEntry, size: number): PushEntry {
  return { path, mode, size, mtimeSec: COPIED_MTIME_SEC, mtimeNsec, uid, gid };
}
