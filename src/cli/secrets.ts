import { timingSafeEqual } from 'node:crypto';
import { PasswordError, UsageError, VaultError } from '../errors.ts';
import type { Conf } from '../gocryptfs/config.ts';
import type { KeychainSurroundings } from '../vault/keychain.ts';
import { readSecret, type Secret, type SecretSources } from '../vault/password.ts';
import { assertMasterkey, hasConf, type VaultFrame } from '../vault/vault.ts';
import type { Host } from './host.ts';
import type { SecretOptions } from './options.ts';
import { askMasterkey, askNewPassword, askPassword } from './prompt.ts';
import type { Warnings } from './report.ts';

/** A vault's conf and its master key. Whoever asked for the key overwrites it when done. */
export interface UnlockedVault {
  /** When it is lost: what the configuration says of it, see `confOf`. */
  readonly conf: Conf;
  readonly masterkey: Buffer;
}

function sourcesOf(
  host: Host,
  options: SecretOptions,
  warnings: Warnings,
): Omit<SecretSources, 'config' | 'prompt'> {
  return {
    ...(options.passfile === undefined ? {} : { passfile: options.passfile }),
    ...(options.extpass === undefined ? {} : { extpass: options.extpass }),
    ...(options.masterkey === undefined
      ? {}
      : { masterkeyFrom: host.canAsk ? () => askMasterkey(host) : host.stdin }),
    environment: host.passwordVariables,
    warn: (code, message) => warnings.add({ code, message }),
    signal: host.signal,
  };
}

/** A vault whose secret is known, while scrypt still works on it in a thread of its own. */
export interface UnlockingVault {
  readonly conf: Conf;
  /** Rejects with the errors of {@link unlockVault}; whoever asked must await it. */
  readonly masterkey: Promise<Buffer>;
}

/**
 * Opens a vault's master key with whatever secret is given. Without its conf only the master key
 * itself opens it.
 *
 * @throws {PasswordError} every code of `readSecret`, `wrong-password`, `wrong-masterkey`
 * @throws {VaultError} every code of `confOf`, `scrypt-failed`, `fido2-unsupported`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 */
export async function unlockVault(
  host: Host,
  vault: VaultFrame,
  options: SecretOptions,
  warnings: Warnings,
): Promise<UnlockedVault> {
  const { conf, masterkey } = await startUnlocking(host, vault, options, warnings);
  return { conf, masterkey: await masterkey };
}

/** The same, but back as soon as nothing more needs to be asked or read. */
export async function startUnlocking(
  host: Host,
  vault: VaultFrame,
  options: SecretOptions,
  warnings: Warnings,
): Promise<UnlockingVault> {
  const { confOf } = await import('../vault/vault-conf.ts');
  const conf = confOf(vault);
  if (!hasConf(vault) && options.masterkey === undefined) throw confLost(vault);
  const secret = await readVaultSecret(host, vault, options, warnings);
  const masterkey = masterkeyFrom(vault, conf, secret);
  masterkey.catch(() => undefined); // awaited by the caller, but maybe not at once
  return { conf, masterkey };
}

function confLost({ confFile }: VaultFrame): VaultError {
  return new VaultError('vault-incomplete', `${confFile} is missing`, {
    hint: 'Without it no password opens the vault. Copy it from any remote, or give the recovery key: --masterkey=stdin',
  });
}

/**
 * The secret for a vault, from wherever it comes; not tried yet.
 *
 * @throws {PasswordError} every code of `readSecret`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 */
export async function readVaultSecret(
  host: Host,
  vault: VaultFrame,
  options: SecretOptions,
  warnings: Warnings,
): Promise<Secret> {
  return readSecret({
    ...sourcesOf(host, options, warnings),
    config: {
      password: vault.config.password,
      folder: vault.vaultDir,
      keychain: () => readVaultKeychain(host, vault),
      credentialsFolder: host.environment['CREDENTIALS_DIRECTORY'],
    },
    ...(host.canAsk ? { prompt: options.ask ?? (() => askPassword(host)) } : {}),
  });
}

/**
 * A vault's password from everywhere but its configuration, after it opened the vault. Whoever asked
 * for it overwrites it when done.
 *
 * @throws as {@link unlockVault}
 */
export async function provenPassword(
  host: Host,
  vault: VaultFrame,
  options: SecretOptions,
  warnings: Warnings,
): Promise<Buffer> {
  const { confOf } = await import('../vault/vault-conf.ts');
  const conf = confOf(vault);
  if (!hasConf(vault)) throw confLost(vault);
  const secret = await readSecret({
    ...sourcesOf(host, options, warnings),
    ...(host.canAsk ? { prompt: () => askPassword(host) } : {}),
  });
  const password = Buffer.from(secret.bytes);
  try {
    const masterkey = await masterkeyFrom(vault, conf, secret);
    masterkey.fill(0);
    return password;
  } catch (error) {
    password.fill(0);
    throw error;
  }
}

async function readVaultKeychain(host: Host, vault: VaultFrame): Promise<Buffer> {
  const { keychainItemOf, readKeychain } = await import('../vault/keychain.ts');
  return readKeychain(keychainItemOf(vault), keychainSurroundings(host));
}

/** Time for a keychain to answer, and for a person to unlock it. */
const KEYCHAIN_TIMEOUT_MS = { alone: 15_000, attended: 120_000 } as const;

/** How this process uses the keychain. */
export function keychainSurroundings(host: Host): KeychainSurroundings {
  const { platform, environment, signal, canAsk } = host;
  const timeoutMs = canAsk ? KEYCHAIN_TIMEOUT_MS.attended : KEYCHAIN_TIMEOUT_MS.alone;
  return { platform, environment, signal, timeoutMs };
}

async function masterkeyFrom(vault: VaultFrame, conf: Conf, secret: Secret): Promise<Buffer> {
  if (secret.kind === 'masterkey') {
    assertMasterkey(vault, secret.bytes);
    return secret.bytes;
  }
  const { unlockMasterkey } = await import('../gocryptfs/keys.ts');
  try {
    const masterkey = await unlockMasterkey(conf, secret.bytes);
    assertMasterkey(vault, masterkey);
    return masterkey;
  } finally {
    secret.bytes.fill(0);
  }
}

/**
 * Opens the master key of a filesystem that is no vault's.
 *
 * @param conf - absent: there is none, and a master key is given
 * @throws {PasswordError} every code of `readSecret`, `wrong-password`
 * @throws {VaultError} `conf-missing`, `scrypt-failed`, `fido2-unsupported`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 */
export async function unlockConf(
  host: Host,
  conf: Conf | undefined,
  options: SecretOptions,
  warnings: Warnings,
): Promise<Buffer> {
  const secret = await readSecret({
    ...sourcesOf(host, options, warnings),
    ...(host.canAsk ? { prompt: () => askPassword(host) } : {}),
  });
  if (secret.kind === 'masterkey') return secret.bytes;
  try {
    if (conf === undefined) throw new VaultError('conf-missing', 'a password needs a conf');
    const { unlockMasterkey } = await import('../gocryptfs/keys.ts');
    return await unlockMasterkey(conf, secret.bytes);
  } finally {
    secret.bytes.fill(0);
  }
}

/** The key of a copy that is to be adopted. */
export interface AdoptedKey {
  readonly masterkey: Buffer;
  /** It was told; no password has shown that it belongs to the conf. */
  readonly isUnproven: boolean;
  /** The other conf wraps the same key, under the same password. */
  readonly isKeyOfOther: boolean;
}

/**
 * Opens the master key of a copy, and tries the same password on another conf.
 *
 * @throws as {@link unlockConf}
 */
export async function unlockAdopted(
  host: Host,
  { conf, other }: { readonly conf: Conf; readonly other?: Conf | undefined },
  options: SecretOptions,
  warnings: Warnings,
): Promise<AdoptedKey> {
  const secret = await readSecret({
    ...sourcesOf(host, options, warnings),
    ...(host.canAsk ? { prompt: () => askPassword(host) } : {}),
  });
  if (secret.kind === 'masterkey') {
    return { masterkey: secret.bytes, isUnproven: true, isKeyOfOther: false };
  }
  const { unlockMasterkey } = await import('../gocryptfs/keys.ts');
  try {
    const masterkey = await unlockMasterkey(conf, secret.bytes);
    const alike = other && (await unlockMasterkey(other, secret.bytes).catch(unlessWrong));
    const isKeyOfOther = alike !== undefined && timingSafeEqual(alike, masterkey);
    alike?.fill(0);
    return { masterkey, isUnproven: false, isKeyOfOther };
  } finally {
    secret.bytes.fill(0);
  }
}

/** Another password, or a token: then it is another's conf as far as can be told. */
function unlessWrong(error: unknown): undefined {
  if (error instanceof PasswordError || error instanceof VaultError) return undefined;
  throw error;
}

/**
 * The password of a vault to be; asked twice when it is asked.
 *
 * @throws {PasswordError} every code of `readSecret`, `passwords-differ`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 */
export async function readNewPassword(
  host: Host,
  options: SecretOptions,
  warnings: Warnings,
): Promise<Secret> {
  return readSecret({
    ...sourcesOf(host, options, warnings),
    ...(host.canAsk ? { prompt: () => askNewPassword(host) } : {}),
  });
}

/** Where a password that takes the place of another comes from. */
export interface NewPasswordOptions {
  readonly newPassfile?: string;
  readonly newExtpass?: string;
}

/**
 * Refuses what gives no new password, before the old one is asked for.
 *
 * @throws {PasswordError} `password-missing`
 * @throws {UsageError} `conflicting-options`
 */
export function checkNewPasswordOptions(host: Host, options: NewPasswordOptions): void {
  const { newPassfile, newExtpass } = options;
  if (newPassfile !== undefined && newExtpass !== undefined) {
    throw new UsageError(
      'conflicting-options',
      '--new-passfile and --new-extpass exclude each other',
      { hint: 'Give one of them.' },
    );
  }
  if (newPassfile !== undefined || newExtpass !== undefined || host.canAsk) return;
  throw new PasswordError('password-missing', 'no new password is given and there is no terminal', {
    hint: 'Use --new-passfile FILE or --new-extpass CMD.',
  });
}

/**
 * The new password of a vault; asked twice when it is asked. The variables and the configuration
 * hold the old one, so they are not looked at.
 *
 * @throws {PasswordError} every code of `readSecret`, `passwords-differ`
 * @throws {UsageError} `command-invalid`
 */
export async function readReplacementPassword(
  host: Host,
  { newPassfile, newExtpass }: NewPasswordOptions,
  warnings: Warnings,
): Promise<Secret> {
  return readSecret({
    ...(newPassfile === undefined ? {} : { passfile: newPassfile }),
    ...(newExtpass === undefined ? {} : { extpass: newExtpass }),
    environment: {},
    warn: (code, message) => warnings.add({ code, message }),
    signal: host.signal,
    ...(host.canAsk ? { prompt: () => askNewPassword(host) } : {}),
  });
}
