import { fileBuffers } from '../bytes/buffer-pool.ts';
import type { ContentEncryption } from '../gocryptfs/content.ts';
import type { FileIdentity } from '../gocryptfs/identity.ts';
import { PLAIN_BLOCK_SIZE } from '../gocryptfs/limits.ts';
import { blockCountOf } from '../gocryptfs/sizes.ts';
import type { OpenFile } from '../tree/entry.ts';

/** Blocks encrypted in one go when reading sequentially: 256 KiB of plaintext. */
export const RUN_BLOCKS = 64;

/** Which blocks of a file are wanted. */
export interface RunRequest {
  readonly firstBlock: number;
  /** 1 … {@link RUN_BLOCKS}. */
  readonly count: number;
  /** Bytes that stay free in front of the first block. */
  readonly lead: number;
}

/** Consecutive encrypted blocks. */
export interface LoadedRun {
  /** The free bytes, then the blocks; longer than both where there was room. */
  readonly buffer: Buffer;
  /** Plaintext bytes behind the blocks: fewer than asked for only at the end of the file. */
  readonly plainLength: number;
}

/** Where the encrypted blocks of one open file come from. */
export interface CipherRuns {
  /** Bytes of plaintext when the file was opened. */
  readonly plainSize: number;
  /**
   * Encrypts blocks; nonce and ciphertext of each are made from one reading of its plaintext.
   *
   * @throws {FileError} `read-failed`
   * @throws {BugError} `worker-lost` — the thread that encrypts has ended
   */
  load(request: RunRequest): Promise<LoadedRun>;
  /** The buffer of a run may be used again. */
  release(buffer: Buffer): void;
  /** As {@link OpenFile.close}; all runs are released by then. */
  close(): Promise<'unchanged' | 'changed'>;
}

/** Plaintext bytes that a request asks for. */
export function plainLengthOf({ firstBlock, count }: RunRequest, plainSize: number): number {
  return Math.min(count * PLAIN_BLOCK_SIZE, plainSize - firstBlock * PLAIN_BLOCK_SIZE);
}

/** Runs that are read and encrypted in this thread. */
export class RunsHere implements CipherRuns {
  readonly plainSize: number;
  readonly #plain: OpenFile;
  readonly #content: ContentEncryption;
  readonly #identity: FileIdentity;

  /** @param plain - owned from now on: `close` closes it */
  constructor(plain: OpenFile, content: ContentEncryption, identity: FileIdentity) {
    this.#plain = plain;
    this.#content = content;
    this.#identity = identity;
    this.plainSize = plain.size;
  }

  async load(request: RunRequest): Promise<LoadedRun> {
    const { firstBlock, lead } = request;
    const asked = plainLengthOf(request, this.plainSize);
    const plain = await this.#plain.read(firstBlock * PLAIN_BLOCK_SIZE, asked);
    const { overhead } = this.#content;
    const buffer = fileBuffers.take(lead + plain.length + blockCountOf(plain.length) * overhead);
    const run = { firstBlock, identity: this.#identity, plain };
    this.#content.encryptBlocks(run, buffer.subarray(lead));
    return { buffer, plainLength: plain.length };
  }

  release(buffer: Buffer): void {
    fileBuffers.give(buffer);
  }

  close(): Promise<'unchanged' | 'changed'> {
    return this.#plain.close();
  }
}
