import { fileBuffers } from '../bytes/buffer-pool.ts';
import type { ContentEncryption } from '../gocryptfs/content.ts';
import type { NewFile } from '../tree/store.ts';
import { decryptRun, type BlockDamage, type SealedRun } from './decryption-run.ts';

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
   * @returns bytes of plaintext; or the damage, and nothing of the run is written
   * @throws {FileError} `write-failed`
   * @throws {BugError} `worker-lost` — the thread that decrypts has ended
   */
  store(run: SealedRun, before: Promise<boolean>): Promise<number | BlockDamage>;
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

  async store(run: SealedRun, before: Promise<boolean>): Promise<number | BlockDamage> {
    const outcome = decryptRun(this.#content, run, run.buffer);
    if (!(await before) || typeof outcome !== 'number') return outcome;
    await this.#file.write(run.buffer.subarray(0, outcome));
    return outcome;
  }
}
