/** A vault's password in the keychain of the system. */
import { spawn } from 'node:child_process';
import { PasswordError } from '../../errors.ts';
import { programFile } from '../../programs.ts';
import { keychainCommands, type KeychainCommand, type KeychainItem } from './keychain-commands.ts';
import { sessionEnvironment } from './session-environment.ts';
import type { VaultFrame } from '../vault.ts';

/** What a keychain needs from this process. */
export interface KeychainSurroundings {
  readonly platform: NodeJS.Platform;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** How long the keychain may take: longer when someone is there to unlock it. */
  readonly timeoutMs: number;
}

/** More than any password in base64. */
const OUTPUT_LENGTH_MAX = 8192;
const COMPLAINT_LENGTH_MAX = 200;
const BASE64 =
  /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$|^[A-Za-z0-9+/]{2}==$|^[A-Za-z0-9+/]{3}=$/;

/** The item of a vault. It stays the same when the folder moves or the password changes. */
export function keychainItemOf({
  config,
  source,
}: Pick<VaultFrame, 'config' | 'source'>): KeychainItem {
  const account = config.key_check ?? config.conf_sha256.slice(0, 32);
  return { account, label: `ecsync: ${source}` };
}

/**
 * Reads a vault's password from the keychain.
 *
 * @throws {PasswordError} `keychain-no-entry` — also when it is locked and nobody unlocks it;
 *   `keychain-program-missing`, `keychain-failed`, `keychain-timeout`
 * @throws the signal's reason
 */
export async function readKeychain(
  item: KeychainItem,
  surroundings: KeychainSurroundings,
): Promise<Buffer> {
  const command = keychainCommands(surroundings.platform).read(item);
  const stored = await call(command, surroundings);
  const password = stored === undefined ? undefined : decoded(stored);
  if (password !== undefined) return password;
  const what =
    stored === undefined
      ? 'has no password for this vault, or is locked'
      : 'has something that ecsync did not store';
  throw new PasswordError('keychain-no-entry', `the keychain ${what}`, {
    hint: `Unlock it, or store the password with: ecsync key remember. ${OTHERWISE}`,
  });
}

/**
 * Stores a password, replacing an older one, and reads it back.
 *
 * @throws {PasswordError} `keychain-not-stored`, and as {@link readKeychain}
 */
export async function writeKeychain(
  item: KeychainItem,
  password: Uint8Array,
  surroundings: KeychainSurroundings,
): Promise<void> {
  // Not every keychain preserves all bytes, and some print anything but plain text in hex.
  const text = Buffer.from(Buffer.from(password).toString('base64'));
  await call(keychainCommands(surroundings.platform).write(item, text), surroundings);
  const stored = await readKeychain(item, surroundings);
  const isSame = stored.equals(password);
  stored.fill(0);
  if (isSame) return;
  throw new PasswordError('keychain-not-stored', 'the keychain did not keep the password', {
    hint: OTHERWISE,
  });
}

/**
 * Removes a password.
 *
 * @returns false when there was none
 * @throws {PasswordError} as {@link readKeychain}, except `keychain-no-entry`
 */
export async function removeFromKeychain(
  item: KeychainItem,
  surroundings: KeychainSurroundings,
): Promise<boolean> {
  const output = await call(keychainCommands(surroundings.platform).remove(item), surroundings);
  return output !== undefined;
}

const OTHERWISE = 'Without a keychain: --passfile FILE, or [password] file in .ecsync/config.toml.';

/** Decodes the password from base64; undefined when the text is invalid. */
function decoded(stored: Buffer): Buffer | undefined {
  const text = stored.toString('latin1').trim();
  stored.fill(0);
  return BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** @returns the program's output; undefined when there is no such item */
async function call(
  command: KeychainCommand,
  surroundings: KeychainSurroundings,
): Promise<Buffer | undefined> {
  const { signal, timeoutMs } = surroundings;
  signal.throwIfAborted();
  try {
    const { status, output, complaint } = await runProgram(command, surroundings);
    signal.throwIfAborted();
    if (status === 0) return output;
    output.fill(0);
    const isAbsent = typeof status === 'number' && command.absentStatuses.includes(status);
    // libsecret gives 1 for every failure, but prints nothing only when there is no such item.
    if (isAbsent && (status !== 1 || complaint === '')) return undefined;
    if (status === 'not-started') throw programMissing(command);
    if (status === 'timeout') throw timedOut(timeoutMs);
    throw failed(complaint === '' ? `${command.program} ended with ${status}` : complaint);
  } finally {
    command.input?.fill(0);
  }
}

function programMissing({ program, remedy }: KeychainCommand): PasswordError {
  const message = `the keychain cannot be reached: ${program} is missing`;
  return new PasswordError('keychain-program-missing', message, { hint: `${remedy} ${OTHERWISE}` });
}

function timedOut(timeoutMs: number): PasswordError {
  const message = `the keychain did not answer within ${Math.ceil(timeoutMs / 1000)} s`;
  const hint = `It may be waiting to be unlocked. ${OTHERWISE}`;
  return new PasswordError('keychain-timeout', message, { hint });
}

function failed(reason: string): PasswordError {
  return new PasswordError('keychain-failed', `the keychain cannot be used: ${reason}`, {
    hint: `The user must be logged in, and the keychain unlocked. ${OTHERWISE}`,
  });
}

interface ProgramEnd {
  /** -1: a signal ended it. */
  readonly status: number | 'not-started' | 'timeout';
  readonly output: Buffer;
  /** The first line of its standard error. */
  readonly complaint: string;
}

function runProgram(
  { program, words, input }: KeychainCommand,
  { environment, signal, timeoutMs }: KeychainSurroundings,
): Promise<ProgramEnd> {
  const child = spawn(programFile(program), [...words], {
    env: sessionEnvironment(environment),
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
  });
  let output = Buffer.alloc(0);
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const longer = Buffer.concat([output, chunk]).subarray(0, OUTPUT_LENGTH_MAX);
    for (const bytes of [output, chunk]) bytes.fill(0);
    output = longer;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, COMPLAINT_LENGTH_MAX);
  });
  child.stdin.on('error', () => undefined); // the program may exit without reading
  child.stdin.end(input);
  return new Promise<ProgramEnd>((resolve) => {
    const end = (status: ProgramEnd['status']): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      // Its own child processes may keep the pipes open.
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
      child.kill('SIGKILL');
      resolve({ status, output, complaint: complaint.trim().split(/\r?\n/)[0] ?? '' });
    };
    const stop = (): void => end(-1);
    const timer = setTimeout(() => end('timeout'), timeoutMs);
    signal.addEventListener('abort', stop, { once: true });
    child.once('error', () => end('not-started'));
    child.once('close', (code) => end(code ?? -1));
  });
}
