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

export type StandardStream = Writable & { readonly isTTY?: boolean };

/** The process's standard output: Node's stream, or for a file one that writes all or says why not. */
export function openStandardOutput(): StandardStream {
  const stdout = streamOf('stdout', 1);
  try {
    return fs.fstatSync(1).isFile() ? new FileOutput(1) : stdout;
  } catch {
    return stdout; // closed: Node knows what to do
  }
}

/** The process's standard error. */
export function openStandardError(): StandardStream {
  return streamOf('stderr', 2);
}

/** Node makes no stream of a descriptor whose kind it cannot find out. */
function streamOf(name: 'stdout' | 'stderr', fd: number): StandardStream {
  try {
    return process[name];
  } catch {
    return new FileOutput(fd);
  }
}
