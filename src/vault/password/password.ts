/** Reads a password or a master key from the first source that has one. */
import fs from 'node:fs';
import { Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { byteOrderMarkOf } from '../../bytes/byte-order-mark.ts';
import { PasswordError, UsageError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { reasonOf } from '../../system-errors.ts';
import { splitCommand } from './split-command.ts';
import type { VaultConfig } from '../config/config.ts';
import { FirstLine } from './first-line.ts';
import { secretExposure } from '../files/ownership.ts';
import { runPasswordCommand } from './password-command.ts';

/** What opens a vault. The caller overwrites the bytes after use. */
export type Secret =
  | { readonly kind: 'password'; readonly bytes: Buffer }
  | { readonly kind: 'masterkey'; readonly bytes: Buffer };

/** A vault's configuration of its password. */
export interface ConfiguredSecret {
  /** `[password]` */
  readonly password: VaultConfig['password'];
  /** Absolute folder for relative paths. */
  readonly folder: string;
  /** Reads the vault's password from the system's keychain. */
  readonly keychain: () => Promise<Buffer>;
  /** `$CREDENTIALS_DIRECTORY`, if set. */
  readonly credentialsFolder?: string | undefined;
}

/** All possible sources of a secret. */
export interface SecretSources {
  /** `--passfile` */
  readonly passfile?: string;
  /** `--extpass` */
  readonly extpass?: string;
  /** `--masterkey=stdin`: standard input, or a prompt when that is a terminal. */
  readonly masterkeyFrom?: Readable | (() => Promise<Buffer>);
  readonly config?: ConfiguredSecret;
  /** `ECSYNC_PASSWORD_FILE`, `ECSYNC_PASSWORD_COMMAND`, `ECSYNC_PASSWORD` */
  readonly environment: {
    readonly file?: string;
    readonly command?: string;
    readonly password?: string;
  };
  /** Asks on the terminal; absent without one. */
  readonly prompt?: () => Promise<Buffer>;
  /** Called with one line about a suspicious password file. */
  readonly warn: (code: string, message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Reads the password or master key from the first available source: options, the vault's config,
 * the environment, a prompt. As in gocryptfs, the first line counts, without its newline but with
 * any carriage return; it has at most 2048 bytes and is not empty.
 *
 * @throws {PasswordError} `password-missing`, `passfile-unreadable`, `passfile-unsafe`,
 *   `password-empty`, `password-too-long`, `password-utf16`, `password-command-failed`,
 *   `masterkey-invalid`, `credential-missing`, and those of the keychain
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 */
export async function readSecret(sources: SecretSources): Promise<Secret> {
  assertOneOption(sources);
  const { masterkeyFrom, signal } = sources;
  if (typeof masterkeyFrom === 'function') {
    return { kind: 'masterkey', bytes: parseMasterkey(await masterkeyFrom(), 'what was typed') };
  }
  if (masterkeyFrom !== undefined) {
    const where = 'standard input';
    const line = await readFirstLineOf(
      addAbortSignal(signal, masterkeyFrom),
      where,
      new FirstLine(where, 'master key', isHalfMasterkey),
    );
    return { kind: 'masterkey', bytes: parseMasterkey(line, where) };
  }
  return { kind: 'password', bytes: await readPassword(sources) };
}

function assertOneOption(sources: SecretSources): void {
  const given = [
    sources.passfile !== undefined && '--passfile',
    sources.extpass !== undefined && '--extpass',
    sources.masterkeyFrom !== undefined && '--masterkey',
  ].filter((option) => option !== false);
  if (given.length > 1) {
    throw new UsageError('conflicting-options', `${given.join(' and ')} exclude each other`, {
      hint: 'Give one of them.',
    });
  }
}

async function readPassword(sources: SecretSources): Promise<Buffer> {
  const { passfile, extpass, config, environment, signal } = sources;
  if (passfile !== undefined) return readPassfile(passfile, sources);
  if (extpass !== undefined) {
    return runPasswordCommand(splitCommand(extpass, '--extpass'), signal);
  }
  const fromConfig = await readConfigured(config, sources);
  if (fromConfig !== undefined) return fromConfig;
  if (environment.file !== undefined) return readPassfile(environment.file, sources);
  if (environment.command !== undefined) {
    const words = splitCommand(environment.command, 'ECSYNC_PASSWORD_COMMAND');
    return runPasswordCommand(words, signal);
  }
  if (environment.password !== undefined) {
    return firstLineOf(Buffer.from(environment.password), 'ECSYNC_PASSWORD');
  }
  if (sources.prompt !== undefined) return sources.prompt();
  const sourcesOfVault = '`ecsync key remember`, or [password] in .ecsync/config.toml';
  throw new PasswordError('password-missing', 'no password is given and there is no terminal', {
    hint: `Use --passfile FILE, --extpass CMD, ${config === undefined ? 'or ECSYNC_PASSWORD_FILE' : `ECSYNC_PASSWORD_FILE, ${sourcesOfVault}`}.`,
  });
}

async function readConfigured(
  config: ConfiguredSecret | undefined,
  sources: SecretSources,
): Promise<Buffer | undefined> {
  if (config === undefined) return undefined;
  const { file, command, keychain, credential } = config.password ?? {};
  if (file !== undefined) return readPassfile(pathFrom(config.folder, file), sources);
  if (credential !== undefined) return readCredential(credential, config, sources);
  if (keychain === true) return readFromKeychain(config, sources);
  if (command === undefined) return undefined;
  const words = typeof command === 'string' ? splitCommand(command, '[password] command') : command;
  const [program = '', ...rest] = words;
  return runPasswordCommand([program, ...rest], sources.signal);
}

/** Reads a systemd credential. A push by hand has none; then it asks for the password. */
async function readCredential(
  name: string,
  { credentialsFolder }: ConfiguredSecret,
  sources: SecretSources,
): Promise<Buffer> {
  if (credentialsFolder !== undefined) {
    return readPassfile(path.join(credentialsFolder, name), sources);
  }
  if (sources.prompt !== undefined) return sources.prompt();
  throw new PasswordError(
    'credential-missing',
    `there is no credential ${name}: CREDENTIALS_DIRECTORY is not set`,
    {
      hint: `systemd sets it for a service with LoadCredential=${name}:FILE. Otherwise use --passfile FILE.`,
    },
  );
}

/** Reads the keychain; if that fails on a terminal, asks for the password. */
async function readFromKeychain(
  { keychain }: ConfiguredSecret,
  { prompt, warn }: SecretSources,
): Promise<Buffer> {
  try {
    return await keychain();
  } catch (error) {
    if (!(error instanceof PasswordError) || prompt === undefined) throw error;
    warn(error.code, error.message);
    return prompt();
  }
}

/** Resolves a path in the configuration: relative to `folder`; `~/` is the home folder. */
export function pathFrom(folder: string, file: string): string {
  const atHome = /^~[/\\]/.test(file) ? path.join(os.homedir(), file.slice(2)) : file;
  return path.resolve(folder, atHome);
}

/**
 * Reads the password of an rsync daemon: the first line of a file, without its LF or CR LF, like
 * the stock client.
 *
 * @throws {PasswordError} `passfile-unreadable`, `passfile-unsafe`, `password-empty`,
 *   `password-too-long`
 */
export async function readDaemonPasswordFile(
  file: string,
  { warn, signal }: Pick<SecretSources, 'warn' | 'signal'>,
): Promise<Buffer> {
  const line = await readFirstLineOf(addAbortSignal(signal, openPassfile(file, warn)), file);
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
}

async function readPassfile(
  file: string,
  { warn, signal }: Pick<SecretSources, 'warn' | 'signal'>,
): Promise<Buffer> {
  const stream = openPassfile(file, warn);
  const password = await readFirstLineOf(addAbortSignal(signal, stream), file);
  if (byteOrderMarkOf(password) === 'utf-8') {
    warn(
      'passfile-mark',
      `${file} starts with a byte order mark, which counts as part of the password: save it as UTF-8 without one`,
    );
  }
  if (password.at(-1) === 0x0d) {
    warn(
      'passfile-crlf',
      `${file} has Windows line endings: the carriage return counts as part of the password`,
    );
  }
  return password;
}

/**
 * Opens a password file without blocking: a named pipe without a writer must not block a thread,
 * which would keep the process from exiting.
 */
function openPassfile(file: string, warn: SecretSources['warn']): Readable {
  const { O_RDONLY, O_NONBLOCK } = fs.constants;
  let fd: number | undefined;
  try {
    fd = fs.openSync(file, O_RDONLY | O_NONBLOCK);
    const stats = fs.fstatSync(fd);
    if (stats.isFIFO()) return new Socket({ fd, readable: true, writable: false });
    const exposure = stats.isFile() ? secretExposure(stats) : undefined;
    if (exposure?.code === 'passfile-unsafe') throw unsafe(file, exposure.why);
    if (exposure !== undefined) warn(exposure.code, `${file} ${exposure.why} (chown, chmod 600)`);
    return fs.createReadStream('', { fd, highWaterMark: 4096 });
  } catch (error) {
    if (fd !== undefined) fs.closeSync(fd);
    throw error instanceof PasswordError ? error : unreadable(file, error);
  }
}

function unsafe(file: string, why: string): PasswordError {
  return new PasswordError('passfile-unsafe', `the password file ${file} ${why}`, {
    hint: `Anyone who can write the file can choose the password. Run: chmod 600 ${file}`,
  });
}

function unreadable(file: string, error: unknown): PasswordError {
  const isMissing = errnoOf(error) === 'ENOENT';
  const what = isMissing ? 'does not exist' : `cannot be read: ${reasonOf(error)}`;
  // With -C a relative path starts in another folder than its author may think.
  const full = path.resolve(file);
  return new PasswordError('passfile-unreadable', `the password file ${full} ${what}`, {
    hint: 'Check the path and its permissions.',
    cause: error,
  });
}

/** Reads up to the first newline; works for files, pipes and terminals. */
async function readFirstLineOf(
  chunks: AsyncIterable<unknown>,
  where: string,
  line = new FirstLine(where),
): Promise<Buffer> {
  try {
    for await (const chunk of chunks) {
      if (!(chunk instanceof Uint8Array)) continue;
      line.push(chunk);
      chunk.fill(0);
      if (line.isComplete) break;
    }
  } catch (error) {
    throw error instanceof PasswordError ? error : unreadable(where, error);
  }
  return line.finish();
}

function firstLineOf(bytes: Buffer, where: string): Buffer {
  const line = new FirstLine(where);
  line.push(bytes);
  bytes.fill(0);
  return line.finish();
}

/**
 * Parses 64 hex digits, with optional dashes and blanks between them. The line is overwritten.
 *
 * @param where - its source, for messages
 * @throws {PasswordError} `masterkey-invalid`
 */
function parseMasterkey(line: Buffer, where: string): Buffer {
  const masterkey = masterkeyIn(line);
  line.fill(0);
  if (masterkey !== undefined) return masterkey;
  throw new PasswordError('masterkey-invalid', `${where} holds no master key`, {
    hint: 'Give its 64 hex digits, in one line or in the two of the recovery sheet.',
  });
}

/** Whether this is the first of the two lines on a recovery sheet. */
function isHalfMasterkey(line: Buffer): boolean {
  return /^[0-9a-fA-F]{32}$/.test(line.toString('latin1').replace(/[-\s]/g, ''));
}

/** The master key in a text; undefined if it is none. */
export function masterkeyIn(text: Buffer): Buffer | undefined {
  const digits = text.toString('latin1').replace(/[-\s]/g, '');
  return /^[0-9a-fA-F]{64}$/.test(digits) ? Buffer.from(digits, 'hex') : undefined;
}
