/**
 * Reads the index of an adopted copy: directory IVs and other properties that do not follow from
 * its key.
 */
import { VaultError } from '../errors.ts';
import { errnoOf } from '../platform.ts';
import { reasonOf } from '../system-errors.ts';
import type { VaultConfig } from './config/config.ts';
import { readRegularFile } from './files/regular-file.ts';
import { confDigest } from './stored-conf.ts';
import { vaultFiles } from './files/vault-files.ts';

/** The parts of a vault that locate the index. */
export interface AdoptedPlace {
  readonly vaultDir: string;
  readonly config: Pick<VaultConfig, 'adopted_sha256'>;
}

/**
 * The properties that a copy had before this vault adopted it. The file is not a cache: without it,
 * or with an older one, the next push would change that part of the copy. So the configuration pins
 * its digest.
 *
 * @returns undefined when this vault adopted nothing
 * @throws {VaultError} `vault-unreadable`; `adopted-missing`, `adopted-changed`
 */
export function readAdopted({ vaultDir, config }: AdoptedPlace): Uint8Array | undefined {
  const file = vaultFiles(vaultDir).adopted;
  const { adopted_sha256: pinned } = config;
  const bytes = readWhole(file);
  // Vaults of older releases have no digest.
  if (pinned === undefined) return bytes;
  if (bytes === undefined) {
    throw new VaultError('adopted-missing', `${file} is missing`, { hint: RESTORE_HINT });
  }
  if (confDigest(bytes) === pinned) return bytes;
  throw new VaultError(
    'adopted-changed',
    `${file} is damaged or was replaced (its digest differs from adopted_sha256)`,
    { hint: RESTORE_HINT },
  );
}

const RESTORE_HINT =
  'Without it a push would make parts of the copy unreadable. Restore it from a backup of this folder. Or move the vault directory away and adopt the copy again, which sends nothing.';

function readWhole(file: string): Uint8Array | undefined {
  try {
    return readRegularFile(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new VaultError('vault-unreadable', `cannot read ${file}: ${reasonOf(error)}`, {
      hint: 'Run ecsync as the user who made the vault.',
      cause: error,
    });
  }
}
