/** Removes temporary files that killed runs left in a vault directory. */
import fs from 'node:fs';
import path from 'node:path';
import { TEMPORARY_SUFFIX } from './atomic-write.ts';

/** Files that are written without the vault's lock, so that their temporary files may be in use. */
const WRITTEN_UNLOCKED = /^(?:config\.toml|schedule-|lock\.)/;

/**
 * Removes all temporary files that are certainly unused. Never throws: files that cannot be removed
 * do no harm.
 *
 * @param vaultDir - the caller holds its lock
 */
export function sweepLeftovers(vaultDir: string): void {
  for (const folder of [vaultDir, path.join(vaultDir, 'index')]) {
    for (const name of namesIn(folder)) {
      if (!TEMPORARY_SUFFIX.test(name) || WRITTEN_UNLOCKED.test(name)) continue;
      try {
        fs.rmSync(path.join(folder, name), { force: true });
      } catch {
        // It is a folder, or may not be removed.
      }
    }
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return []; // there is no state yet
  }
}
