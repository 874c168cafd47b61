/** Waits for a key that a thread derives from a password. */
import type { Host } from '../frame/host.ts';

/**
 * Waits for a derivation unless the run is interrupted. The thread cannot be stopped, so it is
 * abandoned when the process ends.
 *
 * @throws {InterruptedError} `interrupted`; what the derivation throws
 */
export async function untilInterrupted<T>(
  { signal, derivations }: Pick<Host, 'signal' | 'derivations'>,
  derivation: Promise<T>,
): Promise<T> {
  derivations.add(derivation);
  const forget = (): void => void derivations.delete(derivation);
  derivation.then(forget, forget);
  let stop = (): void => undefined;
  const interrupted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([derivation, interrupted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
