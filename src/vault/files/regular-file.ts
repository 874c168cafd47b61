/** Reads only regular files: a pipe in place of one would block its reader. */
import fs from 'node:fs';

/** Another object has the name of a file: a folder, a pipe, a device. */
export class NotAFileError extends Error {
  readonly code = 'EISDIR';

  constructor(file: string) {
    super(`${file} is not a file`);
    this.name = 'NotAFileError';
  }
}

/**
 * Opens a regular file for reading; symlinks are followed.
 *
 * @returns what `use` returns for its descriptor, which is then closed
 * @throws {NotAFileError} it is another object
 * @throws the system's error, as `fs.openSync`
 */
export function withRegularFile<T>(file: string, use: (fd: number, length: number) => T): T {
  const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) throw new NotAFileError(file);
    return use(fd, stats.size);
  } finally {
    fs.closeSync(fd);
  }
}

/** All bytes of a regular file; errors as {@link withRegularFile}. */
export function readRegularFile(file: string): Buffer {
  return withRegularFile(file, (fd) => fs.readFileSync(fd));
}
