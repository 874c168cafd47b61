/** Standard output that is redirected to a file. */
import fs from 'node:fs';
import { Writable } from 'node:stream';

/**
 * Writes each chunk completely. A nearly full disk accepts only a part of a write, and Node's own
 * stream would drop the rest without an error.
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

/**
 * The process's standard output: Node's stream, or for a file one that writes everything or fails.
 */
export function openStandardOutput(): StandardStream {
  const stdout = streamOf('stdout', 1);
  try {
    return fs.fstatSync(1).isFile() ? new FileOutput(1) : stdout;
  } catch {
    return stdout; // closed: Node handles this
  }
}

/** The process's standard error. */
export function openStandardError(): StandardStream {
  return streamOf('stderr', 2);
}

/** Node cannot make a stream of a descriptor whose type is unknown. */
function streamOf(name: 'stdout' | 'stderr', fd: number): StandardStream {
  try {
    return process[name];
  } catch {
    return new FileOutput(fd);
  }
}
