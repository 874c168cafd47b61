/** Two connected ends inside this process. */
import { PassThrough, type Readable, type Writable } from 'node:stream';

/** Bytes that may be on their way in each direction. */
const BUFFER_BYTES = 512 * 1024;

/** One end of a pair: what the other end writes comes out of `input`. */
export interface PairEnd {
  readonly input: Readable;
  readonly output: Writable;
}

/** Two connected ends inside this process, with back-pressure in both directions. */
export function duplexPair(): [PairEnd, PairEnd] {
  const there = new PassThrough({ highWaterMark: BUFFER_BYTES });
  const back = new PassThrough({ highWaterMark: BUFFER_BYTES });
  // Whoever uses an end listens for its errors; a pair that nobody uses any more may fail in peace.
  for (const stream of [there, back]) stream.on('error', () => undefined);
  return [
    { input: back, output: there },
    { input: there, output: back },
  ];
}
