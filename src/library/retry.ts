/** Repeats an attempt after a lost connection, with growing pauses. */
import { ConnectionError, NotNowError } from '../errors.ts';
import { pause } from '../interruption.ts';
import type { Caller } from './caller.ts';
import { shownDuration } from './figures.ts';

/** Limits of retrying. */
export interface Patience {
  /** Number of retries after a lost connection. */
  readonly retries: number;
  /** Seconds for all attempts together. */
  readonly maxTimeSec?: number | undefined;
  /** A hint for a run that the time limit ended. */
  readonly hint?: string;
}

/** `--retries` and `--max-time`. */
export function patienceOf({
  retries = 0,
  maxTime,
}: {
  readonly retries?: number;
  readonly maxTime?: number;
}): Patience {
  return { retries, maxTimeSec: maxTime };
}

/** Hints for a plan and a verification that the time limit ended. */
export const PLAN_CUT_OFF = 'A plan needs more time than that.';
export const VERIFY_CUT_OFF = 'Nothing is known yet: give it more time.';

/** The hint for a push that was cut off. */
export const PUSH_GOES_ON = 'The next push continues with what is missing.';

const FIRST_DELAY_SEC = 2;
const DELAY_MAX_SEC = 300;
/** Random spread of pauses, so that clients do not reconnect at the same time. */
const SPREAD = 0.25;

/**
 * Makes an attempt, and repeats it after a lost connection. Each pause is twice as long.
 *
 * @param attempt - ends with an error when its signal aborts
 * @throws {NotNowError} `max-time` — the time is over; and whatever the last attempt threw
 * @throws {InterruptedError} `interrupted` — during a pause
 */
export async function patiently<T>(
  { signal, warn }: Pick<Caller, 'signal' | 'warn'>,
  { retries, maxTimeSec, hint = PUSH_GOES_ON }: Patience,
  attempt: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const timer =
    maxTimeSec === undefined ? undefined : setTimeout(() => over.abort(), maxTimeSec * 1000);
  const either = AbortSignal.any([signal, over.signal]);
  try {
    for (let tried = 0; ; tried++) {
      try {
        return await attempt(either);
      } catch (error) {
        if (over.signal.aborted && !signal.aborted) throw timeIsOver(maxTimeSec ?? 0, hint, error);
        if (tried >= retries || either.aborted || !(error instanceof ConnectionError)) throw error;
        const waitSec = delayBefore(tried);
        const count = `attempt ${tried + 2} of ${retries + 1}`;
        const message = `${error.message}; ${count} in ${Math.round(waitSec)} s`;
        warn('retry', message);
        await pause(waitSec * 1000, either, error);
      }
    }
  } catch (error) {
    if (over.signal.aborted && !signal.aborted) throw timeIsOver(maxTimeSec ?? 0, hint, error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** @param tried - number of failed attempts before the last one */
function delayBefore(tried: number): number {
  const whole = Math.min(DELAY_MAX_SEC, FIRST_DELAY_SEC * 2 ** tried);
  return whole * (1 + SPREAD * Math.random());
}

function timeIsOver(seconds: number, hint: string, cause: unknown): NotNowError {
  if (cause instanceof NotNowError && cause.code === 'max-time') return cause;
  return new NotNowError('max-time', `stopped after ${shownDuration(seconds)}, the --max-time`, {
    hint,
    cause,
  });
}
