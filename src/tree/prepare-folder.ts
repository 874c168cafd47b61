import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { FileError } from '../errors.ts';
import { errnoOf, fileFailure } from './file-failure.ts';

/**
 * Makes sure that a folder exists; only its last component is made, as rsync does it.
 *
 * @param dryRun - make nothing
 * @returns whether it is, or would have been, made
 * @throws {FileError} `parent-missing` — the folder that should hold it does not exist
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
    if (!dryRun) mkdirSync(folder);
    else if (statSync(path.dirname(folder), { throwIfNoEntry: false }) === undefined) {
      throw parentMissing(folder);
    }
    return true;
  } catch (error) {
    if (error instanceof FileError) throw error;
    if (errnoOf(error) === 'ENOENT') throw parentMissing(folder, error);
    throw fileFailure(error, 'write-failed', 'cannot create the folder', shown);
  }
}

function parentMissing(folder: string, cause?: unknown): FileError {
  return new FileError('parent-missing', `${path.dirname(folder)} does not exist`, {
    hint: 'Create it first, or plug in and mount the disk it is on.',
    facts: { path: folder },
    ...(cause === undefined ? {} : { cause }),
  });
}
