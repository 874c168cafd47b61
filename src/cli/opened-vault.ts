import type { OpenVault } from '../sync/push.ts';
import { readAdopted } from '../vault/adopted.ts';
import type { Vault, VaultFrame } from '../vault/vault.ts';
import { InheritedIndex } from '../view/inherited.ts';

const PERMISSION_BITS = 0o7777;

/** How a vault's view is made, beside its conf and key. */
export type VaultView = Pick<OpenVault, 'derivation' | 'virtualTimes' | 'inherited'>;

/**
 * @throws {VaultError} `vault-unreadable`, and every code of `InheritedIndex.decode`
 */
export function viewOf(vault: VaultFrame): VaultView {
  const adopted = readAdopted(vault.vaultDir);
  return {
    derivation: vault.derivation,
    virtualTimes: vault.virtualTimes,
    ...(adopted === undefined ? {} : { inherited: InheritedIndex.decode(adopted) }),
  };
}

/**
 * A vault as a push takes it. The conf of a `gocryptfs -reverse` shows with its own owner, mode and
 * time, as stock shows it.
 *
 * @throws {VaultError} as {@link viewOf}
 */
export function openedVault(vault: Vault, masterkey: OpenVault['masterkey']): OpenVault {
  const { confBytes, confMtimeSec, confMtimeNsec, confMode, confUid, confGid } = vault;
  const isInSource = vault.config.conf !== undefined;
  return {
    confBytes,
    confMtimeSec,
    ...(isInSource && { confMtimeNsec, confMode: confMode & PERMISSION_BITS, confUid, confGid }),
    masterkey,
    ...viewOf(vault),
  };
}
