/**
 * Replaces the conf of a vault, to change its password. Two files change: the conf, and its digest
 * in `config.toml`. Their order ensures that a vault interrupted anywhere opens with the old
 * password or with the new one:
 *
 *     1. the new conf is written beside the old one, read back and tried (`stageConf`)
 *     2. `config.toml` pins the new one: from here on it is valid  (`commitConf`)
 *     3. the conf is replaced   4. the copy beside it is removed   (`settleConf`)
 *
 * Each is one step on the disk. After an interruption between 2 and 4 the pinned conf is beside its
 * final place, and the next run that holds the lock finishes the change.
 */
import fs from 'node:fs';
import { FileError } from '../errors.ts';
import { reasonOf } from '../system-errors.ts';
import { removeTemporaries, replaceFile } from './files/atomic-write.ts';
import { setConfDigest } from './config/config-edit.ts';
import { parseConfig, readConfigText } from './config/config.ts';
import { sweepLeftovers } from './files/leftovers.ts';
import { acquireLock } from './lock/lock.ts';
import { confDigest, readConfFile, type StoredConf } from './stored-conf.ts';
import type { VaultFrame } from './vault.ts';
import { vaultFiles } from './files/vault-files.ts';

const CONF_MODE = 0o400;

/**
 * Writes a new conf beside the vault's own and reads it back.
 *
 * @param mtimeSec - its mtime, if it has one already
 *
 * @param vault - the caller holds its lock
 * @returns the bytes that were read back
 * @throws as {@link settleConf}
 */
export function stageConf(
  vault: VaultFrame,
  confBytes: Uint8Array,
  mtimeSec: number = laterThan(vault),
): Uint8Array {
  const { newConf } = vaultFiles(vault.vaultDir);
  settleConf(vault);
  return writing(newConf, () => {
    removeTemporaries(newConf);
    replaceFile(newConf, confBytes, CONF_MODE, mtimeSec);
    return fs.readFileSync(newConf);
  });
}

/** Now, but at least a second later than the replaced conf: rsync compares whole seconds. */
function laterThan({ storedConf }: VaultFrame): number {
  return Math.max(Math.floor(Date.now() / 1000), (storedConf?.mtimeSec ?? 0) + 1);
}

/**
 * Makes the staged conf the vault's own.
 *
 * @param vault - the caller holds its lock
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
 * Finishes an interrupted change of the conf, if there is one, and removes temporary files of
 * killed runs.
 *
 * @param vault - the caller holds its lock
 * @throws {FileError} `conf-not-written`
 * @throws {VaultError} `vault-unreadable`
 * @throws {UsageError} every code of `parseConfig`, `config-unreadable`
 */
export function settleConf(vault: Pick<VaultFrame, 'vaultDir' | 'confFile'>): void {
  const { newConf, config } = vaultFiles(vault.vaultDir);
  sweepLeftovers(vault.vaultDir);
  const staged = readConfFile(newConf);
  if (staged === undefined) return;
  // Read it again: the vault may have been opened before the lock was taken.
  const { conf_sha256: pinned } = parseConfig(readConfigText(config), config);
  writing(vault.confFile, () => {
    if (confDigest(staged.bytes) === pinned) publish(vault.confFile, staged);
    fs.rmSync(newConf, { force: true });
  });
}

function publish(confFile: string, { bytes, mtimeSec }: StoredConf): void {
  removeTemporaries(confFile);
  replaceFile(confFile, bytes, CONF_MODE, mtimeSec);
}

function writing<T>(file: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw new FileError('conf-not-written', `cannot write ${file}: ${reasonOf(error)}`, {
      hint: 'Check the space on this disk and the permissions of the folder. The vault opens with the old password, or with the new one.',
      cause: error,
    });
  }
}
