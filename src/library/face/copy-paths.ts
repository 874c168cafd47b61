/** Paths and objects of a copy in the public API. */
import { UsageError } from '../../errors.ts';
import { isDirectory, isRegularFile, isSymlink, type Entry } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import { bytesOf, pathKey, ROOT_PATH } from '../../bytes/paths.ts';

/** Plaintext path from the root of the vault, `/`-separated: text as UTF-8, or bytes. */
export type CopyPath = string | Uint8Array;

/**
 * A path in the form that trees use. A slash at its start or end has no effect.
 *
 * @throws {UsageError} `path-outside` — it leads out of the copy
 *
 * @internal
 */
export function pathInCopy(path: CopyPath): Uint8Array {
  const names = pathKey(bytesOf(path))
    .split('/')
    .filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) {
    throw new UsageError('path-outside', `${showPath(bytesOf(path))} has '..' in it`, {
      hint: 'Give the path from the top of the copy.',
    });
  }
  return names.length === 0 ? ROOT_PATH : Buffer.from(names.join('/'), 'latin1');
}

/** One object of a copy. */
export interface CopyObject {
  /** Plaintext path from the root, components joined by `/`. The root itself is `.`. */
  readonly path: Uint8Array;
  readonly kind: 'file' | 'folder' | 'link' | 'special';
  /** Type and permission bits as in `st_mode`. Nothing authenticates them. */
  readonly mode: number;
  /** Plaintext bytes of a file, or of the target of a link. */
  readonly size: number;
  /** Whole seconds since 1970, and the nanoseconds after them. */
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a symbolic link, as it is stored. */
  readonly target?: Uint8Array;
}

/**
 * An object for programs, with bytes of its own.
 *
 * @internal
 */
export function copyObjectOf(entry: Entry): CopyObject {
  const { path, mode, size, mtimeSec, mtimeNsec, uid, gid, target } = entry;
  return {
    path: Buffer.from(path),
    kind: kindOf(entry),
    ...{ mode, size, mtimeSec, mtimeNsec, uid, gid },
    ...(target !== undefined && { target: Buffer.from(target) }),
  };
}

function kindOf(entry: Entry): CopyObject['kind'] {
  if (isRegularFile(entry)) return 'file';
  if (isDirectory(entry)) return 'folder';
  return isSymlink(entry) ? 'link' : 'special';
}
