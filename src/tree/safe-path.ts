/** Refuses paths that could leave a tree. */
import { hasOnlyNames, isRootPath } from '../bytes/paths.ts';
import { FileError } from '../errors.ts';
import { isWindows } from '../platform.ts';
import { showPath } from './file-failure.ts';

const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * Refuses every path that could name something outside the tree: absolute paths, empty, `.` and
 * `..` components, zero bytes; on Windows also its own separators, and drive and stream names.
 *
 * @throws {FileError} `name-unsafe`
 */
export function assertSafePath(path: Uint8Array): void {
  if (isRootPath(path)) return;
  const isForeign = isWindows && (path.includes(BACKSLASH) || path.includes(COLON));
  if (isForeign || !hasOnlyNames(path)) throw unsafe(path);
}

function unsafe(path: Uint8Array): FileError {
  return new FileError('name-unsafe', `refused to write the name ${showPath(path)}`, {
    hint: 'It does not name a place inside the folder on this system.',
    facts: { path: showPath(path) },
  });
}
