/** One worker thread and the requests it has not answered yet. */
import { Worker } from 'node:worker_threads';
import { BugError } from '../errors.ts';

/**
 * Space for new objects, MiB. What a thread here leaves behind are buffers by the megabyte: collected
 * often, they are used again while they are still in the processor's cache.
 */
const YOUNG_GENERATION_MIB = 1;

interface Pending<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly cost: number;
}

/** How a lane is made. */
export interface ThreadLaneOptions {
  /** The compiled worker. It answers every message with one, in order. */
  readonly script: URL;
  readonly workerData: unknown;
  /** For messages: what the thread does, "encrypts". */
  readonly doing: string;
}

/** One thread, and what it was asked and has not answered. */
export class ThreadLane<Job, Answer> {
  readonly #worker: Worker;
  /** In the order of the answers. */
  #pending: Pending<Answer>[] = [];
  #cost = 0;
  #lost: BugError | undefined;
  readonly #doing: string;

  constructor({ script, workerData, doing }: ThreadLaneOptions) {
    this.#doing = doing;
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB };
    this.#worker = new Worker(script, { workerData, resourceLimits });
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.#worker.on('error', (error: Error) => this.#lose(error));
    this.#worker.on('exit', () => this.#lose(undefined));
    // Only work that somebody waits for keeps the process alive.
    this.#worker.unref();
  }

  /** How much is to be done: the sum of what was asked and is not answered. */
  get cost(): number {
    return this.#cost;
  }

  /** The thread has ended: nothing should be asked of it any more. */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /**
   * @param memory - part of the job, and the thread's from now on: what it gives back is in its answer
   * @throws {BugError} `worker-lost` — the thread has ended
   */
  ask(job: Job, cost = 0, memory?: ArrayBuffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost);
        return;
      }
      if (this.#pending.length === 0) this.#worker.ref();
      this.#pending.push({ resolve, reject, cost });
      this.#cost += cost;
      this.#worker.postMessage(job, memory === undefined ? [] : [memory]);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: Answer): void {
    const first = this.#pending.shift();
    if (this.#pending.length === 0) this.#worker.unref();
    if (first === undefined) return;
    this.#cost -= first.cost;
    first.resolve(answer);
  }

  #lose(cause: Error | undefined): void {
    this.#lost ??= new BugError(
      'worker-lost',
      `a thread that ${this.#doing} has ended unexpectedly`,
      {
        hint: 'Run the same command again; it continues from here.',
        cause,
      },
    );
    const pending = this.#pending;
    this.#pending = [];
    for (const { reject } of pending) reject(this.#lost);
  }
}
