/** Makes or takes over the key of a new vault. */
import type { LayoutChoice } from '../../gocryptfs/conf/feature-flags.ts';
import type { MadeKey } from '../../library/new-key.ts';
import { untilInterrupted } from '../secrets/derivation.ts';
import type { Host } from '../frame/host.ts';
import type { SecretOptions } from '../frame/options.ts';
import type { Warnings } from '../frame/report.ts';
import { readNewPassword, unlockConf } from '../secrets/secrets.ts';

/**
 * A new conf with a new master key.
 *
 * @throws {PasswordError} every code of `readNewPassword`; as `makeKey`
 */
export async function newKey(
  host: Host,
  warnings: Warnings,
  options: SecretOptions & { readonly scryptn?: number },
  choice: LayoutChoice,
): Promise<MadeKey> {
  const { makeKey } = await import('../../library/new-key.ts');
  const { bytes } = await readNewPassword(host, options, warnings);
  const { scryptn } = options;
  const waiting = <T>(derivation: Promise<T>): Promise<T> => untilInterrupted(host, derivation);
  return makeKey(waiting, bytes, { choice, scryptn });
}

/**
 * The conf of `gocryptfs -reverse` in the source folder, opened with its password.
 *
 * @throws as `takeReverseKey` and `unlockConf`
 */
export async function reverseKey(
  host: Host,
  warnings: Warnings,
  options: SecretOptions,
  file: string,
): Promise<MadeKey> {
  const { takeReverseKey } = await import('../../library/new-key.ts');
  return takeReverseKey(file, (conf) => unlockConf(host, conf, options, warnings));
}
