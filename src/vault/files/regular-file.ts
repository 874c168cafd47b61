/** Reading of files that nothing else may stand for: a pipe in their place would keep its reader waiting. */
import fs from 'node:fs';

/** Something else has the name of a file: a folder, a pipe, a device. */
export class NotAFileError extends Error {
  readonly code = 'EISDIR';

  constructor(file: string) {
    super(`${file} is no file`);
    this.name = 'NotAFileError';
  }
}

/**
 * Opens a regular file to read it; links are followed.
 *
 * @returns what `use` makes of its descriptor, which is closed afterwards
 * @throws {NotAFileError} it is something else
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
