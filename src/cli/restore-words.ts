/** What `restore [PATH…]` means: what is wanted, and what of its path it keeps in the target. */
import { isAbsolute } from 'node:path';
import { isRootPath } from '../view/path-bytes.ts';
import { currentPlace, pathFromTop, type PathOrigin } from './vault-paths.ts';

/** What is restored, `/`-separated from the top of the vault. */
export interface RestoreWords {
  /** Empty when everything is meant. */
  readonly paths: readonly string[];
  /** The folder of the vault whose content goes into the target; empty: the top. */
  readonly base: string;
}

/**
 * Reads paths by the rule of `pathFromTop`. They need not exist here. What lies below the current folder
 * of the vault keeps its path from there, so that `cd a; restore two.txt --to .` makes `two.txt`; when
 * something else is wanted, too, everything keeps its path from the top.
 *
 * @throws {UsageError} `path-outside`
 */
export function readRestorePaths(paths: readonly string[], origin: PathOrigin): RestoreWords {
  const read = paths.map((typed) => pathFromTop(Buffer.from(typed), origin));
  if (read.length === 0 || read.some(isRootPath)) return { paths: [], base: '' };
  const found = read.map((path) => Buffer.from(path).toString());
  const current = Buffer.from(currentPlace(origin), 'latin1').toString();
  const isBelow = (path: string): boolean => path === current || path.startsWith(`${current}/`);
  const isRelative = paths.every((typed) => !isAbsolute(typed));
  return { paths: found, base: isRelative && found.every(isBelow) ? current : '' };
}
