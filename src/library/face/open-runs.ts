/** The runs of one opened vault or copy, which end when it is closed. */
import { UsageError } from '../../errors.ts';
import type { Caller } from '../caller.ts';
import type { RunEnd } from '../failure.ts';
import { assertOptions, type OptionKinds } from './given-kinds.ts';
import { Listening, type ListeningOptions } from './listening.ts';
import { pulled, type Hand } from './pulled.ts';

/** A run, and its listeners. */
export type RunWork<T> = (caller: Caller, listening: Listening) => Promise<T>;

/** Starts runs, and tracks them until they end. */
export class OpenRuns {
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  /** @throws {UsageError} `closed` */
  assertOpen(): void {
    if (this.#closing.signal.aborted) throw closed();
  }

  /**
   * Checks the options, and does the work of one run.
   *
   * @throws {UsageError} `closed`, `option-invalid`, `option-unknown`; {InterruptedError} `interrupted`; what `work` throws
   */
  async run<T>(options: ListeningOptions, kinds: OptionKinds, work: RunWork<T>): Promise<T> {
    this.assertOpen();
    assertOptions(options, kinds);
    const listening = new Listening(options, this.#closing.signal);
    return this.#tracked(listening.run((caller) => work(caller, listening)));
  }

  /**
   * The same for work with results to iterate over.
   *
   * @throws as {@link run}, with the first result or later
   */
  async *iterate<T>(
    options: ListeningOptions,
    work: (caller: Caller, hand: Hand<T>, listening: Listening) => Promise<void>,
  ): AsyncGenerator<T, void, undefined> {
    this.assertOpen();
    const listening = new Listening(options, this.#closing.signal);
    const { signal } = listening.caller;
    const running = (hand: Hand<T>): Promise<void> =>
      this.#tracked(
        listening.run(async (caller) => {
          await work(caller, hand, listening);
          signal.throwIfAborted();
        }),
      );
    yield* pulled(running, { signal, stop: () => listening.end() });
  }

  /** Ends all runs, and waits for them. Later runs are refused. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([...this.#running]);
  }

  #tracked<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running);
    const forget = (): void => void this.#running.delete(running);
    running.then(forget, forget);
    return running;
  }
}

function closed(): UsageError {
  return new UsageError('closed', 'this vault or copy was closed', {
    hint: 'Open it again: openVault(), openCopy().',
  });
}

/** The end of a run with its summary, for the history. */
export function endOf<Summary extends Pick<RunEnd, 'exitCode' | 'error'>>(
  summary: Summary,
): RunEnd & { readonly summary: Summary } {
  const { exitCode, error, ...figures } = summary;
  return { exitCode, figures, summary, ...(error !== undefined && { error }) };
}
