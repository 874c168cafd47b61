/** The names of the files of a vault directory. */
import path from 'node:path';
import { CONF_NAME } from '../../gocryptfs/names/names.ts';

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
