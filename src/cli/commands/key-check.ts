import path from 'node:path';
import type { Command } from 'commander';
import { PasswordError, UsageError, VaultError } from '../../errors.ts';
import { masterkeyIn, type Secret } from '../../vault/password.ts';
import { readConfFile } from '../../vault/stored-conf.ts';
import { assertMasterkey, hasConf, keyCheckOf, type VaultFrame } from '../../vault/vault.ts';
import { describeFailure } from '../failure.ts';
import type { Host } from '../host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  type CommonOptions,
  type SecretOptions,
} from '../options.ts';
import { openVaultFrameOf } from '../place.ts';
import { askMasterkey } from '../prompt.ts';
import type { CommandResult, Warnings } from '../report.ts';
import { readVaultSecret } from '../secrets.ts';
import type { Selected } from '../selected.ts';
import { shownText } from '../terminal.ts';

interface CheckOptions extends CommonOptions, SecretOptions {
  readonly conf?: string;
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
  const vault = openVaultFrameOf(host, options);
  const tried = options.conf === undefined ? vault : withConf(vault, host, options.conf);
  const asked = { ...options, ask: () => askMasterkey(host, 'Recovery key or password') };
  const secret = await readVaultSecret(host, vault, asked, warnings);
  try {
    const kind = await assertOpens(tried, secret);
    return answer(host, tried, { kind });
  } catch (error) {
    const isNo =
      error instanceof PasswordError && ['wrong-password', 'wrong-masterkey'].includes(error.code);
    if (!isNo) throw error;
    return answer(host, tried, {
      error: options.conf === undefined ? error : naming(tried, error),
    });
  } finally {
    secret.bytes.fill(0);
  }
}

/** What was tried was not the vault's own conf. */
function naming({ confFile }: VaultFrame, { code, message, hint }: PasswordError): PasswordError {
  return new PasswordError(code, `${message} for ${confFile}`, {
    ...(hint === undefined ? {} : { hint }),
  });
}

function withConf(vault: VaultFrame, host: Host, file: string): VaultFrame {
  const confFile = path.resolve(host.folder, file);
  const stored = readConfFile(confFile);
  if (stored !== undefined) return { ...vault, ...stored, confFile };
  throw new UsageError('conf-missing', `--conf: ${confFile} does not exist`, {
    hint: 'Name the gocryptfs.conf of a copy.',
  });
}

/**
 * @returns what the secret turned out to be
 * @throws {PasswordError} `wrong-password`, `wrong-masterkey`
 * @throws {VaultError} `vault-incomplete` — a password, and the conf is lost; `key-check-missing`
 */
async function assertOpens(vault: VaultFrame, secret: Secret): Promise<Secret['kind']> {
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
  const [{ parseConf }, { unlockMasterkey }] = await Promise.all([
    import('../../gocryptfs/config.ts'),
    import('../../gocryptfs/keys.ts'),
  ]);
  const found = await unlockMasterkey(parseConf(vault.confBytes), secret.bytes);
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
  vault: VaultFrame,
  outcome: { readonly kind: Secret['kind'] } | { readonly error: PasswordError },
): CommandResult {
  const { out } = host;
  const opens = 'kind' in outcome;
  if (out.mode.json) out.event({ type: 'check', opens, ...(opens && { kind: outcome.kind }) });
  else if (!opens) out.data('no');
  else {
    const what = outcome.kind === 'masterkey' ? 'master key' : 'password';
    const where = outcome.kind === 'masterkey' ? vault.vaultDir : vault.confFile;
    out.data(`yes: this ${what} opens ${shownText(where)}`);
  }
  if (opens) return { exitCode: 0 };
  const { exitCode, code, message, hint } = describeFailure(outcome.error, false);
  return { exitCode, error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}
