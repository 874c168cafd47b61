/** One thread that opens, reads and encrypts files. */
import { fileBuffers } from '../../bytes/buffer-pool.ts';
import {
  copyShared,
  RUN_SLOT_LENGTH,
  type EncryptionAnswer,
  type EncryptionJob,
  type OutputJob,
  type SlotReference,
  type WorkerKeys,
} from './encryption-jobs.ts';
import { ThreadLane } from '../thread-lane.ts';

/** The result of a job. */
export interface Encrypted {
  readonly answer: EncryptionAnswer;
  /** Its output, maybe in a longer buffer; return it with {@link EncryptionLane.release}. */
  readonly buffer: Buffer;
}

/**
 * Memory shared by this thread and an encryption thread. A job owns it until its answer has arrived
 * and its output has been copied out: no view of it leaves this file.
 */
class SharedSlot {
  readonly #number: number;
  readonly #memory = new SharedArrayBuffer(RUN_SLOT_LENGTH);
  readonly #bytes = Buffer.from(this.#memory);
  #isSent = false;

  constructor(number: number) {
    this.#number = number;
  }

  /** The slot's number for the thread; the memory itself is sent only once. */
  reference(): SlotReference {
    if (this.#isSent) return { number: this.#number };
    this.#isSent = true;
    return { number: this.#number, memory: this.#memory };
  }

  /** Copies the first bytes into a buffer of the pool. */
  copyOut(length: number): Buffer {
    const buffer = fileBuffers.take(length);
    copyShared(this.#bytes, buffer, length);
    return buffer;
  }
}

/**
 * A thread that opens, reads and encrypts files. It writes its output to memory that both threads
 * share permanently: transferring buffers back and forth costs two objects each time, and what they
 * keep alive makes V8 collect the whole heap over and over.
 */
export class EncryptionLane {
  readonly #thread: ThreadLane<EncryptionJob, EncryptionAnswer>;
  readonly #free: SharedSlot[] = [];
  #slotCount = 0;
  #outputs = 0;

  /** @param script - the compiled worker */
  constructor(script: URL, workerData: WorkerKeys) {
    this.#thread = new ThreadLane({ script, workerData, activity: 'encrypts' });
  }

  /** Outstanding work, in bytes. */
  get cost(): number {
    return this.#thread.cost;
  }

  /** The thread has ended, and takes no more requests. */
  get isLost(): boolean {
    return this.#thread.isLost;
  }

  /** Number of outputs that are requested or not yet released. */
  get outputs(): number {
    return this.#outputs;
  }

  /** @throws {BugError} `worker-lost` — the thread has ended */
  request(job: Exclude<EncryptionJob, OutputJob>): Promise<EncryptionAnswer> {
    return this.#thread.request(job);
  }

  /**
   * Runs an encryption job.
   *
   * @param cost - size of the job, in bytes
   * @throws {BugError} `worker-lost` — the thread has ended
   */
  async encrypt(job: OutputJob, cost: number): Promise<Encrypted> {
    const slot = this.#free.pop() ?? new SharedSlot(this.#slotCount++);
    this.#outputs++;
    try {
      const answer = await this.#thread.request({ ...job, slot: slot.reference() }, cost);
      const buffer = slot.copyOut(answer.outputLength ?? 0);
      this.#free.push(slot);
      return { answer, buffer };
    } catch (error) {
      this.#outputs--;
      throw error;
    }
  }

  /** Takes an output back; the caller may no longer read it. */
  release(buffer: Buffer): void {
    this.#outputs--;
    fileBuffers.give(buffer);
  }

  async close(): Promise<void> {
    await this.#thread.close();
  }
}
