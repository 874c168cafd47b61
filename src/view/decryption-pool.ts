import { BugError, IntegrityError } from '../errors.ts';
import type { ContentKeys } from '../gocryptfs/layout.ts';
import { fileFailure } from '../tree/file-failure.ts';
import type { DecryptionAnswer, DecryptionJob, DecryptionKeys } from './decryption-jobs.ts';
import type { BlockDamage, SealedRun } from './decryption-run.ts';
import type { PlainRuns } from './plain-runs.ts';
import { ThreadLane } from './thread-lane.ts';

/** Room for the largest run of any layout, in steps of 4 KiB. */
const SLOT_LENGTH = 264 * 1024;

/** An open file that the threads write to. */
export interface FileToDecrypt {
  readonly fd: number;
  /** What messages call it. */
  readonly path: Uint8Array;
}

/** Threads that decrypt runs out of shared memory and write them. */
export class DecryptionPool {
  readonly #lanes: readonly ThreadLane<DecryptionJob, DecryptionAnswer>[];
  readonly #kept: Buffer[] = [];
  #next = 0;

  /** @param options.script - the compiled worker */
  constructor(
    { flags, cipher }: ContentKeys,
    { threads, script }: { readonly threads: number; readonly script: URL },
  ) {
    const workerData: DecryptionKeys = { flags: [...flags], cipher };
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
