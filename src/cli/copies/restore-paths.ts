/**
 * Interprets the paths of `restore [PATH…]`: what is restored, and which part of its path the
 * target gets.
 */
import { isAbsolute } from 'node:path';
import { isAtOrBelow, isRootPath, pathKey } from '../../bytes/paths.ts';
import { currentPlace, pathFromTop, type PathOrigin } from '../frame/vault-paths.ts';

/** What is restored, bytes, `/`-separated from the root of the vault. */
export interface RestoreSelection {
  /** Empty if everything is selected. */
  readonly paths: readonly Uint8Array[];
  /** The folder of the vault whose content goes into the target. Empty: the root. */
  readonly base: Uint8Array;
}

/**
 * Reads paths by the rule of `pathFromTop`. They need not exist here. If everything is below the
 * current folder of the vault, paths in the target start there, so that `cd a; restore two.txt --to
 * .` makes `two.txt`. Otherwise all of them start at the root.
 *
 * @throws {UsageError} `path-outside`
 */
export function readRestorePaths(
  paths: readonly Uint8Array[],
  origin: PathOrigin,
): RestoreSelection {
  const read = paths.map((typed) => pathFromTop(typed, origin));
  const top = new Uint8Array(0);
  if (read.length === 0 || read.some(isRootPath)) return { paths: [], base: top };
  const current = currentPlace(origin);
  const isBelow = (path: Uint8Array): boolean => isAtOrBelow(pathKey(path), current);
  const isRelative = paths.every((typed) => !isAbsolute(pathKey(typed)));
  const base = isRelative && read.every(isBelow) ? Buffer.from(current, 'latin1') : top;
  return { paths: read, base };
}
