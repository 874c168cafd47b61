/** Finds out whether another file system is mounted on a folder. */
import { lstatSync } from 'node:fs';
import path from 'node:path';
import { diskFolder, onDisk } from './disk-path.ts';
import { isRootPath, splitPath } from '../../bytes/paths.ts';

/**
 * Whether a folder is on another device than its parent. A folder that is missing or cannot be
 * examined is not: it cannot be read either.
 *
 * @param root - absolute
 * @param inside - path in it; `.` is compared with the root's own parent
 */
export function isMountPoint(root: string, inside: Uint8Array): boolean {
  const folder = diskFolder(root);
  try {
    const stats = lstatSync(onDisk(folder, inside));
    return stats.isDirectory() && stats.dev !== lstatSync(above(root, inside)).dev;
  } catch {
    return false;
  }
}

function above(root: string, inside: Uint8Array): Buffer {
  if (isRootPath(inside)) return diskFolder(path.dirname(root));
  const { directory } = splitPath(inside);
  return isRootPath(directory) ? diskFolder(root) : onDisk(diskFolder(root), directory);
}
