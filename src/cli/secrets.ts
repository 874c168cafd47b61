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

/** A vault whose secret is known, while scrypt still works on it in a thread of its own. */
export interface UnlockingVault {
  readonly conf: Conf;
  /** Rejects with the errors of {@link unlockVault}; whoever asked must await it. */
  readonly masterkey: Promise<Buffer>;
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
  const { conf, masterkey } = await startUnlocking(host, vault, options, warnings);
  return { conf, masterkey: await masterkey };
}

/** The same, but back as soon as nothing more needs to be asked or read. */
export async function startUnlocking(
  host: Host,
  vault: Vault,
  options: SecretOptions,
  warnings: Warnings,
): Promise<UnlockingVault> {
  const { parseConf } = await import('../gocryptfs/config.ts');
  const conf = parseConf(vault.confBytes);
  const secret = await readSecret({
    ...sourcesOf(host, options, warnings),
    config: { password: vault.config.password, folder: vault.vaultDir },
    ...(host.canAsk ? { prompt: () => askPassword(host) } : {}),
  });
  const masterkey = masterkeyFrom(vault, conf, secret);
  masterkey.catch(() => undefined); // awaited by the caller, but maybe not at once
  return { conf, masterkey };
}

async function masterkeyFrom(vault: Vault, conf: Conf, secret: Secret): Promise<Buffer> {
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
