/** Paths as the system calls take them, on Windows as well. */
import path from 'node:path';
import { isWindows } from '../../platform.ts';
import { isRootPath } from '../safe-path.ts';

const SLASH = Buffer.from('/');
const BACKSLASH = Buffer.from('\\');

/**
 * A folder as the system's calls take it. On Windows that is its form with `\\?\`, to which neither
 * the limit of 260 characters nor the reserved names apply: Node itself writes paths that way, but
 * not those that are given as bytes (seen with 20.20).
 */
export function diskFolder(folder: string | Uint8Array): Buffer {
  if (!isWindows) return Buffer.from(folder);
  const text = typeof folder === 'string' ? folder : Buffer.from(folder).toString();
  return Buffer.from(path.toNamespacedPath(path.resolve(text)));
}

/** What stands before the paths of everything in a folder from {@link diskFolder}. */
export function diskPrefix(folder: Uint8Array): Buffer {
  if (!isWindows) return Buffer.concat([folder, SLASH]);
  // A drive ends with its backslash already.
  return folder.at(-1) === BACKSLASH[0] ? Buffer.from(folder) : Buffer.concat([folder, BACKSLASH]);
}

/**
 * A place inside of a folder.
 *
 * @param folder - from {@link diskFolder}
 * @param inside - path of the tree, with slashes on every system
 */
export function onDisk(folder: Uint8Array, inside: Uint8Array): Buffer {
  if (!isWindows) return Buffer.concat([folder, SLASH, inside]);
  // What has `\\?\` before it is taken as it stands: a dot would be a name.
  if (isRootPath(inside)) return Buffer.from(folder);
  const prefix = diskPrefix(folder);
  return withSystemSeparators(Buffer.concat([prefix, inside]), prefix.length);
}

/** Writes the slashes of a path as the system has them, from a place on; the very bytes come back. */
export function withSystemSeparators(full: Buffer, from: number): Buffer {
  if (!isWindows) return full;
  for (let at = full.indexOf(SLASH, from); at !== -1; at = full.indexOf(SLASH, at)) {
    full.set(BACKSLASH, at);
  }
  return full;
}

/** A link's target as it is stored: with slashes, wherever it was made, unless it names a drive. */
export function portableTarget(target: Buffer): Buffer {
  const isRelative = isWindows && !path.win32.isAbsolute(target.toString());
  return isRelative ? Buffer.from(target.toString().replaceAll('\\', '/')) : target;
}
