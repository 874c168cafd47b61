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

/** Runs asked for ahead of who reads on: enough that the thread need not wait for us. */
const RUNS_AHEAD = 4;

interface RunAhead {
  readonly count: number;
  readonly run: Promise<LoadedRun>;
}

/** The runs of one large file, read and encrypted in another thread, the next ones ahead. */
export class PooledRuns implements CipherRuns {
  readonly plainSize: number;
  readonly #lane: EncryptionLane;
  readonly #file: number;
  readonly #path: Uint8Array;
  readonly #held = new Set<Buffer>();
  /** By first block. */
  readonly #ahead = new Map<number, RunAhead>();
  /** The block after the last run. */
  #next = 0;

  /** @param opened.path - what messages call the file */
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
    const readsOn = firstBlock > 0 && firstBlock === this.#next;
    const ahead = this.#ahead.get(firstBlock);
    this.#ahead.delete(firstBlock);
    let run = ahead?.run;
    if (ahead?.count !== count) {
      void this.#drop(ahead);
      run = undefined;
    }
    if (!readsOn) void this.#dropAll();
    run ??= this.#ask(request);
    this.#next = firstBlock + count;
    if (readsOn && count === RUN_BLOCKS) this.#askAhead();
    return run;
  }

  release(buffer: Buffer): void {
    if (!this.#held.delete(buffer)) throw new BugError('invariant', 'a run released twice');
    this.#lane.release(buffer);
  }

  async close(): Promise<'unchanged' | 'changed'> {
    await this.#dropAll();
    const { numbers } = await this.#lane.ask({ kind: 'close', file: this.#file });
    return numbers[0] === 0 ? 'unchanged' : 'changed';
  }

  #askAhead(): void {
    const blocks = blockCountOf(this.plainSize);
    const end = Math.min(blocks, this.#next + RUNS_AHEAD * RUN_BLOCKS);
    for (let firstBlock = this.#next; firstBlock < end; firstBlock += RUN_BLOCKS) {
      if (this.#ahead.has(firstBlock)) continue;
      const count = Math.min(RUN_BLOCKS, blocks - firstBlock);
      const run = this.#ask({ firstBlock, count, lead: 0 });
      run.catch(() => undefined); // for who reads it to hear, if anyone does
      this.#ahead.set(firstBlock, { count, run });
    }
  }

  async #ask(request: RunRequest): Promise<LoadedRun> {
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
    const run = await ahead?.run.catch(() => undefined); // nobody waits for it any more
    if (run !== undefined) this.release(run.buffer);
  }
}
