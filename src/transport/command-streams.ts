/** The input, output and standard error of a command as streams with bounded memory and typed errors. */
import { Readable, Writable } from 'node:stream';
import { TAKEN } from '../bytes/chunk-sink.ts';
import { ConnectionError } from '../errors.ts';

/** Bytes of standard error that are kept: the last ones, because the last line says why. */
export const STDERR_BYTES_MAX = 65_536;

const INPUT_BUFFER_BYTES = 262_144;
const OUTPUT_BUFFER_BYTES = 524_288;
/** A chunk that is worth a packet of its own. */
const LARGE_CHUNK_BYTES = 32_768;

/** The end of what a peer wrote to standard error; memory stays bounded however much it writes. */
export class StderrTail {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  add(chunk: Buffer): void {
    const kept = chunk.subarray(-STDERR_BYTES_MAX);
    this.#chunks.push(kept);
    this.#length += kept.length;
    // Many tiny writes must not become many tiny buffers for ever.
    if (this.#length > 2 * STDERR_BYTES_MAX || this.#chunks.length > 1024) this.#compact();
  }

  /** At most the last 64 KiB, decoded leniently: it is for people, and untrusted. */
  text(): string {
    this.#compact();
    return (this.#chunks[0] ?? Buffer.alloc(0)).toString('utf8');
  }

  #compact(): void {
    const whole = Buffer.from(Buffer.concat(this.#chunks).subarray(-STDERR_BYTES_MAX));
    this.#chunks.length = 0;
    this.#chunks.push(whole);
    this.#length = whole.length;
  }
}

/**
 * What `source` yields, as a stream whose errors and end are ours to decide: `end()` of the source
 * is reported to `onEnd` and becomes an end only by `push(null)`.
 */
export function relayInput(source: Readable, onEnd: () => void): Readable {
  const input = new Readable({
    highWaterMark: INPUT_BUFFER_BYTES,
    read: () => {
      source.resume();
    },
  });
  source.on('data', (chunk: Buffer) => {
    if (input.destroyed || !input.push(chunk)) source.pause();
  });
  source.once('end', onEnd);
  source.pause();
  return quiet(input);
}

/**
 * A stream into `sink` that collects small writes into larger ones and reports every failure of the
 * sink as what `explain` makes of it. It emits `TAKEN` after each of them.
 */
export function relayOutput(
  sink: Writable,
  explain: (cause: Error | null | undefined) => ConnectionError,
): Writable {
  const write = (chunks: readonly Buffer[], done: (error?: Error | null) => void): void => {
    const [chunk, ...rest] = chunks;
    if (chunk === undefined) {
      done();
      return;
    }
    // One after the other: together they would be gone together, and a slow peer look like none.
    sink.write(chunk, (error) => {
      if (error != null) {
        done(explain(error));
        return;
      }
      output.emit(TAKEN, chunk.length);
      write(rest, done);
    });
  };
  const output = new Writable({
    highWaterMark: OUTPUT_BUFFER_BYTES,
    decodeStrings: true,
    write: (chunk: Buffer, _encoding, done) => {
      write([chunk], done);
    },
    writev: (items: { chunk: Buffer }[], done) => {
      write(joinSmall(items.map((item) => item.chunk)), done);
    },
    final: (done) => {
      sink.end(() => {
        done();
      });
    },
  });
  sink.on('error', (error) => {
    output.destroy(explain(error));
  });
  return quiet(output);
}

/** Neighbours that are small become one chunk; copying large ones would cost more than it saves. */
function joinSmall(chunks: readonly Buffer[]): Buffer[] {
  const joined: Buffer[] = [];
  let small: Buffer[] = [];
  let smallBytes = 0;
  const flush = (): void => {
    if (small.length > 0) joined.push(Buffer.concat(small));
    small = [];
    smallBytes = 0;
  };
  for (const chunk of chunks) {
    if (chunk.length >= LARGE_CHUNK_BYTES) {
      flush();
      joined.push(chunk);
      continue;
    }
    small.push(chunk);
    smallBytes += chunk.length;
    if (smallBytes >= LARGE_CHUNK_BYTES) flush();
  }
  flush();
  return joined;
}

/** Keeps an 'error' that nobody listens for from ending the process; listeners still get it. */
export function quiet<S extends Readable | Writable>(stream: S): S {
  stream.on('error', () => undefined);
  return stream;
}

/** Both streams fail with the same error; one that already ended stays ended. */
export function destroyStreams(input: Readable, output: Writable, error: Error): void {
  if (!input.readableEnded) input.destroy(error);
  if (!output.writableFinished) output.destroy(error);
}

/** @returns the error of a stream whose command was ended by {@link Connection.destroy} */
export function endedHere(shownName: string): ConnectionError {
  return new ConnectionError('connection-closed', `${shownName}: the command was ended from here`);
}
