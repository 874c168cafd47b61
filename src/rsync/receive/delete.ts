/** Deletes objects at the receiving side that are not in the file list. */
import { EcsyncError, FileError } from '../../errors.ts';
import { isDevice, isDirectory, isSpecial, isSymlink, type Entry } from '../../tree/entry.ts';
import { Filter, plainRule, type FilterRule } from '../../tree/filter/filter.ts';
import { MSG_INFO } from '../wire/constants.ts';
import type { ReceiverRule } from '../flist/filter-list.ts';
import type { ReceiveJob } from './receive-job.ts';
import type { DeletionCounts } from './record-writer.ts';

const NOT_EMPTY = Buffer.from('cannot delete non-empty directory: ');
const NEWLINE = Buffer.from('\n');

/**
 * Deletes objects that are not in the list. It deletes only inside folders whose contents the list
 * has, and nothing that a rule protects.
 */
export class Deletion<E extends Entry> {
  /** What was deleted so far. */
  readonly counts: DeletionCounts = {
    files: 0,
    directories: 0,
    symlinks: 0,
    devices: 0,
    specials: 0,
  };
  readonly #job: ReceiveJob<E>;
  readonly #filter: Filter;
  /** The filter inside a folder that is being deleted: perishable rules do not count there. */
  readonly #filterInside: Filter;

  constructor(job: ReceiveJob<E>, rules: readonly ReceiverRule[]) {
    this.#job = job;
    this.#filter = new Filter(rules.map(toFilterRule), { side: 'receiver' });
    const lasting = rules.filter(({ perishable }) => perishable !== true);
    this.#filterInside = new Filter(lasting.map(toFilterRule), { side: 'receiver' });
  }

  /** Makes one pass over all folders of the list. Failures are reported. */
  async removeExtras(): Promise<void> {
    const { list, store, report, wants, busy, assertAlive } = this.#job;
    for (const entry of list.entries) {
      if (!isDirectory(entry) || entry.contentUnknown === true || !wants(entry)) continue;
      assertAlive();
      busy();
      const existing = await store.lookup(entry.path);
      if (existing === undefined || !isDirectory(existing)) continue;
      for (const child of await this.#list(entry.path)) {
        if (list.has(child)) continue;
        await this.#removeAt(child, this.#filter).catch(reportFileErrors(report));
      }
      await this.#drain();
    }
  }

  /**
   * Removes a folder that is in the way of another object, with its contents. The folder itself
   * counts as replaced, not as deleted, so only its contents are counted and reported.
   *
   * @returns whether it was removed: it stays if something inside is protected
   * @throws {FileError} `write-failed`
   */
  async clear(folder: E): Promise<boolean> {
    const { store, options } = this.#job;
    let isEmpty = true;
    for (const child of await this.#list(folder.path)) {
      isEmpty = (await this.#removeAt(child, this.#filterInside)) && isEmpty;
    }
    if (isEmpty && !options.dryRun) await store.removeDirectory(folder.path);
    return isEmpty;
  }

  /** Removes an object, unless a rule protects it or something in it. */
  async #remove(entry: E, filter: Filter): Promise<boolean> {
    const { store, options } = this.#job;
    if (filter.verdict(entry.path, isDirectory(entry)) === 'exclude') return false;
    // The replacements must be stored before anything is deleted.
    if (!options.dryRun) await store.settle();
    if (isDirectory(entry)) {
      if (!(await this.clear(entry))) {
        this.#reportNotEmpty(entry.path);
        return false;
      }
    } else if (!options.dryRun) {
      await store.removeFile(entry.path);
    }
    this.#count(entry);
    return true;
  }

  async #removeAt(path: Uint8Array, filter: Filter): Promise<boolean> {
    const existing = await this.#job.store.lookup(path);
    return existing === undefined || this.#remove(existing, filter);
  }

  async #list(path: Uint8Array): Promise<readonly Uint8Array[]> {
    try {
      return await this.#job.store.list(path);
    } catch (error) {
      reportFileErrors(this.#job.report)(error);
      return [];
    }
  }

  /** Waits while the peer does not keep up with our writing. */
  async #drain(): Promise<void> {
    if (this.#job.writer.blocked) await this.#job.writer.drained();
  }

  /** Sends the stock server's message, which tells a client what its rules have protected. */
  #reportNotEmpty(path: Uint8Array): void {
    const text = Buffer.concat([NOT_EMPTY, path, NEWLINE]);
    this.#job.writer.message(MSG_INFO, text);
  }

  #count(entry: E): void {
    const { counts } = this;
    if (isDirectory(entry)) counts.directories++;
    else if (isSymlink(entry)) counts.symlinks++;
    else if (isDevice(entry)) counts.devices++;
    else if (isSpecial(entry)) counts.specials++;
    else counts.files++;
    this.#job.onDeleted(entry.path, isDirectory(entry));
  }
}

function toFilterRule({ action, pattern }: ReceiverRule): FilterRule {
  return plainRule(action === 'protect' ? 'exclude' : 'include', pattern, 'receiver');
}

/** Reports file errors and rethrows all others. */
function reportFileErrors(report: (error: EcsyncError) => void): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof FileError)) throw error;
    report(error);
  };
}
