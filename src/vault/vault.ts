/** Finds a vault and reads its files. */
import { timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { PasswordError, UsageError, VaultError } from '../errors.ts';
import { reasonOf } from '../system-errors.ts';
import { deriveSubKey, KeyInfo } from '../gocryptfs/cipher/sub-keys.ts';
import type { Derivation } from '../gocryptfs/layout.ts';
import { parseConfig, readConfigFile, type VaultConfig } from './config/config.ts';
import { pathKind } from './files/path-kind.ts';
import { readStoredConf, type StoredConf } from './stored-conf.ts';
import { vaultFiles } from './files/vault-files.ts';
import {
  refuseRiskySettings,
  judgeVault,
  notYours,
  type SafeList,
  type VaultTrust,
} from './vault-trust.ts';

/** Name of the vault directory inside its source folder. */
export const VAULT_DIR_NAME = '.ecsync';

/** A vault whose configuration was read and checked; its conf may be lost. */
export interface VaultFrame {
  /** Absolute path of the source folder. */
  readonly source: string;
  /** Absolute path of `.ecsync/`, or of a vault directory elsewhere. */
  readonly vaultDir: string;
  readonly config: VaultConfig;
  /** Absolute path of the conf: in the vault directory, or the one of `gocryptfs -reverse`. */
  readonly confFile: string;
  /** The conf, unless it is lost. */
  readonly storedConf?: StoredConf;
  /** Where identities and nonces come from. */
  readonly derivation: Derivation;
  /** mtimes of diriv and `.name` files: constant, or their objects' mtimes plus a shift. */
  readonly virtualTimes: 'fixed' | { readonly shiftSec: 0 | 10 };
}

/** A vault whose files were read and checked; nothing is locked or decrypted. */
export type StoredVault = VaultFrame & { readonly storedConf: StoredConf };

/** Where to look for a vault. */
export interface VaultPlace {
  /** Absolute folder to start from: `-C`, or the current folder. */
  readonly folder: string;
  /** Absolute path from `--vault-dir` or `ECSYNC_DIR`; then there is no search. */
  readonly vaultDir?: string;
  /**
   * The user named `folder`: a vault directly in it counts as named, one above it as discovered.
   */
  readonly isNamed?: boolean;
  /** `vaultDir` comes from a list, so the vault counts as discovered. */
  readonly isRemembered?: boolean;
  /** Vaults of other users that this user trusts; absent: none. */
  readonly safeList?: SafeList;
  /** Search beyond the file system of `folder`. */
  readonly crossesFileSystems?: boolean;
}

/** Variable for {@link VaultPlace.crossesFileSystems}, named like git's own. */
export const CROSS_FILE_SYSTEMS_VARIABLE = 'ECSYNC_DISCOVERY_ACROSS_FILESYSTEM';

interface FoundVault {
  readonly vaultDir: string;
  readonly trust: VaultTrust;
}

/**
 * The vault directory for a folder: the named one, or the nearest `.ecsync/` in the folder or above
 * it on the same file system. A vault that someone else could have written must be named, or
 * trusted by the user's configuration.
 *
 * @throws {VaultError} `no-vault`, `vault-not-yours`
 * @throws {UsageError} as reading the user's configuration
 */
export function findVaultDir(place: VaultPlace): string {
  return findVault(place).vaultDir;
}

function findVault(place: VaultPlace): FoundVault {
  const { folder, safeList } = place;
  const { vaultDir, isNamed } = lookForVault(place);
  return { vaultDir, trust: judgeVault({ vaultDir, isNamed, folder, safeList }) };
}

function lookForVault(place: VaultPlace): { vaultDir: string; isNamed: boolean } {
  if (place.vaultDir !== undefined) {
    if (isFile(vaultFiles(place.vaultDir).config)) {
      return { vaultDir: place.vaultDir, isNamed: place.isRemembered !== true };
    }
    throw noVault(place.vaultDir);
  }
  const device = deviceOf(place.folder);
  for (let folder = place.folder; ; folder = path.dirname(folder)) {
    const vaultDir = path.join(folder, VAULT_DIR_NAME);
    if (pathKind(vaultDir) === 'folder') {
      return { vaultDir, isNamed: place.isNamed === true && folder === place.folder };
    }
    const parent = path.dirname(folder);
    if (parent === folder) break;
    if (place.crossesFileSystems !== true && deviceOf(parent) !== device) {
      throw noVault(place.folder, folder);
    }
  }
  throw noVault(place.folder);
}

/** Number of the file system; undefined when the folder cannot be examined. */
function deviceOf(folder: string): number | undefined {
  try {
    return fs.statSync(folder).dev;
  } catch {
    return undefined;
  }
}

/**
 * Finds and reads a vault.
 *
 * @throws {VaultError} `no-vault`, `vault-not-yours`, `vault-orders-foreign`, `vault-incomplete`,
 *   `conf-changed`, `vault-unreadable`, `source-missing`
 * @throws {UsageError} `config-unreadable`, `config-invalid`, `config-unknown-key`
 */
export function readVault(place: VaultPlace): StoredVault {
  const vault = readVaultFrame(place);
  if (hasConf(vault)) return vault;
  throw new VaultError('vault-incomplete', `${vault.confFile} is missing`, {
    hint: 'Copy it from any remote. Or recreate it with the recovery key: ecsync key passwd --masterkey=stdin',
  });
}

/** Whether the conf of a vault exists. */
export function hasConf(vault: VaultFrame): vault is StoredVault {
  return vault.storedConf !== undefined;
}

/** How often a vault is read again while its password is being changed. */
const READS_MAX = 3;

/**
 * The same for commands that can work without the conf: a lost conf is left out.
 *
 * @throws {VaultError} `no-vault`, `vault-not-yours`, `vault-orders-foreign`, `vault-incomplete` —
 *   without `config.toml`; `conf-changed`, `vault-unreadable`, `source-missing`
 * @throws {UsageError} `config-unreadable`, `config-invalid`, `config-unknown-key`
 */
export function readVaultFrame(place: VaultPlace): VaultFrame {
  const { vaultDir, trust } = findVault(place);
  const files = vaultFiles(vaultDir);
  if (!isFile(files.config)) throw incomplete(vaultDir, 'config.toml');
  for (let reads = 1; ; reads++) {
    const config = readTrusted(files.config, vaultDir, trust, place.safeList);
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
      ...(stored !== undefined && { storedConf: stored }),
    };
  }
}

/** The folder was examined by its path; this examines the file once more when it is open. */
function readTrusted(
  file: string,
  vaultDir: string,
  trust: VaultTrust,
  safeList: SafeList | undefined,
): VaultConfig {
  const { text, foreignWriters } = readConfigFile(file);
  if (trust === 'own' && foreignWriters !== undefined) {
    throw notYours(`${file} ${foreignWriters}`, vaultDir, safeList);
  }
  const config = parseConfig(text, file);
  if (trust === 'named') refuseRiskySettings(config, vaultDir, safeList);
  return config;
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
  // When the vault is elsewhere, nothing in the folder shows that its disk is mounted.
  if (isEmpty(source)) throw sourceMissing(source, 'is empty');
  return source;
}

function isEmpty(source: string): boolean {
  try {
    return fs.readdirSync(source).length === 0;
  } catch (error) {
    throw sourceMissing(source, `cannot be listed: ${reasonOf(error)}`);
  }
}

function sourceMissing(source: string, what: string): VaultError {
  return new VaultError('source-missing', `the source folder ${source} ${what}`, {
    hint: 'Is its disk mounted?',
  });
}

/**
 * @param border - the topmost folder that was searched, when the search ended at a file system
 * border
 */
function noVault(folder: string, border?: string): VaultError {
  if (pathKind(folder) === 'absent') {
    return new VaultError('no-vault', `no vault here: there is no folder ${folder}`, {
      hint: 'Check the path.',
    });
  }
  const stopped =
    border === undefined
      ? ''
      : ` The search ended at ${border}, where another file system begins. To search beyond it, set ${CROSS_FILE_SYSTEMS_VARIABLE}=1.`;
  return new VaultError('no-vault', `no vault here: ${folder}`, {
    hint: `Make one with \`ecsync init\`, or name one with -C DIR.${stopped}`,
  });
}

function incomplete(vaultDir: string, missing: string): VaultError {
  return new VaultError('vault-incomplete', `${vaultDir} has no ${missing}`, {
    hint: 'Restore it from a backup of this folder. gocryptfs.conf is also at every remote.',
  });
}

/** Whether the file exists. If it cannot be examined, the answer is yes: reading it reports why. */
function isFile(candidate: string): boolean {
  const kind = pathKind(candidate);
  return kind === 'file' || kind === 'hidden';
}

/**
 * A short proof of a master key that may be written down: 16 bytes of HKDF-SHA256 with a label of
 * its own, as hex. The key itself is 32 random bytes and cannot be derived from it.
 */
export function keyCheckOf(masterkey: Uint8Array): string {
  return deriveSubKey(masterkey, KeyInfo.ecsyncKeyCheck, 16).export().toString('hex');
}

/**
 * Refuses a master key that does not belong to this vault, before anything is encrypted with it.
 *
 * @throws {PasswordError} `wrong-masterkey`
 * @throws {VaultError} `key-check-missing` — both conf and `key_check` are missing
 */
export function assertMasterkey(vault: VaultFrame, masterkey: Uint8Array): void {
  const { key_check: wanted } = vault.config;
  if (wanted === undefined) {
    if (hasConf(vault)) return;
    throw new VaultError('key-check-missing', 'nothing shows whether this is the right key', {
      hint: 'config.toml has no key_check. Copy gocryptfs.conf from any remote and use the password.',
    });
  }
  if (timingSafeEqual(Buffer.from(keyCheckOf(masterkey)), Buffer.from(wanted))) return;
  throw new PasswordError('wrong-masterkey', 'this is not the master key of this vault', {
    hint: 'Compare it with the recovery sheet.',
  });
}
