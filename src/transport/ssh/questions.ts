/** The questions of a login by ssh: they end with it, and a failed one ends it. */
import type { SshOptions } from './options.ts';

/**
 * Options whose questions end when the login ends. An error of a question ends the login: its
 * signal then has this error as its reason. Else ssh would try the next key or the next method.
 */
export function withEndingQuestions<Options extends SshOptions>(
  options: Options,
): Options & { readonly signal: AbortSignal } {
  const failing = new AbortController();
  const signal = AbortSignal.any([failing.signal, ...(options.signal ? [options.signal] : [])]);
  const ended = endOf(signal);
  const ending =
    <Q, T>(ask: (question: Q) => Promise<T>) =>
    async (question: Q): Promise<T> => {
      try {
        return await Promise.race([ask(question), ended]);
      } catch (error) {
        failing.abort(error);
        throw error;
      }
    };
  const { askPassphrase, askPassword, askHostKey } = options;
  return {
    ...options,
    signal,
    ...(askPassphrase && { askPassphrase: ending(askPassphrase) }),
    ...(askPassword && { askPassword: ending(askPassword) }),
    ...(askHostKey && { askHostKey: ending(askHostKey) }),
  };
}

/** A promise that is rejected with the reason of a signal. Nobody need wait for it. */
function endOf(signal: AbortSignal): Promise<never> {
  const ended = new Promise<never>((_resolve, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
  ended.catch(() => undefined);
  return ended;
}
