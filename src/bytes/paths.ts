/** Paths of a tree as bytes: components joined by `/`; the root is the single byte `.`. */
import { allocatePath } from './path-memory.ts';

/** The root directory of every tree. */
export const ROOT_PATH: Uint8Array = Buffer.from('.');

const SLASH = 0x2f;
const DOT = 0x2e;

export function isRootPath(path: Uint8Array): boolean {
  return path.length === 1 && path[0] === ROOT_PATH[0];
}

/**
 * Whether each component of a path could be the name of an object: not empty, not `.` or `..`, and
 * without a zero byte. The root is none.
 */
export function hasOnlyNames(path: Uint8Array): boolean {
  let start = 0;
  for (let at = 0; at <= path.length; at++) {
    const byte = at === path.length ? SLASH : path[at];
    if (byte === 0) return false;
    if (byte !== SLASH) continue;
    const length = at - start;
    const isDots =
      path[start] === DOT && (length === 1 || (length === 2 && path[start + 1] === DOT));
    if (length === 0 || isDots) return false;
    start = at + 1;
  }
  return true;
}

/** The path of `name` inside `directory`, in a buffer of its own. Inverse of {@link splitPath}. */
export function joinPath(directory: Uint8Array, name: Uint8Array): Uint8Array {
  const start = isRootPath(directory) ? 0 : directory.length + 1;
  const path = allocatePath(start + name.length);
  if (start > 0) {
    path.set(directory, 0);
    path[start - 1] = SLASH;
  }
  path.set(name, start);
  return path;
}

/** Directory and last component of a path that is not the root. */
export function splitPath(path: Uint8Array): { directory: Uint8Array; name: Uint8Array } {
  const slash = path.lastIndexOf(SLASH);
  if (slash === -1) return { directory: ROOT_PATH, name: path };
  return { directory: path.subarray(0, slash), name: path.subarray(slash + 1) };
}

/** A path as a map key: one character a byte, without loss. */
export function pathKey(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString('latin1');
}

/** Key of the folder that holds `key`; the root is `.`. */
export function parentKey(key: string): string {
  const slash = key.lastIndexOf('/');
  return slash === -1 ? '.' : key.slice(0, slash);
}

/** Whether an object is that of the key `place` or lies below it. Everything lies below the root. */
export function isAtOrBelow(key: string, place: string): boolean {
  return place === '.' || key === place || key.startsWith(`${place}/`);
}

/** The same for many places. */
export function isAtOrBelowAny(key: string, places: ReadonlySet<string>): boolean {
  if (places.size === 0) return false;
  for (let at = key; at !== '.'; at = parentKey(at)) if (places.has(at)) return true;
  return places.has('.');
}

/** A path that may be given as text. */
export function bytesOf(path: string | Uint8Array): Uint8Array {
  return typeof path === 'string' ? Buffer.from(path) : path;
}
