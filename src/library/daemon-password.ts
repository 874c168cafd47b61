/** Finds the file with the password of an rsync daemon in a vault's configuration. */
import type { Destination } from '../vault/destination/destination.ts';
import { remotesAt } from '../vault/destination/remote-destination.ts';
import { pathFrom } from '../vault/password/password.ts';
import type { VaultFrame } from '../vault/vault.ts';
import type { Caller } from './caller.ts';

/** The file that `daemon_password_file` names for a destination. */
export function daemonPasswordFileOf(
  { platform }: Pick<Caller, 'platform'>,
  vault: Pick<VaultFrame, 'config' | 'vaultDir' | 'source'>,
  destination: Destination,
): string | undefined {
  const remote = remotesAt(vault, destination.shown, platform)
    .filter(({ name }) => name === (destination.remote ?? name))
    .find(({ daemon_password_file }) => daemon_password_file !== undefined);
  const file = remote?.daemon_password_file;
  return file === undefined ? undefined : pathFrom(vault.vaultDir, file);
}
