/** Threads that decrypt runs of blocks and write them. */
import { BugError, IntegrityError } from '../../errors.ts';
import type { ContentKeys } from '../../gocryptfs/layout.ts';
import { fileFailure } from '../../tree/file-failure.ts';
import type { DecryptionAnswer, DecryptionJob, DecryptionKeys } from './decryption-jobs.ts';
import type { DecryptedRun, SealedRun } from './decryption-run.ts';
import type { BlockDamage } from '../../gocryptfs/content/block-runs.ts';
import type { PlainRuns } from './plain-runs.ts';
import { ThreadLane } from '../thread-lane.ts';

/** Large enough for the largest run of any layout, in steps of 4 KiB. */
const SLOT_LENGTH = 264 * 1024;

/** An open file that the threads write to. */
export interface FileToDecrypt {
  readonly fd: number;
  /** The path that messages show. */
  readonly path: Uint8Array;
}

/** Threads that decrypt runs in transferred memory, and write them. */
export class DecryptionPool {
  readonly #lanes: readonly ThreadLane<DecryptionJob, DecryptionAnswer>[];
  readonly #kept: ArrayBuffer[] = [];
  #next = 0;

  /** @param options.script - the compiled worker */
  constructor(
    { flags, ...keys }: ContentKeys,
    { threads, script }: { readonly threads: number; readonly script: URL },
  ) {
    const workerData: DecryptionKeys = { ...keys, flags: [...flags] };
    this.#lanes = Array.from(
      { length: threads },
      () => new ThreadLane({ script, workerData, activity: 'decrypts' }),
    );
  }

  /** A thread has ended, or the pool is closed: it takes no more requests. */
  get isLost(): boolean {
    return this.#lanes.some((lane) => lane.isLost);
  }

  /** The runs of one file; it must stay open until all of them are stored. */
  open(file: FileToDecrypt): PlainRuns {
    return {
      take: (length) => this.#take(length),
      give: (buffer) => this.#give(buffer.buffer as ArrayBuffer), // as `take` made it
      store: (run) => this.#store(run, file),
    };
  }

  async #store(
    { buffer, ...run }: SealedRun,
    { fd, path }: FileToDecrypt,
  ): Promise<DecryptedRun | BlockDamage> {
    const lane = this.#lanes[this.#next++ % this.#lanes.length];
    const memory = buffer.buffer as ArrayBuffer; // as `take` made it
    if (lane === undefined) throw new BugError('invariant', 'a decryption pool without threads');
    const job = { ...run, memory, fd };
    const { outcome: answer, memory: returned } = await lane.request(job, 0, memory);
    this.#give(returned);
    if (answer.kind === 'written') return answer;
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
    return Buffer.from(this.#kept.pop() ?? new ArrayBuffer(SLOT_LENGTH));
  }

  /** Empty memory was transferred: it has come back already, or never will. */
  #give(memory: ArrayBuffer): void {
    if (memory.byteLength > 0) this.#kept.push(memory);
  }

  /** Ends all threads; outstanding requests fail with `worker-lost`. */
  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}
