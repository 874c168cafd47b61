/** Decides whether a command trusts its vault, by who could have written it and who named it. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { VaultError } from '../errors.ts';
import { isWindows } from '../platform.ts';
import { inside } from '../tree/local/overlap.ts';
import type { VaultConfig } from './config/config.ts';
import { foreignWriters } from './files/ownership.ts';
import { vaultFiles } from './files/vault-files.ts';

/** The list of other users' vaults that this user trusts. */
export interface SafeList {
  /** Path of the configuration file with the list, for messages. */
  readonly file: string;
  /** Absolute folders; read only when a vault needs it. */
  read(): readonly string[];
}

/**
 * Why a vault is used. `own`: nobody else could have written it. `listed`: the user trusts it,
 * although someone else could have written it. `named`: the user named it, no more.
 */
export type VaultTrust = 'own' | 'listed' | 'named';

/** A vault directory before any of it is read. */
export interface VaultCandidate {
  readonly vaultDir: string;
  /** The user named it; otherwise it was discovered. */
  readonly isNamed: boolean;
  /** Where the search started. */
  readonly folder: string;
  readonly safeList: SafeList | undefined;
}

/**
 * Decides whether a vault is used at all.
 *
 * @throws {VaultError} `vault-not-yours` — someone else could have written it, and it was only
 *   discovered
 */
export function judgeVault(candidate: VaultCandidate): VaultTrust {
  const { vaultDir, isNamed, safeList } = candidate;
  const objection = objectionTo(candidate);
  if (objection === undefined) return 'own';
  if (isListed(vaultDir, safeList)) return 'listed';
  if (isNamed) return 'named';
  throw notYours(objection, vaultDir, safeList);
}

/** The error for a vault that is not used because someone else could have written it. */
export function notYours(
  objection: string,
  vaultDir: string,
  safeList: SafeList | undefined,
): VaultError {
  return new VaultError('vault-not-yours', `this vault is not used: ${objection}`, {
    hint: `Its configuration could run programs as you. ${remedy(vaultDir, safeList)}`,
    facts: { vaultDir },
  });
}

function remedy(vaultDir: string, safeList: SafeList | undefined): string {
  const place = safeList?.file ?? "the user's config.toml";
  const list = `safe_vaults = [${JSON.stringify(folderOf(vaultDir))}]`;
  return `If it is yours, correct its owner and mode (chown, chmod go-w). If you trust everyone who can write it, put this line at the top of ${place}: ${list}`;
}

/** The folder that contains `.ecsync`: people know a vault by it. */
function folderOf(vaultDir: string): string {
  return path.basename(vaultDir) === '.ecsync' ? path.dirname(vaultDir) : vaultDir;
}

/** A sentence about the first part of a vault that someone else could have written. */
function objectionTo({ vaultDir, folder }: VaultCandidate): string | undefined {
  if (isWindows) return objectionOnWindows(vaultDir, folder);
  const link = fs.lstatSync(vaultDir, { throwIfNoEntry: false });
  // A symlink has no mode of its own, but whoever created it chose the vault for this folder.
  if (link?.isSymbolicLink() === true) {
    const reason = foreignWriters({ uid: link.uid, gid: link.gid, mode: 0 });
    if (reason !== undefined) return `the link ${vaultDir} ${reason}`;
  }
  for (const part of [vaultDir, vaultFiles(vaultDir).config]) {
    const stats = statIfAny(part);
    const reason = stats === undefined ? undefined : foreignWriters(stats);
    if (reason !== undefined) return `${part} ${reason}`;
  }
  return undefined;
}

/** Ignores errors: whatever reads the file later refuses or reports them. */
function statIfAny(file: string): fs.Stats | undefined {
  try {
    return fs.statSync(file);
  } catch {
    return undefined;
  }
}

/**
 * On Windows Node does not know the owner of a file. Every user may create folders in the root of a
 * drive, but not in another user's profile. So a vault above the current folder must be in the
 * profile.
 */
function objectionOnWindows(vaultDir: string, folder: string): string | undefined {
  const isHere = path.dirname(vaultDir) === folder || vaultDir === folder;
  const inProfile = inside(os.homedir(), vaultDir) ?? '';
  if (isHere || inProfile !== '') return undefined;
  return `${vaultDir} is above the current folder and outside your profile, where others may create folders`;
}

function isListed(vaultDir: string, safeList: SafeList | undefined): boolean {
  const places = [vaultDir, folderOf(vaultDir)].map(realPath);
  return safeList?.read().some((listed) => places.includes(realPath(listed))) ?? false;
}

/** The path with symlinks resolved, so that two names of one folder are equal. */
function realPath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}

/**
 * Refuses the configuration of a vault that was only named, and that someone else could have
 * written, when it tells ecsync to run, read or call something as this user.
 *
 * @throws {VaultError} `vault-orders-foreign`
 */
export function refuseRiskySettings(
  config: VaultConfig,
  vaultDir: string,
  safeList: SafeList | undefined,
): void {
  const settings = riskySettingsOf(config);
  if (settings.length === 0) return;
  const { config: file } = vaultFiles(vaultDir);
  const message = `${file} could have been written by another user, so these settings are refused: ${settings.join(', ')}`;
  throw new VaultError('vault-orders-foreign', message, {
    hint: `These lines run programs or read files as you. ${remedy(vaultDir, safeList)}`,
    facts: { vaultDir },
  });
}

/** The keys that make ecsync run a program, read a file of the user, or call an address. */
function riskySettingsOf(config: VaultConfig): string[] {
  const { hooks, log_file: logFile, notify, password, push, remotes, source } = config;
  const found: string[] = [];
  const note = (key: string, value: unknown): void => {
    if (value !== undefined) found.push(key);
  };
  note('source', source);
  note('log_file', logFile);
  note('[password] command', password?.command);
  for (const key of ['before', 'after', 'on_error'] as const) note(`[hooks] ${key}`, hooks?.[key]);
  note('[notify] healthcheck', notify?.healthcheck);
  for (const key of ['rsh', 'rsync_path'] as const) note(`[push] ${key}`, push?.[key]);
  for (const { name, push: own, daemon_password_file: file } of remotes) {
    note(`daemon_password_file of ${name}`, file);
    for (const key of ['rsh', 'rsync_path'] as const) note(`${key} of ${name}`, own?.[key]);
  }
  return found;
}
