/** Decrypts the runs of one file in this thread and appends them to the file. */
import { fileBuffers } from '../../bytes/buffer-pool.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import type { NewFile } from '../../tree/store.ts';
import { PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import { decryptRun, type DecryptedRun, type SealedRun } from './decryption-run.ts';
import type { BlockDamage } from '../../gocryptfs/content/block-runs.ts';
import { contentPieces } from '../hole-rule.ts';

/** Where the runs of one file are decrypted and written. */
export interface PlainRuns {
  /** A buffer for so many sealed bytes; return it with {@link give}. */
  take(length: number): Buffer;
  give(buffer: Buffer): void;
  /**
   * Decrypts a run and writes its plaintext; the run's buffer is in use until then. Call it in
   * order; there is no need to await one call before the next.
   *
   * @param before - resolves when all earlier runs are done; with false when one of them failed, so
   *   that this one need not be written
   * @returns the decrypted run; or the damage, and nothing of the run is written
   * @throws {FileError} `write-failed`
   * @throws {BugError} `worker-lost` — the thread that decrypts has ended
   */
  store(run: SealedRun, before: Promise<boolean>): Promise<DecryptedRun | BlockDamage>;
}

/** Decrypts in this thread, synchronously, and appends to the file. */
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

  /**
   * Skips holes if the file can; the next write, or the end of the file, skips a hole at the end.
   */
  async #write({ buffer, length, firstBlock }: SealedRun, plain: Uint8Array): Promise<void> {
    const file = this.#file;
    if (file.skipTo === undefined) return file.write(plain);
    for (const { from, to } of contentPieces(buffer.subarray(0, length), this.#content.overhead)) {
      if (from > 0) await file.skipTo(firstBlock * PLAIN_BLOCK_SIZE + from);
      await file.write(plain.subarray(from, to));
    }
  }
}
