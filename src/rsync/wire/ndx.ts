/** The codec of file indexes, which are sent as differences. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { NDX_DONE } from './constants.ts';

/*
 * A file index. Below protocol 30 it is an int32; from 30 on, the difference from the previous
 * index of the same sign and direction:
 *
 *   00                      NDX_DONE, no difference involved
 *   [ff] d                  1 ≤ d ≤ 253
 *   [ff] fe hi lo           d = 0 or 254 ≤ d ≤ 32767, big-endian
 *   [ff] fe 80|b3 b0 b1 b2  the value itself
 *
 * with ff in front of a negative index, whose absolute value is encoded.
 *
 * @see rsync io.c read_ndx, write_ndx (3.5.0)
 */

const FIRST_PREVIOUS_POSITIVE = -1;
const FIRST_PREVIOUS_NEGATIVE = 1;

/** Writes indexes. Each depends on the previous one, so each direction has its own writer. */
export class NdxWriter {
  readonly #protocol: number;
  #previousPositive = FIRST_PREVIOUS_POSITIVE;
  #previousNegative = FIRST_PREVIOUS_NEGATIVE;

  constructor(protocol: number) {
    this.#protocol = protocol;
  }

  /** @param ndx - −2^31 … 2^31−1 */
  write(sink: ByteSink, ndx: number): void {
    if (this.#protocol < 30) {
      sink.int32(ndx);
      return;
    }
    if (ndx === NDX_DONE) {
      sink.byte(0);
      return;
    }
    let value = ndx;
    let difference: number;
    if (ndx >= 0) {
      difference = ndx - this.#previousPositive;
      this.#previousPositive = ndx;
    } else {
      sink.byte(0xff);
      value = -ndx;
      difference = value - this.#previousNegative;
      this.#previousNegative = value;
    }
    if (difference > 0 && difference < 0xfe) {
      sink.byte(difference);
    } else if (difference < 0 || difference > 0x7fff) {
      sink.byte(0xfe);
      sink.byte((value >>> 24) | 0x80);
      sink.byte(value & 0xff);
      sink.byte((value >>> 8) & 0xff);
      sink.byte((value >>> 16) & 0xff);
    } else {
      sink.byte(0xfe);
      sink.byte(difference >>> 8);
      sink.byte(difference & 0xff);
    }
  }
}

/** Inverse of {@link NdxWriter}: same state, same direction. */
export class NdxReader {
  readonly #protocol: number;
  #previousPositive = FIRST_PREVIOUS_POSITIVE;
  #previousNegative = FIRST_PREVIOUS_NEGATIVE;

  constructor(protocol: number) {
    this.#protocol = protocol;
  }

  /** May return any int32; the caller knows which indexes are valid. */
  read(reader: ByteReader): number {
    if (this.#protocol < 30) return reader.int32();
    const first = reader.byte();
    if (first === 0) return NDX_DONE;
    const negative = first === 0xff;
    const lead = negative ? reader.byte() : first;
    const previous = negative ? this.#previousNegative : this.#previousPositive;
    const value = lead === 0xfe ? this.#readLong(reader, previous) : (previous + lead) | 0;
    if (negative) this.#previousNegative = value;
    else this.#previousPositive = value;
    return negative ? -value | 0 : value;
  }

  #readLong(reader: ByteReader, previous: number): number {
    const high = reader.byte();
    if ((high & 0x80) === 0) return (previous + ((high << 8) | reader.byte())) | 0;
    const low = reader.uint16();
    return ((high & 0x7f) << 24) | (reader.byte() << 16) | low;
  }
}
