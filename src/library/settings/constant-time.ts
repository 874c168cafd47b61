/** `constant_time`: where it is said that this machine is shared with others who must not learn keys. */
import { requireConstantTime } from '../../gocryptfs/cipher/constant-time.ts';
import type { VaultConfig } from '../../vault/config/config.ts';
import { readUserConfig, userConfigFile } from '../../vault/user/user-config.ts';
import { parseFlag, type ConfigurationPlace } from './push-config.ts';

const VARIABLE = 'ECSYNC_CONSTANT_TIME';

/**
 * Asks for constant time when the environment, the vault or the machine-wide configuration does; the
 * first of them that says anything counts. To be called before anything is encrypted or decrypted.
 *
 * @throws {UsageError} `config-invalid` — the variable; every code of `readUserConfig`
 */
export function keepConstantTime(
  { environment, platform }: ConfigurationPlace,
  config?: Pick<VaultConfig, 'constant_time'>,
): void {
  const told = environment[VARIABLE];
  const isTold = told !== undefined && told !== '';
  const isAsked = isTold
    ? parseFlag(VARIABLE, told)
    : (config?.constant_time ??
      readUserConfig(userConfigFile(environment, platform)).constant_time);
  if (isAsked === true) requireConstantTime();
}
