/** The conf of a vault, or a substitute when it is lost. */
import { UsageError, VaultError } from '../errors.ts';
import { parseConf, serialiseConf, type Conf } from '../gocryptfs/conf/config.ts';
import {
  LONG_NAME_MAX_DEFAULT,
  SCRYPT_LOG_N_DEFAULT,
  SCRYPT_SALT_LENGTH_MIN,
} from '../gocryptfs/format/limits.ts';
import { vaultFiles } from './files/vault-files.ts';
import { hasConf, type VaultFrame } from './vault.ts';

/**
 * The conf of a vault. When it is lost, a substitute without a key: it describes the filesystem,
 * but no password opens it.
 *
 * @throws {VaultError} every code of `parseConf`; `vault-incomplete` — the conf is lost, and the
 *   configuration does not describe it
 * @throws {UsageError} `config-invalid` — the configuration contradicts the conf
 */
export function confOf(vault: VaultFrame): Conf {
  return hasConf(vault) ? confAgreeing(vault, vault.storedConf.bytes) : confWithoutKey(vault);
}

/**
 * A conf that may become that of a vault.
 *
 * @throws {VaultError} every code of `parseConf`
 * @throws {UsageError} `config-invalid` — the configuration contradicts it
 */
export function confAgreeing(vault: VaultFrame, bytes: Uint8Array): Conf {
  const conf = parseConf(bytes);
  const { flags, long_name_max: longNameMax } = vault.config;
  const isSame =
    new Set(flags).size === conf.flags.size &&
    flags?.every((flag) => conf.flags.has(flag)) === true &&
    (longNameMax ?? LONG_NAME_MAX_DEFAULT) === conf.longNameMax;
  if (flags === undefined || isSame) return conf;
  throw new UsageError(
    'config-invalid',
    `${vaultFiles(vault.vaultDir).config}: 'flags' and 'long_name_max' differ from ${vault.confFile}`,
    { hint: `Copy them from there: flags = ${JSON.stringify([...conf.flags])}` },
  );
}

function confWithoutKey({ config, vaultDir, confFile }: VaultFrame): Conf {
  const { flags, long_name_max: longNameMax = LONG_NAME_MAX_DEFAULT } = config;
  if (flags === undefined) {
    throw new VaultError('vault-incomplete', `${confFile} is missing`, {
      hint: `Copy it from any remote. ${vaultFiles(vaultDir).config} has no flags from which it could be recreated.`,
    });
  }
  const conf: Conf = {
    creator: 'ecsync',
    encryptedKey: Buffer.alloc(flags.includes('HKDF') ? 64 : 60),
    scrypt: { salt: Buffer.alloc(SCRYPT_SALT_LENGTH_MIN), logN: SCRYPT_LOG_N_DEFAULT, r: 8, p: 1 },
    flags: new Set(flags.filter((flag) => flag !== 'FIDO2')),
    longNameMax,
  };
  return parseConf(serialiseConf(conf)); // throws where stock would refuse
}
