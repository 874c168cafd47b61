/** Makes sure that a folder exists. */
import { mkdirSync, rmdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { FileError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { fileFailure } from '../file-failure.ts';

/**
 * Creates a folder and its parents, unless they exist.
 *
 * @param dryRun - create nothing
 * @returns whether it was, or would have been, created
 * @throws {FileError} `parent-missing` — nothing can be created there
 * @throws {FileError} `write-failed` — it is not a folder, or cannot be created
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
        hint: 'Create its parent folder first, or plug in and mount its disk.',
        facts: { path: folder },
        cause: error,
      });
    }
    throw fileFailure(error, 'write-failed', 'cannot create the folder', shown);
  }
}

/** Takes back a folder that was made for nothing; where that fails, or something is in it, it stays. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // An empty folder more does no harm.
  }
}

/** Tries each parent once: Node's recursive mkdir never ends where everything gives ENOENT. */
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
