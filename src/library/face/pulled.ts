/** Turns work that hands out results one by one into an async iterator. */

/** Accepts one result. Resolves when the next one is wanted, with false if no more are. */
export type Hand<T> = (thing: T) => Promise<boolean>;

/**
 * The results of `work`, one at a time. The work starts with the first request and waits between
 * requests. When the consumer stops, `stop` is called, and the work is awaited. A signal ends the
 * work at any time.
 *
 * @throws what `work` throws, after everything that it has handed out
 */
export async function* pulled<T>(
  work: (hand: Hand<T>) => Promise<void>,
  { signal, stop }: { readonly signal: AbortSignal; readonly stop: () => void },
): AsyncGenerator<T, void, undefined> {
  const channel = new Channel<T>();
  const refuse = (): void => channel.refuse();
  signal.addEventListener('abort', refuse, { once: true });
  const working = work((thing) => channel.hand(thing)).finally(() => channel.close());
  working.catch(() => undefined); // awaited below
  let isAtEnd = false;
  try {
    for (;;) {
      const next = await channel.next();
      if (next === undefined) break;
      yield next.thing;
    }
    isAtEnd = true;
  } finally {
    signal.removeEventListener('abort', refuse);
    channel.refuse();
    if (!isAtEnd) {
      stop();
      // A consumer that has stopped does not receive errors that follow from stopping.
      await working.catch(() => undefined);
    }
  }
  await working;
}

/** A buffer for one result between producer and consumer. */
class Channel<T> {
  #held: { readonly thing: T } | undefined;
  #isClosed = false;
  #isRefused = false;
  #wakeTaker: (() => void) | undefined;
  #wakeGiver: ((isWanted: boolean) => void) | undefined;

  hand(thing: T): Promise<boolean> {
    if (this.#isRefused) return Promise.resolve(false);
    this.#held = { thing };
    this.#wakeTaker?.();
    return new Promise((resolve) => (this.#wakeGiver = resolve));
  }

  /** @returns undefined if there are no more results */
  async next(): Promise<{ readonly thing: T } | undefined> {
    this.#wakeGiver?.(true);
    this.#wakeGiver = undefined;
    while (this.#held === undefined && !this.#isClosed) {
      await new Promise<void>((resolve) => (this.#wakeTaker = resolve));
    }
    const held = this.#held;
    this.#held = undefined;
    return held;
  }

  /** The producer has finished. */
  close(): void {
    this.#isClosed = true;
    this.#wakeTaker?.();
  }

  /** The consumer has finished. */
  refuse(): void {
    this.#isRefused = true;
    this.#wakeGiver?.(false);
  }
}
