import { fileBuffers } from '../bytes/buffer-pool.ts';
import {
  blockCountOf,
  blockOfCipherOffset,
  cipherOffsetOfBlock,
  plainSizeToCipherSize,
} from '../gocryptfs/sizes.ts';
import type { ContentEncryption } from '../gocryptfs/content.ts';
import type { FileIdentity } from '../gocryptfs/identity.ts';
import { packFileHeader } from '../gocryptfs/file-header.ts';
import { FILE_HEADER_LENGTH, PLAIN_BLOCK_SIZE } from '../gocryptfs/limits.ts';
import type { OpenFile } from '../tree/entry.ts';

/** Blocks encrypted in one go when reading sequentially: 256 KiB of plaintext. */
const RUN_BLOCKS = 64;

const NOTHING = Buffer.alloc(0);

/** Consecutive encrypted blocks, held so that no block is ever encrypted twice in passing. */
interface Run {
  /** Cipher offset of the first byte; the header belongs to block 0. */
  start: number;
  /** Cipher offset after the last byte. */
  end: number;
  buffer: Buffer;
}

/**
 * The ciphertext of one regular file, encrypted where it is read.
 *
 * The plaintext's size is taken when the file is opened. If the plaintext grows, the rest is not
 * seen; if it ends early, the ciphertext ends early too, with a valid last block. The two last
 * runs of blocks stay in memory: whoever reads on from where it stopped, or up to a run behind,
 * gets both parts of a block from one encryption even when the plaintext changes in between.
 */
export class CipherFile implements OpenFile {
  readonly size: number;
  readonly positional = true;
  readonly #plain: OpenFile;
  readonly #content: ContentEncryption;
  readonly #identity: FileIdentity;
  /** Cipher offset at which the plaintext turned out to end; at first the size. */
  #end: number;
  #current: Run = { start: 0, end: 0, buffer: NOTHING };
  #previous: Run = { start: 0, end: 0, buffer: NOTHING };
  #output: Buffer = NOTHING;

  /** @param plain - owned from now on: `close` closes it */
  constructor(plain: OpenFile, content: ContentEncryption, identity: FileIdentity) {
    this.#plain = plain;
    this.#content = content;
    this.#identity = identity;
    this.size = plainSizeToCipherSize(plain.size, content.overhead);
    this.#end = this.size;
  }

  /**
   * @throws {FileError} `read-failed` — reading the plaintext failed
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

  close(): Promise<'unchanged' | 'changed'> {
    for (const run of [this.#current, this.#previous]) {
      fileBuffers.give(run.buffer);
      run.buffer = NOTHING;
      run.end = run.start;
    }
    fileBuffers.give(this.#output);
    this.#output = NOTHING;
    return this.#plain.close();
  }

  /** The bytes straight from a run, when it has all that is asked for. */
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
   * Encrypts the blocks from the one that holds `offset` to the one before `end`; a whole run when
   * the read continues the last one. The run replaces the older of the two.
   */
  async #load(offset: number, end: number): Promise<Run> {
    const { overhead } = this.#content;
    const firstBlock = blockOfCipherOffset(offset, overhead);
    const start = firstBlock === 0 ? 0 : cipherOffsetOfBlock(firstBlock, overhead);
    const sequential = start === this.#current.end;
    const wanted = blockOfCipherOffset(end - 1, overhead) - firstBlock + 1;
    const left = blockCountOf(this.#plain.size) - firstBlock;
    const count = Math.min(sequential ? RUN_BLOCKS : wanted, RUN_BLOCKS, left);
    const plainOffset = firstBlock * PLAIN_BLOCK_SIZE;
    const asked = Math.min(count * PLAIN_BLOCK_SIZE, this.#plain.size - plainOffset);
    const plain = await this.#plain.read(plainOffset, asked);

    const headerLength = firstBlock === 0 && plain.length > 0 ? FILE_HEADER_LENGTH : 0;
    const needed = headerLength + plain.length + blockCountOf(plain.length) * overhead;
    const run = this.#recycle(needed);
    if (headerLength > 0) packFileHeader(this.#identity.fileID).copy(run.buffer);
    const out = run.buffer.subarray(headerLength);
    this.#content.encryptBlocks({ firstBlock, identity: this.#identity, plain }, out);
    run.start = start;
    run.end = start + needed;
    if (plain.length < asked) this.#end = Math.min(this.#end, run.end);
    return run;
  }

  /** The older run's buffer, as the new current run. */
  #recycle(length: number): Run {
    const run = this.#previous;
    this.#previous = this.#current;
    this.#current = run;
    if (run.buffer.length < length) {
      fileBuffers.give(run.buffer);
      run.buffer = fileBuffers.take(length);
    }
    return run;
  }
}

/** A file whose whole content is in memory: conf, diriv and `.name` files. */
export class BytesFile implements OpenFile {
  readonly size: number;
  readonly positional = true;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.#bytes.subarray(offset, offset + length));
  }

  close(): Promise<'unchanged'> {
    return Promise.resolve('unchanged');
  }
}
