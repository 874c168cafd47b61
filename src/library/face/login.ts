/** Who answers when a login asks something: the program that uses the library, or the configuration. */
import type { LoginQuestions } from '../../sync/reach/destination-options.ts';
import type { UnknownHost } from '../../transport/ssh/options.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import { readDaemonPasswordFile } from '../../vault/password/password.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Caller } from '../caller.ts';
import { daemonPasswordFileOf } from '../daemon-password.ts';

/** What a login may ask. Absent: the login goes without, or fails. */
export interface Questions {
  /** Whether an unknown host is the right one; then its key is recorded in `known_hosts`. */
  readonly askHostKey?: (host: UnknownHost) => Promise<boolean>;
  /** What an ssh server wants to know, usually a password; undefined: there is none. */
  readonly askPassword?: (prompt: string) => Promise<string | undefined>;
  /** The passphrase of a key file; undefined: the key is left out. */
  readonly askPassphrase?: (keyFile: string) => Promise<string | undefined>;
  /** The password of an rsync daemon, where the vault's configuration names no file with it. */
  readonly daemonPassword?: () => Promise<string | Uint8Array | undefined>;
}

/**
 * The same as logins ask it.
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
