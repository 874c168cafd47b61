/** Assembles what a push, a plan or a verification of one copy needs beside its settings. */
import type { LoginQuestions } from '../sync/reach/destination-options.ts';
import { openedVault, type OpenVault } from '../sync/push/opened-vault.ts';
import type { PushSurroundings } from '../sync/push/push.ts';
import { pushMemory } from '../sync/push/memory/vault-memory.ts';
import type { PushReporter } from '../sync/push/source/push-settings.ts';
import { NOT_ENCRYPTED, type PeerSettings } from '../sync/run-settings.ts';
import type { Destination } from '../vault/destination/destination.ts';
import { isMirror } from '../vault/destination/remote-destination.ts';
import type { StoredVault } from '../vault/vault.ts';
import type { Caller } from './caller.ts';
import { EarlyLogin } from './early-login.ts';

/**
 * Opens the key of a vault. Resolves as soon as no more questions or reads are needed.
 *
 * @param beforeAsking - await this before asking for the password: it logs in, which may first ask
 *   the user about an unknown host
 */
export type UnlockVault = (
  beforeAsking: () => Promise<void>,
) => Promise<{ readonly masterkey: Promise<Buffer> }>;

/** A vault, a copy of it, and what opens both. */
export interface KeyedRun {
  readonly vault: StoredVault;
  readonly destination: Destination;
  readonly peer: PeerSettings;
  readonly questions: LoginQuestions;
  readonly reporter: PushReporter;
  readonly unlock: UnlockVault;
}

/**
 * Calls `work` with the vault's key and everything else it needs. The key may still be pending: the
 * login begins while scrypt runs in a thread. The key is overwritten at the end. A mirror needs no
 * key, and no password is asked for.
 *
 * @throws as `unlock`, `openedVault`; what `work` throws
 */
export async function withKeyedVault<T>(
  caller: Caller,
  { vault, destination, peer, questions, reporter, unlock }: KeyedRun,
  work: (vault: OpenVault | typeof NOT_ENCRYPTED, surroundings: PushSurroundings) => Promise<T>,
): Promise<T> {
  const form = isMirror(caller, vault, destination.shown) ? 'mirror' : 'encrypted';
  const { signal } = caller;
  const around = { reporter, signal, ...pushMemory(vault, destination, form), questions };
  if (form === 'mirror') return work(NOT_ENCRYPTED, around);
  const login = new EarlyLogin(caller, { destination, peer, questions });
  const { masterkey } = await unlock(() => login.start()).catch(async (error: unknown) => {
    await login.end();
    throw error;
  });
  try {
    return await work(openedVault(vault, masterkey), { ...around, loggedIn: () => login.take() });
  } finally {
    await login.end();
    await masterkey.then(
      (key) => key.fill(0),
      () => undefined, // there is no key to overwrite
    );
  }
}
