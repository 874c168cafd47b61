/** Bytes that records are cut from at a time. */
const SLAB_LENGTH = 64 * 1024;
const SLASH = 0x2f;

/** In front of a path's folder part: its length, u32. */
const FOLDER_HEAD_LENGTH = 4;
/** In front of a name: where in its slab the folder part is u32 ‖ length of the name u16. */
const NAME_LENGTH = 4;
const NAME_HEAD_LENGTH = 6;

/** A piece of memory that the records of many entries share. */
export class Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes that are in use. */
  used = 0;

  constructor(length: number) {
    this.bytes = Buffer.allocUnsafeSlow(length);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Puts part of some bytes behind what is in use. */
  append(from: Uint8Array, start: number, end: number): void {
    let at = this.used;
    for (let i = start; i < end; i++) this.bytes[at++] = from[i] ?? 0;
    this.used = at;
  }

  /**
   * A path that {@link EntryMemory} put here, as bytes of its own.
   *
   * @param at - where the fields in front of it end
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
 * Memory for what is known of very many entries: fields of fixed length and a path each. A path of
 * its own would be an object of over a hundred bytes, and a number often one of sixteen. Paths given
 * one after the other mostly are of one folder, which is written down once.
 */
export class EntryMemory {
  #slab = new Slab(0);
  /** Where the folder part that was written last is. */
  #folderAt = 0;

  /** Where the latest record is. */
  get slab(): Slab {
    return this.#slab;
  }

  /**
   * Makes a record.
   *
   * @param path - is copied
   * @param fieldsLength - bytes in front of the path; whoever asks writes all of them
   * @returns its position in {@link slab}
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

  /** Sees to it that the slab has a path's folder part, and room for so many bytes more. */
  #writeFolder(path: Uint8Array, end: number, room: number): void {
    const isThere = this.#slab.used > 0 && this.#isLastFolder(path, end);
    const folderLength = isThere ? 0 : FOLDER_HEAD_LENGTH + end;
    const isFull = this.#slab.used + folderLength + room > this.#slab.bytes.length;
    if (isThere && !isFull) return;
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
