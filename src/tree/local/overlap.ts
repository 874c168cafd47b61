/** Tells whether two folders overlap. */
import { realpathSync } from 'node:fs';
import path from 'node:path';

/** The real path of the nearest existing ancestor, with the missing rest appended. */
function realPathOf(folder: string): string {
  const absolute = path.resolve(folder);
  try {
    return realpathSync(absolute);
  } catch {
    // It does not exist yet, or may not be looked at: its parent decides where it would be.
    const parent = path.dirname(absolute);
    return parent === absolute ? absolute : path.join(realPathOf(parent), path.basename(absolute));
  }
}

/** Whether two folders are the same or one lies inside the other, links resolved. */
export function foldersOverlap(a: string, b: string): boolean {
  const realA = realPathOf(a);
  const realB = realPathOf(b);
  const isInside = (inner: string, outer: string): boolean => {
    const relative = path.relative(outer, inner);
    return (
      relative === '' ||
      (!relative.startsWith(`..${path.sep}`) && relative !== '..' && !path.isAbsolute(relative))
    );
  };
  return isInside(realA, realB) || isInside(realB, realA);
}
