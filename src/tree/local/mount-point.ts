/** Whether another file system is mounted on a folder. */
import { lstatSync } from 'node:fs';
import path from 'node:path';
import { diskFolder, onDisk } from './disk-path.ts';
import { isRootPath, splitPath } from '../safe-path.ts';

/**
 * Whether a folder is on another device than the one it is in. What is gone, or out of sight, is not:
 * it cannot be read either.
 *
 * @param root - absolute
 * @param inside - path in it; for `.` the root's own parent counts
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
  const { parent } = splitPath(inside);
  return parent.length === 0 ? diskFolder(root) : onDisk(diskFolder(root), parent);
}
