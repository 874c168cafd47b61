/** Paths in the form that system calls take, including on Windows. */
import fs from 'node:fs';
import path from 'node:path';
import { isWindows } from '../../platform.ts';
import { isRootPath } from '../../bytes/paths.ts';

const SLASH = Buffer.from('/');
const BACKSLASH = Buffer.from('\\');

/**
 * A folder in the form that system calls take. On Windows that is the `\\?\` form, which is exempt
 * from the limit of 260 characters and from the reserved names. Node itself uses that form for text
 * paths, but not for paths given as bytes (seen with 20.20).
 */
export function diskFolder(folder: string | Uint8Array): Buffer {
  if (!isWindows) return Buffer.from(folder);
  const text = typeof folder === 'string' ? folder : Buffer.from(folder).toString();
  return Buffer.from(path.toNamespacedPath(path.resolve(text)));
}

/** The prefix of all paths in a folder from {@link diskFolder}. */
export function diskPrefix(folder: Uint8Array): Buffer {
  if (!isWindows) return Buffer.concat([folder, SLASH]);
  // The path of a drive already ends with its backslash.
  return folder.at(-1) === BACKSLASH[0] ? Buffer.from(folder) : Buffer.concat([folder, BACKSLASH]);
}

/**
 * The path of an object inside a folder.
 *
 * @param folder - from {@link diskFolder}
 * @param inside - path of the tree, with slashes on every system
 */
export function onDisk(folder: Uint8Array, inside: Uint8Array): Buffer {
  if (!isWindows) return Buffer.concat([folder, SLASH, inside]);
  // A path with `\\?\` is taken literally: a dot would be a name.
  if (isRootPath(inside)) return Buffer.from(folder);
  const prefix = diskPrefix(folder);
  return withSystemSeparators(Buffer.concat([prefix, inside]), prefix.length);
}

/** Whether something is there, links themselves counted; what nobody may look at is not. */
export function isOnDisk(folder: Uint8Array, inside: Uint8Array): boolean {
  try {
    fs.lstatSync(onDisk(folder, inside));
    return true;
  } catch {
    return false;
  }
}

/** Replaces slashes by the system's separators, in place, from a position on. */
export function withSystemSeparators(full: Buffer, from: number): Buffer {
  if (!isWindows) return full;
  for (let at = full.indexOf(SLASH, from); at !== -1; at = full.indexOf(SLASH, at)) {
    full.set(BACKSLASH, at);
  }
  return full;
}

/** A symlink's target as it is stored: with slashes on every system, unless it names a drive. */
export function portableTarget(target: Buffer): Buffer {
  const isRelative = isWindows && !path.win32.isAbsolute(target.toString());
  return isRelative ? Buffer.from(target.toString().replaceAll('\\', '/')) : target;
}
