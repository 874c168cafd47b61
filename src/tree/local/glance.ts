/** Quick checks of a folder on this machine, without listing it. */
import { existsSync, lstatSync, statSync } from 'node:fs';
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

/** Whether anything is at this path; a link that leads nowhere is nothing. */
export function isThere(place: string): boolean {
  return existsSync(place);
}

/** What tells a folder from another one at its path. Undefined where nothing identifies it. */
export function folderIdentity(folder: string): string | undefined {
  const stats = statSync(folder, { throwIfNoEntry: false, bigint: true });
  return stats === undefined || stats.ino === 0n ? undefined : `${stats.dev} ${stats.ino}`;
}

/** Whether a folder has a regular file of this name; a symlink does not count. */
export function isFileIn(folder: string, name: Uint8Array): boolean {
  try {
    return lstatSync(onDisk(diskFolder(folder), name)).isFile();
  } catch {
    return false; // missing, or it cannot be examined
  }
}
