/** What runs that were killed have left in a vault directory: files that were being written. */
import fs from 'node:fs';
import path from 'node:path';
import { TEMPORARY_SUFFIX } from './atomic-write.ts';

/** Files that a run may write without the vault's lock; what else has such a name is nobody's. */
const WRITTEN_UNLOCKED = /^(?:config\.toml|schedule-|lock\.)/;

/**
 * Removes them. Never throws: what cannot be removed is in nobody's way.
 *
 * @param vaultDir - its lock is held
 */
export function sweepLeftovers(vaultDir: string): void {
  for (const folder of [vaultDir, path.join(vaultDir, 'index')]) {
    for (const name of namesIn(folder)) {
      if (!TEMPORARY_SUFFIX.test(name) || WRITTEN_UNLOCKED.test(name)) continue;
      try {
        fs.rmSync(path.join(folder, name), { force: true });
      } catch {
        // A folder of that name, or one that may not be changed.
      }
    }
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return []; // nothing was remembered yet
  }
}
