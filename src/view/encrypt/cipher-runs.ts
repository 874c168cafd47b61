/** Runs of encrypted blocks of one open file, read and encrypted in this thread. */
import { fileBuffers } from '../../bytes/buffer-pool.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import { PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import { blockCountOf } from '../../gocryptfs/format/sizes.ts';
import type { OpenFile } from '../../tree/entry.ts';
import { HoleMaker } from './hole-maker.ts';

/** Blocks encrypted together when reading sequentially: 256 KiB of plaintext. */
export const RUN_BLOCKS = 64;

/** The blocks of a file to load. */
export interface RunRequest {
  readonly firstBlock: number;
  /** 1 … {@link RUN_BLOCKS}. */
  readonly count: number;
  /** Bytes left free before the first block. */
  readonly lead: number;
}

/** Consecutive encrypted blocks. */
export interface LoadedRun {
  /** The free bytes, then the blocks; the buffer may be longer. */
  readonly buffer: Buffer;
  /** Plaintext bytes of the blocks: fewer than requested only at the end of the file. */
  readonly plainLength: number;
}

/** Where the encrypted blocks of one open file come from. */
export interface CipherRuns {
  /** Bytes of plaintext when the file was opened. */
  readonly plainSize: number;
  /**
   * Encrypts blocks; nonce and ciphertext of each come from one reading of its plaintext.
   *
   * @throws {FileError} `read-failed`
   * @throws {BugError} `worker-lost` — the thread that encrypts has ended
   */
  load(request: RunRequest): Promise<LoadedRun>;
  /** Returns the buffer of a run for reuse. */
  release(buffer: Buffer): void;
  /** As {@link OpenFile.close}; the caller has released all runs before. */
  close(): Promise<'unchanged' | 'changed'>;
}

/** Plaintext bytes that a request asks for. */
export function plainLengthOf({ firstBlock, count }: RunRequest, plainSize: number): number {
  return Math.min(count * PLAIN_BLOCK_SIZE, plainSize - firstBlock * PLAIN_BLOCK_SIZE);
}

/** An open plaintext file, with all that its ciphertext depends on. */
export interface PlainSource {
  readonly plain: OpenFile;
  readonly identity: FileIdentity;
  /** As in `Entry`: blocks of zeros become holes. */
  readonly isSparse?: boolean | undefined;
}

/** Runs that are read and encrypted in this thread. */
export class RunsHere implements CipherRuns {
  readonly plainSize: number;
  readonly #plain: OpenFile;
  readonly #content: ContentEncryption;
  readonly #identity: FileIdentity;
  readonly #holes: HoleMaker | undefined;

  /** @param file.plain - owned from now on: `close` closes it */
  constructor({ plain, identity, isSparse = false }: PlainSource, content: ContentEncryption) {
    this.#plain = plain;
    this.#content = content;
    this.#identity = identity;
    this.plainSize = plain.size;
    if (isSparse && content.knowsHoles) {
      this.#holes = new HoleMaker(content, identity, plain.size);
    }
  }

  async load(request: RunRequest): Promise<LoadedRun> {
    const { firstBlock, lead } = request;
    await this.#searchHole(firstBlock);
    const requested = plainLengthOf(request, this.plainSize);
    const plain = await this.#plain.read(firstBlock * PLAIN_BLOCK_SIZE, requested);
    const { overhead } = this.#content;
    const buffer = fileBuffers.take(lead + plain.length + blockCountOf(plain.length) * overhead);
    const room = buffer.subarray(lead);
    const run = { firstBlock, identity: this.#identity, plain };
    if (this.#holes === undefined) this.#content.encryptBlocks(run, room);
    else this.#holes.encrypt({ plain, isCut: plain.length < requested }, room);
    return { buffer, plainLength: plain.length };
  }

  async #searchHole(block: number): Promise<void> {
    const maker = this.#holes;
    maker?.seek(block);
    for (let span = maker?.missing(); span !== undefined; span = maker?.missing()) {
      const { first, count } = span;
      maker?.examine(await this.#plain.read(first * PLAIN_BLOCK_SIZE, count * PLAIN_BLOCK_SIZE));
    }
  }

  release(buffer: Buffer): void {
    fileBuffers.give(buffer);
  }

  close(): Promise<'unchanged' | 'changed'> {
    return this.#plain.close();
  }
}
