/** A quick look at a folder of this machine, without going into it. */
import { lstatSync, statSync } from 'node:fs';
import { diskFolder, onDisk } from './disk-path.ts';

/**
 * @returns undefined where there is no such folder
 * @throws {Error} of the system, when it cannot be examined
 */
export function folderStats(
  folder: string,
): { readonly mode: number; readonly uid: number; readonly gid: number } | undefined {
  const stats = statSync(folder, { throwIfNoEntry: false });
  return stats?.isDirectory() === true ? stats : undefined;
}

/** Whether a folder has a file of this name; a link to one is none. */
export function isFileIn(folder: string, name: Uint8Array): boolean {
  try {
    return lstatSync(onDisk(diskFolder(folder), name)).isFile();
  } catch {
    return false; // not there, or nothing that can be looked at
  }
}
