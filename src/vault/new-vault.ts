/** Makes a vault in one step. */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError, VaultError } from '../errors.ts';
import { retryWhileHeld } from '../platform.ts';
import { reasonOf } from '../system-errors.ts';
import type { Conf } from '../gocryptfs/conf/config.ts';
import { syncFolder, writeNewFile } from './files/atomic-write.ts';
import type { RemoteConfig } from './config/config.ts';
import { addRemote, formatNewConfig, type NewConfig } from './config/config-edit.ts';
import { pathKind } from './files/path-kind.ts';
import { confDigest } from './stored-conf.ts';
import { keyCheckOf, VAULT_DIR_NAME } from './vault.ts';
import { vaultFiles } from './files/vault-files.ts';
import { REVERSE_CONF_NAME } from '../gocryptfs/names/names.ts';

/** The place of a new vault. */
export interface NewVaultPlace {
  /** Absolute path of the source folder; created if missing. */
  readonly source: string;
  /** Absolute path of a vault directory outside the source; absent: `.ecsync/` in the source. */
  readonly vaultDir?: string;
}

/** The content of a new vault. */
export interface NewVaultKey {
  readonly confBytes: Uint8Array;
  readonly masterkey: Uint8Array;
  /** What the conf says; recorded in the configuration, too. */
  readonly conf?: Pick<Conf, 'flags' | 'longNameMax'>;
  /** The copy is what `gocryptfs -reverse` shows; its virtual files have mtimes with this shift. */
  readonly reverse?: {
    readonly timeShiftSec: 0 | 10;
    /** The conf is the one in the source folder, and stays there. */
    readonly confInSource: boolean;
  };
  /** The copy exists already, and becomes this vault's. */
  readonly continues?: {
    readonly remote: RemoteConfig;
    /** The mtime that the copy has; another one would be transferred. */
    readonly confMtimeSec: number;
    /** Properties of the copy for `readAdopted`. */
    readonly index?: Uint8Array;
  };
}

/**
 * Refuses a place where no vault can be created, before a password is asked for.
 *
 * @returns the directory of the new vault
 * @throws {UsageError} `vault-exists`, `inside-vault-dir`, `not-a-folder`
 */
export function checkNewVault(place: NewVaultPlace): string {
  const vaultDir = place.vaultDir ?? path.join(place.source, VAULT_DIR_NAME);
  for (const folder of [place.source, path.dirname(vaultDir)]) assertOutsideVaultDirs(folder);
  if (pathKind(vaultDir) !== 'absent') {
    throw new UsageError('vault-exists', `there is already a vault: ${vaultDir}`, {
      hint: 'Use it as it is, or choose another folder. Its copies can be read without it, by their password or the recovery sheet.',
    });
  }
  const kind = pathKind(place.source);
  if (kind !== 'folder' && kind !== 'absent') {
    throw new UsageError('not-a-folder', `${place.source} is not a folder`, {
      hint: 'Name the folder to be copied.',
    });
  }
  return vaultDir;
}

function assertOutsideVaultDirs(folder: string): void {
  for (let above = path.resolve(folder); ; above = path.dirname(above)) {
    const { config, conf } = vaultFiles(above);
    const isNamed = path.basename(above) === VAULT_DIR_NAME;
    if (pathKind(config) === 'file' && (isNamed || pathKind(conf) === 'file')) {
      throw new UsageError('inside-vault-dir', `${folder} is inside the vault directory ${above}`, {
        hint: 'Choose a folder outside it.',
      });
    }
    if (path.dirname(above) === above) return;
  }
}

/**
 * Creates a vault in one step: its directory is written beside its final place and renamed, so the
 * vault is complete or absent.
 *
 * @returns the vault directory
 * @throws {VaultError} `vault-not-written`
 * @throws {UsageError} `vault-exists`, `inside-vault-dir`, `not-a-folder`
 */
export function makeVault(place: NewVaultPlace, key: NewVaultKey): string {
  const vaultDir = checkNewVault(place);
  try {
    fs.mkdirSync(place.source, { recursive: true });
    fs.mkdirSync(path.dirname(vaultDir), { recursive: true });
    removeLeftovers(vaultDir);
    const before = fs.statSync(place.source);
    const draft = `${vaultDir}.init-${process.pid}`;
    try {
      writeDraft(draft, place, key);
      retryWhileHeld(() => fs.renameSync(draft, vaultDir));
    } catch (error) {
      fs.rmSync(draft, { recursive: true, force: true });
      throw error;
    } finally {
      // The copy has the folder's mtime from before the vault was created in it.
      if (key.continues !== undefined) restoreTimes(place.source, before);
    }
    syncFolder(path.dirname(vaultDir));
  } catch (error) {
    throw notWritten(place, vaultDir, error);
  }
  return vaultDir;
}

/**
 * Restores times, rounded down to milliseconds: `stats.mtime` rounds up, and may reach the next
 * second.
 */
function restoreTimes(folder: string, { atimeMs, mtimeMs }: fs.Stats): void {
  fs.utimesSync(folder, new Date(Math.floor(atimeMs)), new Date(Math.floor(mtimeMs)));
}

function notWritten(place: NewVaultPlace, vaultDir: string, error: unknown): VaultError {
  const hint =
    place.vaultDir === undefined
      ? 'The vault of a read-only folder can be elsewhere: ecsync init --vault-dir /another/folder'
      : 'Name a writable folder with --vault-dir.';
  return new VaultError(
    'vault-not-written',
    `the vault ${vaultDir} cannot be made: ${reasonOf(error)}`,
    { hint, cause: error },
  );
}

function writeDraft(draft: string, place: NewVaultPlace, key: NewVaultKey): void {
  fs.mkdirSync(draft, { mode: 0o700 });
  fs.mkdirSync(path.join(draft, 'index'), { mode: 0o700 });
  fs.mkdirSync(path.join(draft, 'log'), { mode: 0o700 });
  const files = vaultFiles(draft);
  const { continues } = key;
  const text = formatNewConfig(newConfigOf(place, key));
  const config = continues === undefined ? text : addRemote(text, files.config, continues.remote);
  writeNewFile(files.config, config, 0o600);
  if (key.reverse?.confInSource !== true) writeConf(files.conf, key);
  if (continues?.index !== undefined) writeNewFile(files.adopted, continues.index, 0o600);
  syncFolder(draft);
}

function writeConf(file: string, { confBytes, continues }: NewVaultKey): void {
  writeNewFile(file, confBytes, 0o400);
  if (continues !== undefined) fs.utimesSync(file, continues.confMtimeSec, continues.confMtimeSec);
}

function newConfigOf(place: NewVaultPlace, key: NewVaultKey): NewConfig {
  const { conf, reverse, continues } = key;
  const isElsewhere = place.vaultDir !== undefined;
  const inSource = isElsewhere
    ? path.join(place.source, REVERSE_CONF_NAME)
    : `../${REVERSE_CONF_NAME}`;
  return {
    confSha256: confDigest(key.confBytes),
    keyCheck: keyCheckOf(key.masterkey),
    ...(continues?.index !== undefined && { adoptedSha256: confDigest(continues.index) }),
    ...(reverse?.confInSource === true && { conf: inSource }),
    ...(conf !== undefined && { flags: [...conf.flags] }),
    ...(conf?.flags.has('LongNameMax') === true && { long_name_max: conf.longNameMax }),
    ...(reverse !== undefined && {
      layout: 'reverse',
      reverse_time_shift_sec: reverse.timeShiftSec,
    }),
    ...(isElsewhere && { source: place.source }),
  };
}

/** Removes drafts of killed `init` runs, but no draft that is still being written. */
function removeLeftovers(vaultDir: string): void {
  const prefix = `${path.basename(vaultDir)}.init-`;
  for (const name of fs.readdirSync(path.dirname(vaultDir))) {
    if (!name.startsWith(prefix) || !/^[0-9]+$/.test(name.slice(prefix.length))) continue;
    try {
      process.kill(Number(name.slice(prefix.length)), 0);
    } catch {
      // There is no such process. (A process of another user does not write here.)
      fs.rmSync(path.join(path.dirname(vaultDir), name), { recursive: true, force: true });
    }
  }
}
