/** Threads that decrypt runs of blocks and write them. */
import { BugError, IntegrityError } from '../../errors.ts';
import type { ContentKeys } from '../../gocryptfs/layout.ts';
import { fileFailure } from '../../tree/file-failure.ts';
import type { DecryptionAnswer, DecryptionJob, DecryptionKeys } from './decryption-jobs.ts';
import type { BlockDamage, DecryptedRun, SealedRun } from './decryption-run.ts';
import type { PlainRuns } from './plain-runs.ts';
import { ThreadLane } from '../thread-lane.ts';

/** Room for the largest run of any layout, in steps of 4 KiB. */
const SLOT_LENGTH = 264 * 1024;

/** An open file that the threads write to. */
export interface FileToDecrypt {
  readonly fd: number;
  /** What messages call it. */
  readonly path: Uint8Array;
}

/** Threads that decrypt runs out of memory that is handed over, and write them. */
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
      () => new ThreadLane({ script, workerData, doing: 'decrypts' }),
    );
  }

  /** A thread has ended, or all were: nothing should be asked any more. */
  get isLost(): boolean {
    return this.#lanes.some((lane) => lane.isLost);
  }

  /** The runs of one file; it must stay open until all of them are stored. */
  open(file: FileToDecrypt): PlainRuns {
    return {
      take: (length) => this.#take(length),
      give: (buffer) => this.#give(buffer.buffer as ArrayBuffer), // what `take` has made it of
      store: (run) => this.#store(run, file),
    };
  }

  async #store(
    { buffer, ...run }: SealedRun,
    { fd, path }: FileToDecrypt,
  ): Promise<DecryptedRun | BlockDamage> {
    const lane = this.#lanes[this.#next++ % this.#lanes.length];
    const memory = buffer.buffer as ArrayBuffer; // what `take` has made it of
    if (lane === undefined) throw new BugError('invariant', 'no thread to decrypt in');
    const job = { ...run, memory, fd };
    const { outcome: answer, memory: returned } = await lane.ask(job, 0, memory);
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

  /** Memory that is empty was handed over, and has come back or never will. */
  #give(memory: ArrayBuffer): void {
    if (memory.byteLength > 0) this.#kept.push(memory);
  }

  /** Ends all threads; what is still asked of them fails with `worker-lost`. */
  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}
