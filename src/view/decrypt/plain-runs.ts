/** Decrypts the runs of one file in this thread and appends them. */
import { fileBuffers } from '../../bytes/buffer-pool.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import type { NewFile } from '../../tree/store.ts';
import { PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import {
  decryptRun,
  type BlockDamage,
  type DecryptedRun,
  type SealedRun,
} from './decryption-run.ts';
import { contentPieces } from '../hole-rule.ts';

/** Where the runs of one file are decrypted and written. */
export interface PlainRuns {
  /** Room for so many sealed bytes; {@link give} takes it back. */
  take(length: number): Buffer;
  give(buffer: Buffer): void;
  /**
   * Decrypts a run and writes what it means at its place; its buffer is in use meanwhile. Runs come
   * in order, but need not be waited for.
   *
   * @param before - settles when all runs before are done; false when one of them is not as it should
   *   be, and this one need not be written
   * @returns what the run means; or the damage, and nothing of the run is written
   * @throws {FileError} `write-failed`
   * @throws {BugError} `worker-lost` — the thread that decrypts has ended
   */
  store(run: SealedRun, before: Promise<boolean>): Promise<DecryptedRun | BlockDamage>;
}

/** Decrypts in this thread, at once, and appends to the file. */
export class PlainRunsHere implements PlainRuns {
  readonly #content: ContentEncryption;
  readonly #file: NewFile;

  constructor(content: ContentEncryption, file: NewFile) {
    this.#content = content;
    this.#file = file;
  }

  take(length: number): Buffer {
    return fileBuffers.take(length);
  }

  give(buffer: Buffer): void {
    fileBuffers.give(buffer);
  }

  async store(run: SealedRun, before: Promise<boolean>): Promise<DecryptedRun | BlockDamage> {
    const plain = fileBuffers.take(run.length);
    try {
      const outcome = decryptRun(this.#content, run, plain);
      if (!(await before) || !('length' in outcome)) return outcome;
      await this.#write(run, plain.subarray(0, outcome.length));
      return outcome;
    } finally {
      fileBuffers.give(plain);
    }
  }

  /** Holes are left out where that is possible; one at the end, whoever writes on leaves out. */
  async #write({ buffer, length, firstBlock }: SealedRun, plain: Uint8Array): Promise<void> {
    const file = this.#file;
    if (file.skipTo === undefined) return file.write(plain);
    for (const { from, to } of contentPieces(buffer.subarray(0, length), this.#content.overhead)) {
      if (from > 0) await file.skipTo(firstBlock * PLAIN_BLOCK_SIZE + from);
      await file.write(plain.subarray(from, to));
    }
  }
}
