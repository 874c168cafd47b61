/**
 * The setting `constant_time`, for machines shared with others who must not learn keys by timing.
 */
import { requireConstantTime } from '../../gocryptfs/cipher/constant-time.ts';
import type { VaultConfig } from '../../vault/config/config.ts';
import { readUserConfig, userConfigFile } from '../../vault/user/user-config.ts';
import { parseFlag, type ConfigurationPlace } from './push-config.ts';

const VARIABLE = 'ECSYNC_CONSTANT_TIME';

/**
 * Enables constant time if the environment, the vault or the machine-wide configuration asks for
 * it. The first of them that has the setting counts. Call it before anything is encrypted or
 * decrypted.
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
