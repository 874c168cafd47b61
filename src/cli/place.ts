import path from 'node:path';
import { UsageError } from '../errors.ts';
import { pathKind } from '../vault/path-kind.ts';
import {
  openVault,
  openVaultFrame,
  type Vault,
  type VaultFrame,
  type VaultPlace,
} from '../vault/vault.ts';
import type { Host } from './host.ts';
import type { CommonOptions } from './options.ts';

/**
 * The folder that `-C` names: every relative path of the command line starts there.
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

/** The vault directory of `--vault-dir` or `ECSYNC_DIR`, absolute, if any was told. */
export function vaultDirOf(host: Host, options: CommonOptions): string | undefined {
  const told = options.vaultDir ?? host.environment['ECSYNC_DIR'];
  return told === undefined || told === '' ? undefined : path.resolve(host.folder, told);
}

/** Where the vault of a command is looked for. */
export function placeOf(host: Host, options: CommonOptions): VaultPlace {
  const vaultDir = vaultDirOf(host, options);
  return { folder: host.folder, ...(vaultDir === undefined ? {} : { vaultDir }) };
}

/** Opens the vault a command works on; errors as {@link openVault}. */
export function openVaultOf(host: Host, options: CommonOptions): Vault {
  return openVault(placeOf(host, options));
}

/** The same for a command that can do without the conf; errors as {@link openVaultFrame}. */
export function openVaultFrameOf(host: Host, options: CommonOptions): VaultFrame {
  return openVaultFrame(placeOf(host, options));
}
