/** Standard output that goes into a file. */
import fs from 'node:fs';
import { Writable } from 'node:stream';

/**
 * Writes all of each chunk. A disk that has room for only a part of it takes that part, and Node's own
 * stream leaves it at that: the rest would be lost without an error.
 */
class FileOutput extends Writable {
  readonly #fd: number;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    try {
      for (let at = 0; at < chunk.length;) at += fs.writeSync(this.#fd, chunk, at);
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    done();
  }
}

/** The process's standard output: Node's stream, or for a file one that writes all or says why not. */
export function openStandardOutput(): Writable & { readonly isTTY?: boolean } {
  const { stdout } = process;
  try {
    return fs.fstatSync(stdout.fd).isFile() ? new FileOutput(stdout.fd) : stdout;
  } catch {
    return stdout; // closed: Node knows what to do
  }
}
