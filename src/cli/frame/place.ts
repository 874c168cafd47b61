/** Locates and opens the vault of a command. */
import path from 'node:path';
import { FileError, UsageError, VaultError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { knownVaultsFile, rememberVault } from '../../vault/user/known-vaults.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import { safeListOf } from '../../vault/user/user-config.ts';
import {
  CROSS_FILE_SYSTEMS_VARIABLE,
  readVaultFrame,
  type VaultFrame,
  type VaultPlace,
} from '../../vault/vault.ts';
import type { Host } from './host.ts';
import type { CommonOptions } from './options.ts';

/**
 * The folder that `-C` names. Every relative path of the command line starts there.
 *
 * @throws {UsageError} `not-a-folder`
 */
export function folderOf(current: string, options: CommonOptions): string {
  const folder = path.resolve(current, options.C ?? '.');
  if (pathKind(folder) === 'folder') return folder;
  throw new UsageError('not-a-folder', `-C: ${folder} is not a folder`, {
    hint: 'Name an existing folder.',
  });
}

/**
 * Makes a folder the current folder of this process.
 *
 * @throws {FileError} `folder-not-entered`
 */
export function enterFolder(folder: string): void {
  try {
    process.chdir(folder);
  } catch (error) {
    throw new FileError('folder-not-entered', `cannot enter ${folder}: ${reasonOf(error)}`, {
      hint: 'Check its permissions, or run as a user who may enter it.',
      cause: error,
    });
  }
}

/** The vault directory of `--vault-dir` or `ECSYNC_DIR`, absolute, if one was given. */
export function vaultDirOf(host: Host, options: CommonOptions): string | undefined {
  const told = options.vaultDir ?? host.environment['ECSYNC_DIR'];
  return told === undefined || told === '' ? undefined : path.resolve(host.folder, told);
}

/** Where the vault of a command is searched. */
export function placeOf(host: Host, options: CommonOptions): VaultPlace {
  const vaultDir = vaultDirOf(host, options);
  return {
    folder: host.folder,
    isNamed: options.C !== undefined,
    safeList: safeListOf(host.environment, host.platform),
    crossesFileSystems: isSet(host.environment[CROSS_FILE_SYSTEMS_VARIABLE]),
    ...(vaultDir === undefined ? {} : { vaultDir }),
  };
}

function isSet(variable: string | undefined): boolean {
  return !['', '0', 'false', 'no', 'off'].includes(variable?.toLowerCase() ?? '');
}

/** The place of a vault in the user's list. Being in the list does not make a vault trusted. */
export function rememberedPlace(host: Host, vaultDir: string): VaultPlace {
  const safeList = safeListOf(host.environment, host.platform);
  return { folder: vaultDir, vaultDir, isRemembered: true, safeList };
}

/** Adds a vault to the list of `status --all-vaults`. */
export function noteVault({ environment, platform }: Host, vaultDir: string): void {
  rememberVault(knownVaultsFile(environment, platform), vaultDir);
}

/**
 * What `read` returns for a vault. Undefined if there is no vault, and none was named by its
 * directory.
 */
export function ofVaultIfAny<T>(host: Host, options: CommonOptions, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const isAbsent = error instanceof VaultError && error.code === 'no-vault';
    if (isAbsent && vaultDirOf(host, options) === undefined) return undefined;
    throw error;
  }
}

/** Reads the vault of a command that does not need the conf. Errors as {@link readVaultFrame}. */
export function readVaultFrameOf(host: Host, options: CommonOptions): VaultFrame {
  return readVaultFrame(placeOf(host, options));
}
