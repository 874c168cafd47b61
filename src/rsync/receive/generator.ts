/** The generator, which creates the objects that need no content and requests the others. */
import { setImmediate } from 'node:timers/promises';
import { FileError, VanishedError } from '../../errors.ts';
import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSymlink,
  S_IFMT,
  type Entry,
} from '../../tree/entry.ts';
import type { Attributes } from '../../tree/store.ts';
import {
  ITEM_IS_NEW,
  ITEM_LOCAL_CHANGE,
  ITEM_REPORT_CHANGE,
  ITEM_REPORT_TIME,
} from '../wire/constants.ts';
import type { AttributeDifference } from './attribute-policy.ts';
import type { Deletion } from './delete.ts';
import type { Expected, ExpectedReplies } from './expected-replies.ts';
import type { FlistEntry } from '../flist/decode.ts';
import { FileGenerator } from './generator-file.ts';
import { LinkGenerator } from './generator-links.ts';
import { isSameLinkOrDevice, SkippedEntries } from './generator-skips.ts';
import type { ReceiveJob } from './receive-job.ts';
import type { GeneratorWriter } from './record-writer.ts';
import { pathKey } from '../../bytes/paths.ts';

/** After this many entries we flush and let the event loop run. */
const ENTRIES_PER_TURN = 64;
/** The permissions that the owner of a folder needs while it is being filled. */
const OWNER_BITS = 0o700;
/** Set-id and sticky bits are set only together with the owner. */
const ORDINARY_BITS = 0o777;

/**
 * The half of the receiving side that goes through the list, creates the objects that need no
 * content (folders, symlinks, specials, hard links), and requests the content of files that differ.
 *
 * @see rsync generator.c generate_files, recv_generator (3.5.0)
 */
export class Generator<E extends Entry> {
  readonly #job: ReceiveJob<E>;
  readonly #records: GeneratorWriter;
  readonly #deletion: Deletion<E>;
  readonly #files: FileGenerator<E>;
  readonly #links: LinkGenerator<E>;
  readonly #skipped: SkippedEntries<E>;
  /** Folders that could not be created, as latin1 text: their contents are skipped. */
  readonly #failedFolders = new Set<string>();
  /**
   * Final modes of folders that have owner bits added while they are filled; a comparison misses
   * them without `-p`.
   */
  readonly #finalModes = new Map<string, number>();

  constructor(
    job: ReceiveJob<E>,
    records: GeneratorWriter,
    expected: ExpectedReplies<E>,
    deletion: Deletion<E>,
  ) {
    this.#job = job;
    this.#records = records;
    this.#deletion = deletion;
    this.#files = new FileGenerator(job, records, expected);
    this.#links = new LinkGenerator(job, records, expected, this.#files);
    this.#skipped = new SkippedEntries(job, this.#files);
  }

  /** Goes through the whole list once. A failure of one entry is reported; the others continue. */
  async walk(): Promise<void> {
    const { list, writer, wants, busy, assertAlive } = this.#job;
    for (const [ndx, entry] of list.entries.entries()) {
      if (ndx % ENTRIES_PER_TURN === ENTRIES_PER_TURN - 1) {
        if (writer.pending) writer.flush();
        busy();
        await setImmediate();
      }
      if (writer.blocked) await writer.drained();
      assertAlive();
      if (list.isRepeated(ndx) || !wants(entry) || this.#isInFailedFolder(entry)) continue;
      try {
        await this.#generate(ndx, entry);
      } catch (error) {
        this.#reportFailure(entry, error);
      }
    }
  }

  /** Requests files again whose content arrived damaged, with full sums. */
  async redo(damaged: ReadonlyMap<number, Expected<E>>): Promise<void> {
    for (const [ndx, expected] of damaged) {
      this.#job.assertAlive();
      try {
        await this.#files.redo(ndx, expected);
      } catch (error) {
        this.#reportFailure(expected.entry, error);
      }
    }
  }

  /** Creates the further names of files whose content is stored. */
  async makeLinks(): Promise<void> {
    for (const { ndx, entry, leaderNdx } of this.#links.takeDeferred()) {
      this.#job.assertAlive();
      try {
        const existing = await this.#clearPlace(entry, () => true);
        await this.#links.link(ndx, entry, { leaderNdx, existing });
      } catch (error) {
        this.#reportFailure(entry, error);
      }
    }
  }

  /**
   * Sets the final times and permissions of folders, when nothing inside them changes any more. The
   * innermost come first, since a folder's final mode may deny us access.
   */
  async finishFolders(): Promise<void> {
    const { list, store, options, session, wants, busy, assertAlive } = this.#job;
    if (options.dryRun) return;
    // Below protocol 31 fractions of a second are not sent.
    const isExact = options.modifyWindowSec === undefined;
    const hasFractions = options.times && session.protocol >= 31 && isExact;
    for (let ndx = list.entries.length - 1; ndx >= 0; ndx--) {
      const entry = list.entries[ndx];
      if (entry === undefined || !isDirectory(entry) || !wants(entry)) continue;
      assertAlive();
      busy();
      if (this.#failedFolders.has(pathKey(entry.path)) || this.#isInFailedFolder(entry)) continue;
      try {
        const existing = await store.lookup(entry.path);
        if (existing === undefined || !isDirectory(existing)) continue;
        const { attributes } = this.#compareFolder(entry, existing);
        const mode = this.#finalModes.get(pathKey(entry.path));
        const isInexact = hasFractions && differsInFraction(entry, existing);
        const wanted: Attributes = {
          ...(mode !== undefined && { mode }),
          ...attributes,
          ...(isInexact && { mtimeSec: entry.mtimeSec, mtimeNsec: entry.mtimeNsec }),
        };
        if (Object.keys(wanted).length > 0) await store.setAttributes(existing, wanted);
      } catch (error) {
        this.#reportFailure(entry, error);
      }
    }
  }

  /** With `keepsRoot` an existing root keeps its mode and owner. */
  #compareFolder(entry: FlistEntry, existing: E): AttributeDifference {
    const { policy, keepsRoot, rootIsNew } = this.#job;
    const keepsAttributes = keepsRoot && !rootIsNew && isRoot(entry);
    return keepsAttributes ? policy.compareTime(entry, existing) : policy.compare(entry, existing);
  }

  async #generate(ndx: number, entry: FlistEntry): Promise<void> {
    const { options } = this.#job;
    if (await this.#skipped.has(entry)) {
      if (isDirectory(entry)) this.#failedFolders.add(pathKey(entry.path));
      return;
    }
    if (isDirectory(entry)) return this.#generateFolder(ndx, entry);
    if (isRegularFile(entry)) {
      if (await this.#links.isDeferred(ndx, entry)) return;
      const existing = await this.#clearPlace(entry, isRegularFile);
      return this.#files.generate(ndx, entry, existing);
    }
    if (isSymlink(entry)) {
      if (!options.links || entry.target === undefined) return;
    } else if (isDevice(entry) ? !options.devices : !options.specials) {
      return;
    }
    if (await this.#links.isDeferred(ndx, entry)) return;
    return this.#generateOther(ndx, entry);
  }

  async #generateFolder(ndx: number, entry: FlistEntry): Promise<void> {
    const { store, policy, options, rootIsNew } = this.#job;
    const isNewRoot = rootIsNew && isRoot(entry);
    try {
      const existing = await this.#clearPlace(entry, isDirectory);
      if (existing !== undefined && !isNewRoot) {
        const { iflags, attributes } = this.#compareFolder(entry, existing);
        this.#records.report(ndx, { iflags });
        if (attributes === undefined || options.dryRun) return;
        await this.#adjustFolder(entry, existing, attributes);
        return;
      }
      this.#records.report(ndx, { iflags: ITEM_LOCAL_CHANGE | ITEM_IS_NEW });
      if (options.dryRun) return;
      const attributes = policy.forNew(entry);
      if (existing === undefined) {
        await store.createDirectory(entry.path, (attributes.mode & ORDINARY_BITS) | OWNER_BITS);
      }
      await this.#adjustFolder(entry, entry, attributes);
    } catch (error) {
      this.#failedFolders.add(pathKey(entry.path));
      throw error;
    }
  }

  /** Sets attributes, with owner bits until the folder is finished. A failure is only reported. */
  async #adjustFolder(
    entry: FlistEntry,
    folder: Pick<Entry, 'path' | 'mode'>,
    wanted: Attributes,
  ): Promise<void> {
    const { mode } = wanted;
    if (mode !== undefined && (mode | OWNER_BITS) !== mode) {
      this.#finalModes.set(pathKey(entry.path), mode);
    }
    const attributes = mode === undefined ? wanted : { ...wanted, mode: mode | OWNER_BITS };
    try {
      await this.#job.store.setAttributes(folder, attributes);
    } catch (error) {
      if (!(error instanceof FileError) || isFatal(error)) throw error;
      this.#job.report(error, entry);
    }
  }

  /** Symlinks, fifos, sockets and devices. */
  async #generateOther(ndx: number, entry: FlistEntry): Promise<void> {
    const { store, policy, options } = this.#job;
    const existing = await this.#clearPlace(entry, (other) => isSameKind(entry, other));
    if (existing !== undefined) {
      const { iflags, attributes } = policy.compare(entry, existing);
      if (isSameLinkOrDevice(entry, existing)) {
        this.#records.report(ndx, { iflags });
        if (attributes !== undefined && !options.dryRun) {
          await store.setAttributes(existing, attributes);
        }
        return;
      }
      // Without -t the object gets the time of the change.
      const time = options.times ? 0 : ITEM_REPORT_TIME;
      this.#records.report(ndx, { iflags: iflags | time | ITEM_LOCAL_CHANGE | ITEM_REPORT_CHANGE });
    } else {
      const change = isSymlink(entry) ? ITEM_REPORT_CHANGE : 0;
      this.#records.report(ndx, { iflags: ITEM_LOCAL_CHANGE | ITEM_IS_NEW | change });
    }
    if (options.dryRun) return;
    if (entry.target !== undefined) await store.createSymlink(entry.path, entry.target);
    else await store.createSpecial(entry);
    await store.setAttributes(entry, policy.forNew(entry, existing));
  }

  /**
   * The object at an entry's path, if its type allows it to stay or to be replaced in one step. A
   * folder that is in the way of another type is removed, and so is anything in the way of a
   * folder; then the result is undefined.
   *
   * @param fits - whether the existing object counts as an earlier version of the entry
   * @throws {FileError} `folder-in-the-way` — it is not empty and its contents may not be deleted
   */
  async #clearPlace(entry: FlistEntry, fits: (existing: E) => boolean): Promise<E | undefined> {
    const { store, options } = this.#job;
    const existing = await store.lookup(entry.path);
    if (existing === undefined) return undefined;
    if (isDirectory(existing) && !isDirectory(entry)) {
      let isGone = true;
      if (options.deleteAfter) isGone = await this.#deletion.clear(existing);
      else if (!options.dryRun) await store.removeDirectory(entry.path);
      if (isGone) return undefined;
      throw new FileError(
        'folder-in-the-way',
        `${shown(entry)} is a folder that cannot be removed`,
        {
          hint: 'It holds files that are protected from deletion. Move them elsewhere.',
        },
      );
    }
    if (fits(existing)) return existing;
    if (isDirectory(entry) && !options.dryRun) await store.removeFile(entry.path);
    return undefined;
  }

  #isInFailedFolder(entry: FlistEntry): boolean {
    if (this.#failedFolders.size === 0) return false;
    const slash = entry.path.lastIndexOf(0x2f);
    if (slash === -1 || !this.#failedFolders.has(pathKey(entry.path.subarray(0, slash))))
      return false;
    if (isDirectory(entry)) this.#failedFolders.add(pathKey(entry.path));
    return true;
  }

  #reportFailure(entry: FlistEntry, error: unknown): void {
    if (error instanceof FileError && !isFatal(error)) this.#job.report(error, entry);
    else if (error instanceof VanishedError) {
      const message = `${shown(entry)} changed while it was being compared`;
      this.#job.report(new FileError('changed', message, { cause: error }), entry);
    } else throw error;
  }
}

/** Whether every other object would fail with the same error. */
export function isFatal(error: FileError): boolean {
  const { errno } = error.facts;
  return errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EROFS';
}

function isRoot({ path }: Entry): boolean {
  return path.length === 1 && path[0] === 0x2e;
}

function isSameKind(a: Entry, b: Entry): boolean {
  return (a.mode & S_IFMT) === (b.mode & S_IFMT);
}

/** Whether two times differ by more than a file system's rounding. */
function differsInFraction(a: Entry, b: Entry): boolean {
  return a.mtimeSec !== b.mtimeSec || Math.abs(a.mtimeNsec - b.mtimeNsec) > 1000;
}

function shown(entry: Entry): string {
  return Buffer.from(entry.path).toString();
}
