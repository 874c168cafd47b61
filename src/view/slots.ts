import { SLOT_LENGTH } from './encryption-jobs.ts';

/** Slots kept for reuse: 16 MiB. */
const KEPT_MAX = 56;

/** Shared memory that one job writes its ciphertext to. */
export interface Slot {
  readonly shared: SharedArrayBuffer;
  /** All of it. */
  readonly bytes: Buffer;
}

/** Slots, used again. */
export class SlotStore {
  readonly #kept: Slot[] = [];
  /** Slots that are in use. */
  takenCount = 0;

  take(): Slot {
    this.takenCount++;
    const kept = this.#kept.pop();
    if (kept !== undefined) return kept;
    const shared = new SharedArrayBuffer(SLOT_LENGTH);
    return { shared, bytes: Buffer.from(shared) };
  }

  /** Nobody may look at it any more, nor may a thread write to it. */
  give(slot: Slot): void {
    this.takenCount--;
    if (this.#kept.length < KEPT_MAX) this.#kept.push(slot);
  }
}
