/** One worker thread and its unanswered requests. */
import { Worker } from 'node:worker_threads';
import { BugError } from '../errors.ts';

/**
 * V8's space for new objects, in MiB. The garbage of these threads is buffers of megabytes:
 * collected often, their memory is reused while it is still in the processor's cache.
 */
const YOUNG_GENERATION_MIB = 1;

interface Pending<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly cost: number;
}

/** How a thread is started. */
export interface ThreadLaneOptions {
  /** The compiled worker. It answers every message with one message, in order. */
  readonly script: URL;
  readonly workerData: unknown;
  /** For messages: what the thread does, such as "encrypts". */
  readonly activity: string;
}

/** One worker thread and its unanswered requests. */
export class ThreadLane<Job, Answer> {
  readonly #worker: Worker;
  /** In the order of the answers. */
  #pending: Pending<Answer>[] = [];
  #cost = 0;
  #lost: BugError | undefined;
  readonly #activity: string;

  constructor({ script, workerData, activity }: ThreadLaneOptions) {
    this.#activity = activity;
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB };
    this.#worker = new Worker(script, { workerData, resourceLimits });
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.#worker.on('error', (error: Error) => this.#lose(error));
    this.#worker.on('exit', () => this.#lose(undefined));
    // Only awaited work keeps the process alive.
    this.#worker.unref();
  }

  /** Total cost of the unanswered requests. */
  get cost(): number {
    return this.#cost;
  }

  /** The thread has ended, and takes no more requests. */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /**
   * @param memory - moved to the thread as part of the job; the answer holds what it gives back
   * @throws {BugError} `worker-lost` — the thread has ended
   */
  request(job: Job, cost = 0, memory?: ArrayBuffer): Promise<Answer> {
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
      `a thread that ${this.#activity} has ended unexpectedly`,
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
