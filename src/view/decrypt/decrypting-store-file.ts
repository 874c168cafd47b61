/** A file that is written as ciphertext and stored as plaintext. */
import { FileError, IntegrityError } from '../../errors.ts';
import { parseFileHeader } from '../../gocryptfs/format/file-header.ts';
import { FILE_HEADER_LENGTH, PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import { showPath } from '../../tree/file-failure.ts';
import type { Attributes, NewFile } from '../../tree/store.ts';
import type { DecryptionBudget } from './decryption-budget.ts';
import {
  DECRYPTED_BLOCKS,
  holeError,
  type DecryptedRun,
  type SealedRun,
} from './decryption-run.ts';
import { holesAtEnd, type HoleRule } from '../hole-rule.ts';
import { bareHeaderError } from './plain-file-errors.ts';
import type { PlainRuns } from './plain-runs.ts';

const WHOLE = Promise.resolve(true);

/** How the ciphertext of a new file is decrypted. */
export interface DecryptingFileOptions {
  /** The path that messages show. */
  readonly path: Uint8Array;
  /** Bytes that encryption adds to every block. */
  readonly overhead: number;
  /** Expected length of the ciphertext. */
  readonly sizeHint: number;
  /** For this file only. */
  readonly runs: PlainRuns;
  /** Shared by all files. */
  readonly budget: DecryptionBudget;
  readonly holes: HoleRule;
  /** Judges the file by its ID; as in `PlainFileOptions`. */
  readonly admit?: (fileID: Uint8Array) => HoleRule;
  /**
   * Called for a stored file with the number of unvouched blocks of holes that were allowed in it.
   */
  readonly onHoles?: (count: number) => void;
  /**
   * Called instead of `plain.discard` for an interrupted file whose content so far is authentic.
   */
  readonly onInterrupted?: (plain: NewFile, length: number) => Promise<void>;
}

/**
 * A file that is written as ciphertext and stored as plaintext. Every block is authenticated before
 * any of it is written. A damaged file is read to its end, but never gets its name.
 *
 * Blocks are collected in runs. While one run is decrypted and written, the next ones already
 * arrive.
 */
export class DecryptingFile implements NewFile {
  readonly #plain: NewFile;
  readonly #options: DecryptingFileOptions;
  /** Length of a full stored block. */
  readonly #step: number;
  /** Length of a full run, for a file of the expected length. */
  readonly #runLength: number;
  readonly #header = Buffer.alloc(FILE_HEADER_LENGTH);
  #headerLength = 0;
  #fileID: Uint8Array | undefined;
  #holes: HoleRule;
  #holeCount = 0;
  /** Length, in blocks, of the hole that ends where the next run begins. */
  #holesBefore = 0;
  /** The run that is being collected. */
  #run: Buffer | undefined;
  #filled = 0;
  /** First block of the next run. */
  #blockNo = 0;
  /** Resolves when all runs so far are stored, with false when one was not; never rejects. */
  #tail: Promise<boolean> = WHOLE;
  #writtenLength = 0;
  #damage: IntegrityError | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isFinished = false;

  /** @param plain - owned from now on */
  constructor(plain: NewFile, options: DecryptingFileOptions) {
    this.#plain = plain;
    this.#options = options;
    this.#holes = options.holes;
    this.#step = PLAIN_BLOCK_SIZE + options.overhead;
    const blocks = Math.ceil((options.sizeHint - FILE_HEADER_LENGTH) / this.#step);
    this.#runLength = Math.min(Math.max(blocks, 1), DECRYPTED_BLOCKS) * this.#step;
  }

  /**
   * @throws {FileError} `write-failed` — now, or with an earlier part
   * @throws {BugError} `worker-lost` — the thread that decrypts has ended
   */
  write(bytes: Uint8Array): Promise<void> | undefined {
    const isStored = this.#damage === undefined && this.#failure === undefined && !this.#isFinished;
    const at = isStored ? this.#take(bytes, 0) : bytes.length;
    if (at === bytes.length && this.#failure === undefined) return undefined;
    return this.#takeSlowly(bytes, at);
  }

  /**
   * @throws {FileError} `content-damaged` — the key did not write it; its cause is the
   *   IntegrityError
   * @throws {FileError} `write-failed`
   * @throws {BugError} `worker-lost`
   */
  async commit(attributes: Attributes): Promise<FileError | undefined> {
    this.#isFinished = true;
    this.#takeRest();
    await this.#tail;
    this.#endHole();
    if (this.#damage !== undefined) {
      await this.#plain.discard();
      throw this.#contentDamaged(this.#damage);
    }
    if (this.#failure === undefined) {
      const failure = await this.#plain.commit(attributes);
      if (this.#holeCount > 0) this.#options.onHoles?.(this.#holeCount);
      return failure;
    }
    await this.#plain.discard();
    throw this.#failure.error;
  }

  async discard(): Promise<void> {
    if (this.#isFinished) return;
    this.#isFinished = true;
    // Full blocks are worth keeping.
    this.#filled -= this.#filled % this.#step;
    this.#sendRun();
    await this.#tail;
    const { onInterrupted } = this.#options;
    const isWhole = this.#damage === undefined && this.#failure === undefined;
    if (!isWhole || onInterrupted === undefined) await this.#plain.discard();
    else await onInterrupted(this.#plain, this.#writtenLength);
  }

  /** @returns how many bytes it took: fewer than all when the budget has no room for a run now */
  #take(bytes: Uint8Array, from: number): number {
    let at = from;
    if (this.#fileID === undefined) at = this.#takeHeader(bytes, at);
    while (at < bytes.length && this.#damage === undefined) {
      if (this.#run === undefined) {
        if (!this.#options.budget.tryTake()) return at;
        this.#run = this.#options.runs.take(this.#runLength);
      }
      const end = Math.min(bytes.length, at + this.#runLength - this.#filled);
      this.#run.set(bytes.subarray(at, end), this.#filled);
      this.#filled += end - at;
      at = end;
      if (this.#filled === this.#runLength) this.#sendRun();
    }
    return this.#damage === undefined ? at : bytes.length;
  }

  async #takeSlowly(bytes: Uint8Array, from: number): Promise<void> {
    for (let at = from; at < bytes.length && this.#failure === undefined;) {
      await this.#options.budget.whenRoom();
      at = this.#take(bytes, at);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #takeHeader(bytes: Uint8Array, from: number): number {
    const end = Math.min(bytes.length, from + FILE_HEADER_LENGTH - this.#headerLength);
    this.#header.set(bytes.subarray(from, end), this.#headerLength);
    this.#headerLength += end - from;
    if (this.#headerLength === FILE_HEADER_LENGTH) this.#openHeader();
    return end;
  }

  #openHeader(): void {
    try {
      const fileID = parseFileHeader(this.#header.subarray(0, this.#headerLength));
      this.#holes = this.#options.admit?.(fileID) ?? this.#holes;
      this.#fileID = fileID;
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      this.#damage = this.#about(error, undefined);
    }
  }

  /** Stores the rest at the end of the file: the last run, or a fragment that is too short. */
  #takeRest(): void {
    if (this.#damage !== undefined) this.#filled = 0;
    else if (this.#fileID === undefined) {
      if (this.#headerLength > 0) this.#openHeader();
    } else if (this.#blockNo === 0 && this.#filled === 0 && this.#holes !== 'allowed') {
      this.#damage = this.#about(bareHeaderError(), undefined);
    }
    this.#sendRun();
  }

  #sendRun(): void {
    const { runs, budget } = this.#options;
    const buffer = this.#run;
    const length = this.#filled;
    this.#run = undefined;
    this.#filled = 0;
    if (buffer === undefined) return;
    const release = (): void => {
      runs.give(buffer);
      budget.give();
    };
    if (length === 0 || this.#fileID === undefined) {
      release();
      return;
    }
    const run: SealedRun = {
      buffer,
      length,
      firstBlock: this.#blockNo,
      fileID: this.#fileID,
      holes: this.#holes,
      holesBefore: this.#holesBefore,
    };
    const { count, isAll } = holesAtEnd(buffer.subarray(0, length), this.#options.overhead);
    this.#holesBefore = isAll ? this.#holesBefore + count : count;
    this.#blockNo += Math.ceil(length / this.#step);
    this.#tail = this.#store(run, { count, isAll }, this.#tail).finally(release);
  }

  /** No block vouches for a hole at the end of a file, and ecsync makes none there. */
  #endHole(): void {
    const count = this.#holesBefore;
    if (count === 0 || this.#damage !== undefined) return;
    if (this.#holes === 'allowed') this.#holeCount += count;
    else this.#damage = this.#about(holeError(count), this.#blockNo - count);
  }

  /**
   * Decrypts and writes a run. Keeps the first damage in the file. Never rejects.
   *
   * @param end - the holes at the end of the run
   */
  async #store(
    run: SealedRun,
    end: ReturnType<typeof holesAtEnd>,
    before: Promise<boolean>,
  ): Promise<boolean> {
    try {
      const isSkipped = end.isAll && this.#plain.skipTo !== undefined;
      const outcome = await (isSkipped
        ? holesOnly(end.count)
        : this.#options.runs.store(run, before));
      if (!(await before)) return false;
      if ('length' in outcome) {
        const endOfRun = run.firstBlock * PLAIN_BLOCK_SIZE + outcome.length;
        if (end.count > 0) await this.#plain.skipTo?.(endOfRun);
        this.#writtenLength += outcome.length;
        this.#holeCount += outcome.unvouched;
        return true;
      }
      this.#damage = this.#about(outcome.error, outcome.blockNo);
    } catch (error) {
      if (await before) this.#failure = { error };
    }
    return false;
  }

  #contentDamaged(cause: IntegrityError): FileError {
    return new FileError('content-damaged', `${cause.message}; not restored`, {
      hint: 'The copy is damaged or was changed. Restore the file from another copy.',
      facts: { path: showPath(this.#options.path) },
      cause,
    });
  }

  #about(error: IntegrityError, blockNo: number | undefined): IntegrityError {
    if (error.facts['path'] !== undefined) return error;
    const path = showPath(this.#options.path);
    const where = blockNo === undefined ? '' : `block ${blockNo} of `;
    return new IntegrityError(error.code, `${where}${path}: ${error.message}`, {
      facts: { path, ...(blockNo !== undefined && { blockNo }) },
      cause: error,
    });
  }
}

/** A run of holes only; the block after it shows whether they are vouched for. */
function holesOnly(count: number): Promise<DecryptedRun> {
  return Promise.resolve({ length: count * PLAIN_BLOCK_SIZE, unvouched: 0 });
}
