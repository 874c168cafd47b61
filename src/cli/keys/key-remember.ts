/**
 * The commands `key remember` and `key forget`: store a vault's password in the system's keychain,
 * or remove it.
 */
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { dropKeychain, useKeychain } from '../../vault/config/config-keychain.ts';
import { sourcesIn } from '../../vault/config/password-table.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import { vaultFiles } from '../../vault/files/vault-files.ts';
import { editConfig } from '../frame/edit-config.ts';
import type { Host } from '../frame/host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  type CommonOptions,
  type SecretOptions,
} from '../frame/options.ts';
import { readVaultFrameOf } from '../frame/place.ts';
import { DONE, type CommandResult, type Warnings } from '../frame/report.ts';
import { keychainSurroundings, provenPassword } from '../secrets/secrets.ts';
import type { Selected } from '../frame/selected.ts';

const AFTER_HELP = `
Linux: the Secret Service (GNOME Keyring, KWallet, KeePassXC), through secret-tool. macOS: the login
keychain. Windows: the Credential Manager. From then on [password] keychain = true in
.ecsync/config.toml has every command take the password from there. Whoever can run programs in your
session can take it, too. When the keychain cannot be used, a terminal is asked; without one the
exit code is 12. A new password (ecsync key passwd) is stored there as well.`;

/** Defines `key remember` and `key forget`. */
export function defineKeyRemember(key: Command, select: Selected): void {
  const remember = key
    .command('remember')
    .description("Store the password in the system's keychain, and take it from there.");
  addSecretOptions(remember, { masterkey: false });
  addCommonOptions(remember).addHelpText('after', AFTER_HELP);
  remember.action(() => {
    const options: CommonOptions & SecretOptions = remember.optsWithGlobals();
    select('key remember', options, (host, warnings) => rememberPassword(host, warnings, options));
  });

  const forget = key
    .command('forget')
    .description("Remove the password from the system's keychain, and no longer look there.");
  addCommonOptions(forget).action(() => {
    const options: CommonOptions = forget.optsWithGlobals();
    select('key forget', options, (host) => forgetPassword(host, options));
  });
}

async function rememberPassword(
  host: Host,
  warnings: Warnings,
  options: CommonOptions & SecretOptions,
): Promise<CommandResult> {
  const vault = readVaultFrameOf(host, options);
  assertNoOtherSource(vault);
  const { keychainItemOf, writeKeychain } = await import('../../vault/password/keychain.ts');
  const password = await provenPassword(host, vault, options, warnings);
  try {
    await writeKeychain(keychainItemOf(vault), password, keychainSurroundings(host));
  } finally {
    password.fill(0);
  }
  editConfig(host, options, useKeychain);
  host.out.note('the keychain has the password; every command takes it from there');
  return DONE;
}

function assertNoOtherSource({ config, vaultDir }: VaultFrame): void {
  const [source] = sourcesIn(config.password);
  if (source === undefined || source === 'keychain') return;
  const { config: file } = vaultFiles(vaultDir);
  throw new UsageError('password-source-set', `${file} says already: [password] ${source}`, {
    hint: 'Take that line out first: there can be one source only.',
  });
}

async function forgetPassword(host: Host, options: CommonOptions): Promise<CommandResult> {
  const vault = readVaultFrameOf(host, options);
  const { keychainItemOf, removeFromKeychain } = await import('../../vault/password/keychain.ts');
  const wasThere = await removeFromKeychain(keychainItemOf(vault), keychainSurroundings(host));
  editConfig(host, options, dropKeychain);
  host.out.note(
    wasThere
      ? 'the password is no longer in the keychain'
      : 'the keychain has no password for this vault',
  );
  return DONE;
}
