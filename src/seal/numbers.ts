/** Numbers and byte strings of a seal: LEB128 varints, each in its one shortest form. */
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { BugError } from '../errors.ts';
import { sealInvalid } from './sealed-object.ts';

const LOW_BITS = 0x7f;
const MORE = 0x80;
const FULL = 0x80;
/** A number of 53 bits takes 8 bytes. */
const VARINT_LENGTH_MAX = 8;

/**
 * ```text
 *  byte 0          byte 1          …   last byte
 *  1 bit 7..1      1 bit 14..8         0 bits          seven bits each, the lowest first
 * ```
 *
 * @param value - 0 to 2^53 − 1
 */
export function writeLeb128(writer: ByteWriter, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new BugError('unsafe-integer', `${value} in a seal`);
  }
  let rest = value;
  while (rest >= FULL) {
    writer.byte((rest % FULL) | MORE);
    rest = Math.floor(rest / FULL);
  }
  writer.byte(rest);
}

/** Zigzag: 0, −1, 1, −2, … as 0, 1, 2, 3, … */
export function writeSigned(writer: ByteWriter, value: number): void {
  writeLeb128(writer, value < 0 ? -value * 2 - 1 : value * 2);
}

export function writeByteString(writer: ByteWriter, bytes: Uint8Array): void {
  writeLeb128(writer, bytes.length);
  writer.bytes(bytes);
}

/** Reads the numbers and byte strings of one chunk. Each method throws {IntegrityError} `seal-invalid`. */
export class SealReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#at;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw sealInvalid('it ends too early');
    this.#at++;
    return value;
  }

  /** @param max - a greater number is refused */
  varint(max = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    let unit = 1;
    for (let count = 1; ; count++) {
      const byte = this.byte();
      value += (byte & LOW_BITS) * unit;
      if ((byte & MORE) === 0) {
        if (byte === 0 && count > 1) throw sealInvalid('a number is not in its shortest form');
        break;
      }
      if (count === VARINT_LENGTH_MAX) throw sealInvalid('a number is too large');
      unit *= FULL;
    }
    if (value > max) throw sealInvalid('a number is too large');
    return value;
  }

  /** Inverse of {@link writeSigned}. */
  signed(): number {
    const value = this.varint();
    return value % 2 === 1 ? -((value + 1) / 2) : value / 2;
  }

  /** A view of the next bytes. */
  bytes(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw sealInvalid('it ends too early');
    const view = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return view;
  }

  /** Inverse of {@link writeByteString}. */
  byteString(lengthMax: number): Uint8Array {
    return this.bytes(this.varint(lengthMax));
  }
}
