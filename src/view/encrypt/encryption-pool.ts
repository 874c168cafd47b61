/** Threads that encrypt small files whole and large files in runs. */
import { BugError } from '../../errors.ts';
import type { ContentKeys } from '../../gocryptfs/layout.ts';
import type { OpenFile } from '../../tree/entry.ts';
import { BytesFile } from './cipher-file.ts';
import type { CipherRuns } from './cipher-runs.ts';
import {
  NUMBERS_PER_WHOLE,
  packFiles,
  SLOT_LENGTH,
  type FileToEncrypt,
  type WorkerKeys,
} from './encryption-jobs.ts';
import { EncryptionLane, type Encrypted } from './encryption-lane.ts';
import { PooledRuns } from './pooled-runs.ts';

/** Small files in one message: enough that the message costs little beside them. */
const BATCH_FILES_MAX = 64;
/** What opening and closing a file is worth in bytes of content, for sharing the work out. */
const FILE_COST_BYTES = 16 * 1024;

/** A small file that waits for its batch. */
interface Waiting {
  readonly file: FileToEncrypt;
  /** Undefined: it was not done. */
  readonly resolve: (file: OpenFile | undefined) => void;
}

/**
 * Threads that open, read and encrypt files: small ones many at a time, large ones in runs of blocks.
 * Memory follows from how many files are open, which is the caller's to bound. Whatever a thread
 * cannot do before anything of a file was used, the caller does itself.
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

  /** A thread has ended, or all were: nothing should be asked any more. */
  get isLost(): boolean {
    return this.#isClosed || this.#lanes.some((lane) => lane.isLost);
  }

  /** Bytes of ciphertext held for files that are open. */
  get heldBytes(): number {
    return this.#lanes.reduce((sum, { outputs }) => sum + outputs, 0) * SLOT_LENGTH;
  }

  /**
   * Reads and encrypts a small file whole.
   *
   * @param size - of its ciphertext as listed, at most {@link SLOT_LENGTH}
   * @returns undefined when the caller should open it: it will find out why, if there is a reason
   */
  whole(file: FileToEncrypt, size: number): Promise<OpenFile | undefined> {
    if (this.#batchBytes + size > SLOT_LENGTH) this.#sendBatch();
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
   * @returns undefined when the caller should open it: it will find out why, if there is a reason
   */
  async open(file: FileToEncrypt): Promise<CipherRuns | undefined> {
    const lane = this.#idlest();
    const number = ++this.#fileCount;
    try {
      const job = { kind: 'open', file: number, files: packFiles([file]) } as const;
      const [plainSize = -1] = (await lane.ask(job)).numbers;
      if (plainSize < 0) return undefined;
      return new PooledRuns(lane, { file: number, plainSize, path: file.fullPath });
    } catch (error) {
      if (error instanceof BugError) return undefined; // the thread is lost, the file is not
      throw error;
    }
  }

  /** Ends all threads; what is still asked of them fails with `worker-lost`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #idlest(): EncryptionLane {
    const [first, ...others] = this.#lanes;
    if (first === undefined) throw new BugError('invariant', 'no thread to encrypt in');
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
      // A lost thread has done none of them.
      () => batch.forEach(({ resolve }) => resolve(undefined)),
    );
  }
}

/** Gives everybody who waits for a file of a batch that file, and the memory back after the last one. */
function deliver(
  batch: readonly Waiting[],
  { answer, buffer }: Encrypted,
  lane: EncryptionLane,
): void {
  let holders = 1;
  const letGo = (): void => {
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
    resolve(new BytesFile(buffer.subarray(offset, offset + length), letGo));
  }
  letGo();
}
