/** Answers questions of a login: by the program that uses the library, or by the configuration. */
import type { LoginQuestions } from '../../sync/reach/destination-options.ts';
import type { UnknownHost } from '../../transport/ssh/options.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import { readDaemonPasswordFile } from '../../vault/password/password.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Caller } from '../caller.ts';
import { daemonPasswordFileOf } from '../daemon-password.ts';

/** Answers questions of a login. If one is absent, the login tries without it, or fails. */
export interface Questions {
  /** Whether to trust an unknown host. Its key is then recorded in `known_hosts`. */
  readonly askHostKey?: (host: UnknownHost) => Promise<boolean>;
  /** Answers a prompt of an ssh server, usually for a password. Undefined: there is no answer. */
  readonly askPassword?: (prompt: string) => Promise<string | undefined>;
  /** The passphrase of a key file. Undefined: the key is not used. */
  readonly askPassphrase?: (keyFile: string) => Promise<string | undefined>;
  /** The password of an rsync daemon, if the vault's configuration names no file with it. */
  readonly daemonPassword?: () => Promise<string | Uint8Array | undefined>;
}

/**
 * Converts the answers to the form that logins use.
 *
 * @internal
 */
export function questionsFor(
  caller: Caller,
  questions: Questions,
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
