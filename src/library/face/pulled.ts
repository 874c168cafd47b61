/** Turns work that hands things out one by one into something to be iterated over. */

/** Takes one thing; settles when the next one is wanted, with false when none is any more. */
export type Hand<T> = (thing: T) => Promise<boolean>;

/**
 * What `work` hands out, one thing at a time. The work begins when the first is asked for, waits while nobody
 * asks, and ends when nobody will: then `stop` is called, and the work is awaited. A signal ends it even where
 * nobody asks or stops.
 *
 * @throws what `work` throws, behind everything that it has handed out
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
      // Whoever has stopped reading hears of no failure that follows from it.
      await working.catch(() => undefined);
    }
  }
  await working;
}

/** Room for one thing between who hands it out and who takes it. */
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

  /** @returns undefined when there is nothing more */
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

  /** Nothing more is handed out. */
  close(): void {
    this.#isClosed = true;
    this.#wakeTaker?.();
  }

  /** Nothing more is taken. */
  refuse(): void {
    this.#isRefused = true;
    this.#wakeGiver?.(false);
  }
}
