/** Quick checks of a folder on this machine, without listing it. */
import { lstatSync, statSync } from 'node:fs';
import { diskFolder, onDisk } from './disk-path.ts';

/**
 * @returns undefined when there is no such folder
 * @throws the system's error when it cannot be examined
 */
export function folderStats(
  folder: string,
): { readonly mode: number; readonly uid: number; readonly gid: number } | undefined {
  const stats = statSync(folder, { throwIfNoEntry: false });
  return stats?.isDirectory() === true ? stats : undefined;
}

/** Whether a folder has a regular file of this name; a symlink does not count. */
export function isFileIn(folder: string, name: Uint8Array): boolean {
  try {
    return lstatSync(onDisk(diskFolder(folder), name)).isFile();
  } catch {
    return false; // missing, or it cannot be examined
  }
}
