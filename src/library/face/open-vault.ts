/** Opens vaults, and makes new ones. */
import path from 'node:path';
import { PasswordError } from '../../errors.ts';
import { LONG_NAME_MAX_DEFAULT, LONG_NAME_MAX_LEAST } from '../../gocryptfs/format/limits.ts';
import { safeListOf } from '../../vault/user/user-config.ts';
import { confOf } from '../../vault/vault-conf.ts';
import { checkNewVault, makeVault } from '../../vault/new-vault.ts';
import {
  assertMasterkey,
  hasConf,
  readVaultFrame,
  type VaultFrame,
  type VaultPlace,
} from '../../vault/vault.ts';
import type { Caller } from '../caller.ts';
import { keepConstantTime } from '../settings/constant-time.ts';
import { layoutOf } from '../settings/layout-options.ts';
import { findReverseConf, makeKey, takeReverseKey, type NewVaultOptions } from '../new-key.ts';
import { checkedQuestions, type CheckedQuestions, type Questions } from './answers.ts';
import { assertArgument, assertOptions, assertWithin, type OptionKinds } from './given-kinds.ts';
import {
  isSecretGiven,
  KEY_KINDS,
  openGiven,
  readGiven,
  waitingFor,
  type KeyOptions,
} from './given-secret.ts';
import { Listening, LISTENING_KINDS, type ListeningOptions } from './listening.ts';
import { Vault } from './vault.ts';

/** How a vault is opened. */
export interface OpenVaultOptions extends KeyOptions, ListeningOptions {
  /** The vault directory, if it is not `.ecsync/` in the folder. */
  readonly vaultDir?: string;
  /** Answers questions of logins, in every operation of the vault. */
  readonly questions?: Questions;
}

/** How a vault is made. */
export interface CreateVaultOptions extends OpenVaultOptions, NewVaultOptions {}

const OPEN_KINDS: OptionKinds = {
  ...KEY_KINDS,
  ...LISTENING_KINDS,
  vaultDir: 'place',
  questions: 'any',
};
const CREATE_KINDS: OptionKinds = {
  ...OPEN_KINDS,
  layout: 'text',
  plaintextnames: 'flag',
  deterministicNames: 'flag',
  longnamemax: 'number',
  scryptn: 'number',
};

const NEVER = new AbortController().signal;

/**
 * Opens the vault of a folder: finds it, reads all of it, and opens its key.
 *
 * Without `password`, `masterkey`, `passfile` and `extpass`, the password comes from the source
 * that `[password]` in `config.toml` names. Without that, the vault is opened without its key,
 * which is enough for plain mirrors.
 *
 * @param folder - the folder of the vault, or one in it; relative to the current folder
 * @throws {PasswordError} `wrong-password`, `wrong-masterkey`, `masterkey-invalid`,
 *   `passfile-unreadable`, `passfile-unsafe`, `password-command-failed`, `keychain-no-entry`,
 *   `credential-missing`, …
 * @throws {VaultError} `no-vault`, `vault-not-yours`, `vault-orders-foreign`, `vault-incomplete`,
 *   `conf-changed`, `vault-unreadable`, `source-missing`, `scrypt-failed`, `fido2-unsupported`, and
 *   every code of a conf that cannot be read
 * @throws {UsageError} `conflicting-options`, `config-unreadable`, `config-invalid`,
 *   `config-unknown-key`
 * @throws {IntegrityError} `conf-seal-wrong`
 * @throws {InterruptedError} `interrupted`
 */
export async function openVault(folder: string, options: OpenVaultOptions = {}): Promise<Vault> {
  assertArgument('folder', folder, 'place');
  assertOptions(options, OPEN_KINDS);
  const questions = checkedQuestions(options.questions);
  const listening = new Listening(options, NEVER);
  return listening.run(async (caller) => {
    const place = placeOfVault(caller, folder, options);
    const vault = readVaultFrame(place);
    keepConstantTime({ platform: caller.platform, environment: process.env }, vault.config);
    const masterkey = await masterkeyOf(caller, vault, options);
    return openedAt(place, vault, { masterkey, questions });
  });
}

/**
 * Makes a folder a vault with a new key, and opens it. If `layout` is `reverse` and the folder has
 * a `.gocryptfs.reverse.conf`, the vault uses that file and its password.
 *
 * Keep `vault.exportMasterkey()` on paper: it opens the copies when everything else is lost.
 *
 * @param folder - made if it is missing; relative to the current folder
 * @throws {UsageError} `vault-exists`, `inside-vault-dir`, `not-a-folder`, `reverse-conf-found`,
 *   `conflicting-options`, `scryptn-out-of-range`
 * @throws {PasswordError} `password-missing`, `empty-password`, `password-too-long`,
 *   `password-newline`, and as {@link openVault}
 * @throws {VaultError} `vault-not-written`, and as {@link openVault}
 * @throws {InterruptedError} `interrupted`
 */
export async function createVault(
  folder: string,
  options: CreateVaultOptions = {},
): Promise<Vault> {
  assertArgument('folder', folder, 'place');
  assertOptions(options, CREATE_KINDS);
  const questions = checkedQuestions(options.questions);
  assertWithin('longnamemax', options.longnamemax, [LONG_NAME_MAX_LEAST, LONG_NAME_MAX_DEFAULT]);
  const listening = new Listening(options, NEVER);
  return listening.run(async (caller) => {
    const source = path.resolve(folder);
    const { vaultDir: told } = options;
    const place = { source, ...(told !== undefined && { vaultDir: path.resolve(told) }) };
    checkNewVault(place);
    const choice = layoutOf(options);
    const reverseConf = findReverseConf(source, options);
    keepConstantTime({ platform: caller.platform, environment: process.env });
    const secret = await readGiven(caller, options);
    if (reverseConf === undefined && secret.kind === 'masterkey') {
      secret.bytes.fill(0);
      throw new PasswordError('password-missing', 'a new vault makes its own master key', {
        hint: 'Give the password that is to open it.',
      });
    }
    const { scryptn } = options;
    const key =
      reverseConf === undefined
        ? await makeKey(waitingFor(caller), secret.bytes, { choice, scryptn })
        : await takeReverseKey(reverseConf, (conf) => openGiven(caller, secret, conf));
    const { masterkey } = key;
    try {
      caller.signal.throwIfAborted();
      const stored = placeOfVault(caller, source, { vaultDir: makeVault(place, key) });
      return openedAt(stored, readVaultFrame(stored), { masterkey, questions });
    } catch (error) {
      masterkey.fill(0);
      throw error;
    }
  });
}

function placeOfVault(
  { platform }: Caller,
  folder: string,
  { vaultDir }: Pick<OpenVaultOptions, 'vaultDir'>,
): VaultPlace {
  return {
    folder: path.resolve(folder),
    isNamed: true,
    safeList: safeListOf(process.env, platform),
    ...(vaultDir !== undefined && { vaultDir: path.resolve(vaultDir) }),
  };
}

/** @returns undefined if nothing is given and the configuration names no source */
async function masterkeyOf(
  caller: Caller,
  vault: VaultFrame,
  options: KeyOptions,
): Promise<Buffer | undefined> {
  if (!isSecretGiven(options) && vault.config.password === undefined) return undefined;
  const secret = await readGiven(caller, options, vault);
  const conf = hasConf(vault) ? confOf(vault) : undefined;
  const masterkey = await openGiven(caller, secret, conf);
  try {
    assertMasterkey(vault, masterkey);
    return masterkey;
  } catch (error) {
    masterkey.fill(0);
    throw error;
  }
}

/**
 * Later operations read the vault at this place, even if another vault is made between it and the
 * folder.
 */
function openedAt(
  place: VaultPlace,
  { source, vaultDir }: VaultFrame,
  about: { readonly masterkey: Buffer | undefined; readonly questions: CheckedQuestions },
): Vault {
  return Vault.of({ place: { ...place, vaultDir }, source, vaultDir, ...about });
}
