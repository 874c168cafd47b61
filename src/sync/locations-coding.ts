import { VaultError } from '../errors.ts';

/**
 * Records about many paths, each beginning with its path: only what differs from the path before is
 * written. Integers are little-endian.
 */

const PATH_LENGTH_MAX = 0xffff;
const INITIAL_CAPACITY = 4096;

/** Writes records one after the other; inverse: {@link RecordReader}. */
export class RecordWriter {
  #buffer: Buffer;
  #length = 0;
  #path: Uint8Array = new Uint8Array(0);

  constructor(capacity = INITIAL_CAPACITY) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  /**
   * A path of at most 65535 bytes: shared with the path before u16 ‖ length of the rest u16 ‖ rest.
   */
  path(path: Uint8Array): void {
    const end = Math.min(path.length, this.#path.length);
    let shared = 0;
    while (shared < end && path[shared] === this.#path[shared]) shared++;
    this.uint16(shared);
    this.bytes(path.subarray(shared));
    this.#path = path;
  }

  /** At most 65535 bytes, behind their length u16. */
  bytes(bytes: Uint8Array): void {
    this.uint16(bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  uint16(value: number): void {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16LE(value, this.#length);
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  /** Any number, exactly: f64. */
  number(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  /** What was written, as a view: the writer is not used any more. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#length + count, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/**
 * Reads what {@link RecordWriter} wrote.
 *
 * @throws {VaultError} `memory-damaged` — from every method, where the bytes end early or
 *   contradict themselves
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

  /** A path of its own, which stays valid. */
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

  /** Position of the next so many bytes. */
  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#buffer.length) throw damaged();
    this.#at = at + count;
    return at;
  }
}

/** For a record that contradicts itself. */
export function damaged(): VaultError {
  return new VaultError('memory-damaged', 'what was remembered of an earlier push is damaged', {
    hint: 'It is made anew by the next push.',
  });
}
