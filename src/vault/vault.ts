import { timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { PasswordError, UsageError, VaultError } from '../errors.ts';
import { deriveSubKey, KeyInfo } from '../gocryptfs/keys.ts';
import type { Derivation } from '../gocryptfs/layout.ts';
import { parseConfig, readConfigText, type VaultConfig } from './config.ts';
import { pathKind } from './path-kind.ts';
import { readStoredConf, type StoredConf } from './stored-conf.ts';
import { vaultFiles } from './vault-files.ts';

/** Name of the vault directory inside its source folder. */
export const VAULT_DIR_NAME = '.ecsync';

/** A vault whose configuration was read and checked; its conf may be lost. */
export interface VaultFrame extends Partial<StoredConf> {
  /** Absolute path of the source folder. */
  readonly source: string;
  /** Absolute path of `.ecsync/` or of what stands for it. */
  readonly vaultDir: string;
  readonly config: VaultConfig;
  /** Absolute path of the conf: in the vault directory, or the one of `gocryptfs -reverse`. */
  readonly confFile: string;
  /** Where identities and nonces come from. */
  readonly derivation: Derivation;
  /** The times of diriv and `.name` files: always the same, or their objects' and so much more. */
  readonly virtualTimes: 'fixed' | { readonly shiftSec: 0 | 10 };
}

/** An opened vault: its files were read and checked, nothing is locked or decrypted. */
export type Vault = VaultFrame & StoredConf;

/** Where a vault is looked for. */
export interface VaultPlace {
  /** Absolute folder to start from: `-C`, or the current folder. */
  readonly folder: string;
  /** Absolute path from `--vault-dir` or `ECSYNC_DIR`; nothing is searched then. */
  readonly vaultDir?: string;
}

/**
 * The vault directory for a folder: the one told, or the nearest `.ecsync/` in the folder or above.
 *
 * @throws {VaultError} `no-vault`
 */
export function findVaultDir(place: VaultPlace): string {
  if (place.vaultDir !== undefined) {
    if (isFile(vaultFiles(place.vaultDir).config)) return place.vaultDir;
    throw noVault(place.vaultDir);
  }
  for (let folder = place.folder; ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, VAULT_DIR_NAME);
    if (pathKind(candidate) === 'folder') return candidate;
    if (path.dirname(folder) === folder) break;
  }
  throw noVault(place.folder);
}

/**
 * Finds and reads a vault.
 *
 * @throws {VaultError} `no-vault`, `vault-incomplete`, `conf-changed`, `vault-unreadable`,
 *   `source-missing`
 * @throws {UsageError} `config-unreadable`, `config-invalid`, `config-unknown-key`
 */
export function openVault(place: VaultPlace): Vault {
  const vault = openVaultFrame(place);
  if (hasConf(vault)) return vault;
  throw new VaultError('vault-incomplete', `${vault.confFile} is missing`, {
    hint: 'Copy it from any remote. Or make it anew with the recovery key: ecsync key passwd --masterkey=stdin',
  });
}

/** Whether the conf of a vault is there. */
export function hasConf(vault: VaultFrame): vault is Vault {
  return vault.confBytes !== undefined;
}

/** How often a vault is read again that changes its password at the same moment. */
const READS_MAX = 3;

/**
 * The same for what can do without the conf: it is left out when it is lost.
 *
 * @throws {VaultError} `no-vault`, `vault-incomplete` — without `config.toml`; `conf-changed`,
 *   `vault-unreadable`, `source-missing`
 * @throws {UsageError} `config-unreadable`, `config-invalid`, `config-unknown-key`
 */
export function openVaultFrame(place: VaultPlace): VaultFrame {
  const vaultDir = findVaultDir(place);
  const files = vaultFiles(vaultDir);
  if (!isFile(files.config)) throw incomplete(vaultDir, 'config.toml');
  for (let reads = 1; ; reads++) {
    const config = parseConfig(readConfigText(files.config), files.config);
    const confFile = config.conf === undefined ? files.conf : path.resolve(vaultDir, config.conf);
    const stored = readStoredConf({ vaultDir, config, confFile });
    if (stored === 'changed') {
      if (reads < READS_MAX) continue;
      throw confChanged(confFile, files.config);
    }
    return {
      source: sourceOf(vaultDir, config),
      vaultDir,
      config,
      confFile,
      derivation: config.layout === undefined ? 'keyed' : 'reverse',
      virtualTimes:
        config.layout === undefined ? 'fixed' : { shiftSec: config.reverse_time_shift_sec ?? 10 },
      ...stored,
    };
  }
}

function confChanged(confFile: string, configFile: string): VaultError {
  return new VaultError(
    'conf-changed',
    `${confFile} is not the one this vault was made with (its digest differs from conf_sha256)`,
    {
      hint: `Put the original back, for example from the copy at a remote. If you changed it on purpose, write its SHA-256 into ${configFile}. If the original is lost, move this one elsewhere and run: ecsync key passwd --masterkey=stdin`,
    },
  );
}

function sourceOf(vaultDir: string, config: VaultConfig): string {
  if (config.source === undefined) {
    if (path.basename(vaultDir) === VAULT_DIR_NAME) return path.dirname(vaultDir);
    throw new UsageError('config-invalid', `${vaultFiles(vaultDir).config}: 'source' is missing`, {
      hint: 'A vault directory outside its source names it: source = "/absolute/folder".',
    });
  }
  const source = path.resolve(vaultDir, config.source);
  if (pathKind(source) !== 'folder') throw sourceMissing(source, 'does not exist');
  // With the vault elsewhere nothing in the folder shows that its disk is there.
  if (fs.readdirSync(source).length === 0) throw sourceMissing(source, 'is empty');
  return source;
}

function sourceMissing(source: string, what: string): VaultError {
  return new VaultError('source-missing', `the source folder ${source} ${what}`, {
    hint: 'Is its disk mounted?',
  });
}

function noVault(folder: string): VaultError {
  return new VaultError('no-vault', `no vault here: ${folder}`, {
    hint: 'Make one with `ecsync init`, or name one with -C DIR.',
  });
}

function incomplete(vaultDir: string, missing: string): VaultError {
  return new VaultError('vault-incomplete', `${vaultDir} has no ${missing}`, {
    hint: 'Restore it from a backup of this folder. gocryptfs.conf is also at every remote.',
  });
}

/** A file that cannot be looked at counts as there: reading it will say why not. */
function isFile(candidate: string): boolean {
  const kind = pathKind(candidate);
  return kind === 'file' || kind === 'hidden';
}

/**
 * A short proof of a master key, fit to be written down: 16 bytes of HKDF-SHA256 with a label of
 * its own, as hex. The key itself is 32 random bytes and cannot be found from it.
 */
export function keyCheckOf(masterkey: Uint8Array): string {
  return deriveSubKey(masterkey, KeyInfo.ecsyncKeyCheck, 16).export().toString('hex');
}

/**
 * Refuses a master key that is not this vault's, before anything is encrypted with it.
 *
 * @throws {PasswordError} `wrong-masterkey`
 * @throws {VaultError} `key-check-missing` — neither conf nor `key_check` is there
 */
export function assertMasterkey(vault: VaultFrame, masterkey: Uint8Array): void {
  const { key_check: wanted } = vault.config;
  if (wanted === undefined) {
    if (hasConf(vault)) return;
    throw new VaultError('key-check-missing', 'nothing tells whether this is the right key', {
      hint: 'config.toml has no key_check. Copy gocryptfs.conf from any remote and use the password.',
    });
  }
  if (timingSafeEqual(Buffer.from(keyCheckOf(masterkey)), Buffer.from(wanted))) return;
  throw new PasswordError('wrong-masterkey', 'this is not the master key of this vault', {
    hint: 'Compare it with the recovery sheet.',
  });
}
