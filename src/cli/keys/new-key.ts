/** Makes the key of a new vault, or takes it from a conf of `gocryptfs -reverse`. */
import { VaultError } from '../../errors.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import type { LayoutChoice } from '../../gocryptfs/conf/feature-flags.ts';
import type { NewVaultKey } from '../../vault/new-vault.ts';
import { readConfFile } from '../../vault/stored-conf.ts';
import { untilInterrupted } from '../secrets/derivation.ts';
import type { Host } from '../frame/host.ts';
import type { SecretOptions } from '../frame/options.ts';
import type { Warnings } from '../frame/report.ts';
import { readNewPassword, unlockConf } from '../secrets/secrets.ts';

/** What `init` makes a vault of. Whoever asked for it overwrites the master key. */
export interface MadeKey extends NewVaultKey {
  readonly conf: Conf;
}

/** What virtual files are younger by in new vaults of layout `reverse`: as since gocryptfs 2.5. */
const TIME_SHIFT_SEC = 10;

/**
 * A new conf with a new master key.
 *
 * @throws {PasswordError} every code of `readNewPassword` and `createConf`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 * @throws {VaultError} `scrypt-failed`
 */
export async function newKey(
  host: Host,
  warnings: Warnings,
  options: SecretOptions & { readonly scryptn?: number },
  choice: LayoutChoice,
): Promise<MadeKey> {
  const [{ createConf }, { serialiseConf }] = await Promise.all([
    import('../../gocryptfs/conf/keys.ts'),
    import('../../gocryptfs/conf/config.ts'),
  ]);
  const secret = await readNewPassword(host, options, warnings);
  const creating = createConf({
    password: secret.bytes,
    creator: `ecsync ${host.version}`,
    layout: choice,
    ...(options.scryptn === undefined ? {} : { scryptLogN: options.scryptn }),
  }).finally(() => secret.bytes.fill(0));
  const { conf, masterkey } = await untilInterrupted(host, creating);
  return {
    conf,
    confBytes: serialiseConf(conf),
    masterkey,
    ...(choice.layout === 'reverse' && {
      reverse: { timeShiftSec: TIME_SHIFT_SEC, confInSource: false },
    }),
  };
}

/**
 * The conf of `gocryptfs -reverse` in the source folder, opened with its password.
 *
 * @throws {VaultError} `conf-missing`, `vault-unreadable`, `layout-unsupported`,
 *   `fido2-unsupported`, `scrypt-failed`, every code of `parseConf`
 * @throws {PasswordError} every code of `unlockConf`
 * @throws {UsageError} `conflicting-options`, `command-invalid`
 */
export async function reverseKey(
  host: Host,
  warnings: Warnings,
  options: SecretOptions,
  file: string,
): Promise<MadeKey> {
  const { parseConf } = await import('../../gocryptfs/conf/config.ts');
  const stored = readConfFile(file);
  if (stored === undefined) throw new VaultError('conf-missing', `${file} has gone`);
  const conf = parseConf(stored.confBytes);
  if (!conf.flags.has('AESSIV')) {
    throw new VaultError('layout-unsupported', `${file}: the flag AESSIV is not set`, {
      hint: 'Only gocryptfs -init -reverse makes such a conf rightly. Move it elsewhere and run init again.',
    });
  }
  if (conf.fido2 !== undefined) {
    throw new VaultError('fido2-unsupported', `${file}: a FIDO2 token unlocks it`, {
      hint: 'Give it a password first: gocryptfs -passwd -reverse -masterkey=stdin DIR',
    });
  }
  const masterkey = await unlockConf(host, conf, options, warnings);
  return {
    conf,
    confBytes: stored.confBytes,
    masterkey,
    reverse: { timeShiftSec: TIME_SHIFT_SEC, confInSource: true },
  };
}
