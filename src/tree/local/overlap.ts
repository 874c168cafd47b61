/** Finds out whether two folders overlap, and refuses a destination that overlaps its source. */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '../../errors.ts';

/** The real path of the nearest existing ancestor, with the missing rest appended. */
function realPathOf(folder: string): string {
  const absolute = path.resolve(folder);
  try {
    return realpathSync(absolute);
  } catch {
    // It does not exist yet, or must not be examined: its parent decides where it would be.
    const parent = path.dirname(absolute);
    return parent === absolute ? absolute : path.join(realPathOf(parent), path.basename(absolute));
  }
}

/** Whether two folders are the same or one lies inside the other, after resolving symlinks. */
export function foldersOverlap(a: string, b: string): boolean {
  const realA = realPathOf(a);
  const realB = realPathOf(b);
  return isInside(realA, realB) || isInside(realB, realA);
}

function isInside(inner: string, outer: string): boolean {
  const relative = path.relative(outer, inner);
  const leadsOut = relative === '..' || relative.startsWith(`..${path.sep}`);
  return relative === '' || (!leadsOut && !path.isAbsolute(relative));
}

/** The parts of a destination that matter here. */
interface Place {
  readonly kind: string;
  readonly path: string;
  /** Its canonical text. */
  readonly shown: string;
}

/**
 * A copy inside its source would be pushed into itself; one around it would hold the plaintext.
 *
 * @throws {UsageError} `destination-overlaps`
 */
export function refuseOverlap(source: string, { kind, path: folder, shown }: Place): void {
  if (kind !== 'local' || !foldersOverlap(source, folder)) return;
  const isWithin = isInside(realPathOf(folder), realPathOf(source));
  throw new UsageError(
    'destination-overlaps',
    `${shown} ${isWithin ? 'lies inside' : 'contains'} ${source}, the folder that is pushed`,
    { hint: 'Choose a folder elsewhere. To push only a part: ecsync push REMOTE PATH' },
  );
}
