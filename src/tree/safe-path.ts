/** Refuses paths that could leave a tree. */
import { isRootPath } from '../bytes/paths.ts';
import { FileError } from '../errors.ts';
import { isWindows } from '../platform.ts';
import { showPath } from './file-failure.ts';

const SLASH = 0x2f;
const DOT = 0x2e;

/**
 * Refuses every path that could name something outside the tree: absolute paths, empty, `.` and
 * `..` components, zero bytes; on Windows also its own separators, and drive and stream names.
 *
 * @throws {FileError} `name-unsafe`
 */
export function assertSafePath(path: Uint8Array): void {
  if (isRootPath(path)) return;
  let start = 0;
  for (let at = 0; at <= path.length; at++) {
    const byte = at === path.length ? SLASH : path[at];
    if (byte === 0) throw unsafe(path);
    if (isWindows && (byte === 0x5c || byte === 0x3a)) throw unsafe(path);
    if (byte !== SLASH) continue;
    const length = at - start;
    const isDots =
      path[start] === DOT && (length === 1 || (length === 2 && path[start + 1] === DOT));
    if (length === 0 || isDots) throw unsafe(path);
    start = at + 1;
  }
}

function unsafe(path: Uint8Array): FileError {
  return new FileError('name-unsafe', `refused to write the name ${showPath(path)}`, {
    hint: 'It does not name a place inside the folder on this system.',
    facts: { path: showPath(path) },
  });
}
