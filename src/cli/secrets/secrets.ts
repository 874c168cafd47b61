/**
 * Finds a vault's password or master key in all its possible sources, and opens the key with it.
 */
import { PasswordError, UsageError, VaultError } from '../../errors.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import type { KeychainSurroundings } from '../../vault/password/keychain.ts';
import { readSecret, type Secret, type SecretSources } from '../../vault/password/password.ts';
import { assertMasterkey, hasConf, type VaultFrame } from '../../vault/vault.ts';
import { keepConstantTime } from '../../library/settings/constant-time.ts';
import { untilInterrupted } from './derivation.ts';
import type { OpenedConf } from '../../library/unlocking.ts';
import { callerOf } from '../frame/caller.ts';
import type { Host } from '../frame/host.ts';
import type { SecretOptions } from '../frame/options.ts';
import { askMasterkey, askNewPassword, askPassword, passwordQuestion } from '../frame/prompt.ts';
import type { Warnings } from '../frame/report.ts';

/** A vault's conf and its master key. The caller overwrites the key. */
export interface UnlockedVault {
  /** If the file is lost: what the configuration knows of it, see `confOf`. */
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

/** A vault whose secret is known while scrypt still runs in a thread. */
export interface UnlockingVault {
  readonly conf: Conf;
  /** Rejects with the errors of {@link unlockByOptions}. The caller must await it. */
  readonly masterkey: Promise<Buffer>;
}

/**
 * Opens a vault's master key with the given secret. Without its conf only the master key itself
 * opens it.
 *
 * @throws {PasswordError} every code of `readSecret`, `wrong-password`, `wrong-masterkey`
 * @throws {IntegrityError} `conf-seal-wrong`
 * @throws {VaultError} every code of `confOf`, `scrypt-failed`, `fido2-unsupported`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 */
export async function unlockByOptions(
  host: Host,
  vault: VaultFrame,
  options: SecretOptions,
  warnings: Warnings,
): Promise<UnlockedVault> {
  const { conf, masterkey } = await startUnlocking(host, vault, options, warnings);
  return { conf, masterkey: await masterkey };
}

/** The same, but resolves as soon as no more questions or reads are needed. */
export async function startUnlocking(
  host: Host,
  vault: VaultFrame,
  options: SecretOptions,
  warnings: Warnings,
): Promise<UnlockingVault> {
  keepConstantTime(host, vault.config);
  const { confOf } = await import('../../vault/vault-conf.ts');
  const conf = confOf(vault);
  if (!hasConf(vault) && options.masterkey === undefined) throw confLost(vault);
  const typing = new Typing(
    host,
    options.ask ?? (() => askPassword(host, passwordQuestion(vault))),
  );
  const secret = await readVaultSecret(host, vault, { ...options, ask: typing.ask }, warnings);
  const masterkey = masterkeyFrom(vault, secret, (password) =>
    typing.open(password, (bytes) => openInAnyForm(host, warnings, conf, bytes)),
  );
  masterkey.catch(() => undefined); // awaited by the caller, but maybe later
  // A second attempt must not interrupt other output or questions.
  if (typing.isUsed) await masterkey;
  return { conf, masterkey };
}

/** Number of attempts to type a password. */
const TRIES_MAX = 3;

/** Lets a password be typed again when it is wrong. */
class Typing {
  readonly #host: Host;
  readonly #ask: () => Promise<Buffer>;
  isUsed = false;

  constructor(host: Host, ask: () => Promise<Buffer>) {
    this.#host = host;
    this.#ask = ask;
  }

  readonly ask = (): Promise<Buffer> => {
    this.isUsed = true;
    return this.#ask();
  };

  /**
   * @param open - rejects with {@link PasswordError} `wrong-password` for a wrong one
   * @param password - overwritten
   */
  async open(password: Buffer, open: (password: Buffer) => Promise<Buffer>): Promise<Buffer> {
    for (let tried = 1, typed = password; ; tried++) {
      try {
        return await open(typed);
      } catch (error) {
        const isWrong = error instanceof PasswordError && error.code === 'wrong-password';
        if (!isWrong || !this.isUsed || tried === TRIES_MAX) throw error;
        this.#host.out.alert('The password is wrong. Once more:');
      } finally {
        typed.fill(0);
      }
      typed = await this.#ask();
    }
  }
}

/** Opens the master key with a password in any Unicode form, and reports if it was another form. */
export async function openInAnyForm(
  host: Host,
  warnings: Warnings,
  conf: Conf,
  password: Uint8Array,
): Promise<Buffer> {
  const { masterkeyByPassword } = await import('../../library/unlocking.ts');
  const waiting = <T>(derivation: Promise<T>): Promise<T> => untilInterrupted(host, derivation);
  return masterkeyByPassword(callerOf(host, warnings), waiting, conf, password);
}

function confLost({ confFile }: VaultFrame): VaultError {
  return new VaultError('vault-incomplete', `${confFile} is missing`, {
    hint: 'Without it no password opens the vault. Copy it from any remote, or give the recovery key: --masterkey=stdin',
  });
}

/**
 * Finds the secret for a vault in any source. It is not tried yet.
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
    ...(host.canAsk
      ? { prompt: options.ask ?? (() => askPassword(host, passwordQuestion(vault))) }
      : {}),
  });
}

/**
 * A vault's password from any source but its configuration, after it opened the vault. The caller
 * overwrites it.
 *
 * @throws as {@link unlockByOptions}
 */
export async function provenPassword(
  host: Host,
  vault: VaultFrame,
  options: SecretOptions,
  warnings: Warnings,
): Promise<Buffer> {
  const { confOf } = await import('../../vault/vault-conf.ts');
  const conf = confOf(vault);
  if (!hasConf(vault)) throw confLost(vault);
  const typing = new Typing(host, () => askPassword(host, passwordQuestion(vault)));
  const secret = await readSecret({
    ...sourcesOf(host, options, warnings),
    ...(host.canAsk ? { prompt: typing.ask } : {}),
  });
  let proven = Buffer.from(secret.bytes);
  const masterkey = await masterkeyFrom(vault, secret, (first) =>
    typing.open(first, async (bytes) => {
      proven.fill(0);
      proven = Buffer.from(bytes);
      const { unlockMasterkey } = await import('../../gocryptfs/conf/keys.ts');
      return untilInterrupted(host, unlockMasterkey(conf, bytes));
    }),
  ).catch((error: unknown) => {
    proven.fill(0);
    throw error;
  });
  masterkey.fill(0);
  return proven;
}

async function readVaultKeychain(host: Host, vault: VaultFrame): Promise<Buffer> {
  const { keychainItemOf, readKeychain } = await import('../../vault/password/keychain.ts');
  return readKeychain(keychainItemOf(vault), keychainSurroundings(host));
}

/** Time limits for a keychain to answer, and for a person to unlock it. */
const KEYCHAIN_TIMEOUT_MS = { alone: 15_000, attended: 120_000 } as const;

/** How this process uses the keychain. */
export function keychainSurroundings(host: Host): KeychainSurroundings {
  const { platform, environment, signal, canAsk } = host;
  const timeoutMs = canAsk ? KEYCHAIN_TIMEOUT_MS.attended : KEYCHAIN_TIMEOUT_MS.alone;
  return { platform, environment, signal, timeoutMs };
}

async function masterkeyFrom(
  vault: VaultFrame,
  secret: Secret,
  open: (password: Buffer) => Promise<Buffer>,
): Promise<Buffer> {
  if (secret.kind === 'masterkey') {
    assertMasterkey(vault, secret.bytes);
    return secret.bytes;
  }
  const masterkey = await open(secret.bytes);
  assertMasterkey(vault, masterkey);
  return masterkey;
}

/**
 * Opens the master key of a filesystem without a vault.
 *
 * @param conf - absent: there is none, and a master key is given
 * @throws {PasswordError} every code of `readSecret`, `wrong-password`, `wrong-masterkey`
 * @throws {IntegrityError} `conf-seal-wrong`
 * @throws {VaultError} `conf-missing`, `scrypt-failed`, `fido2-unsupported`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 */
export async function unlockConf(
  host: Host,
  conf: Conf | undefined,
  options: SecretOptions,
  warnings: Warnings,
): Promise<Buffer> {
  keepConstantTime(host);
  const typing = new Typing(host, () => askPassword(host, passwordQuestion()));
  const secret = await readSecret({
    ...sourcesOf(host, options, warnings),
    ...(host.canAsk ? { prompt: typing.ask } : {}),
  });
  if (secret.kind === 'masterkey') {
    const { assertSealedBy } = await import('../../library/unlocking.ts');
    return assertSealedBy(secret.bytes, conf);
  }
  if (conf === undefined) {
    secret.bytes.fill(0);
    throw new VaultError('conf-missing', 'a password needs a conf');
  }
  return typing.open(secret.bytes, (bytes) => openInAnyForm(host, warnings, conf, bytes));
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
): Promise<OpenedConf> {
  keepConstantTime(host);
  const secret = await readSecret({
    ...sourcesOf(host, options, warnings),
    ...(host.canAsk ? { prompt: () => askPassword(host, passwordQuestion()) } : {}),
  });
  const { openConfAndOther } = await import('../../library/unlocking.ts');
  const waiting = <T>(derivation: Promise<T>): Promise<T> => untilInterrupted(host, derivation);
  return openConfAndOther(waiting, secret, conf, other);
}

/**
 * The password of a new vault. A prompt asks twice.
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

/** Sources of a replacement password. */
export interface NewPasswordOptions {
  readonly newPassfile?: string;
  readonly newExtpass?: string;
}

/**
 * Checks the sources of the new password before the old one is asked for.
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
 * The new password of a vault. A prompt asks twice. Variables and the configuration are ignored,
 * since they hold the old password.
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
