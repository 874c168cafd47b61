/**
 * The integer encodings of the wire, each encoder next to its decoder. All are little-endian.
 *
 * @see rsync io.c read_varint, write_varint, read_varlong, write_varlong (3.5.0)
 */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { BugError, ProtocolError } from '../../errors.ts';

const TWO_32 = 0x1_0000_0000;

/** How many bytes follow a first byte: as many as it has leading one bits, at most 6. */
function extraBytes(first: number): number {
  if (first < 0x80) return 0;
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  if (first < 0xf8) return 4;
  return first < 0xfc ? 5 : 6;
}

/**
 * Writes a 32-bit number in 1 … 5 bytes. The leading ones of the first byte give the number of
 * bytes that follow; its other bits hold the top bits of the number if they fit.
 *
 * @param value - −2^31 … 2^32−1; negative numbers take 5 bytes
 */
export function writeVarint(sink: ByteSink, value: number): void {
  const word = value >>> 0;
  const count = word < 0x100 ? 1 : word < 0x10000 ? 2 : word < 0x1000000 ? 3 : 4;
  const top = (word >>> (8 * (count - 1))) & 0xff;
  const limit = 1 << (8 - count);
  let low = count - 1;
  if (top >= limit) {
    sink.byte(~(limit - 1) & 0xff);
    low = count;
  } else if (count > 1) {
    sink.byte((top | ~(2 * limit - 1)) & 0xff);
  } else {
    sink.byte(top);
  }
  for (let i = 0; i < low; i++) sink.byte((word >>> (8 * i)) & 0xff);
}

/**
 * Inverse of {@link writeVarint}.
 *
 * @returns a signed 32-bit number
 * @throws {ProtocolError} `varint-invalid` — the first byte announces more than 4 further bytes
 */
export function readVarint(reader: ByteReader): number {
  const first = reader.byte();
  const extra = extraBytes(first);
  if (extra === 0) return first;
  if (extra > 4) {
    throw new ProtocolError(
      'varint-invalid',
      `a 32-bit number claims ${extra} more bytes; at most 4 are allowed`,
    );
  }
  let value = 0;
  for (let i = 0; i < extra; i++) value |= reader.byte() << (8 * i);
  if (extra === 4) return value;
  return value | ((first & ((1 << (8 - extra)) - 1)) << (8 * extra));
}

/** Byte `i` of a number as a 64-bit two's complement. */
function byteOf(low: number, high: number, i: number): number {
  return ((i < 4 ? low >>> (8 * i) : high >>> (8 * (i - 4))) & 0xff) >>> 0;
}

/**
 * Writes a 64-bit number in at least `minBytes` bytes. The first byte gives the number of further
 * bytes.
 *
 * @param value - −2^53+1 … 2^53−1
 * @param minBytes - 3 (sizes) or 4 (times)
 * @throws {BugError} `unsafe-integer`
 */
export function writeVarlong(sink: ByteSink, value: number, minBytes: 3 | 4): void {
  if (!Number.isSafeInteger(value)) throw new BugError('unsafe-integer', `cannot send ${value}`);
  const high = Math.floor(value / TWO_32) | 0;
  const low = value >>> 0;
  let count = 8;
  while (count > minBytes && byteOf(low, high, count - 1) === 0) count--;
  const top = byteOf(low, high, count - 1);
  const limit = 1 << (7 - count + minBytes);
  let rest = count - 1;
  if (top >= limit) {
    sink.byte(~(limit - 1) & 0xff);
    rest = count;
  } else if (count > minBytes) {
    sink.byte((top | ~(2 * limit - 1)) & 0xff);
  } else {
    sink.byte(top);
  }
  for (let i = 0; i < rest; i++) sink.byte(byteOf(low, high, i));
}

/**
 * Inverse of {@link writeVarlong}.
 *
 * @throws {ProtocolError} `varlong-invalid` — more than 9 bytes
 * @throws {ProtocolError} `number-too-large` — outside of −2^53+1 … 2^53−1
 */
export function readVarlong(reader: ByteReader, minBytes: 3 | 4): number {
  const { lowWord, highWord } = readVarlongWords(reader, minBytes);
  return joinWords(lowWord, highWord);
}

/**
 * Reads a time as {@link readVarlong} does with at least 4 bytes. A time beyond JavaScript's safe
 * integers is rounded, so that one object with such a time does not fail the whole list.
 *
 * @throws {ProtocolError} `varlong-invalid` — more than 9 bytes
 */
export function readVarlongTime(reader: ByteReader): number {
  const { lowWord, highWord } = readVarlongWords(reader, 4);
  return highWord * TWO_32 + (lowWord >>> 0);
}

/** Reads a varlong as two 32-bit words. */
function readVarlongWords(
  reader: ByteReader,
  minBytes: 3 | 4,
): { readonly lowWord: number; readonly highWord: number } {
  const first = reader.byte();
  const extra = extraBytes(first);
  if (minBytes + extra > 9) {
    throw new ProtocolError('varlong-invalid', 'a 64-bit number claims more than 9 bytes');
  }
  const low = reader.bytes(minBytes - 1 + extra);
  const topBits = first & ((1 << (8 - extra)) - 1);
  let lowWord = 0;
  let highWord = 0;
  for (let i = 0; i <= low.length && i < 8; i++) {
    const byte = i < low.length ? (low[i] ?? 0) : topBits;
    if (i < 4) lowWord |= byte << (8 * i);
    else highWord |= byte << (8 * (i - 4));
  }
  return { lowWord, highWord };
}

/** The two words of a 64-bit number as a JavaScript number. */
function joinWords(lowWord: number, highWord: number): number {
  const value = highWord * TWO_32 + (lowWord >>> 0);
  if (!Number.isSafeInteger(value)) {
    throw new ProtocolError('number-too-large', `a 64-bit number beyond 2^53 arrived (${value})`);
  }
  return value;
}

/**
 * Writes a 64-bit number as protocols below 30 do: 4 bytes, or an all-ones word and 8 bytes.
 *
 * @throws {BugError} `unsafe-integer`
 */
export function writeLongint(sink: ByteSink, value: number): void {
  if (!Number.isSafeInteger(value)) throw new BugError('unsafe-integer', `cannot send ${value}`);
  if (value >= 0 && value <= 0x7fffffff) {
    sink.int32(value);
    return;
  }
  sink.int32(-1);
  sink.int32(value >>> 0);
  sink.int32(Math.floor(value / TWO_32));
}

/**
 * Inverse of {@link writeLongint}.
 *
 * @throws {ProtocolError} `number-too-large`
 */
export function readLongint(reader: ByteReader): number {
  const value = reader.int32();
  if (value !== -1) return value;
  const low = reader.int32();
  return joinWords(low, reader.int32());
}

/**
 * Writes a short string: one byte of length up to 127, two up to 32767, then the bytes.
 *
 * @throws {BugError} `string-too-long`
 */
export function writeVstring(sink: ByteSink, value: Uint8Array): void {
  if (value.length > 0x7fff) {
    throw new BugError('string-too-long', `a short string of ${value.length} bytes`);
  }
  if (value.length > 0x7f) sink.byte(0x80 | (value.length >>> 8));
  sink.byte(value.length & 0xff);
  sink.bytes(value);
}

/**
 * Inverse of {@link writeVstring}.
 *
 * @param lengthMax - longest allowed, in bytes
 * @param what - for the message
 * @throws {ProtocolError} `string-too-long`
 */
export function readVstring(reader: ByteReader, lengthMax: number, what: string): Buffer {
  const first = reader.byte();
  const length = first & 0x80 ? ((first & 0x7f) << 8) | reader.byte() : first;
  if (length > lengthMax) {
    throw new ProtocolError(
      'string-too-long',
      `${what} of ${length} bytes; at most ${lengthMax} are allowed`,
    );
  }
  return reader.copy(length);
}
