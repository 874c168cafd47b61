/** Makes sure that a folder exists. */
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { FileError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { fileFailure } from '../file-failure.ts';

/**
 * Makes sure that a folder exists, and the folders above it.
 *
 * @param dryRun - make nothing
 * @returns whether it is, or would have been, made
 * @throws {FileError} `parent-missing` — nothing can be made there
 * @throws {FileError} `write-failed` — it is no folder, or cannot be made
 */
export function prepareFolder(folder: string, dryRun: boolean): boolean {
  const shown = Buffer.from(folder);
  try {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) return false;
    if (stats !== undefined) {
      throw new FileError('write-failed', `${folder} is not a folder`, {
        hint: 'Choose a folder as the destination.',
      });
    }
    if (!dryRun) makeFolder(folder);
    return true;
  } catch (error) {
    if (error instanceof FileError) throw error;
    if (errnoOf(error) === 'ENOENT') {
      throw new FileError('parent-missing', `cannot create the folder ${folder}`, {
        hint: 'Create the one it is to be in first, or plug in and mount the disk it is on.',
        facts: { path: folder },
        cause: error,
      });
    }
    throw fileFailure(error, 'write-failed', 'cannot create the folder', shown);
  }
}

/** Each once: where a file system says of everything that it does not exist, Node would try for ever. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    const parent = path.dirname(folder);
    if (errnoOf(error) !== 'ENOENT' || parent === folder) throw error;
    if (statSync(parent, { throwIfNoEntry: false }) !== undefined) throw error;
    makeFolder(parent);
    mkdirSync(folder);
  }
}
