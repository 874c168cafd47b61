/** Ends a wait when a signal comes, with a typed error. */
import { InterruptedError } from '../errors.ts';

/** @returns `cause` itself if it is an InterruptedError already */
export function interrupted(cause: unknown): InterruptedError {
  if (cause instanceof InterruptedError) return cause;
  return new InterruptedError('interrupted', 'interrupted', { cause });
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
