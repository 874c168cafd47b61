/** Threads that encrypt small files whole and large files in runs. */
import { BugError } from '../../errors.ts';
import type { ContentKeys } from '../../gocryptfs/layout.ts';
import type { OpenFile } from '../../tree/entry.ts';
import { BytesFile } from './cipher-file.ts';
import type { CipherRuns } from './cipher-runs.ts';
import {
  NUMBERS_PER_WHOLE,
  packFiles,
  RUN_SLOT_LENGTH,
  type FileToEncrypt,
  type WorkerKeys,
} from './encryption-jobs.ts';
import { EncryptionLane, type Encrypted } from './encryption-lane.ts';
import { PooledRuns } from './pooled-runs.ts';

/** Small files in one message: enough to make the cost of the message negligible. */
const BATCH_FILES_MAX = 64;
/** Cost of opening and closing a file in bytes of content, for distributing the work. */
const FILE_COST_BYTES = 16 * 1024;

/** A small file that waits for its batch. */
interface Waiting {
  readonly file: FileToEncrypt;
  /** Called with undefined when the thread did not encrypt the file. */
  readonly resolve: (file: OpenFile | undefined) => void;
}

/**
 * Threads that open, read and encrypt files: many small ones at a time, large ones in runs of
 * blocks. The caller bounds the number of open files, and thereby the memory. When a thread fails
 * before any of a file was used, the caller encrypts it itself.
 */
export class EncryptionPool {
  readonly #lanes: readonly EncryptionLane[];
  #batch: Waiting[] = [];
  #batchBytes = 0;
  #isScheduled = false;
  #isClosed = false;
  #fileCount = 0;

  /** @param options.script - the compiled worker */
  constructor(
    { flags, ...keys }: ContentKeys,
    { threads, script }: { readonly threads: number; readonly script: URL },
  ) {
    const workerData: WorkerKeys = { ...keys, flags: [...flags] };
    this.#lanes = Array.from({ length: threads }, () => new EncryptionLane(script, workerData));
  }

  /** A thread has ended, or the pool is closed: it takes no more requests. */
  get isLost(): boolean {
    return this.#isClosed || this.#lanes.some((lane) => lane.isLost);
  }

  /** Bytes of ciphertext held for open files. */
  get heldBytes(): number {
    return this.#lanes.reduce((sum, { outputs }) => sum + outputs, 0) * RUN_SLOT_LENGTH;
  }

  /**
   * Reads and encrypts a small file whole.
   *
   * @param size - of its ciphertext as listed, at most {@link RUN_SLOT_LENGTH}
   * @returns undefined when the caller should open the file itself, and so meet any error
   */
  whole(file: FileToEncrypt, size: number): Promise<OpenFile | undefined> {
    if (this.#batchBytes + size > RUN_SLOT_LENGTH) this.#sendBatch();
    return new Promise((resolve) => {
      this.#batch.push({ file, resolve });
      this.#batchBytes += size;
      if (this.#batch.length >= BATCH_FILES_MAX) this.#sendBatch();
      else if (!this.#isScheduled) {
        this.#isScheduled = true;
        setImmediate(() => {
          this.#isScheduled = false;
          this.#sendBatch();
        });
      }
    });
  }

  /**
   * Opens a large file in one of the threads.
   *
   * @returns undefined when the caller should open the file itself, and so meet any error
   */
  async open(file: FileToEncrypt): Promise<CipherRuns | undefined> {
    const lane = this.#idlest();
    const number = ++this.#fileCount;
    try {
      const job = { kind: 'open', file: number, files: packFiles([file]) } as const;
      const [plainSize = -1] = (await lane.request(job)).numbers;
      if (plainSize < 0) return undefined;
      return new PooledRuns(lane, { file: number, plainSize, path: file.fullPath });
    } catch (error) {
      if (error instanceof BugError) return undefined; // the thread is lost, the file is not
      throw error;
    }
  }

  /** Ends all threads; outstanding requests fail with `worker-lost`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #idlest(): EncryptionLane {
    const [first, ...others] = this.#lanes;
    if (first === undefined) throw new BugError('invariant', 'an encryption pool without threads');
    return others.reduce((least, lane) => (lane.cost < least.cost ? lane : least), first);
  }

  #sendBatch(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    const cost = this.#batchBytes + batch.length * FILE_COST_BYTES;
    this.#batchBytes = 0;
    const files = packFiles(batch.map(({ file }) => file));
    const lane = this.#idlest();
    lane.encrypt({ kind: 'whole', files }, cost).then(
      (encrypted) => deliver(batch, encrypted, lane),
      // A lost thread has encrypted none of them.
      () => batch.forEach(({ resolve }) => resolve(undefined)),
    );
  }
}

/** Resolves every file of a batch, and releases the memory after the last one is closed. */
function deliver(
  batch: readonly Waiting[],
  { answer, buffer }: Encrypted,
  lane: EncryptionLane,
): void {
  let holders = 1;
  const release = (): void => {
    if (--holders === 0) lane.release(buffer);
  };
  for (const [i, { resolve }] of batch.entries()) {
    const at = i * NUMBERS_PER_WHOLE;
    const [offset = -1, length = 0] = answer.numbers.slice(at, at + NUMBERS_PER_WHOLE);
    if (offset === -1) {
      resolve(undefined);
      continue;
    }
    holders++;
    resolve(new BytesFile(buffer.subarray(offset, offset + length), release));
  }
  release();
}
