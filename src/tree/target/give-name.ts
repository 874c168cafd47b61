/** Gives objects their names on disk, with what is special about Windows. */
import { chmodSync, lstatSync, renameSync, symlinkSync } from 'node:fs';
import { FileError } from '../../errors.ts';
import { errnoOf, isWindows, retryWhileHeld } from '../../platform.ts';
import { showPath } from '../file-failure.ts';

/** Renames an object over an existing one; Windows refuses to replace a read-only file. */
export function renameOver(from: Buffer, to: Buffer): void {
  retryWhileHeld(
    () => renameSync(from, to),
    () => {
      const old = lstatSync(to, { throwIfNoEntry: false });
      if (old?.isFile() === true && (old.mode & 0o200) === 0) chmodSync(to, 0o666);
    },
  );
}

/**
 * Refuses a link to a read-only file: removing it would make the other names writable (Node 20,
 * libuv/libuv#4318; old Windows; Wine).
 *
 * @throws {FileError} `link-read-only`
 */
export function refuseReadOnly(full: Buffer, entryPath: Uint8Array): void {
  if ((lstatSync(full).mode & 0o200) !== 0) return;
  throw new FileError(
    'link-read-only',
    `cannot make a hard link to the read-only file ${showPath(entryPath)}`,
    {
      hint: 'Copy the file.',
    },
  );
}

/** Makes a symlink; Windows needs a right for it. @throws {FileError} `symlink-refused` */
export function makeSymlink(target: Uint8Array, full: Buffer, entryPath: Uint8Array): void {
  try {
    symlinkSync(Buffer.from(target), full);
  } catch (error) {
    if (!isWindows || errnoOf(error) !== 'EPERM') throw error;
    throw new FileError('symlink-refused', `cannot create the link ${showPath(entryPath)}`, {
      hint: 'Turn on Developer Mode in Windows, or run as an administrator.',
      facts: { path: showPath(entryPath) },
      cause: error,
    });
  }
}
