/** Finds out what kind of object is at a path. */
import fs from 'node:fs';
import { errnoOf } from '../../platform.ts';

/**
 * The kind of object at a path, after following symlinks; `hidden`: no permission to examine it.
 */
export type PathKind = 'file' | 'folder' | 'other' | 'absent' | 'hidden';

/** Whether a folder, which can be listed, is empty apart from one name that is ignored. */
export function isEmptyFolder(folder: string, except?: string): boolean {
  return fs.readdirSync(folder).every((name) => name === except);
}

/** Examines a path; never throws. */
export function pathKind(candidate: string): PathKind {
  try {
    const stats = fs.statSync(candidate);
    if (stats.isFile()) return 'file';
    return stats.isDirectory() ? 'folder' : 'other';
  } catch (error) {
    const code = errnoOf(error);
    return code === 'EACCES' || code === 'EPERM' ? 'hidden' : 'absent';
  }
}
