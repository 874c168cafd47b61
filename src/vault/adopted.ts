import fs from 'node:fs';
import { FileError, VaultError } from '../errors.ts';
import { replaceFile } from './atomic-write.ts';
import { vaultFiles } from './vault-files.ts';

/**
 * What {@link writeAdopted} stored: what a copy had before this vault adopted it. It is no cache:
 * without it the next push would change that part of the copy.
 *
 * @returns undefined when this vault adopted nothing
 * @throws {VaultError} `vault-unreadable`
 */
export function readAdopted(vaultDir: string): Uint8Array | undefined {
  const file = vaultFiles(vaultDir).adopted;
  try {
    return fs.readFileSync(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new VaultError('vault-unreadable', `cannot read ${file}`, {
      hint: 'Run ecsync as the user who made the vault.',
      cause: error,
    });
  }
}

/**
 * Replaces it in one step.
 *
 * @throws {FileError} `adopted-not-written`
 */
export function writeAdopted(vaultDir: string, bytes: Uint8Array): void {
  const file = vaultFiles(vaultDir).adopted;
  try {
    replaceFile(file, bytes, 0o600);
  } catch (error) {
    throw new FileError('adopted-not-written', `cannot write ${file}`, {
      hint: 'Check the space on this disk and the permissions of the folder.',
      cause: error,
    });
  }
}
