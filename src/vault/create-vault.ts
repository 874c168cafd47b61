import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { UsageError, VaultError } from '../errors.ts';
import { syncFolder, writeNewFile } from './atomic-write.ts';
import { formatNewConfig } from './config-edit.ts';
import { pathKind } from './path-kind.ts';
import { keyCheckOf, VAULT_DIR_NAME, vaultFiles } from './vault.ts';

/** Where a new vault goes. */
export interface NewVaultPlace {
  /** Absolute path of the source folder; made when absent. */
  readonly source: string;
  /** Absolute path of a vault directory outside the source. Absent: `.ecsync/` in the source. */
  readonly vaultDir?: string;
}

/**
 * Refuses a place where no vault can be made, before anybody is asked for a password.
 *
 * @returns the vault directory to be
 * @throws {VaultError} `vault-exists`, `inside-vault-dir`
 * @throws {UsageError} `not-a-folder`
 */
export function checkNewVault(place: NewVaultPlace): string {
  const vaultDir = place.vaultDir ?? path.join(place.source, VAULT_DIR_NAME);
  for (const folder of [place.source, path.dirname(vaultDir)]) assertOutsideVaultDirs(folder);
  if (pathKind(vaultDir) !== 'absent') {
    throw new VaultError('vault-exists', `there is already a vault: ${vaultDir}`, {
      hint: 'Use it as it is, or choose another folder. Deleting it makes its remote copies unreadable without the recovery sheet.',
    });
  }
  const kind = pathKind(place.source);
  if (kind !== 'folder' && kind !== 'absent') {
    throw new UsageError('not-a-folder', `${place.source} is not a folder`, {
      hint: 'Name the folder that is to be copied.',
    });
  }
  return vaultDir;
}

function assertOutsideVaultDirs(folder: string): void {
  for (let above = path.resolve(folder); ; above = path.dirname(above)) {
    const { config, conf } = vaultFiles(above);
    if (pathKind(config) === 'file' && pathKind(conf) === 'file') {
      throw new VaultError('inside-vault-dir', `${folder} is inside the vault directory ${above}`, {
        hint: 'Choose a folder outside it.',
      });
    }
    if (path.dirname(above) === above) return;
  }
}

/**
 * Makes a vault in one step: its directory is written beside its final place and renamed, so there
 * is a whole vault or none.
 *
 * @returns the vault directory
 * @throws {VaultError} `vault-exists`, `inside-vault-dir`, `vault-not-written`
 * @throws {UsageError} `not-a-folder`
 */
export function createVault(
  place: NewVaultPlace,
  key: { confBytes: Uint8Array; masterkey: Uint8Array },
): string {
  const vaultDir = checkNewVault(place);
  try {
    fs.mkdirSync(place.source, { recursive: true });
    fs.mkdirSync(path.dirname(vaultDir), { recursive: true });
    removeLeftovers(vaultDir);
    const draft = `${vaultDir}.init-${process.pid}`;
    try {
      writeDraft(draft, place, key);
      fs.renameSync(draft, vaultDir);
    } catch (error) {
      fs.rmSync(draft, { recursive: true, force: true });
      throw error;
    }
    syncFolder(path.dirname(vaultDir));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new VaultError('vault-not-written', `cannot make ${vaultDir}: ${reason}`, {
      hint: 'Check that the folder can be written to, or name another place with --vault-dir.',
      cause: error,
    });
  }
  return vaultDir;
}

function writeDraft(
  draft: string,
  place: NewVaultPlace,
  key: { confBytes: Uint8Array; masterkey: Uint8Array },
): void {
  fs.mkdirSync(draft, { mode: 0o700 });
  fs.mkdirSync(path.join(draft, 'index'), { mode: 0o700 });
  fs.mkdirSync(path.join(draft, 'log'), { mode: 0o700 });
  const files = vaultFiles(draft);
  const config = formatNewConfig({
    confSha256: createHash('sha256').update(key.confBytes).digest('hex'),
    keyCheck: keyCheckOf(key.masterkey),
    ...(place.vaultDir === undefined ? {} : { source: place.source }),
  });
  writeNewFile(files.config, config, 0o600);
  writeNewFile(files.conf, key.confBytes, 0o400);
  syncFolder(draft);
}

/** Drafts of an `init` that was killed. One that is still being written is left alone. */
function removeLeftovers(vaultDir: string): void {
  const prefix = `${path.basename(vaultDir)}.init-`;
  for (const name of fs.readdirSync(path.dirname(vaultDir))) {
    if (!name.startsWith(prefix) || !/^[0-9]+$/.test(name.slice(prefix.length))) continue;
    try {
      process.kill(Number(name.slice(prefix.length)), 0);
    } catch {
      // No such process. (One of another user does not write here.)
      fs.rmSync(path.join(path.dirname(vaultDir), name), { recursive: true, force: true });
    }
  }
}
