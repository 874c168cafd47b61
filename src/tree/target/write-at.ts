/** Writes bytes to an open file at a position. */
import { writeSync } from 'node:fs';

/**
 * Writes all bytes to an open file synchronously; works in any thread.
 *
 * @throws the system's own error
 */
export function writeAt(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
