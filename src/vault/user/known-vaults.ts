/**
 * The list of this user's vaults on this machine, for an overview. It does not belong to any vault.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as v from 'valibot';
import { UsageError } from '../../errors.ts';
import { replaceCacheFile } from '../files/atomic-write.ts';
import { readConfigFile } from '../config/config.ts';
import { pathKind } from '../files/path-kind.ts';

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** More than anyone has; the least recently added ones are dropped first. */
const VAULTS_MAX = 1000;

const schema = v.object({ version: v.literal(1), vaults: v.array(v.string()) });

/**
 * Path of the list: `~/.local/state/ecsync/vaults.json` (`XDG_STATE_HOME`),
 * `%LOCALAPPDATA%\ecsync\vaults.json` on Windows. The file may be missing.
 */
export function knownVaultsFile(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const configured = environment[platform === 'win32' ? 'LOCALAPPDATA' : 'XDG_STATE_HOME'];
  const isConfigured = configured !== undefined && path.isAbsolute(configured);
  const home = platform === 'win32' ? ['AppData', 'Local'] : ['.local', 'state'];
  const folder = isConfigured ? configured : path.join(os.homedir(), ...home);
  return path.join(folder, 'ecsync', 'vaults.json');
}

/**
 * Absolute vault directories, oldest entry first; none without a list.
 *
 * @throws {UsageError} `known-vaults-unreadable` — also for a list that someone else could have
 *   written
 */
export function readKnownVaults(file: string): readonly string[] {
  if (pathKind(file) === 'absent') return [];
  const { text, foreignWriters } = readConfigFile(file);
  if (foreignWriters !== undefined) throw unreadable(file, `it ${foreignWriters}`);
  const result = v.safeParse(schema, tryJson(text));
  if (!result.success) throw unreadable(file, 'it is damaged');
  return result.output.vaults.filter((vaultDir) => path.isAbsolute(vaultDir));
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(file: string, why: string): UsageError {
  return new UsageError('known-vaults-unreadable', `${file} is not read: ${why}`, {
    hint: 'Remove it: each vault is listed again at its next push.',
  });
}

/**
 * Adds a vault to the list. Failures are silent, since only an overview depends on it. A home
 * folder that is missing or belongs to another user (sudo may leave HOME unchanged) gets no list.
 */
export function rememberVault(file: string, vaultDir: string): void {
  try {
    const real = fs.realpathSync(vaultDir);
    const known = readKnownVaults(file);
    if (known.includes(real)) return;
    if (!isOwnPlace(path.dirname(file))) return;
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: FOLDER_MODE });
    writeKnownVaults(file, [...known, real].slice(-VAULTS_MAX));
  } catch {
    // The command that shows the list reports why it cannot be read or written.
  }
}

/** Replaces the list. */
export function writeKnownVaults(file: string, vaults: readonly string[]): void {
  const text = `${JSON.stringify({ version: 1, vaults }, undefined, 2)}\n`;
  replaceCacheFile(file, Buffer.from(text), FILE_MODE);
}

/**
 * Whether the folder, or its nearest existing parent below the home folder, belongs to this user.
 */
function isOwnPlace(folder: string): boolean {
  const stats = fs.statSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) {
    const parent = path.dirname(folder);
    const isHome = folder === os.homedir() || parent === folder;
    return !isHome && isOwnPlace(parent);
  }
  const uid = process.geteuid?.();
  return uid === undefined || stats.uid === uid;
}
