/** A growing buffer that encoders write to. */
import type { ByteSink } from './byte-sink.ts';

/** Bytes collected in memory, growing as needed. */
export class ByteWriter implements ByteSink {
  #buffer: Buffer;
  #length = 0;

  /** @param initialCapacity - bytes reserved before the first growth */
  constructor(initialCapacity = 256) {
    this.#buffer = Buffer.allocUnsafe(initialCapacity);
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value & 0xff;
  }

  uint16(value: number): void {
    this.#reserve(2);
    this.#buffer[this.#length++] = value & 0xff;
    this.#buffer[this.#length++] = (value >>> 8) & 0xff;
  }

  int32(value: number): void {
    this.#reserve(4);
    this.#buffer.writeInt32LE(value | 0, this.#length);
    this.#length += 4;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** The bytes so far, as a view: valid until the next write or {@link clear}. */
  written(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** A copy of the bytes so far. */
  copy(): Buffer {
    return Buffer.from(this.written());
  }

  /** Discards the bytes and keeps the capacity. */
  clear(): void {
    this.#length = 0;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}
