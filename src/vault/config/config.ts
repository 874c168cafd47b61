/** Reads and checks a vault's `config.toml`. */
import fs from 'node:fs';
import * as v from 'valibot';
import { UsageError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { FEATURE_FLAGS, type FeatureFlag } from '../../gocryptfs/conf/feature-flags.ts';
import { LONG_NAME_MAX_DEFAULT, LONG_NAME_MAX_READ_LEAST } from '../../gocryptfs/format/limits.ts';
import { describeIssue, parseTomlText } from './config-issue.ts';
import {
  pushSchema,
  SHARED_KEYS,
  sharedEntries,
  type PushTable,
  type SharedTables,
} from './config-tables.ts';
import { flag, text } from './config-values.ts';
import { foreignWriters } from '../files/ownership.ts';
import { PASSWORD_KEYS, passwordSchema, type PasswordTable } from './password-table.ts';

/** The settings of a remote in `.ecsync/config.toml`. */
export interface RemoteConfig {
  readonly name: string;
  /** Text of a destination, as the user wrote it. */
  readonly url: string;
  /**
   * A file whose first line is the password of the rsync daemon there. Relative to the folder of
   * `config.toml`; `~/` is the home folder.
   */
  readonly daemon_password_file?: string | undefined;
  /** False: a plain mirror of the folder, not encrypted. Absent: true. */
  readonly encrypt?: boolean | undefined;
  /** Takes precedence over the vault's own `[push]`. */
  readonly push?: PushTable | undefined;
}

/** The content of `.ecsync/config.toml`, checked. */
export interface VaultConfig extends SharedTables {
  readonly version: 1;
  /**
   * The conf, when it is not `gocryptfs.conf` beside this file; relative to the folder of this
   * file.
   */
  readonly conf?: string | undefined;
  /** SHA-256 of the conf, 64 lower-case hex digits. */
  readonly conf_sha256: string;
  /** Proof of the master key, made by {@link keyCheckOf}; absent in hand-made vaults. */
  readonly key_check?: string | undefined;
  /** SHA-256 of what `readAdopted` returns; absent: nothing was adopted, or an older ecsync did. */
  readonly adopted_sha256?: string | undefined;
  /** The conf's feature flags, so that a lost conf can be recreated. */
  readonly flags?: readonly FeatureFlag[] | undefined;
  /** The conf's `LongNameMax`, when it has one. */
  readonly long_name_max?: number | undefined;
  /** Identities and nonces are those of `gocryptfs -reverse`. Absent: ecsync's own. */
  readonly layout?: 'reverse' | undefined;
  /**
   * Only with layout `reverse`: how much later the mtimes of virtual files are than their objects'.
   */
  readonly reverse_time_shift_sec?: 0 | 10 | undefined;
  /** Source folder, absolute; only in a vault directory outside its source. */
  readonly source?: string | undefined;
  /** As in the machine-wide configuration. */
  readonly constant_time?: boolean | undefined;
  /** Like `--log-file`; relative to the folder of this file. */
  readonly log_file?: string | undefined;
  /** The source of the password when nobody types it. */
  readonly password?: PasswordTable | undefined;
  /** In the order written; the first is the default. */
  readonly remotes: readonly RemoteConfig[];
}

const remoteName = v.pipe(
  v.string('must be a text in quotes'),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be 1 to 64 letters, digits, dots, dashes and underscores, and start with a letter or digit',
  ),
);

const hex = (digits: number): v.GenericSchema<string> =>
  v.pipe(
    v.string('must be a text in quotes'),
    v.regex(new RegExp(`^[0-9a-f]{${digits}}$`), `must be ${digits} hex digits`),
  );

const longNameMax = `must be a whole number from ${LONG_NAME_MAX_READ_LEAST} to ${LONG_NAME_MAX_DEFAULT}`;

const configSchema = v.strictObject({
  version: v.literal(1, 'must be 1: a newer ecsync wrote this vault, or it was edited'),
  conf: v.optional(text),
  conf_sha256: hex(64),
  key_check: v.optional(hex(32)),
  adopted_sha256: v.optional(hex(64)),
  flags: v.optional(
    v.array(
      v.picklist(FEATURE_FLAGS, 'must be a feature flag of gocryptfs.conf'),
      'must be a list of texts',
    ),
  ),
  long_name_max: v.optional(
    v.pipe(
      v.number(longNameMax),
      v.integer(longNameMax),
      v.minValue(LONG_NAME_MAX_READ_LEAST, longNameMax),
      v.maxValue(LONG_NAME_MAX_DEFAULT, longNameMax),
    ),
  ),
  layout: v.optional(v.literal('reverse', 'must be "reverse", or left out')),
  reverse_time_shift_sec: v.optional(v.picklist([0, 10], 'must be 0 or 10')),
  source: v.optional(text),
  constant_time: v.optional(flag),
  log_file: v.optional(text),
  password: v.optional(passwordSchema),
  ...sharedEntries,
  remotes: v.optional(
    v.array(
      v.strictObject(
        {
          name: remoteName,
          url: text,
          daemon_password_file: v.optional(text),
          encrypt: v.optional(v.boolean('must be true or false')),
          push: v.optional(pushSchema),
        },
        'must be a table: [[remotes]]',
      ),
      'must be written as [[remotes]]',
    ),
    [],
  ),
});

const KNOWN_KEYS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(configSchema.entries),
  password: PASSWORD_KEYS,
  remotes: ['name', 'url', 'daemon_password_file', 'encrypt', 'push'],
  'remotes.push': SHARED_KEYS['push'] ?? [],
  ...SHARED_KEYS,
};

/** Whether a remote may have this name: 1 to 64 of `A-Z a-z 0-9 . _ -`, no dot or dash first. */
function isRemoteName(name: string): boolean {
  return v.is(remoteName, name);
}

/** @throws {UsageError} `remote-name-invalid` */
export function assertRemoteName(name: string): void {
  if (isRemoteName(name)) return;
  throw new UsageError('remote-name-invalid', `'${name}' cannot be the name of a remote`, {
    hint: 'Use 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first.',
  });
}

/**
 * Parses the text of a `config.toml`.
 *
 * @param shownFile - path of the file, for messages
 * @throws {UsageError} `config-invalid` — not TOML, or a wrong value; `config-unknown-key`
 */
export function parseConfig(tomlText: string, shownFile: string): VaultConfig {
  const result = v.safeParse(configSchema, parseTomlText(tomlText, shownFile));
  if (!result.success) throw describeIssue(result.issues[0], shownFile, KNOWN_KEYS);
  const names = new Set<string>();
  for (const { name } of result.output.remotes) {
    if (names.has(name)) {
      throw new UsageError('config-invalid', `${shownFile}: the remote '${name}' appears twice`, {
        hint: 'Give one of them another name.',
      });
    }
    names.add(name);
  }
  assertShape(result.output, shownFile);
  return result.output;
}

/** Checks the keys that depend on other keys. */
function assertShape(config: VaultConfig, shownFile: string): void {
  const needed: readonly (readonly [boolean, string, string])[] = [
    [
      config.reverse_time_shift_sec !== undefined && config.layout !== 'reverse',
      '\'reverse_time_shift_sec\' is given without layout = "reverse"',
      'Remove it.',
    ],
    [
      config.flags !== undefined &&
        (config.long_name_max !== undefined) !== config.flags.includes('LongNameMax'),
      "'long_name_max' and the flag LongNameMax belong together",
      'Copy both from gocryptfs.conf.',
    ],
    [
      config.long_name_max !== undefined && config.flags === undefined,
      "'long_name_max' is given without 'flags'",
      'Copy both from gocryptfs.conf.',
    ],
  ];
  for (const [isWrong, message, hint] of needed) {
    if (isWrong) throw new UsageError('config-invalid', `${shownFile}: ${message}`, { hint });
  }
}

/** A configuration has a few KiB; anything larger is another kind of file. */
const CONFIG_LENGTH_MAX = 1024 * 1024;

/** A configuration file that was read. */
export interface ConfigFile {
  readonly text: string;
  /**
   * Why someone else could have written it, as the end of a sentence; see {@link foreignWriters}.
   */
  readonly foreignWriters: string | undefined;
}

/**
 * Reads a configuration file, and finds out who could have written it.
 *
 * @throws {UsageError} `config-unreadable` — also when it is not a regular file, or longer than 1
 *   MiB
 */
export function readConfigFile(file: string): ConfigFile {
  let fd: number | undefined;
  try {
    // A pipe must not block. (O_NONBLOCK is absent on Windows.)
    fd = fs.openSync(file, fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK || 0));
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) throw unreadable(file, 'it is not a file');
    if (stats.size > CONFIG_LENGTH_MAX) throw unreadable(file, 'it is too long');
    return { text: fs.readFileSync(fd, 'utf8'), foreignWriters: foreignWriters(stats) };
  } catch (error) {
    throw error instanceof UsageError ? error : unreadable(file, reasonOf(error), error);
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

function unreadable(file: string, reason: string, cause?: unknown): UsageError {
  return new UsageError('config-unreadable', `cannot read ${file}: ${reason}`, {
    hint: 'Check the path and its permissions.',
    cause,
  });
}

/**
 * The text of a `config.toml`, whoever wrote it: to display or edit it, not to apply it.
 *
 * @throws {UsageError} `config-unreadable`
 */
export function readConfigText(file: string): string {
  return readConfigFile(file).text;
}
