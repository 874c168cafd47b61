/** The machine-wide configuration of the user. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as v from 'valibot';
import { UsageError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { describeIssue, parseTomlText } from '../config/config-issue.ts';
import { readConfigFile } from '../config/config.ts';
import { SHARED_KEYS, sharedEntries, type SharedTables } from '../config/config-tables.ts';
import { flag, text } from '../config/config-values.ts';
import { pathFrom } from '../password/password.ts';
import type { SafeList } from '../vault-trust.ts';

/** The content of the machine-wide `config.toml`: defaults for all vaults of this user. */
export interface UserConfig extends SharedTables {
  /**
   * Folders of vaults that other users could have written, but that this user trusts; `~/` is home.
   */
  readonly safe_vaults?: readonly string[] | undefined;
  /** Use no code whose duration depends on keys: others run programs on this processor, too. */
  readonly constant_time?: boolean | undefined;
  /** Like `--log-file`; relative to the folder of this file. */
  readonly log_file?: string | undefined;
}

const userSchema = v.strictObject({
  version: v.optional(v.literal(1, 'must be 1: it is meant for a newer ecsync')),
  safe_vaults: v.optional(v.array(text, 'must be a list of folders')),
  constant_time: v.optional(flag),
  log_file: v.optional(text),
  ...sharedEntries,
});

const KNOWN_KEYS = { '': Object.keys(userSchema.entries), ...SHARED_KEYS };

/**
 * Path of this user's machine-wide configuration: `~/.config/ecsync/config.toml`
 * (`XDG_CONFIG_HOME`), `%APPDATA%\ecsync\config.toml` on Windows. The file may be missing.
 */
export function userConfigFile(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const configured = environment[platform === 'win32' ? 'APPDATA' : 'XDG_CONFIG_HOME'];
  const isConfigured = configured !== undefined && path.isAbsolute(configured);
  const home = platform === 'win32' ? ['AppData', 'Roaming'] : ['.config'];
  const folder = isConfigured ? configured : path.join(os.homedir(), ...home);
  return path.join(folder, 'ecsync', 'config.toml');
}

/**
 * Reads the machine-wide configuration; empty without a file.
 *
 * @throws {UsageError} `config-not-yours` — someone else could have written it;
 *   `config-unreadable`, `config-invalid`, `config-unknown-key`
 */
export function readUserConfig(file: string): UserConfig {
  if (!exists(file)) return {};
  const { text: tomlText, foreignWriters } = readConfigFile(file);
  if (foreignWriters !== undefined) {
    throw new UsageError('config-not-yours', `${file} is not read: it ${foreignWriters}`, {
      hint: 'Its [hooks] and rsh could run programs as you. It must belong to you or root, and nobody else may be able to write it (chown, chmod go-w).',
    });
  }
  const parsed = parseTomlText(tomlText, file);
  const result = v.safeParse(userSchema, parsed);
  if (!result.success) throw describeIssue(result.issues[0], file, KNOWN_KEYS);
  return result.output;
}

/** `safe_vaults` of this user, read on demand. */
export function safeListOf(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform): SafeList {
  const file = userConfigFile(environment, platform);
  return {
    file,
    read: () =>
      (readUserConfig(file).safe_vaults ?? []).map((folder) =>
        pathFrom(path.dirname(file), folder),
      ),
  };
}

/** Whether the file exists. If it cannot be examined, the answer is yes: reading it reports why. */
function exists(file: string): boolean {
  try {
    return fs.statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    return errnoOf(error) !== 'ENOTDIR';
  }
}
