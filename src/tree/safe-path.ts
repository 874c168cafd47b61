/** Splits paths of a tree, and refuses paths that could leave it. */
import { FileError } from '../errors.ts';
import { isWindows } from '../platform.ts';
import { showPath } from './file-failure.ts';

const SLASH = 0x2f;
const DOT = 0x2e;

/** The directory of a path, and its last component. The root's own parts are empty and `.`. */
export interface SplitPath {
  /** Path of the parent; empty for objects directly in the root. */
  readonly parent: Uint8Array;
  readonly name: Uint8Array;
}

/** True for the path of the tree's root. */
export function isRootPath(path: Uint8Array): boolean {
  return path.length === 1 && path[0] === DOT;
}

/** Splits before the last component. */
export function splitPath(path: Uint8Array): SplitPath {
  const slash = path.lastIndexOf(SLASH);
  return slash === -1
    ? { parent: path.subarray(0, 0), name: path }
    : { parent: path.subarray(0, slash), name: path.subarray(slash + 1) };
}

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
