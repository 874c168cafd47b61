/** The entries that `--ignore-existing` and `--existing` skip. */
import { isDirectory, isRegularFile, isSymlink, S_IFMT, type Entry } from '../../tree/entry.ts';
import { MSG_INFO } from '../wire/constants.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { FileGenerator } from './generator-file.ts';
import type { ReceiveJob } from './receive-job.ts';

/**
 * The entries that `--ignore-existing` and `--existing` skip.
 *
 * @see rsync generator.c recv_generator (3.5.0)
 */
export class SkippedEntries<E extends Entry> {
  readonly #job: ReceiveJob<E>;
  readonly #files: FileGenerator<E>;

  constructor(job: ReceiveJob<E>, files: FileGenerator<E>) {
    this.#job = job;
    this.#files = files;
  }

  /**
   * Whether an entry is skipped. An existing folder is not: its attributes are updated.
   */
  async has(entry: FlistEntry): Promise<boolean> {
    const { store, options, writer } = this.#job;
    if (options.ignoreExisting !== true && options.existing !== true) return false;
    const existing = await store.lookup(entry.path);
    if (existing === undefined) return options.existing === true;
    const bothAreFolders = isDirectory(entry) && isDirectory(existing);
    if (options.ignoreExisting !== true || bothAreFolders) return false;
    if (options.reportSkipped === true) {
      const text = Buffer.from(` exists (${await this.#difference(entry, existing)})\n`);
      writer.message(MSG_INFO, Buffer.concat([entry.path, text]));
    }
    return true;
  }

  /** The difference in rsync's words. */
  async #difference(entry: FlistEntry, existing: E): Promise<string> {
    const { options, policy } = this.#job;
    if ((entry.mode & S_IFMT) !== (existing.mode & S_IFMT)) return 'type change';
    if (!(await this.#hasSameContent(entry, existing))) {
      return options.checksum ? 'sum change' : 'file change';
    }
    return policy.compare(entry, existing).iflags === 0 ? 'uptodate' : 'attr change';
  }

  async #hasSameContent(entry: FlistEntry, existing: E): Promise<boolean> {
    if (isRegularFile(entry)) return this.#files.isUnchanged(entry, existing);
    return isSameLinkOrDevice(entry, existing);
  }
}

/** Whether two objects of the same type, neither files nor folders, are equal. */
export function isSameLinkOrDevice(a: Entry, b: Entry): boolean {
  if (isSymlink(a)) {
    const { target } = b;
    return a.target !== undefined && target !== undefined && Buffer.compare(a.target, target) === 0;
  }
  return a.rdev?.major === b.rdev?.major && a.rdev?.minor === b.rdev?.minor;
}
