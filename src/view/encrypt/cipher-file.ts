/** The ciphertext of one file, encrypted on demand. */
import { fileBuffers } from '../../bytes/buffer-pool.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import {
  blockCountOf,
  blockOfCipherOffset,
  cipherOffsetOfBlock,
  plainSizeToCipherSize,
} from '../../gocryptfs/format/sizes.ts';
import { packFileHeader } from '../../gocryptfs/format/file-header.ts';
import { FILE_HEADER_LENGTH } from '../../gocryptfs/format/limits.ts';
import type { OpenFile } from '../../tree/entry.ts';
import {
  plainLengthOf,
  RUN_BLOCKS,
  RunsHere,
  type CipherRuns,
  type PlainSource,
} from './cipher-runs.ts';

const NOTHING = Buffer.alloc(0);

/** Consecutive encrypted blocks, held so that a sequential read never encrypts a block twice. */
interface Run {
  /** Cipher offset of the first byte; the header belongs to block 0. */
  start: number;
  /** Cipher offset after the last byte. */
  end: number;
  buffer: Buffer;
}

/** Properties of a cipher file beside its content. */
export interface CipherFileFacts {
  /** Bytes that encryption adds to every block. */
  readonly overhead: number;
  readonly fileID: Uint8Array;
}

/**
 * The ciphertext of one regular file, encrypted on demand.
 *
 * The plaintext's size is taken when the file is opened. If the plaintext grows, the rest is
 * ignored. If it ends early, the ciphertext ends early too, with a valid last block. The last two
 * runs of blocks stay in memory: a reader that continues where it stopped, or up to a run before
 * that, gets both parts of a block from one encryption even when the plaintext changes in between.
 */
export class CipherFile implements OpenFile {
  readonly size: number;
  readonly positional = true;
  readonly #runs: CipherRuns;
  readonly #facts: CipherFileFacts;
  /** Cipher offset at which the plaintext turned out to end; initially the size. */
  #end: number;
  #current: Run = { start: 0, end: 0, buffer: NOTHING };
  #previous: Run = { start: 0, end: 0, buffer: NOTHING };
  #output: Buffer = NOTHING;

  /** @param runs - owned from now on: `close` closes them */
  constructor(runs: CipherRuns, facts: CipherFileFacts) {
    this.#runs = runs;
    this.#facts = facts;
    this.size = plainSizeToCipherSize(runs.plainSize, facts.overhead);
    this.#end = this.size;
  }

  /**
   * Encrypts in this thread.
   *
   * @param source.plain - owned from now on: `close` closes it
   */
  static over(source: PlainSource, content: ContentEncryption): CipherFile {
    const { overhead } = content;
    const runs = new RunsHere(source, content);
    return new CipherFile(runs, { overhead, fileID: source.identity.fileID });
  }

  /**
   * @throws {FileError} `read-failed` — reading the plaintext failed
   * @throws {BugError} `worker-lost` — the thread that encrypts has ended
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const inCurrent = this.#slice(this.#current, offset, offset + length);
    if (inCurrent !== undefined) return inCurrent;
    const end = Math.min(offset + length, this.#end);
    if (end <= offset) return new Uint8Array(0);
    if (this.#output.length < end - offset) {
      fileBuffers.give(this.#output);
      this.#output = fileBuffers.take(end - offset);
    }
    let at = offset;
    // Loading a run may find that the file ends earlier, hence the second bound.
    while (at < end && at < this.#end) {
      const run = this.#heldRun(at) ?? (await this.#load(at, end));
      const upTo = Math.min(end, run.end);
      if (upTo <= at) break;
      run.buffer.copy(this.#output, at - offset, at - run.start, upTo - run.start);
      at = upTo;
    }
    return this.#output.subarray(0, at - offset);
  }

  /**
   * The rest of the run that contains `offset`. Two runs are held, so the result outlives the next
   * call.
   */
  async readRun(offset: number): Promise<Uint8Array> {
    if (offset >= this.#end) return NOTHING;
    const run = this.#heldRun(offset) ?? (await this.#load(offset, this.#end));
    const end = Math.min(run.end, this.#end);
    return end <= offset ? NOTHING : run.buffer.subarray(offset - run.start, end - run.start);
  }

  close(): Promise<'unchanged' | 'changed'> {
    for (const run of [this.#current, this.#previous]) this.#empty(run);
    fileBuffers.give(this.#output);
    this.#output = NOTHING;
    return this.#runs.close();
  }

  /** The bytes straight from a run, when it contains the whole range. */
  #slice(run: Run, from: number, to: number): Uint8Array | undefined {
    const end = Math.min(to, this.#end);
    if (from < run.start || end > run.end || from >= end) return undefined;
    return run.buffer.subarray(from - run.start, end - run.start);
  }

  #heldRun(offset: number): Run | undefined {
    for (const run of [this.#current, this.#previous]) {
      if (offset >= run.start && offset < run.end) return run;
    }
    return undefined;
  }

  /**
   * Encrypts from the block that contains `offset` to the block that contains the byte before
   * `end`; a whole run when the read continues the last one. The new run replaces the older of the
   * two.
   */
  async #load(offset: number, end: number): Promise<Run> {
    const { overhead, fileID } = this.#facts;
    const { plainSize } = this.#runs;
    const firstBlock = blockOfCipherOffset(offset, overhead);
    const start = firstBlock === 0 ? 0 : cipherOffsetOfBlock(firstBlock, overhead);
    const sequential = start === this.#current.end;
    const wanted = blockOfCipherOffset(end - 1, overhead) - firstBlock + 1;
    const left = blockCountOf(plainSize) - firstBlock;
    const count = Math.min(sequential ? RUN_BLOCKS : wanted, RUN_BLOCKS, left);
    const lead = firstBlock === 0 ? FILE_HEADER_LENGTH : 0;
    const request = { firstBlock, count, lead };
    const { buffer, plainLength } = await this.#runs.load(request);
    const run = this.#replaceOlder(buffer);
    if (lead > 0) packFileHeader(fileID).copy(buffer);
    run.start = start;
    // A file that turned out to be empty has no header either.
    const length =
      plainLength === 0 ? 0 : lead + plainLength + blockCountOf(plainLength) * overhead;
    run.end = start + length;
    if (plainLength < plainLengthOf(request, plainSize)) this.#end = Math.min(this.#end, run.end);
    return run;
  }

  /** Reuses the older run as the current one. */
  #replaceOlder(buffer: Buffer): Run {
    const run = this.#previous;
    this.#empty(run);
    this.#previous = this.#current;
    this.#current = run;
    run.buffer = buffer;
    return run;
  }

  #empty(run: Run): void {
    if (run.buffer !== NOTHING) this.#runs.release(run.buffer);
    run.buffer = NOTHING;
    run.end = run.start;
  }
}

/**
 * A file whose whole content is in memory: virtual files, and small ones that a thread encrypted.
 */
export class BytesFile implements OpenFile {
  readonly size: number;
  readonly positional = true;
  readonly #onClose: (() => void) | undefined;
  #bytes: Uint8Array;

  /** @param onClose - called when the bytes are no longer needed */
  constructor(bytes: Uint8Array, onClose?: () => void) {
    this.#bytes = bytes;
    this.#onClose = onClose;
    this.size = bytes.length;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.#bytes.subarray(offset, offset + length));
  }

  readRun(offset: number): Promise<Uint8Array> {
    return Promise.resolve(this.#bytes.subarray(offset));
  }

  close(): Promise<'unchanged'> {
    this.#bytes = NOTHING;
    this.#onClose?.();
    return Promise.resolve('unchanged');
  }
}
