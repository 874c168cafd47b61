/** The signal and the listeners of one run. */
import { setMaxListeners } from 'node:events';
import { InterruptedError } from '../../errors.ts';
import { interrupted, unlessAborted } from '../../interruption.ts';
import type { PushWarning } from '../../sync/push/source/push-settings.ts';
import type { Caller } from '../caller.ts';
import type { OptionKinds } from './given-kinds.ts';

/** Options of every long operation. */
export interface ListeningOptions {
  /** Ends the operation cleanly: it rejects with {@link InterruptedError} `interrupted`. */
  readonly signal?: AbortSignal;
  /** Receives warnings while the operation runs, such as objects that were not stored unchanged. */
  readonly onWarning?: (warning: PushWarning) => void;
}

/**
 * The kinds of {@link ListeningOptions}.
 *
 * @internal
 */
export const LISTENING_KINDS: OptionKinds = { signal: 'signal', onWarning: 'listener' };

/**
 * The signals and the listeners of one run. A listener that throws ends the run, which then rejects
 * with that exception, since the engine does not expect exceptions from listeners. A promise that a
 * listener returns belongs to the run: it is awaited at the end, and its rejection counts as an
 * exception.
 *
 * @internal
 */
export class Listening {
  readonly caller: Caller;
  readonly #ending = new AbortController();
  readonly #signals: readonly AbortSignal[];
  readonly #pending = new Set<Promise<void>>();
  #thrown: { readonly error: unknown } | undefined;

  /** @param closing - aborted when the owner of the run is closed */
  constructor({ signal, onWarning }: ListeningOptions, closing: AbortSignal) {
    this.#signals = signal === undefined ? [closing] : [closing, signal];
    const tell = this.hears(onWarning);
    this.caller = {
      platform: process.platform,
      signal: this.#ending.signal,
      warn: (code, message) => tell({ code, message }),
    };
  }

  /** Wraps a listener that may throw, or return a promise. */
  hears<Args extends readonly unknown[]>(
    listener: ((...told: Args) => unknown) | undefined,
  ): (...told: Args) => void {
    return (...told) => {
      if (this.#thrown !== undefined) return;
      try {
        const result = listener?.(...told);
        if (isPromise(result)) this.#follow(result);
      } catch (error) {
        this.#fail(error);
      }
    };
  }

  #follow(result: PromiseLike<unknown>): void {
    const settled: Promise<void> = Promise.resolve(result).then(
      () => void this.#pending.delete(settled),
      (error: unknown) => {
        this.#pending.delete(settled);
        this.#fail(error);
      },
    );
    this.#pending.add(settled);
  }

  #fail(error: unknown): void {
    if (this.#thrown !== undefined) return;
    this.#thrown = { error };
    this.#end(error);
  }

  /**
   * Does the work of the run.
   *
   * @throws {InterruptedError} `interrupted` — also for any error after the run was told to end;
   *   what `work` or a listener throws
   */
  async run<T>(work: (caller: Caller) => Promise<T>): Promise<T> {
    const stop = (event: Event): void => {
      const { target } = event;
      this.#end(target instanceof AbortSignal ? target.reason : undefined);
    };
    // One signal may end any number of runs at once.
    setMaxListeners(0, ...this.#signals);
    for (const signal of this.#signals) {
      if (signal.aborted) this.#end(signal.reason);
      else signal.addEventListener('abort', stop, { once: true });
    }
    try {
      this.#ending.signal.throwIfAborted();
      const result = await work(this.caller);
      await unlessAborted(Promise.all(this.#pending), this.#ending.signal);
      if (this.#thrown === undefined) return result;
      throw this.#thrown.error;
    } catch (error) {
      if (this.#thrown !== undefined) throw this.#thrown.error;
      if (this.#ending.signal.aborted && !(error instanceof InterruptedError)) {
        throw interrupted(error);
      }
      throw error;
    } finally {
      for (const signal of this.#signals) signal.removeEventListener('abort', stop);
    }
  }

  /** Ends the run. Listeners are not called any more. */
  end(): void {
    this.#end(undefined);
  }

  #end(cause: unknown): void {
    this.#ending.abort(interrupted(cause));
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
