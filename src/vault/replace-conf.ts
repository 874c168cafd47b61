/**
 * Another conf takes the place of a vault's: for another password. Two files change, the conf and
 * the digest of it in `config.toml`, in an order in which a vault that is cut off anywhere opens
 * with the old password or with the new one:
 *
 *     1. the new conf is written beside the old one, read back and tried (`stageConf`)
 *     2. `config.toml` pins the new one: from here on it counts    (`commitConf`)
 *     3. the conf is replaced   4. the copy beside it is removed   (`settleConf`)
 *
 * Each is one step on the disk. After a cut between 2 and 4 the pinned conf is found beside its
 * place, and the next run that holds the lock finishes.
 */
import fs from 'node:fs';
import { FileError } from '../errors.ts';
import { removeTemporaries, replaceFile } from './atomic-write.ts';
import { setConfDigest } from './config-edit.ts';
import { parseConfig, readConfigText } from './config.ts';
import { acquireLock } from './lock.ts';
import { confDigest, readConfFile, type StoredConf } from './stored-conf.ts';
import type { VaultFrame } from './vault.ts';
import { vaultFiles } from './vault-files.ts';

const CONF_MODE = 0o400;

/**
 * Writes a new conf beside the vault's own and reads it back.
 *
 * Its time is later than the old one's by a second or more: rsync compares no finer.
 *
 * @param vault - its lock is held
 * @returns what was read
 * @throws as {@link settleConf}
 */
export function stageConf(vault: VaultFrame, confBytes: Uint8Array): Uint8Array {
  const { newConf } = vaultFiles(vault.vaultDir);
  const nowSec = Math.floor(Date.now() / 1000);
  const mtimeSec = Math.max(nowSec, (vault.confMtimeSec ?? 0) + 1);
  settleConf(vault);
  return writing(newConf, () => {
    removeTemporaries(newConf);
    replaceFile(newConf, confBytes, CONF_MODE, mtimeSec);
    return fs.readFileSync(newConf);
  });
}

/**
 * Makes the staged conf the vault's own.
 *
 * @param vault - its lock is held
 * @throws {FileError} `conf-not-written`, `lock-failed`
 * @throws {LockedError} `locked` — `config.toml` is being edited
 * @throws {UsageError} `config-unreadable`, `config-edit`
 */
export function commitConf(vault: VaultFrame, staged: Uint8Array): void {
  const { config } = vaultFiles(vault.vaultDir);
  const lock = acquireLock(`${config}.lock`);
  try {
    const text = setConfDigest(readConfigText(config), config, confDigest(staged));
    writing(config, () => {
      removeTemporaries(config);
      replaceFile(config, text, 0o600);
    });
  } finally {
    lock.release();
  }
  settleConf(vault);
}

/**
 * Finishes a change of the conf that was cut off, if there is one.
 *
 * @param vault - its lock is held
 * @throws {FileError} `conf-not-written`
 * @throws {VaultError} `vault-unreadable`
 * @throws {UsageError} every code of `parseConfig`, `config-unreadable`
 */
export function settleConf(vault: Pick<VaultFrame, 'vaultDir' | 'confFile'>): void {
  const { newConf, config } = vaultFiles(vault.vaultDir);
  const staged = readConfFile(newConf);
  if (staged === undefined) return;
  // Read again: the vault may have been opened before the lock was held.
  const { conf_sha256: pinned } = parseConfig(readConfigText(config), config);
  writing(vault.confFile, () => {
    if (confDigest(staged.confBytes) === pinned) publish(vault.confFile, staged);
    fs.rmSync(newConf, { force: true });
  });
}

function publish(confFile: string, { confBytes, confMtimeSec }: StoredConf): void {
  removeTemporaries(confFile);
  replaceFile(confFile, confBytes, CONF_MODE, confMtimeSec);
}

function writing<T>(file: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new FileError('conf-not-written', `cannot write ${file}: ${reason}`, {
      hint: 'Check the space on this disk and the permissions of the folder. The vault opens as before, or with the new password.',
      cause: error,
    });
  }
}
