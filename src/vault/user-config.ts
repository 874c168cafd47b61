import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as v from 'valibot';
import { describeIssue, parseTomlText } from './config-issue.ts';
import { readConfigText } from './config.ts';
import { SHARED_KEYS, sharedEntries, type SharedTables } from './config-tables.ts';

/** What the machine-wide `config.toml` may say: defaults for all vaults of this user. */
export type UserConfig = SharedTables;

const userSchema = v.strictObject({
  version: v.optional(v.literal(1, 'must be 1: it is meant for a newer ecsync')),
  ...sharedEntries,
});

const KNOWN_KEYS = { '': Object.keys(userSchema.entries), ...SHARED_KEYS };

/**
 * Where the machine-wide configuration of this user is: `~/.config/ecsync/config.toml`
 * (`XDG_CONFIG_HOME`), `%APPDATA%\ecsync\config.toml` on Windows. It need not exist.
 */
export function userConfigFile(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const told = environment[platform === 'win32' ? 'APPDATA' : 'XDG_CONFIG_HOME'];
  const isTold = told !== undefined && path.isAbsolute(told);
  const home = platform === 'win32' ? ['AppData', 'Roaming'] : ['.config'];
  const folder = isTold ? told : path.join(os.homedir(), ...home);
  return path.join(folder, 'ecsync', 'config.toml');
}

/**
 * Reads the machine-wide configuration; without a file it says nothing.
 *
 * @throws {UsageError} `config-unreadable`, `config-invalid`, `config-unknown-key`
 */
export function readUserConfig(file: string): UserConfig {
  if (!isThere(file)) return {};
  const parsed = parseTomlText(readConfigText(file), file);
  const result = v.safeParse(userSchema, parsed);
  if (!result.success) throw describeIssue(result.issues[0], file, KNOWN_KEYS);
  const { push, hooks, notify, status } = result.output;
  return { push, hooks, notify, status };
}

/** What cannot be looked at counts as there: reading it will say why not. */
function isThere(file: string): boolean {
  try {
    return fs.statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ENOTDIR');
  }
}
