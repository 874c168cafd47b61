import path from 'node:path';
import { UsageError } from '../errors.ts';

/** Where the paths of a restore are read. */
export interface RestorePathsContext {
  /** Absolute folder that relative paths start from, when it is inside the vault. */
  readonly folder: string;
  /** Absolute source folder of the vault; undefined outside of one. */
  readonly source: string | undefined;
}

/**
 * Turns paths as typed into paths from the top of the vault, `/`-separated. They need not exist:
 * a relative one starts at the current folder inside the vault, elsewhere at its top; an absolute
 * one lies inside the source folder.
 *
 * @returns empty when everything is meant
 * @throws {UsageError} `path-outside`
 */
export function readRestorePaths(
  paths: readonly string[],
  { folder, source }: RestorePathsContext,
): readonly string[] {
  const read = paths.map((typed) => {
    const isInside = source !== undefined && inside(source, folder) !== undefined;
    const top = source ?? path.sep;
    const found = inside(top, path.resolve(isInside ? folder : top, typed));
    if (found !== undefined) return found.split(path.sep).join('/');
    throw new UsageError('path-outside', `${typed} is outside the vault's folder ${top}`, {
      hint: 'Name paths inside the folder that was pushed.',
    });
  });
  return read.includes('') ? [] : read;
}

/** The path from a folder to what lies in it; undefined for what does not. */
function inside(folder: string, absolute: string): string | undefined {
  const relative = path.relative(folder, absolute);
  const isOutside =
    relative === '..' || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative);
  return isOutside ? undefined : relative;
}
