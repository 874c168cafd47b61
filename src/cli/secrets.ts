import type { Conf } from '../gocryptfs/config.ts';
import { readSecret, type Secret, type SecretSources } from '../vault/password.ts';
import { assertMasterkey, type Vault } from '../vault/vault.ts';
import type { Host } from './host.ts';
import type { SecretOptions } from './options.ts';
import { askNewPassword, askPassword } from './prompt.ts';
import type { Warnings } from './report.ts';

/** A vault's conf and its master key. Whoever asked for the key overwrites it when done. */
export interface UnlockedVault {
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
    ...(options.masterkey === undefined ? {} : { masterkeyFrom: host.stdin }),
    environment: host.passwordVariables,
    warn: (code, message) => warnings.add({ code, message }),
    signal: host.signal,
  };
}

/**
 * Opens a vault's master key with whatever secret is given.
 *
 * @throws {PasswordError} every code of `readSecret`, `wrong-password`, `wrong-masterkey`
 * @throws {VaultError} every code of `parseConf`, `scrypt-failed`, `fido2-unsupported`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 */
export async function unlockVault(
  host: Host,
  vault: Vault,
  options: SecretOptions,
  warnings: Warnings,
): Promise<UnlockedVault> {
  const [{ parseConf }, { unlockMasterkey }] = await Promise.all([
    import('../gocryptfs/config.ts'),
    import('../gocryptfs/keys.ts'),
  ]);
  const conf = parseConf(vault.confBytes);
  const secret = await readSecret({
    ...sourcesOf(host, options, warnings),
    config: { password: vault.config.password, folder: vault.vaultDir },
    ...(host.canAsk ? { prompt: () => askPassword(host) } : {}),
  });
  if (secret.kind === 'masterkey') {
    assertMasterkey(vault, secret.bytes);
    return { conf, masterkey: secret.bytes };
  }
  try {
    const masterkey = await unlockMasterkey(conf, secret.bytes);
    assertMasterkey(vault, masterkey);
    return { conf, masterkey };
  } finally {
    secret.bytes.fill(0);
  }
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
