/** Decides for each regular file whether to leave it, adjust it or request it. */
import { FileError } from '../../errors.ts';
import { isRegularFile, type Entry, type OpenFile } from '../../tree/entry.ts';
import { isSameTime } from './attribute-policy.ts';
import type { RunningSum } from '../wire/checksums.ts';
import {
  ITEM_BASIS_TYPE_FOLLOWS,
  ITEM_IS_NEW,
  ITEM_LOCAL_CHANGE,
  ITEM_REPORT_CHANGE,
  ITEM_REPORT_SIZE,
  ITEM_REPORT_TIME,
  ITEM_TRANSFER,
  ITEM_XNAME_FOLLOWS,
} from '../wire/constants.ts';
import type { Expected, ExpectedReplies } from './expected-replies.ts';
import type { FlistEntry } from '../flist/decode.ts';
import { chooseSumHead, writeBlockSums } from './generator-sums.ts';
import type { ReceiveJob } from './receive-job.ts';
import type { GeneratorWriter } from './record-writer.ts';
import { NO_BASIS, writeSumHead } from '../wire/sum-head.ts';

/** Bytes copied or hashed at once. */
const CHUNK_LENGTH = 256 * 1024;
/** Basis type: a file of the first `--link-dest` directory. */
const BASIS_FIRST_EARLIER = 0;

/** Leaves a regular file, adjusts it, takes it from the earlier copy, or requests it. */
export class FileGenerator<E extends Entry> {
  readonly #job: ReceiveJob<E>;
  readonly #records: GeneratorWriter;
  readonly #expected: ExpectedReplies<E>;
  #listSum: RunningSum | undefined;

  constructor(job: ReceiveJob<E>, records: GeneratorWriter, expected: ExpectedReplies<E>) {
    this.#job = job;
    this.#records = records;
    this.#expected = expected;
  }

  /** @param existing - the regular file at the path, if there is one */
  async generate(ndx: number, entry: FlistEntry, existing: E | undefined): Promise<void> {
    const { store, policy, options } = this.#job;
    if (existing !== undefined && (await this.isUnchanged(entry, existing))) {
      const { iflags, attributes } = policy.compare(entry, existing);
      this.#records.report(ndx, { iflags });
      if (attributes !== undefined && !options.dryRun) {
        await store.setAttributes(existing, attributes);
      }
      return;
    }
    // With --copy-dest a copied file never replaces an existing one.
    const searchesEarlier = existing === undefined || options.copyDest === undefined;
    const earlier = searchesEarlier ? await store.lookupEarlier(entry.path) : undefined;
    if (earlier === undefined || !isRegularFile(earlier))
      return this.#requestContent(ndx, entry, existing);
    if (!(await this.isUnchanged(entry, earlier, true))) {
      return this.#requestContent(ndx, entry, existing, earlier);
    }
    if (options.compareDest !== undefined) return;
    const isSame = policy.compare(entry, earlier).iflags === 0;
    if (existing !== undefined && !isSame) return this.#requestContent(ndx, entry, existing);
    return this.#takeEarlier(ndx, entry, earlier);
  }

  /** Requests a file again that arrived damaged. */
  async redo(ndx: number, expected: Expected<E>): Promise<void> {
    await this.#request(ndx, expected.entry, { ...expected, redo: true });
  }

  /** The quick check: size and whole seconds, or with `-c` size and checksum. */
  async isUnchanged(entry: FlistEntry, existing: E, isEarlier = false): Promise<boolean> {
    const { options } = this.#job;
    if (entry.size !== existing.size) return false;
    if (options.sizeOnly === true) return true;
    if (options.checksum) return this.#hasChecksum(existing, entry.checksum, isEarlier);
    return !options.ignoreTimes && isSameTime(entry, existing, options);
  }

  #requestContent(
    ndx: number,
    entry: FlistEntry,
    existing: E | undefined,
    earlier?: E,
  ): Promise<void> {
    const basis = existing ?? earlier;
    const fromEarlier = existing === undefined && earlier !== undefined;
    return this.#request(ndx, entry, { basis, fromEarlier, replaced: existing });
  }

  async #request(
    ndx: number,
    entry: FlistEntry,
    want: Pick<Expected<E>, 'basis' | 'fromEarlier' | 'replaced'> & { readonly redo?: boolean },
  ): Promise<void> {
    const { options, writer } = this.#job;
    const { basis, fromEarlier, replaced, redo = false } = want;
    const file = await this.#openBasis(basis, fromEarlier);
    try {
      const choice = { blockSize: options.blockSize, redo };
      const head = file === undefined ? NO_BASIS : chooseSumHead(file.size, choice);
      this.#expected.expect(ndx, { entry, head, basis, fromEarlier, replaced });
      const followsBasis = fromEarlier && head.count > 0 ? ITEM_BASIS_TYPE_FOLLOWS : 0;
      const attributes = {
        iflags: this.#transferFlags(entry, replaced) | followsBasis,
        basisType: BASIS_FIRST_EARLIER,
      };
      if (redo) this.#records.requestAgain(ndx, attributes);
      else this.#records.request(ndx, attributes);
      if (options.dryRun && options.measure !== true) return;
      writeSumHead(writer, head);
      if (file !== undefined && head.count > 0) await writeBlockSums(this.#job, head, file);
    } finally {
      await file?.close();
    }
  }

  /** Opens the basis; undefined if sums would be useless, or if it cannot be read. */
  async #openBasis(basis: E | undefined, fromEarlier: boolean): Promise<OpenFile | undefined> {
    const { store, options, wholeFile } = this.#job;
    // With --inplace the existing file is the beginning of the new one.
    const isUseless = wholeFile && options.inPlace !== true;
    if (basis === undefined || isUseless || basis.size === 0) return undefined;
    if (options.dryRun && options.measure !== true) return undefined;
    try {
      return await (fromEarlier ? store.openEarlier(basis) : store.open(basis));
    } catch {
      return undefined; // without a basis the whole file is sent, which is always correct
    }
  }

  #transferFlags(entry: FlistEntry, replaced: E | undefined): number {
    const { options, policy } = this.#job;
    const changed = options.checksum ? ITEM_REPORT_CHANGE : 0;
    if (replaced === undefined) return ITEM_TRANSFER | ITEM_IS_NEW | changed;
    const size = entry.size === replaced.size ? 0 : ITEM_REPORT_SIZE;
    const time = options.times ? 0 : ITEM_REPORT_TIME;
    return ITEM_TRANSFER | changed | size | time | policy.compare(entry, replaced).iflags;
  }

  /** Links to an equal file of the earlier copy, or copies it if its attributes must differ. */
  async #takeEarlier(ndx: number, entry: FlistEntry, earlier: E): Promise<void> {
    const { store, policy, options } = this.#job;
    const { iflags } = policy.compare(entry, earlier);
    if (iflags === 0 && options.copyDest === undefined) {
      if (options.dryRun) return;
      try {
        await store.linkEarlier(entry.path);
        return;
      } catch (error) {
        // A different file system, or one without hard links: a copy will do.
        if (!(error instanceof FileError)) throw error;
      }
    }
    const flags = iflags | ITEM_LOCAL_CHANGE | ITEM_XNAME_FOLLOWS;
    this.#records.report(ndx, { iflags: flags, xname: Buffer.alloc(0) });
    if (!options.dryRun) await this.#copyEarlier(entry, earlier);
  }

  async #copyEarlier(entry: FlistEntry, earlier: E): Promise<void> {
    const { store, policy, report, busy } = this.#job;
    const source = await store.openEarlier(earlier);
    try {
      const target = await store.createFile(entry.path, source.size);
      try {
        for (let at = 0; at < source.size; at += CHUNK_LENGTH) {
          await target.write(await source.read(at, CHUNK_LENGTH));
          busy();
        }
      } catch (error) {
        await target.discard();
        throw error;
      }
      const failure = await target.commit(policy.forNew(entry));
      if (failure !== undefined) report(failure, entry);
    } finally {
      await source.close();
    }
  }

  async #hasChecksum(
    existing: E,
    checksum: Uint8Array | undefined,
    isEarlier: boolean,
  ): Promise<boolean> {
    const { store, sums, busy, assertAlive } = this.#job;
    if (checksum === undefined) return false;
    this.#listSum ??= await sums.createListSum();
    const file = await (isEarlier ? store.openEarlier(existing) : store.open(existing));
    try {
      for (let at = 0; at < file.size; at += CHUNK_LENGTH) {
        this.#listSum.update(await file.read(at, CHUNK_LENGTH));
        busy();
        assertAlive();
      }
    } finally {
      await file.close();
    }
    return Buffer.compare(this.#listSum.digest(), checksum) === 0;
  }
}
