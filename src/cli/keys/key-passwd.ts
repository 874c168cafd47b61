/** The command `key passwd`: changes the password of a vault. */
import type { Command } from 'commander';
import { FileError } from '../../errors.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import {
  SCRYPT_LOG_N_DEFAULT,
  SCRYPT_LOG_N_MAX,
  SCRYPT_WORK_DEFAULT,
} from '../../gocryptfs/format/limits.ts';
import { commitConf, settleConf, stageConf } from '../../vault/replace-conf.ts';
import { findVaultDir, hasConf, type VaultFrame } from '../../vault/vault.ts';
import { untilInterrupted } from '../secrets/derivation.ts';
import { describeFailure } from '../../library/failure.ts';
import type { Host } from '../frame/host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  typed,
  type CommonOptions,
  type SecretOptions,
} from '../frame/options.ts';
import { wholeNumber } from '../../options/option-values.ts';
import { readVaultFrameOf, placeOf } from '../frame/place.ts';
import { askPassword } from '../frame/prompt.ts';
import { DONE, type CommandResult, type Warnings } from '../frame/report.ts';
import {
  checkNewPasswordOptions,
  keychainSurroundings,
  readReplacementPassword,
  unlockByOptions,
  type NewPasswordOptions,
  type UnlockedVault,
} from '../secrets/secrets.ts';
import type { Selected } from '../frame/selected.ts';
import { addWaitOption, withVaultLock, type WaitOptions } from '../frame/vault-lock.ts';

interface PasswdOptions extends CommonOptions, SecretOptions, NewPasswordOptions, WaitOptions {
  readonly scryptn?: number;
}

const AFTER_HELP = `
The old password comes from where it always does, the new one from --new-passfile, --new-extpass or
a terminal. With --masterkey=stdin no old password is needed, and a lost gocryptfs.conf is made anew.

The master key stays: nothing is sent again, and the recovery sheet stays right. Copies of the old
gocryptfs.conf, at a remote or in its backups, still open with the old password. Vaults of the same copy on
other machines keep the old one until \`ecsync key fetch\` there.`;

/** Defines `key passwd`. */
export function defineKeyPasswd(key: Command, select: Selected): void {
  const command = key
    .command('passwd')
    .description('Change the password.')
    .option('--new-passfile <file>', 'read the new password from the first line of FILE')
    .option('--new-extpass <cmd>', 'run CMD (no shell) and take the first line it prints')
    .option(
      '--scryptn <n>',
      'cost of trying one password: 2^N, N from 10 to 22 (default: as it is, at least 16)',
      typed(wholeNumber(10, 22)),
    );
  addWaitOption(command);
  addSecretOptions(command, { masterkey: true });
  addCommonOptions(command).addHelpText('after', AFTER_HELP);
  command.action(() => {
    const options: PasswdOptions = command.optsWithGlobals();
    select('key passwd', options, (host, warnings) => changePasswordOf(host, warnings, options));
  });
}

async function changePasswordOf(
  host: Host,
  warnings: Warnings,
  options: PasswdOptions,
): Promise<CommandResult> {
  const vaultDir = findVaultDir(placeOf(host, options));
  checkNewPasswordOptions(host, options);
  const task = { command: 'key passwd' };
  return withVaultLock(host, { vaultDir, task, options }, async (holding) => {
    const vault = readVaultFrameOf(holding, options);
    settleConf(vault);
    const old = { ...options, ask: () => askPassword(holding, 'Current password') };
    const unlocked = await unlockByOptions(holding, vault, old, warnings);
    try {
      await replacePassword(holding, warnings, { options, vault, unlocked });
    } finally {
      unlocked.masterkey.fill(0);
    }
    tell(holding, vault);
    return DONE;
  });
}

/** Makes the conf for the new password, verifies that it opens, and replaces the old one. */
async function replacePassword(
  host: Host,
  warnings: Warnings,
  request: {
    readonly options: PasswdOptions;
    readonly vault: VaultFrame;
    readonly unlocked: UnlockedVault;
  },
): Promise<void> {
  const { options, vault, unlocked } = request;
  const [{ changePassword }, { serialiseConf }] = await Promise.all([
    import('../../gocryptfs/conf/keys.ts'),
    import('../../gocryptfs/conf/config.ts'),
  ]);
  const password = (await readReplacementPassword(host, options, warnings)).bytes;
  try {
    const old: Conf = hasConf(vault)
      ? unlocked.conf
      : { ...unlocked.conf, creator: `ecsync ${host.version}` };
    const scryptLogN = options.scryptn ?? costAsBefore(old);
    const changing = changePassword(old, unlocked.masterkey, { password, scryptLogN });
    const conf = await untilInterrupted(host, changing);
    host.signal.throwIfAborted();
    const staged = stageConf(vault, serialiseConf(conf));
    await untilInterrupted(host, assertOpens(staged, password, unlocked.masterkey));
    host.signal.throwIfAborted();
    commitConf(vault, staged);
    await updateKeychain(host, warnings, vault, password);
  } finally {
    password.fill(0);
  }
}

/** At least today's default, and at least the old cost. */
function costAsBefore({ scrypt: { logN, r, p } }: Conf): number {
  const before = Math.ceil(Math.log2((2 ** logN * r * p) / SCRYPT_WORK_DEFAULT));
  return Math.min(SCRYPT_LOG_N_DEFAULT + Math.max(before, 0), SCRYPT_LOG_N_MAX);
}

/** The password is changed already, so a failure of the keychain is a warning. */
async function updateKeychain(
  host: Host,
  warnings: Warnings,
  vault: VaultFrame,
  password: Uint8Array,
): Promise<void> {
  if (vault.config.password?.keychain !== true) return;
  const { keychainItemOf, writeKeychain } = await import('../../vault/password/keychain.ts');
  try {
    await writeKeychain(keychainItemOf(vault), password, keychainSurroundings(host));
  } catch (error) {
    const { code, message } = describeFailure(error, false);
    const remedy = 'it still has the old password: ecsync key remember';
    warnings.add({ code, message: `${message}; ${remedy}` });
  }
}

/** @throws {FileError} `conf-not-written` — the file differs when it is read back */
async function assertOpens(
  staged: Uint8Array,
  password: Uint8Array,
  masterkey: Uint8Array,
): Promise<void> {
  const [{ unlockMasterkey }, { parseConf }] = await Promise.all([
    import('../../gocryptfs/conf/keys.ts'),
    import('../../gocryptfs/conf/config.ts'),
  ]);
  let cause: unknown;
  try {
    const found = await unlockMasterkey(parseConf(staged), password);
    const isSame = found.equals(masterkey);
    found.fill(0);
    if (isSame) return;
  } catch (error) {
    cause = error;
  }
  throw new FileError('conf-not-written', 'the new gocryptfs.conf does not open when read back', {
    hint: 'Nothing was changed. Check the disk, then run the command again.',
    cause,
  });
}

function tell(host: Host, vault: VaultFrame): void {
  const { out } = host;
  out.note(hasConf(vault) ? 'the password is changed' : `${vault.confFile} is made anew`);
  out.note('remotes get the new gocryptfs.conf at the next push');
  out.note('until then, and wherever the old one was copied to, the old password still opens it');
  out.note(
    'hint: If somebody else knows the old password and has such a copy, only a new vault keeps them out.',
  );
}
