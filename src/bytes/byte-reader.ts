/** A cursor that decodes values from bytes that arrive in chunks of any size. */
import { BugError } from '../errors.ts';

/**
 * Thrown inside {@link ByteReader.attempt} when a value is not complete yet. One object serves
 * every case: it never leaves `attempt`, and a stack trace per chunk would cost time.
 */
const UNDERFLOW = new BugError('underflow', 'a value was read outside of an attempt');

/** The minimum number of bytes to join when a value straddles two chunks. */
const JOIN_LENGTH = 4096;

/**
 * A cursor over bytes that arrive in chunks of any size. When a decoder runs out of bytes, it is
 * run again from its first byte once more bytes have arrived. Decoders can therefore assume that
 * all bytes are there, and no value costs a promise.
 */
export class ByteReader {
  #current: Buffer = Buffer.alloc(0);
  #position = 0;
  #mark = -1;
  #queue: Buffer[] = [];
  #queuedLength = 0;

  /** @param bytes - the first chunk, if it has already arrived */
  constructor(bytes?: Uint8Array) {
    if (bytes !== undefined) this.append(bytes);
  }

  /** Bytes not read yet. */
  get available(): number {
    return this.#current.length - this.#position + this.#queuedLength;
  }

  /** Takes ownership of a chunk: the caller must not change it afterwards. */
  append(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const buffer = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#position === this.#current.length && this.#mark === -1 && this.#queuedLength === 0) {
      this.#current = buffer;
      this.#position = 0;
      return;
    }
    this.#queue.push(buffer);
    this.#queuedLength += buffer.length;
  }

  /**
   * Runs a decoder. If there are too few bytes, the cursor goes back to where it was and the result
   * is undefined. The decoder must not change its own state before its last read.
   */
  attempt<T>(decode: (reader: ByteReader) => T): T | undefined {
    this.#mark = this.#position;
    try {
      return decode(this);
    } catch (error) {
      if (error !== UNDERFLOW) throw error;
      this.#position = this.#mark;
      return undefined;
    } finally {
      this.#mark = -1;
    }
  }

  byte(): number {
    this.#need(1);
    return this.#current[this.#position++] ?? 0;
  }

  uint16(): number {
    this.#need(2);
    const value = this.#current.readUInt16LE(this.#position);
    this.#position += 2;
    return value;
  }

  int32(): number {
    this.#need(4);
    const value = this.#current.readInt32LE(this.#position);
    this.#position += 4;
    return value;
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  /**
   * Exactly `length` bytes as a view that stays valid; the view keeps its whole chunk in memory.
   */
  bytes(length: number): Buffer {
    this.#need(length);
    const start = this.#position;
    this.#position += length;
    return this.#current.subarray(start, this.#position);
  }

  /** Exactly `length` bytes, copied: for values that outlive the chunk they came in. */
  copy(length: number): Buffer {
    return Buffer.from(this.bytes(length));
  }

  /** From one to `lengthMax` bytes: as many as are available without joining chunks. */
  some(lengthMax: number): Buffer {
    this.#need(Math.min(1, lengthMax));
    return this.bytes(Math.min(lengthMax, this.#current.length - this.#position));
  }

  /** All bytes not read yet. */
  rest(): Buffer {
    return this.bytes(this.available);
  }

  #need(count: number): void {
    if (this.#current.length - this.#position < count) this.#join(count);
  }

  /** Makes at least `count` bytes contiguous and keeps the bytes that an attempt may read again. */
  #join(count: number): void {
    if (this.available < count) throw UNDERFLOW;
    const keepFrom = this.#mark === -1 ? this.#position : this.#mark;
    const [next] = this.#queue;
    if (keepFrom === this.#current.length && next !== undefined && next.length >= count) {
      this.#queue.shift();
      this.#queuedLength -= next.length;
      this.#current = next;
      this.#position = 0;
      if (this.#mark !== -1) this.#mark = 0;
      return;
    }
    const kept = this.#current.subarray(keepFrom);
    let missing = count - (this.#current.length - this.#position);
    const pieces = [kept];
    // Join more than needed, in proportion to the bytes kept, so that a long value in small chunks
    // does not take quadratic time.
    missing = Math.max(missing, JOIN_LENGTH, kept.length);
    let taken = 0;
    let whole = 0;
    for (const chunk of this.#queue) {
      if (taken >= missing) break;
      const part = chunk.subarray(0, missing - taken);
      pieces.push(part);
      taken += part.length;
      if (part.length === chunk.length) whole++;
      else this.#queue[whole] = chunk.subarray(part.length);
    }
    this.#queue.splice(0, whole);
    this.#queuedLength -= taken;
    this.#current = Buffer.concat(pieces);
    this.#position -= keepFrom;
    if (this.#mark !== -1) this.#mark = 0;
  }
}
