import { Worker } from 'node:worker_threads';
import { BugError, IntegrityError } from '../errors.ts';
import type { ContentKeys } from '../gocryptfs/layout.ts';
import { fileFailure } from '../tree/file-failure.ts';
import type { DecryptionAnswer, DecryptionJob, DecryptionKeys } from './decryption-jobs.ts';
import type { BlockDamage, SealedRun } from './decryption-run.ts';
import type { PlainRuns } from './plain-runs.ts';

/** Room for the largest run of any layout, in steps of 4 KiB. */
const SLOT_LENGTH = 264 * 1024;

interface Pending {
  readonly resolve: (answer: DecryptionAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** An open file that the threads write to. */
export interface FileToDecrypt {
  readonly fd: number;
  /** What messages call it. */
  readonly path: Uint8Array;
}

/** Threads that decrypt runs out of shared memory and write them. */
export class DecryptionPool {
  readonly #lanes: readonly Lane[];
  readonly #kept: Buffer[] = [];
  #next = 0;

  /** @param options.script - the compiled worker */
  constructor(keys: ContentKeys, options: { readonly threads: number; readonly script: URL }) {
    this.#lanes = Array.from({ length: options.threads }, () => new Lane(keys, options.script));
  }

  /** A thread has ended, or all were: nothing should be asked any more. */
  get isLost(): boolean {
    return this.#lanes.some((lane) => lane.isLost);
  }

  /** The runs of one file; it must stay open until all of them are stored. */
  open(file: FileToDecrypt): PlainRuns {
    return {
      take: (length) => this.#take(length),
      give: (buffer) => void this.#kept.push(buffer),
      store: (run) => this.#store(run, file),
    };
  }

  async #store(run: SealedRun, { fd, path }: FileToDecrypt): Promise<number | BlockDamage> {
    const { buffer, length, firstBlock, fileID, holes } = run;
    const lane = this.#lanes[this.#next++ % this.#lanes.length];
    const shared = buffer.buffer as unknown as SharedArrayBuffer; // what `take` has made it of
    if (lane === undefined) throw new BugError('invariant', 'no thread to decrypt in');
    const answer = await lane.ask({ shared, length, firstBlock, fileID, holes, fd });
    if (answer.kind === 'written') return answer.length;
    if (answer.kind === 'failed') {
      const cause = Object.assign(new Error(answer.message), { code: answer.errno });
      throw fileFailure(cause, 'write-failed', 'cannot write', path);
    }
    const { blockNo, code, message, hint } = answer;
    const details = hint === undefined ? {} : { hint };
    return { blockNo, error: new IntegrityError(code, message, details) };
  }

  #take(length: number): Buffer {
    if (length > SLOT_LENGTH) throw new BugError('invariant', `a run of ${length} bytes`);
    return this.#kept.pop() ?? Buffer.from(new SharedArrayBuffer(SLOT_LENGTH));
  }

  /** Ends all threads; what is still asked of them fails with `worker-lost`. */
  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}

/** One thread, and what it was asked and has not answered. */
class Lane {
  readonly #worker: Worker;
  /** In the order of the answers. */
  #pending: Pending[] = [];
  #lost: BugError | undefined;

  constructor({ flags, cipher }: ContentKeys, script: URL) {
    const keys: DecryptionKeys = { flags: [...flags], cipher };
    this.#worker = new Worker(script, { workerData: keys });
    this.#worker.on('message', (answer: DecryptionAnswer) => this.#settle(answer));
    this.#worker.on('error', (error: Error) => this.#lose(error));
    this.#worker.on('exit', () => this.#lose(undefined));
    // Only work that somebody waits for keeps the process alive.
    this.#worker.unref();
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** @throws {BugError} `worker-lost` */
  ask(job: DecryptionJob): Promise<DecryptionAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost);
        return;
      }
      if (this.#pending.length === 0) this.#worker.ref();
      this.#pending.push({ resolve, reject });
      this.#worker.postMessage(job);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: DecryptionAnswer): void {
    const first = this.#pending.shift();
    if (this.#pending.length === 0) this.#worker.unref();
    first?.resolve(answer);
  }

  #lose(cause: Error | undefined): void {
    this.#lost ??= new BugError('worker-lost', 'a thread that decrypts has ended unexpectedly', {
      hint: 'Run the same command again; it continues from here.',
      cause,
    });
    const pending = this.#pending;
    this.#pending = [];
    for (const { reject } of pending) reject(this.#lost);
  }
}
