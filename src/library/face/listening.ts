/** One run as its caller started it: what ends it, and who hears of it. */
import { InterruptedError } from '../../errors.ts';
import { interrupted } from '../../interruption.ts';
import type { PushWarning } from '../../sync/push/source/push-settings.ts';
import type { Caller } from '../caller.ts';
import type { OptionKinds } from './given-options.ts';

/** What every long operation takes. */
export interface ListeningOptions {
  /** Ends the operation cleanly: it rejects with {@link InterruptedError} `interrupted`. */
  readonly signal?: AbortSignal;
  /** Hears of what was not done as it is, or is worth a line. Called while the operation runs. */
  readonly onWarning?: (warning: PushWarning) => void;
}

/**
 * What {@link ListeningOptions} are.
 *
 * @internal
 */
export const LISTENING_KINDS: OptionKinds = { signal: 'any', onWarning: 'listener' };

/**
 * The signals, and the listeners of one run. A listener that throws ends the run, which then rejects with
 * what was thrown: nothing of ecsync is prepared for exceptions from there.
 *
 * @internal
 */
export class Listening {
  readonly caller: Caller;
  readonly #ending = new AbortController();
  readonly #signals: readonly AbortSignal[];
  #thrown: { readonly error: unknown } | undefined;

  /** @param closing - aborted when what the run belongs to is closed */
  constructor({ signal, onWarning }: ListeningOptions, closing: AbortSignal) {
    this.#signals = signal === undefined ? [closing] : [closing, signal];
    const tell = this.hears(onWarning);
    this.caller = {
      platform: process.platform,
      signal: this.#ending.signal,
      warn: (code, message) => tell({ code, message }),
    };
  }

  /** A listener that may throw. */
  hears<Told extends readonly unknown[]>(
    listener: ((...told: Told) => void) | undefined,
  ): (...told: Told) => void {
    return (...told) => {
      try {
        if (this.#thrown === undefined) listener?.(...told);
      } catch (error) {
        this.#thrown = { error };
        this.#end(error);
      }
    };
  }

  /**
   * Does the work of the run.
   *
   * @throws {InterruptedError} `interrupted` — also whatever broke because it was to end; what `work`
   *   or a listener throws
   */
  async run<T>(work: (caller: Caller) => Promise<T>): Promise<T> {
    const stop = (event: Event): void => {
      const { target } = event;
      this.#end(target instanceof AbortSignal ? target.reason : undefined);
    };
    for (const signal of this.#signals) {
      if (signal.aborted) this.#end(signal.reason);
      else signal.addEventListener('abort', stop, { once: true });
    }
    try {
      this.#ending.signal.throwIfAborted();
      const result = await work(this.caller);
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

  /** What is under way ends, and nothing more is told of it. */
  end(): void {
    this.#end(undefined);
  }

  #end(cause: unknown): void {
    this.#ending.abort(interrupted(cause));
  }
}
