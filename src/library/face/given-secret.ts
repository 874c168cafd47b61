/** The secret that a program gives to open a key: a password, a master key, or its source. */
import { PasswordError, UsageError } from '../../errors.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import { parseMasterkey } from '../../gocryptfs/conf/keys.ts';
import { MASTERKEY_LENGTH } from '../../gocryptfs/format/limits.ts';
import { unlessAborted } from '../../interruption.ts';
import { keychainItemOf, readKeychain } from '../../vault/password/keychain.ts';
import { readSecret, type Secret } from '../../vault/password/password.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Caller } from '../caller.ts';
import { assertSealedBy, masterkeyByPassword, type Waiting } from '../unlocking.ts';
import type { OptionKinds } from './given-kinds.ts';

/** The secret that opens the key: at most one of these. */
export interface KeyOptions {
  /** Text counts as UTF-8. 1 to 2048 bytes, one line. */
  readonly password?: string | Uint8Array;
  /** 32 bytes, or 64 hex digits as on the recovery sheet. */
  readonly masterkey?: string | Uint8Array;
  /** Path of a file whose first line is the password. */
  readonly passfile?: string;
  /** A program with its arguments. The first line of its output is the password. */
  readonly extpass?: string;
}

/** Time limit for a keychain to answer, in milliseconds. */
const KEYCHAIN_TIMEOUT_MS = 15_000;

const KEY_NAMES = ['password', 'masterkey', 'passfile', 'extpass'] as const;

/**
 * The kinds of {@link KeyOptions}.
 *
 * @internal
 */
export const KEY_KINDS: OptionKinds = {
  password: 'secret',
  masterkey: 'secret',
  passfile: 'text',
  extpass: 'text',
};

/**
 * Whether a secret is given.
 *
 * @throws {UsageError} `conflicting-options` — more than one
 *
 * @internal
 */
export function isSecretGiven(options: KeyOptions): boolean {
  const given = KEY_NAMES.filter((key) => options[key] !== undefined);
  if (given.length <= 1) return given.length === 1;
  throw new UsageError('conflicting-options', `${given.join(' and ')} exclude each other`, {
    hint: 'Give one of them.',
  });
}

/**
 * Reads the given secret. The caller overwrites the bytes.
 *
 * @param vault - its configuration is used if no secret is given
 * @throws {PasswordError} `masterkey-invalid`, and every code of `readSecret`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 *
 * @internal
 */
export async function readGiven(
  { signal, warn, platform }: Caller,
  options: KeyOptions,
  vault?: VaultFrame,
): Promise<Secret> {
  isSecretGiven(options);
  const { password, masterkey, passfile, extpass } = options;
  if (masterkey !== undefined) return { kind: 'masterkey', bytes: masterkeyOf(masterkey) };
  if (password !== undefined) return { kind: 'password', bytes: Buffer.from(password) };
  const environment = process.env;
  const sources = {
    ...(passfile !== undefined && { passfile }),
    ...(extpass !== undefined && { extpass }),
    ...(vault !== undefined && {
      config: {
        password: vault.config.password,
        folder: vault.vaultDir,
        keychain: () =>
          readKeychain(keychainItemOf(vault), {
            ...{ platform, environment, signal },
            timeoutMs: KEYCHAIN_TIMEOUT_MS,
          }),
        credentialsFolder: environment['CREDENTIALS_DIRECTORY'],
      },
    }),
    environment: {},
    warn,
    signal,
  };
  try {
    return await readSecret(sources);
  } catch (error) {
    if (!(error instanceof PasswordError) || error.code !== 'password-missing') throw error;
    const named = vault === undefined ? '' : ', or name one in [password] of .ecsync/config.toml';
    throw new PasswordError('password-missing', 'no password is given', {
      hint: `Give \`password\`, \`passfile\`, \`extpass\` or \`masterkey\`${named}.`,
      cause: error,
    });
  }
}

function masterkeyOf(given: string | Uint8Array): Buffer {
  if (typeof given === 'string') return parseMasterkey(given);
  if (given.length === MASTERKEY_LENGTH) return Buffer.from(given);
  const message = `a master key has ${MASTERKEY_LENGTH} bytes; this has ${given.length}`;
  throw new PasswordError('masterkey-invalid', message, { hint: 'Give all of its bytes.' });
}

/**
 * Waits for a derivation, which cannot be stopped, until the run ends.
 *
 * @internal
 */
export function waitingFor({ signal }: Pick<Caller, 'signal'>): Waiting {
  return (derivation) => unlessAborted(derivation, signal);
}

/**
 * Opens the master key of a conf with the given secret.
 *
 * @param conf - undefined: there is none, and the secret has to be a master key
 * @throws {PasswordError} `wrong-password`, `wrong-masterkey`, `password-missing`; as {@link
 *   readGiven}
 * @throws {IntegrityError} `conf-seal-wrong`
 * @throws {VaultError} `scrypt-failed`, `fido2-unsupported`
 *
 * @internal
 */
export async function openGiven(
  caller: Caller,
  secret: Secret,
  conf: Conf | undefined,
): Promise<Buffer> {
  if (secret.kind === 'masterkey') return assertSealedBy(secret.bytes, conf);
  try {
    if (conf !== undefined) {
      return await masterkeyByPassword(caller, waitingFor(caller), conf, secret.bytes);
    }
    throw new PasswordError(
      'password-missing',
      'without a gocryptfs.conf no password opens a copy',
      {
        hint: 'Give the master key from the recovery sheet.',
      },
    );
  } finally {
    secret.bytes.fill(0);
  }
}
