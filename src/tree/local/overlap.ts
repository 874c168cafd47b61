/** How two folders of this machine lie to each other. */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '../../errors.ts';

/** The path from a folder to what lies in it, empty for itself; undefined for what lies elsewhere. */
export function inside(folder: string, absolute: string): string | undefined {
  const relative = path.relative(folder, absolute);
  const isOutside =
    relative === '..' || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative);
  return isOutside ? undefined : relative;
}

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

/**
 * How a folder overlaps another one after symlinks are resolved, in words for a message; undefined
 * when they are apart. A folder lies inside itself.
 */
export function overlap(folder: string, other: string): 'lies inside' | 'contains' | undefined {
  const [real, realOther] = [realPathOf(folder), realPathOf(other)];
  if (inside(realOther, real) !== undefined) return 'lies inside';
  return inside(real, realOther) === undefined ? undefined : 'contains';
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
  const how = kind === 'local' ? overlap(folder, source) : undefined;
  if (how === undefined) return;
  throw new UsageError(
    'destination-overlaps',
    `${shown} ${how} ${source}, the folder that is pushed`,
    { hint: 'Choose a folder elsewhere. To push only a part: ecsync push REMOTE PATH' },
  );
}
