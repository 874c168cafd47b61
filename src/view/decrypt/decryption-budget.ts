/** Runs that may be on their way to the disk: at most 9 MiB. */
const RUNS_MAX = 32;

/** Bounds the memory of files that are being decrypted, however many and however large they are. */
export class DecryptionBudget {
  readonly #max: number;
  #taken = 0;
  #waiting: (() => void)[] = [];

  /** @param max - runs that may be held */
  constructor(max: number = RUNS_MAX) {
    this.#max = max;
  }

  /** @returns false when there is no room for a further run just now */
  tryTake(): boolean {
    if (this.#taken >= this.#max) return false;
    this.#taken++;
    return true;
  }

  give(): void {
    this.#taken--;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Settles when it is worth trying again. Who waits must not hold a run that it only collects. */
  whenRoom(): Promise<void> {
    if (this.#taken < this.#max) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
