/** A vault with its key: everything that a push, a plan or a verification needs of it. */
import type { Derivation } from '../../gocryptfs/layout.ts';
import { readAdopted } from '../../vault/adopted.ts';
import type { StoredConf } from '../../vault/stored-conf.ts';
import type { StoredVault, VaultFrame } from '../../vault/vault.ts';
import { InheritedIndex, type Inherited } from '../../view/inherited.ts';
import type { ConfFile, VirtualTimes } from '../../view/encrypt/virtual-files.ts';

const PERMISSION_BITS = 0o7777;

/** How a vault's files look in its copy, beside conf and key. */
export interface VaultView {
  readonly derivation: Derivation;
  readonly virtualTimes: VirtualTimes;
  /** Identities that an adopted copy keeps. */
  readonly inherited?: Inherited;
}

/**
 * An opened vault. A push with only a part of one would damage its copy: without the inherited
 * identities it would replace the directory IVs of the copy, and everything stored under them would
 * be lost. So stored vaults are opened only by {@link openedVault}.
 */
export interface OpenVault extends VaultView {
  /** Absolute path of the folder that this vault belongs to. */
  readonly source: string;
  /** Absolute path of its vault directory, which may not exist yet. */
  readonly vaultDir: string;
  /** The conf as it is pushed. */
  readonly conf: ConfFile;
  /** 32 bytes. May be a promise, so that the login can begin before the key is derived. */
  readonly masterkey: Uint8Array | Promise<Uint8Array>;
}

/**
 * @throws {VaultError} `vault-unreadable`, and every code of `InheritedIndex.decode`
 */
export function viewOf(vault: VaultFrame): VaultView {
  const adopted = readAdopted(vault);
  return {
    derivation: vault.derivation,
    virtualTimes: vault.virtualTimes,
    ...(adopted === undefined ? {} : { inherited: InheritedIndex.decode(adopted) }),
  };
}

/**
 * A stored vault with its key.
 *
 * @param masterkey - of this vault; the caller overwrites it
 * @throws {VaultError} as {@link viewOf}
 */
export function openedVault(vault: StoredVault, masterkey: OpenVault['masterkey']): OpenVault {
  const { source, vaultDir, storedConf, config } = vault;
  const { bytes, mtimeSec } = storedConf;
  const conf = config.conf === undefined ? { bytes, mtimeSec } : shownInSource(storedConf);
  return { source, vaultDir, conf, masterkey, ...viewOf(vault) };
}

/** A conf shown by `gocryptfs -reverse` has its own owner, mode and time, as in stock gocryptfs. */
export function shownInSource(stored: StoredConf): ConfFile {
  return { ...stored, mode: stored.mode & PERMISSION_BITS };
}
