/** The names of the files of a vault directory. */
import fs from 'node:fs';
import path from 'node:path';
import { CONF_NAME } from '../../gocryptfs/names/names.ts';
import { errnoOf } from '../../platform.ts';

/** The files of a vault directory. */
export type VaultFile = 'config' | 'conf' | 'newConf' | 'lock' | 'adopted';

/** Absolute paths of the files of a vault directory. */
export function vaultFiles(vaultDir: string): Readonly<Record<VaultFile, string>> {
  return {
    config: path.join(vaultDir, 'config.toml'),
    conf: path.join(vaultDir, CONF_NAME),
    newConf: path.join(vaultDir, `${CONF_NAME}.new`),
    lock: path.join(vaultDir, 'lock'),
    adopted: path.join(vaultDir, 'adopted'),
  };
}

/**
 * Makes a folder directly in a vault directory, unless it is there. The vault directory itself must
 * exist: when it has gone, its disk may not be mounted any more.
 */
export function makeFolderInVault(folder: string): void {
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}
