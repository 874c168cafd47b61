import type { Command } from 'commander';
import { FileError } from '../../errors.ts';
import type { Conf } from '../../gocryptfs/config.ts';
import { acquireLock } from '../../vault/lock.ts';
import { commitConf, settleConf, stageConf } from '../../vault/replace-conf.ts';
import { findVaultDir, hasConf, type VaultFrame } from '../../vault/vault.ts';
import { vaultFiles } from '../../vault/vault-files.ts';
import { describeFailure } from '../failure.ts';
import type { Host } from '../host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  wholeNumber,
  type CommonOptions,
  type SecretOptions,
} from '../options.ts';
import { openVaultFrameOf, placeOf } from '../place.ts';
import { askPassword } from '../prompt.ts';
import { DONE, type CommandResult, type Warnings } from '../report.ts';
import {
  checkNewPasswordOptions,
  keychainSurroundings,
  readReplacementPassword,
  unlockVault,
  type NewPasswordOptions,
  type UnlockedVault,
} from '../secrets.ts';
import type { Selected } from '../selected.ts';

interface PasswdOptions extends CommonOptions, SecretOptions, NewPasswordOptions {
  readonly scryptn?: number;
}

const AFTER_HELP = `
The old password comes from where it always does, the new one from --new-passfile, --new-extpass or
a terminal. With --masterkey=stdin no old password is needed, and a lost gocryptfs.conf is made anew.

The master key stays: nothing is sent again, and the recovery sheet stays right. Copies of the old
gocryptfs.conf, at a remote or in its backups, still open with the old password.`;

/** Defines `key passwd`. */
export function defineKeyPasswd(key: Command, select: Selected): void {
  const command = key
    .command('passwd')
    .description('Change the password.')
    .option('--new-passfile <file>', 'read the new password from the first line of FILE')
    .option('--new-extpass <cmd>', 'run CMD (no shell) and take the first line it prints')
    .option(
      '--scryptn <n>',
      'cost of trying one password: 2^N, N from 10 to 22 (default: as it is)',
      wholeNumber(10, 22),
    );
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
  const lock = acquireLock(vaultFiles(vaultDir).lock);
  try {
    const vault = openVaultFrameOf(host, options);
    settleConf(vault);
    const old = { ...options, ask: () => askPassword(host, 'Current password') };
    const unlocked = await unlockVault(host, vault, old, warnings);
    try {
      await replacePassword(host, warnings, { options, vault, unlocked });
    } finally {
      unlocked.masterkey.fill(0);
    }
    tell(host, vault);
    return DONE;
  } finally {
    lock.release();
  }
}

/** Makes the conf for the new password, proves that it opens, and puts it in its place. */
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
    import('../../gocryptfs/keys.ts'),
    import('../../gocryptfs/config.ts'),
  ]);
  const password = (await readReplacementPassword(host, options, warnings)).bytes;
  try {
    const old: Conf = hasConf(vault)
      ? unlocked.conf
      : { ...unlocked.conf, creator: `ecsync ${host.version}` };
    const conf = await changePassword(old, unlocked.masterkey, {
      password,
      scryptLogN: options.scryptn ?? old.scrypt.logN,
    });
    host.signal.throwIfAborted();
    const staged = stageConf(vault, serialiseConf(conf));
    await assertOpens(staged, password, unlocked.masterkey);
    host.signal.throwIfAborted();
    commitConf(vault, staged);
    await updateKeychain(host, warnings, vault, password);
  } finally {
    password.fill(0);
  }
}

/** The password is changed by now: a keychain that does not take it is a warning. */
async function updateKeychain(
  host: Host,
  warnings: Warnings,
  vault: VaultFrame,
  password: Uint8Array,
): Promise<void> {
  if (vault.config.password?.keychain !== true) return;
  const { keychainItemOf, writeKeychain } = await import('../../vault/keychain.ts');
  try {
    await writeKeychain(keychainItemOf(vault), password, keychainSurroundings(host));
  } catch (error) {
    const { code, message } = describeFailure(error, false);
    const remedy = 'it still has the old password: ecsync key remember';
    warnings.add({ code, message: `${message}; ${remedy}` });
  }
}

/** @throws {FileError} `conf-not-written` — what was read back is not what was written */
async function assertOpens(
  staged: Uint8Array,
  password: Uint8Array,
  masterkey: Uint8Array,
): Promise<void> {
  const [{ unlockMasterkey }, { parseConf }] = await Promise.all([
    import('../../gocryptfs/keys.ts'),
    import('../../gocryptfs/config.ts'),
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
