/** The codec of records about many paths. */
import { VaultError } from '../../../errors.ts';

/**
 * Records about many paths. Each begins with its path, of which only the difference to the previous
 * path is written. Integers are little-endian.
 */

const PATH_LENGTH_MAX = 0xffff;
const INITIAL_CAPACITY = 4096;

/** Writes records one after the other. Inverse: {@link RecordReader}. */
export class RecordWriter {
  #bytes: Uint8Array;
  /** A view of the same bytes, since its methods are much faster than those of a Buffer. */
  #view: DataView;
  #length = 0;
  #path: Uint8Array = new Uint8Array(0);

  constructor(capacity = INITIAL_CAPACITY) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /**
   * A path of at most 65535 bytes: length shared with the previous path u16 ‖ length of the rest
   * u16 ‖ rest.
   */
  path(path: Uint8Array): void {
    const end = Math.min(path.length, this.#path.length);
    let shared = 0;
    while (shared < end && path[shared] === this.#path[shared]) shared++;
    this.uint16(shared);
    this.#write(path, shared, path.length);
    this.#path = path;
  }

  /** At most 65535 bytes, after their length u16. */
  bytes(bytes: Uint8Array): void {
    this.#write(bytes, 0, bytes.length);
  }

  uint16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  /** Any number, exactly: f64. */
  number(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** Bytes written since the last {@link take}. */
  get length(): number {
    return this.#length;
  }

  /** The bytes written so far, as a view that is valid until the next write. */
  take(): Buffer {
    const taken = this.finish();
    this.#length = 0;
    return taken;
  }

  /** The bytes written, as a view. The writer must not be used any more. */
  finish(): Buffer {
    return Buffer.from(this.#bytes.buffer, 0, this.#length);
  }

  /** Writes a short part of some bytes, for which a loop is cheaper than a view. */
  #write(bytes: Uint8Array, start: number, end: number): void {
    this.uint16(end - start);
    this.#reserve(end - start);
    let at = this.#length;
    for (let i = start; i < end; i++) this.#bytes[at++] = bytes[i] ?? 0;
    this.#length = at;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#length + count, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/**
 * Reads what {@link RecordWriter} wrote.
 *
 * @throws {VaultError} `memory-damaged` — from every method, if the bytes end early or are
 *   inconsistent
 */
export class RecordReader {
  readonly #buffer: Buffer;
  #at = 0;
  #path: Buffer = Buffer.alloc(0);

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#buffer.length;
  }

  /** A path as a copy, which stays valid. */
  path(): Buffer {
    const shared = this.uint16();
    const rest = this.bytes();
    const length = shared + rest.length;
    if (shared > this.#path.length || length < 1 || length > PATH_LENGTH_MAX) {
      throw damaged();
    }
    const path = Buffer.allocUnsafe(length);
    this.#path.copy(path, 0, 0, shared);
    rest.copy(path, shared);
    this.#path = path;
    return path;
  }

  /** As a view. */
  bytes(): Buffer {
    const length = this.uint16();
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  uint16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }

  uint32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  number(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  /** Advances by some bytes, and returns their position. */
  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#buffer.length) throw damaged();
    this.#at = at + count;
    return at;
  }
}

/** The error for an inconsistent record. */
export function damaged(): VaultError {
  return new VaultError('memory-damaged', 'what was remembered of an earlier push is damaged', {
    hint: 'It is made anew by the next push.',
  });
}
