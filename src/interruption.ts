/** Ends a wait when a signal comes, with a typed error. */
import { setTimeout as delay } from 'node:timers/promises';
import { InterruptedError } from './errors.ts';

/** @returns `cause` itself if it is an InterruptedError already */
export function interrupted(cause?: unknown): InterruptedError {
  if (cause instanceof InterruptedError) return cause;
  return new InterruptedError('interrupted', 'interrupted', { cause });
}

/**
 * Waits, unless the signal comes first.
 *
 * @param cause - the failure that made the wait necessary; absent: there was none
 * @throws {InterruptedError} `interrupted`
 */
export async function pause(timeMs: number, signal: AbortSignal, cause?: unknown): Promise<void> {
  try {
    await delay(timeMs, undefined, { signal });
  } catch (aborted) {
    throw interrupted(cause ?? aborted);
  }
}

/**
 * The result of `work`, unless the signal comes first.
 *
 * @param discard - receives a result that comes after the signal
 * @throws {InterruptedError} `interrupted`; what `work` throws
 */
export function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  discard: (late: T) => void = () => undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      work.then(discard, () => undefined);
      reject(interrupted(signal.reason));
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
