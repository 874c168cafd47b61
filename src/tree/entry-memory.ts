/** Bytes allocated at a time for records. */
const SLAB_LENGTH = 64 * 1024;
const SLASH = 0x2f;

/** Before the folder part of a path: its length, u32. */
const FOLDER_HEAD_LENGTH = 4;
/** Before a name: offset of the folder part in its slab u32 ‖ length of the name u16. */
const NAME_LENGTH = 4;
const NAME_HEAD_LENGTH = 6;

/** A piece of memory that holds the records of many entries. */
export class Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Number of bytes in use. */
  used = 0;

  constructor(length: number) {
    this.bytes = Buffer.allocUnsafeSlow(length);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Appends part of some bytes after the used ones. */
  append(from: Uint8Array, start: number, end: number): void {
    let at = this.used;
    for (let i = start; i < end; i++) this.bytes[at++] = from[i] ?? 0;
    this.used = at;
  }

  /**
   * Copies out a path that {@link EntryMemory} stored here.
   *
   * @param at - the offset where the fields before it end
   */
  path(at: number): Uint8Array {
    const { bytes, view } = this;
    const folderAt = view.getUint32(at, true) + FOLDER_HEAD_LENGTH;
    const folderLength = view.getUint32(folderAt - FOLDER_HEAD_LENGTH, true);
    const nameAt = at + NAME_HEAD_LENGTH;
    const nameLength = view.getUint16(at + NAME_LENGTH, true);
    const path = Buffer.allocUnsafe(folderLength + nameLength);
    // Paths are short: a loop costs less than views of their parts.
    for (let i = 0; i < folderLength; i++) path[i] = bytes[folderAt + i] ?? 0;
    for (let i = 0; i < nameLength; i++) path[folderLength + i] = bytes[nameAt + i] ?? 0;
    return path;
  }
}

/**
 * Memory for records of very many entries: fields of fixed length, and a path each. A path of its
 * own would be an object of over a hundred bytes, and a number often one of sixteen. Consecutive
 * paths mostly share a folder, which is stored once.
 */
export class EntryMemory {
  #slab = new Slab(0);
  /** Offset of the last folder part. */
  #folderAt = 0;

  /** The slab of the latest record. */
  get slab(): Slab {
    return this.#slab;
  }

  /**
   * Adds a record.
   *
   * @param path - copied
   * @param fieldsLength - bytes before the path; the caller writes all of them
   * @returns the record's offset in {@link slab}
   */
  add(path: Uint8Array, fieldsLength: number): number {
    const nameStart = path.lastIndexOf(SLASH) + 1;
    const length = fieldsLength + NAME_HEAD_LENGTH + path.length - nameStart;
    this.#writeFolder(path, nameStart, length);
    const slab = this.#slab;
    const at = slab.used;
    const headAt = at + fieldsLength;
    slab.view.setUint32(headAt, this.#folderAt, true);
    slab.view.setUint16(headAt + NAME_LENGTH, path.length - nameStart, true);
    slab.used = headAt + NAME_HEAD_LENGTH;
    slab.append(path, nameStart, path.length);
    return at;
  }

  /** Ensures that the slab has a path's folder part, and room for so many more bytes. */
  #writeFolder(path: Uint8Array, end: number, room: number): void {
    const isStored = this.#slab.used > 0 && this.#isLastFolder(path, end);
    const folderLength = isStored ? 0 : FOLDER_HEAD_LENGTH + end;
    const isFull = this.#slab.used + folderLength + room > this.#slab.bytes.length;
    if (isStored && !isFull) return;
    if (isFull) this.#slab = new Slab(Math.max(SLAB_LENGTH, FOLDER_HEAD_LENGTH + end + room));
    const slab = this.#slab;
    this.#folderAt = slab.used;
    slab.view.setUint32(this.#folderAt, end, true);
    slab.used += FOLDER_HEAD_LENGTH;
    slab.append(path, 0, end);
  }

  #isLastFolder(path: Uint8Array, end: number): boolean {
    const { bytes, view } = this.#slab;
    if (view.getUint32(this.#folderAt, true) !== end) return false;
    const start = this.#folderAt + FOLDER_HEAD_LENGTH;
    for (let i = end - 1; i >= 0; i--) if (path[i] !== bytes[start + i]) return false;
    return true;
  }
}
