/** The vaults of this user on this machine: a list of paths, for an overview. It is no part of any vault. */
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
/** More than anybody has; what is used longest ago goes first. */
const VAULTS_MAX = 1000;

const schema = v.object({ version: v.literal(1), vaults: v.array(v.string()) });

/**
 * Where the list is: `~/.local/state/ecsync/vaults.json` (`XDG_STATE_HOME`),
 * `%LOCALAPPDATA%\ecsync\vaults.json` on Windows. It need not exist.
 */
export function knownVaultsFile(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const told = environment[platform === 'win32' ? 'LOCALAPPDATA' : 'XDG_STATE_HOME'];
  const isTold = told !== undefined && path.isAbsolute(told);
  const home = platform === 'win32' ? ['AppData', 'Local'] : ['.local', 'state'];
  const folder = isTold ? told : path.join(os.homedir(), ...home);
  return path.join(folder, 'ecsync', 'vaults.json');
}

/**
 * Absolute vault directories, the longest known first; without a list there are none.
 *
 * @throws {UsageError} `known-vaults-unreadable` — also a list that somebody else could have written
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
    hint: 'Remove it: each vault is noted again at its next push.',
  });
}

/**
 * Notes a vault. That fails without a word: nothing but an overview depends on it. A home folder that is not
 * there, or that is another user's (sudo may leave HOME as it is), gets no list.
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
    // A list that cannot be read or written is told of by the command that shows it.
  }
}

/** Replaces the list. */
export function writeKnownVaults(file: string, vaults: readonly string[]): void {
  const text = `${JSON.stringify({ version: 1, vaults }, undefined, 2)}\n`;
  replaceCacheFile(file, Buffer.from(text), FILE_MODE);
}

/** Whether the folder, or the nearest one above that is there, is this user's, and not above the home. */
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
