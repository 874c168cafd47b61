/** Runs that may be held until they are written: at most 9 MiB. */
const RUNS_MAX = 32;

/** Bounds the memory of files that are being decrypted, whatever their number and size. */
export class DecryptionBudget {
  readonly #max: number;
  #taken = 0;
  #waiting: (() => void)[] = [];

  /** @param max - number of runs that may be held */
  constructor(max: number = RUNS_MAX) {
    this.#max = max;
  }

  /** @returns false when there is no room for another run now */
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

  /**
   * Resolves when trying again may succeed. A waiter must not hold a run that it is still filling.
   */
  whenRoom(): Promise<void> {
    if (this.#taken < this.#max) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
