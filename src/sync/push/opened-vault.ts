/** A vault with its key: all that a push, a plan or a verification needs of it, put together in one place. */
import { VaultError } from '../../errors.ts';
import { parseConf } from '../../gocryptfs/conf/config.ts';
import { unlockMasterkey } from '../../gocryptfs/conf/keys.ts';
import type { Derivation } from '../../gocryptfs/layout.ts';
import { readAdopted } from '../../vault/adopted.ts';
import type { StoredConf } from '../../vault/stored-conf.ts';
import {
  assertMasterkey,
  readVault,
  type StoredVault,
  type VaultFrame,
  type VaultPlace,
} from '../../vault/vault.ts';
import { InheritedIndex, type Inherited } from '../../view/inherited.ts';
import type { ConfFile, VirtualTimes } from '../../view/encrypt/virtual-files.ts';
import type { CopyKeys } from './memory/copy-keys.ts';

const PERMISSION_BITS = 0o7777;

/** How a vault's files look in its copy, beside conf and key. */
export interface VaultView {
  readonly derivation: Derivation;
  readonly virtualTimes: VirtualTimes;
  /** What an adopted copy goes on having. */
  readonly inherited?: Inherited;
}

/** What an open vault consists of. */
export interface OpenVaultParts extends VaultView {
  /** Absolute path of the folder that this vault is for. */
  readonly source: string;
  /** Absolute path of its directory, which may not exist yet. */
  readonly vaultDir: string;
  /** The conf as it is pushed. */
  readonly conf: ConfFile;
  /** 32 bytes; may still be on its way, while the login already begins. */
  readonly masterkey: Uint8Array | Promise<Uint8Array>;
}

/**
 * An opened vault. A push with only a part of one would change its copy: without what was adopted,
 * it would replace the directory IVs of the copy, and everything stored under them would be lost.
 * So there is no way to make one from parts outside this program, and a copy of one (by spreading)
 * is none.
 */
export class OpenVault {
  readonly #parts: OpenVaultParts;

  private constructor(parts: OpenVaultParts) {
    this.#parts = parts;
  }

  /**
   * For vaults that are not stored yet; of a stored one, {@link openedVault} reads everything.
   *
   * @internal
   */
  static of(parts: OpenVaultParts): OpenVault {
    return new OpenVault(parts);
  }

  /**
   * @internal
   * @throws {VaultError} `vault-not-opened` — the object is no whole vault
   */
  static partsOf(vault: OpenVault): OpenVaultParts {
    if (typeof vault === 'object' && #parts in vault) return vault.#parts;
    throw new VaultError('vault-not-opened', 'this object is not an opened vault', {
      hint: 'Pass what unlockVault() returned, and no copy of it.',
    });
  }

  /** Absolute path of the folder that this vault is for. */
  get source(): string {
    return this.#parts.source;
  }

  /** Absolute path of its directory, usually `.ecsync/` in the source. */
  get vaultDir(): string {
    return this.#parts.vaultDir;
  }

  /** Its copy was not made by this program at first, but adopted. */
  get isAdopted(): boolean {
    return this.#parts.inherited !== undefined;
  }

  /** Overwrites the key. Nothing can be done with the vault afterwards. */
  async close(): Promise<void> {
    (await this.#parts.masterkey).fill(0);
  }

  /** What opens the copies of this vault, for `restore`. */
  get copyKeys(): CopyKeys {
    const { conf, masterkey, derivation } = this.#parts;
    const isOnlyEcsync = !this.isAdopted;
    return { conf: parseConf(conf.bytes), masterkey, derivation, isOnlyEcsync };
  }
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
 * @param masterkey - of this vault; whoever made it overwrites it
 * @throws {VaultError} as {@link viewOf}
 */
export function openedVault(vault: StoredVault, masterkey: OpenVaultParts['masterkey']): OpenVault {
  const { source, vaultDir, confBytes, confMtimeSec, config } = vault;
  const isInSource = config.conf !== undefined;
  const conf = isInSource ? shownInSource(vault) : { bytes: confBytes, mtimeSec: confMtimeSec };
  return OpenVault.of({ source, vaultDir, conf, masterkey, ...viewOf(vault) });
}

/** The conf of a `gocryptfs -reverse` shows with its own owner, mode and time, as stock shows it. */
export function shownInSource(stored: StoredConf): ConfFile {
  return {
    bytes: stored.confBytes,
    mtimeSec: stored.confMtimeSec,
    mtimeNsec: stored.confMtimeNsec,
    mode: stored.confMode & PERMISSION_BITS,
    uid: stored.confUid,
    gid: stored.confGid,
  };
}

/** What opens a vault: its password (text as UTF-8), or its master key of 32 bytes. */
export type VaultSecret =
  { readonly password: string | Uint8Array } | { readonly masterkey: Uint8Array };

/**
 * Finds a vault, reads all of it, and opens it.
 *
 * @throws {PasswordError} `wrong-password`, `wrong-masterkey`
 * @throws {VaultError} `no-vault`, `vault-not-yours`, `vault-orders-foreign`, `vault-incomplete`,
 *   `conf-changed`, `vault-unreadable`, `source-missing`, and every code of `parseConf`
 * @throws {UsageError} `config-unreadable`, `config-invalid`, `config-unknown-key`
 */
export async function unlockVault(place: VaultPlace, secret: VaultSecret): Promise<OpenVault> {
  const vault = readVault(place);
  const masterkey =
    'masterkey' in secret
      ? Buffer.from(secret.masterkey)
      : await unlockMasterkey(parseConf(vault.confBytes), Buffer.from(secret.password));
  assertMasterkey(vault, masterkey);
  return openedVault(vault, masterkey);
}
