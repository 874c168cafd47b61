/** Tells what kind of object a path leads to. */
import fs from 'node:fs';
import { errnoOf } from '../../platform.ts';

/** What a path leads to, links followed; `hidden`: somebody else's, so it cannot be told. */
export type PathKind = 'file' | 'folder' | 'other' | 'absent' | 'hidden';

/** Whether nothing is in a folder that can be listed, but for one name that does not count. */
export function isEmptyFolder(folder: string, except?: string): boolean {
  return fs.readdirSync(folder).every((name) => name === except);
}

/** Looks at a path; never throws. */
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
