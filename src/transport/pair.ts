/** A pair of connected streams inside this process. */
import { PassThrough, type Readable, type Writable } from 'node:stream';

/** Bytes buffered in each direction. */
const BUFFER_BYTES = 512 * 1024;

/** One end of a pair: `input` has the bytes that the other end writes. */
export interface PairEnd {
  readonly input: Readable;
  readonly output: Writable;
}

/** Two connected ends inside this process, with back-pressure in both directions. */
export function duplexPair(): [PairEnd, PairEnd] {
  const there = new PassThrough({ highWaterMark: BUFFER_BYTES });
  const back = new PassThrough({ highWaterMark: BUFFER_BYTES });
  // Users of an end listen for its errors; an unused pair must not crash the process.
  for (const stream of [there, back]) stream.on('error', () => undefined);
  return [
    { input: back, output: there },
    { input: there, output: back },
  ];
}
