/** The decoder of extended attributes in the file list; xattrs.ts describes the layout. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import { ProtocolError } from '../../errors.ts';
import { readVarint } from '../wire/integers.ts';
import { XATTR_NAMES_LENGTH_MAX, XATTR_WEIGHT } from '../wire/limits.ts';
import { FULL_VALUE_LENGTH_MAX, VALUE_DIGEST_LENGTH } from './xattrs.ts';

/** One attribute in a file list. */
export interface ListedXattr {
  /** With its namespace; no NUL. */
  readonly name: Uint8Array;
  /** Bytes of the value. */
  readonly length: number;
  /** Absent if it is too long for the list: it has to be requested. */
  readonly value?: Uint8Array;
}

/** The attributes of one entry. */
export interface ReceivedSet {
  readonly set: readonly ListedXattr[];
  /** Approximate bytes of memory that they take; 0 if the set was received before. */
  readonly weight: number;
}

/** Reads the attributes after each entry of one list. Inverse of `XattrListWriter`. */
export class XattrListReader {
  readonly #sets: (readonly ListedXattr[])[] = [];

  /**
   * For use inside {@link ByteReader.attempt}, as the last read there.
   *
   * @throws {ProtocolError} `xattrs-invalid` — a reference to a set that was not sent, an invalid
   *   name, or names of more than 64 KiB
   */
  read(reader: ByteReader): ReceivedSet {
    const number = readVarint(reader); // 1
    if (number !== 0) {
      const set = this.#sets[number - 1];
      if (set === undefined) throw invalid(`set ${number} of ${this.#sets.length}`);
      return { set, weight: 0 };
    }
    const count = readVarint(reader); // 2
    if (count < 0) throw invalid(`${count} attributes`);
    const set: ListedXattr[] = [];
    let namesLength = 0;
    let weight = 0;
    for (let i = 0; i < count; i++) {
      const xattr = readListed(reader);
      namesLength += xattr.name.length + 1;
      if (namesLength > XATTR_NAMES_LENGTH_MAX) throw invalid('names of more than 64 KiB');
      weight += XATTR_WEIGHT + xattr.name.length;
      set.push(xattr);
    }
    this.#sets.push(set);
    return { set, weight };
  }
}

function readListed(reader: ByteReader): ListedXattr {
  const nameLength = readVarint(reader); // 3
  const length = readVarint(reader); // 4
  if (nameLength < 2 || nameLength > XATTR_NAMES_LENGTH_MAX || length < 0) {
    throw invalid(`a name of ${nameLength} bytes with a value of ${length}`);
  }
  const name = reader.copy(nameLength - 1); // 5
  if (name.includes(0) || reader.byte() !== 0)
    throw invalid('a name that does not end with its only NUL');
  if (length <= FULL_VALUE_LENGTH_MAX) return { name, length, value: reader.copy(length) }; // 6
  reader.bytes(VALUE_DIGEST_LENGTH);
  return { name, length };
}

function invalid(what: string): ProtocolError {
  return new ProtocolError(
    'xattrs-invalid',
    `the peer's file list has extended attributes with ${what}`,
  );
}
