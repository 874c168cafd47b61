/** A time limit that is paused while a person answers a question. */
export class Deadline {
  readonly #onExpired: () => void;
  #leftMs: number;
  #startedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Starts the time at once. */
  constructor(limitMs: number, onExpired: () => void) {
    this.#onExpired = onExpired;
    this.#leftMs = limitMs;
    this.#resume();
  }

  /** Cancels the time limit; idempotent. */
  cancel(): void {
    this.#pause();
    this.#leftMs = Infinity;
  }

  /** Wraps a question so that the time limit is paused until it is answered. */
  pausedDuring<Q, T>(ask: (question: Q) => Promise<T>): (question: Q) => Promise<T> {
    return async (text) => {
      this.#pause();
      try {
        return await ask(text);
      } finally {
        this.#resume();
      }
    };
  }

  #pause(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leftMs -= performance.now() - this.#startedAt;
  }

  #resume(): void {
    if (this.#leftMs === Infinity) return;
    this.#startedAt = performance.now();
    this.#timer = setTimeout(this.#onExpired, Math.max(0, this.#leftMs));
  }
}
