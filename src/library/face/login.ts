/** Answers questions of a login: by the program that uses the library, or by the configuration. */
import type { LoginQuestions } from '../../sync/reach/destination-options.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import { readDaemonPasswordFile } from '../../vault/password/password.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Caller } from '../caller.ts';
import { daemonPasswordFileOf } from '../daemon-password.ts';
import type { CheckedQuestions } from './answers.ts';

/**
 * Converts the answers to the form that logins use.
 *
 * @internal
 */
export function questionsFor(
  caller: Caller,
  questions: CheckedQuestions,
  place: { readonly vault?: VaultFrame | undefined; readonly destination: Destination },
): LoginQuestions {
  const { askHostKey, askPassword, askPassphrase, daemonPassword } = questions;
  const { vault, destination } = place;
  return {
    ...(askHostKey && { askHostKey }),
    ...(askPassword && { askPassword }),
    ...(askPassphrase && { askPassphrase }),
    daemonPassword: async () => {
      const file = vault && daemonPasswordFileOf(caller, vault, destination);
      if (file !== undefined) return readDaemonPasswordFile(file, caller);
      const given = await daemonPassword?.();
      return given === undefined ? undefined : Buffer.from(given);
    },
  };
}
