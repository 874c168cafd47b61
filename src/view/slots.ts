import { SLOT_LENGTH } from './encryption-jobs.ts';

/** Slots kept for reuse: 16 MiB. */
const KEPT_MAX = 56;

/** Memory that one job writes its ciphertext to; it belongs to the thread until that answers. */
export class SlotStore {
  readonly #kept: ArrayBuffer[] = [];
  /** Slots that are in use. */
  takenCount = 0;

  take(): ArrayBuffer {
    this.takenCount++;
    return this.#kept.pop() ?? new ArrayBuffer(SLOT_LENGTH);
  }

  /**
   * Nobody may look at it any more.
   *
   * @param slot - undefined: a lost thread has it
   */
  give(slot: ArrayBuffer | undefined): void {
    this.takenCount--;
    if (slot !== undefined && this.#kept.length < KEPT_MAX) this.#kept.push(slot);
  }
}
