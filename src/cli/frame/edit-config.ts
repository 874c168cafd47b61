/** Edits a vault's `config.toml` under a lock, so that no concurrent edit is lost. */
import { removeTemporaries, replaceFile } from '../../vault/files/atomic-write.ts';
import { readConfigText } from '../../vault/config/config.ts';
import { acquireLock } from '../../vault/lock/lock.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import { findVaultDir, readVaultFrame } from '../../vault/vault.ts';
import type { Host } from './host.ts';
import type { CommonOptions } from './options.ts';
import { placeOf } from './place.ts';
import { DONE, type CommandResult } from './report.ts';

/**
 * Rewrites a vault's `config.toml` under a lock of its own, so that no concurrent edit is lost.
 *
 * @param edit - returns the new text; if it is unchanged, nothing is written
 * @throws as `readVaultFrame` and `acquireLock`, and what `edit` throws
 */
export function editConfig(
  host: Host,
  options: CommonOptions,
  edit: (text: string, file: string) => string,
): CommandResult {
  const place = placeOf(host, options);
  readVaultFrame(place);
  const file = vaultFiles(findVaultDir(place)).config;
  const lock = acquireLock(`${file}.lock`);
  try {
    const text = readConfigText(file);
    const edited = edit(text, file);
    removeTemporaries(file);
    if (edited !== text) replaceFile(file, edited, 0o600);
  } finally {
    lock.release();
  }
  return DONE;
}
