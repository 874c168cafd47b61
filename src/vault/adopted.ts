/** What a vault knows of a copy that it adopted: directory IVs and the like that do not follow from its key. */
import { VaultError } from '../errors.ts';
import { errnoOf } from '../platform.ts';
import { reasonOf } from '../system-words.ts';
import type { VaultConfig } from './config/config.ts';
import { readRegularFile } from './files/regular-file.ts';
import { confDigest } from './stored-conf.ts';
import { vaultFiles } from './files/vault-files.ts';

/** The part of a vault that says what it adopted. */
export interface AdoptedPlace {
  readonly vaultDir: string;
  readonly config: Pick<VaultConfig, 'adopted_sha256'>;
}

/**
 * What a copy had before this vault adopted it. It is no cache: without it, or with an older one, the
 * next push would change that part of the copy. So the configuration says that it must be there,
 * and which one.
 *
 * @returns undefined when this vault adopted nothing
 * @throws {VaultError} `vault-unreadable`; `adopted-missing`, `adopted-changed`
 */
export function readAdopted({ vaultDir, config }: AdoptedPlace): Uint8Array | undefined {
  const file = vaultFiles(vaultDir).adopted;
  const { adopted_sha256: pinned } = config;
  const bytes = readWhole(file);
  // Vaults made before the digest was written down have none.
  if (pinned === undefined) return bytes;
  if (bytes === undefined) {
    throw new VaultError('adopted-missing', `${file} is missing`, { hint: RESTORE_HINT });
  }
  if (confDigest(bytes) === pinned) return bytes;
  throw new VaultError(
    'adopted-changed',
    `${file} is damaged or another one (its digest differs from adopted_sha256)`,
    { hint: RESTORE_HINT },
  );
}

const RESTORE_HINT =
  'Without it a push would make parts of the copy unreadable. Put it back from a backup of this folder. Or move the vault directory away and adopt the copy again, which sends nothing.';

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
