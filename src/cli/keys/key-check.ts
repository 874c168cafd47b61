/** The command `key check`: tests whether a recovery key or a password opens the vault. */
import path from 'node:path';
import type { Command } from 'commander';
import { PasswordError, UsageError, VaultError } from '../../errors.ts';
import { masterkeyIn, type Secret } from '../../vault/password/password.ts';
import { readConfFile } from '../../vault/stored-conf.ts';
import { assertMasterkey, hasConf, keyCheckOf, type VaultFrame } from '../../vault/vault.ts';
import { describeFailure } from '../../library/failure.ts';
import { agreeToCost } from '../../library/foreign-conf.ts';
import type { Host } from '../frame/host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  typed,
  type CommonOptions,
  type SecretOptions,
} from '../frame/options.ts';
import { wholeNumber } from '../../options/option-values.ts';
import { ofVaultIfAny, readVaultFrameOf } from '../frame/place.ts';
import { agreeing, askMasterkey, askPassword } from '../frame/prompt.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import { openInAnyForm, readVaultSecret, unlockConf } from '../secrets/secrets.ts';
import type { Selected } from '../frame/selected.ts';
import { shownText } from '../terminal/terminal.ts';

interface CheckOptions extends CommonOptions, SecretOptions {
  readonly conf?: string;
  readonly scryptn?: number;
}

const AFTER_HELP = `
On a terminal a recovery key or a password is asked for; which of them it is is seen by its shape.
Exit code 0: yes. Exit code 12: no. A master key needs no gocryptfs.conf to be checked.`;

/** Defines `key check`. */
export function defineKeyCheck(key: Command, select: Selected): void {
  const command = key
    .command('check')
    .description('Say whether a recovery key or a password opens this vault.')
    .option('--conf <file>', "try the password on FILE, a copy's gocryptfs.conf, instead");
  command.option(
    '--scryptn <n>',
    'with --conf: a password costs up to 2^N (default: 16; above it you are asked)',
    typed(wholeNumber(10, 22)),
  );
  addSecretOptions(command, { masterkey: true });
  addCommonOptions(command).addHelpText('after', AFTER_HELP);
  command.action(() => {
    const options: CheckOptions = command.optsWithGlobals();
    select('key check', options, (host, warnings) => check(host, warnings, options));
  });
}

async function check(
  host: Host,
  warnings: Warnings,
  options: CheckOptions,
): Promise<CommandResult> {
  if (options.conf !== undefined && options.masterkey !== undefined) {
    throw new UsageError('conflicting-options', '--conf and --masterkey exclude each other', {
      hint: 'A conf alone cannot tell whether a key is right: only its password can be tried.',
    });
  }
  if (options.conf !== undefined) return checkConf(host, warnings, options, options.conf);
  const vault = readVaultFrameOf(host, options);
  const asked = { ...options, ask: () => askMasterkey(host, 'Recovery key or password') };
  const secret = await readVaultSecret(host, vault, asked, warnings);
  const { vaultDir, confFile } = vault;
  try {
    const kind = await assertOpens(host, warnings, { vault, secret });
    return answer(host, { where: kind === 'masterkey' ? vaultDir : confFile, kind });
  } catch (error) {
    return answer(host, { error: asNo(error) });
  } finally {
    secret.bytes.fill(0);
  }
}

/** Tries a password on the conf of any copy, with or without a vault here. */
async function checkConf(
  host: Host,
  warnings: Warnings,
  options: CheckOptions,
  file: string,
): Promise<CommandResult> {
  const { parseConf } = await import('../../gocryptfs/conf/config.ts');
  const vault = vaultIfAny(host, options);
  const confFile = path.resolve(host.folder, file);
  const stored = readConfFile(confFile);
  if (stored === undefined) {
    throw new UsageError('conf-missing', `--conf: ${confFile} does not exist`, {
      hint: 'Name the gocryptfs.conf of a copy.',
    });
  }
  const conf = parseConf(stored.bytes);
  await agreeToCost(conf, { options, place: confFile, agree: agreeing(host) });
  const unlocked = async (): Promise<Buffer> => {
    if (vault === undefined) return unlockConf(host, conf, options, warnings);
    const ask = (): Promise<Buffer> => askPassword(host, `Password of ${confFile}`);
    const { bytes } = await readVaultSecret(host, vault, { ...options, ask }, warnings);
    try {
      return await openInAnyForm(host, warnings, conf, bytes);
    } finally {
      bytes.fill(0);
    }
  };
  try {
    const masterkey = await unlocked();
    const { key_check } = vault?.config ?? {};
    const isOther = key_check !== undefined && keyCheckOf(masterkey) !== key_check;
    masterkey.fill(0);
    if (isOther) host.out.note(`${confFile} is the conf of another vault than the one here`);
    return answer(host, { where: confFile, kind: 'password' });
  } catch (error) {
    const { code, message, hint } = asNo(error);
    const about = hint === undefined ? {} : { hint };
    return answer(host, { error: new PasswordError(code, `${message} for ${confFile}`, about) });
  }
}

/**
 * Returns an error that means "no".
 *
 * @throws any other error
 */
function asNo(error: unknown): PasswordError {
  const isNo =
    error instanceof PasswordError &&
    (error.code === 'wrong-password' || error.code === 'wrong-masterkey');
  if (isNo) return error;
  throw error;
}

/** @throws {VaultError} the named vault does not exist or cannot be read */
function vaultIfAny(host: Host, options: CheckOptions): VaultFrame | undefined {
  const open = (): VaultFrame => readVaultFrameOf(host, options);
  return options.C === undefined ? ofVaultIfAny(host, options, open) : open();
}

/**
 * @returns the kind of the secret
 * @throws {PasswordError} `wrong-password`, `wrong-masterkey`
 * @throws {VaultError} `vault-incomplete` — it is a password, and the conf is lost;
 *   `key-check-missing`
 */
async function assertOpens(
  host: Host,
  warnings: Warnings,
  { vault, secret }: { readonly vault: VaultFrame; readonly secret: Secret },
): Promise<Secret['kind']> {
  const typed = secret.kind === 'masterkey' ? secret.bytes : masterkeyIn(secret.bytes);
  if (typed !== undefined) {
    assertKeyIsProven(vault);
    if (secret.kind === 'masterkey' || !hasConf(vault) || isMasterkey(vault, typed)) {
      assertMasterkey(vault, typed);
      return 'masterkey';
    }
  }
  if (!hasConf(vault)) {
    throw new VaultError('vault-incomplete', `${vault.confFile} is missing`, {
      hint: 'Without it no password can be tried. Copy it from any remote, or check the recovery key.',
    });
  }
  const { parseConf } = await import('../../gocryptfs/conf/config.ts');
  const found = await openInAnyForm(
    host,
    warnings,
    parseConf(vault.storedConf.bytes),
    secret.bytes,
  );
  assertMasterkey(vault, found);
  found.fill(0);
  return 'password';
}

/** A password may look like a key. */
function isMasterkey(vault: VaultFrame, masterkey: Uint8Array): boolean {
  return keyCheckOf(masterkey) === vault.config.key_check;
}

function assertKeyIsProven({ config }: VaultFrame): void {
  if (config.key_check !== undefined) return;
  throw new VaultError('key-check-missing', 'nothing tells whether this is the right key', {
    hint: 'config.toml has no key_check. Check the password instead.',
  });
}

function answer(
  host: Host,
  outcome:
    { readonly where: string; readonly kind: Secret['kind'] } | { readonly error: PasswordError },
): CommandResult {
  const { out } = host;
  const opens = 'kind' in outcome;
  if (out.mode.json) out.event({ type: 'check', opens, ...(opens && { kind: outcome.kind }) });
  else if (!opens) out.data('no');
  else {
    const what = outcome.kind === 'masterkey' ? 'master key' : 'password';
    out.data(`yes: this ${what} opens ${shownText(outcome.where)}`);
  }
  if (opens) return { exitCode: 0 };
  const { exitCode, code, message, hint } = describeFailure(outcome.error, false);
  return { exitCode, error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}
