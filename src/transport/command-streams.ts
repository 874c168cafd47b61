/** The standard streams of a command, with bounded memory and typed errors. */
import { Readable, Writable } from 'node:stream';
import { TAKEN } from '../bytes/chunk-sink.ts';
import { ConnectionError } from '../errors.ts';

/** The last bytes of standard error are kept, because the last line gives the reason. */
const STDERR_BYTES_MAX = 65_536;

const INPUT_BUFFER_BYTES = 262_144;
const OUTPUT_BUFFER_BYTES = 524_288;
/** Chunks of at least this length are not joined with others. */
const LARGE_CHUNK_BYTES = 32_768;

/** Keeps the end of a peer's standard error; memory is bounded however much it writes. */
export class StderrTail {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  add(chunk: Buffer): void {
    const kept = chunk.subarray(-STDERR_BYTES_MAX);
    this.#chunks.push(kept);
    this.#length += kept.length;
    // Many tiny writes must not pile up as many tiny buffers.
    if (this.#length > 2 * STDERR_BYTES_MAX || this.#chunks.length > 1024) this.#compact();
  }

  /** At most the last 64 KiB, with invalid UTF-8 replaced: untrusted text for people. */
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
 * Relays `source` to a stream whose errors and end we control: when the source ends, `onEnd` is
 * called, and the stream ends only by `push(null)`.
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
  return absorbErrors(input);
}

/**
 * A stream into `sink` that joins small writes into larger ones. Failures of the sink become the
 * error that `explain` returns. It emits `TAKEN` after each write.
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
    // Write one at a time: if all were reported as taken at once, a slow peer would look like a
    // dead one.
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
  return absorbErrors(output);
}

/** Joins adjacent small chunks; copying large ones would cost more than it saves. */
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

/** Keeps an 'error' without listeners from crashing the process; listeners still get it. */
function absorbErrors<S extends Readable | Writable>(stream: S): S {
  stream.on('error', () => undefined);
  return stream;
}

/** Destroys both streams with the same error; a stream that has ended stays ended. */
export function destroyStreams(input: Readable, output: Writable, error: Error): void {
  if (!input.readableEnded) input.destroy(error);
  if (!output.writableFinished) output.destroy(error);
}

/** The error of a stream whose command was ended by {@link Connection.destroy}. */
export function endedLocally(shownName: string): ConnectionError {
  return new ConnectionError('connection-closed', `${shownName}: the command was ended locally`);
}
