import { Worker } from 'node:worker_threads';
import { BugError } from '../errors.ts';
import type { ContentKeys } from '../gocryptfs/layout.ts';
import type { EncryptionAnswer, EncryptionJob, WorkerKeys } from './encryption-jobs.ts';

interface Pending {
  readonly resolve: (answer: EncryptionAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly cost: number;
}

/** One thread that encrypts, and what it was asked and has not answered. */
export class EncryptionLane {
  readonly #worker: Worker;
  /** In the order of the answers. */
  #pending: Pending[] = [];
  #cost = 0;
  #lost: BugError | undefined;
  readonly #onLost: () => void;

  constructor({ flags, cipher, nonces }: ContentKeys, script: URL, onLost: () => void) {
    const keys: WorkerKeys = { flags: [...flags], cipher, nonces };
    this.#onLost = onLost;
    this.#worker = new Worker(script, { workerData: keys });
    this.#worker.on('message', (answer: EncryptionAnswer) => this.#settle(answer));
    this.#worker.on('error', (error: Error) => this.#lose(error));
    this.#worker.on('exit', () => this.#lose(undefined));
    // Only work that somebody waits for keeps the process alive.
    this.#worker.unref();
  }

  /** How much is to be done, in bytes. */
  get cost(): number {
    return this.#cost;
  }

  /** @throws {BugError} `worker-lost` — the thread has ended */
  ask(job: EncryptionJob, cost = 0): Promise<EncryptionAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost);
        return;
      }
      if (this.#pending.length === 0) this.#worker.ref();
      this.#pending.push({ resolve, reject, cost });
      this.#cost += cost;
      this.#worker.postMessage(job);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: EncryptionAnswer): void {
    const first = this.#pending.shift();
    if (this.#pending.length === 0) this.#worker.unref();
    if (first === undefined) return;
    this.#cost -= first.cost;
    first.resolve(answer);
  }

  #lose(cause: Error | undefined): void {
    this.#lost ??= new BugError('worker-lost', 'a thread that encrypts has ended unexpectedly', {
      hint: 'Run the same command again; it continues from here.',
      cause,
    });
    const pending = this.#pending;
    this.#pending = [];
    for (const { reject } of pending) reject(this.#lost);
    this.#onLost();
  }
}
