/** One thread that opens, reads and encrypts files. */
import { fileBuffers } from '../../bytes/buffer-pool.ts';
import {
  copyShared,
  SLOT_LENGTH,
  type EncryptionAnswer,
  type EncryptionJob,
  type OutputJob,
  type SlotReference,
  type WorkerKeys,
} from './encryption-jobs.ts';
import { ThreadLane } from '../thread-lane.ts';

/** What a job wrote. */
export interface Encrypted {
  readonly answer: EncryptionAnswer;
  /** Its output, and more where there was room; {@link EncryptionLane.release} takes it back. */
  readonly buffer: Buffer;
}

/**
 * Memory that this thread and one that encrypts have in common. A job owns it until its answer is
 * there and its output was copied out: no view of it leaves this file.
 */
class SharedSlot {
  readonly #number: number;
  readonly #memory = new SharedArrayBuffer(SLOT_LENGTH);
  readonly #bytes = Buffer.from(this.#memory);
  #isKnown = false;

  constructor(number: number) {
    this.#number = number;
  }

  /** What the thread knows it by; the memory itself travels once. */
  refer(): SlotReference {
    if (this.#isKnown) return { number: this.#number };
    this.#isKnown = true;
    return { number: this.#number, memory: this.#memory };
  }

  /** The first bytes, in a buffer of the pool. */
  copyOut(length: number): Buffer {
    const buffer = fileBuffers.take(length);
    copyShared(this.#bytes, buffer, length);
    return buffer;
  }
}

/**
 * A thread that opens, reads and encrypts files. Its output comes by memory that both have for good:
 * memory that is handed over back and forth costs two objects a time, and V8 collects the whole heap
 * over and over because of what hangs on them.
 */
export class EncryptionLane {
  readonly #thread: ThreadLane<EncryptionJob, EncryptionAnswer>;
  readonly #free: SharedSlot[] = [];
  #slotCount = 0;
  #outputs = 0;

  /** @param script - the compiled worker */
  constructor(script: URL, workerData: WorkerKeys) {
    this.#thread = new ThreadLane({ script, workerData, doing: 'encrypts' });
  }

  /** How much is to be done, in bytes. */
  get cost(): number {
    return this.#thread.cost;
  }

  /** The thread has ended: nothing should be asked of it any more. */
  get isLost(): boolean {
    return this.#thread.isLost;
  }

  /** Outputs that were asked for and not released. */
  get outputs(): number {
    return this.#outputs;
  }

  /** @throws {BugError} `worker-lost` — the thread has ended */
  ask(job: Exclude<EncryptionJob, OutputJob>): Promise<EncryptionAnswer> {
    return this.#thread.ask(job);
  }

  /**
   * Has something encrypted.
   *
   * @param cost - how much it is, in bytes
   * @throws {BugError} `worker-lost` — the thread has ended
   */
  async encrypt(job: OutputJob, cost: number): Promise<Encrypted> {
    const slot = this.#free.pop() ?? new SharedSlot(this.#slotCount++);
    this.#outputs++;
    try {
      const answer = await this.#thread.ask({ ...job, slot: slot.refer() }, cost);
      const buffer = slot.copyOut(answer.outputLength ?? 0);
      this.#free.push(slot);
      return { answer, buffer };
    } catch (error) {
      this.#outputs--;
      throw error;
    }
  }

  /** Takes an output back; nobody may look at it any more. */
  release(buffer: Buffer): void {
    this.#outputs--;
    fileBuffers.give(buffer);
  }

  async close(): Promise<void> {
    await this.#thread.close();
  }
}
