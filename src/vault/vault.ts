import { createHash, timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { PasswordError, UsageError, VaultError } from '../errors.ts';
import { deriveSubKey, KeyInfo } from '../gocryptfs/keys.ts';
import { parseConfig, readConfigText, type VaultConfig } from './config.ts';
import { pathKind } from './path-kind.ts';

/** Name of the vault directory inside its source folder. */
export const VAULT_DIR_NAME = '.ecsync';

/** An opened vault: its files were read and checked, nothing is locked or decrypted. */
export interface Vault {
  /** Absolute path of the source folder. */
  readonly source: string;
  /** Absolute path of `.ecsync/` or of what stands for it. */
  readonly vaultDir: string;
  readonly config: VaultConfig;
  /** `gocryptfs.conf`, byte for byte; its digest is the pinned one. */
  readonly confBytes: Uint8Array;
  /** Modification time of `gocryptfs.conf` in whole seconds. */
  readonly confMtimeSec: number;
}

/** Where a vault is looked for. */
export interface VaultPlace {
  /** Absolute folder to start from: `-C`, or the current folder. */
  readonly folder: string;
  /** Absolute path from `--vault-dir` or `ECSYNC_DIR`; nothing is searched then. */
  readonly vaultDir?: string;
}

/** Absolute paths of the files of a vault directory. */
export function vaultFiles(vaultDir: string): Readonly<Record<'config' | 'conf' | 'lock', string>> {
  return {
    config: path.join(vaultDir, 'config.toml'),
    conf: path.join(vaultDir, 'gocryptfs.conf'),
    lock: path.join(vaultDir, 'lock'),
  };
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
 * @throws {VaultError} `no-vault`, `vault-incomplete`, `conf-changed`, `source-missing`
 * @throws {UsageError} `config-unreadable`, `config-invalid`, `config-unknown-key`
 */
export function openVault(place: VaultPlace): Vault {
  const vaultDir = findVaultDir(place);
  const files = vaultFiles(vaultDir);
  if (!isFile(files.config)) throw incomplete(vaultDir, 'config.toml');
  const config = parseConfig(readConfigText(files.config), files.config);
  const source = sourceOf(vaultDir, config);
  const { confBytes, confMtimeSec } = readConf(vaultDir);
  if (createHash('sha256').update(confBytes).digest('hex') !== config.conf_sha256) {
    throw new VaultError(
      'conf-changed',
      `${files.conf} is not the one this vault was made with (its digest differs from conf_sha256)`,
      {
        hint: `Put the original back, for example from the copy at a remote. If you changed it on purpose, write its SHA-256 into ${files.config}.`,
      },
    );
  }
  return { source, vaultDir, config, confBytes, confMtimeSec };
}

function readConf(vaultDir: string): { confBytes: Uint8Array; confMtimeSec: number } {
  const file = vaultFiles(vaultDir).conf;
  if (!isFile(file)) throw incomplete(vaultDir, 'gocryptfs.conf');
  try {
    const confBytes = fs.readFileSync(file);
    return { confBytes, confMtimeSec: Math.floor(fs.statSync(file).mtimeMs / 1000) };
  } catch (error) {
    throw new VaultError('vault-unreadable', `cannot read ${file}`, {
      hint: 'Run ecsync as the user who made the vault.',
      cause: error,
    });
  }
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
 */
export function assertMasterkey(vault: Vault, masterkey: Uint8Array): void {
  const { key_check: wanted } = vault.config;
  if (wanted === undefined) return;
  if (timingSafeEqual(Buffer.from(keyCheckOf(masterkey)), Buffer.from(wanted))) return;
  throw new PasswordError('wrong-masterkey', 'this is not the master key of this vault', {
    hint: 'Compare it with the recovery sheet.',
  });
}
