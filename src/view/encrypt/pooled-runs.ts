/** The runs of one large file, encrypted ahead in another thread. */
import { BugError } from '../../errors.ts';
import { blockCountOf } from '../../gocryptfs/format/sizes.ts';
import { fileFailure } from '../../tree/file-failure.ts';
import {
  plainLengthOf,
  RUN_BLOCKS,
  type CipherRuns,
  type LoadedRun,
  type RunRequest,
} from './cipher-runs.ts';
import type { EncryptionLane } from './encryption-lane.ts';

/** Runs requested ahead of a sequential reader: enough to keep the thread busy. */
const RUNS_AHEAD = 4;

interface RunAhead {
  readonly count: number;
  readonly run: Promise<LoadedRun>;
}

/** The runs of one large file, read and encrypted in another thread, with read-ahead. */
export class PooledRuns implements CipherRuns {
  readonly plainSize: number;
  readonly #lane: EncryptionLane;
  readonly #file: number;
  readonly #path: Uint8Array;
  readonly #held = new Set<Buffer>();
  /** By first block. */
  readonly #ahead = new Map<number, RunAhead>();
  /** The block after the last requested run. */
  #next = 0;

  /** @param opened.path - the path that messages show */
  constructor(
    lane: EncryptionLane,
    opened: { readonly file: number; readonly plainSize: number; readonly path: Uint8Array },
  ) {
    this.#lane = lane;
    this.#file = opened.file;
    this.#path = opened.path;
    this.plainSize = opened.plainSize;
  }

  load(request: RunRequest): Promise<LoadedRun> {
    const { firstBlock, count } = request;
    const isSequential = firstBlock > 0 && firstBlock === this.#next;
    const ahead = this.#ahead.get(firstBlock);
    this.#ahead.delete(firstBlock);
    let run = ahead?.run;
    if (ahead?.count !== count) {
      void this.#drop(ahead);
      run = undefined;
    }
    if (!isSequential) void this.#dropAll();
    run ??= this.#request(request);
    this.#next = firstBlock + count;
    if (isSequential && count === RUN_BLOCKS) this.#readAhead();
    return run;
  }

  release(buffer: Buffer): void {
    if (!this.#held.delete(buffer)) throw new BugError('invariant', 'a run released twice');
    this.#lane.release(buffer);
  }

  async close(): Promise<'unchanged' | 'changed'> {
    await this.#dropAll();
    const { numbers } = await this.#lane.request({ kind: 'close', file: this.#file });
    return numbers[0] === 0 ? 'unchanged' : 'changed';
  }

  #readAhead(): void {
    const blocks = blockCountOf(this.plainSize);
    const end = Math.min(blocks, this.#next + RUNS_AHEAD * RUN_BLOCKS);
    for (let firstBlock = this.#next; firstBlock < end; firstBlock += RUN_BLOCKS) {
      if (this.#ahead.has(firstBlock)) continue;
      const count = Math.min(RUN_BLOCKS, blocks - firstBlock);
      const run = this.#request({ firstBlock, count, lead: 0 });
      run.catch(() => undefined); // reported when the run is read, if it is
      this.#ahead.set(firstBlock, { count, run });
    }
  }

  async #request(request: RunRequest): Promise<LoadedRun> {
    const { firstBlock, lead } = request;
    const plainLength = plainLengthOf(request, this.plainSize);
    const job = { kind: 'run', file: this.#file, firstBlock, plainLength, lead } as const;
    const { answer, buffer } = await this.#lane.encrypt(job, plainLength);
    const { numbers, failure } = answer;
    if (failure !== undefined) {
      this.#lane.release(buffer);
      const cause = Object.assign(new Error(failure.message), { code: failure.errno });
      throw fileFailure(cause, 'read-failed', 'cannot read', this.#path);
    }
    this.#held.add(buffer);
    return { buffer, plainLength: numbers[0] ?? 0 };
  }

  async #dropAll(): Promise<void> {
    const all = [...this.#ahead.values()];
    this.#ahead.clear();
    await Promise.all(all.map((ahead) => this.#drop(ahead)));
  }

  async #drop(ahead: RunAhead | undefined): Promise<void> {
    const run = await ahead?.run.catch(() => undefined); // nobody awaits it any more
    if (run !== undefined) this.release(run.buffer);
  }
}
