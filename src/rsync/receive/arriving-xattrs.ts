/** Extended attributes in a pull: which values are asked for, and those that came. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { ProtocolError } from '../../errors.ts';
import type { Xattr } from '../../tree/entry.ts';
import { ITEM_REPORT_XATTR } from '../wire/constants.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { Session } from '../wire/handshake.ts';
import { readVarint, writeVarint } from '../wire/integers.ts';
import { XATTR_VALUE_LENGTH_MAX, XATTR_WEIGHT } from '../wire/limits.ts';
import type { MultiplexReader } from '../wire/multiplex.ts';
import type { TransferOptions } from '../wire/options.ts';
import type { ListedXattr } from '../flist/xattr-list.ts';
import { xattrRequestRule } from '../flist/xattrs.ts';

const NOTHING: readonly ListedXattr[] = [];

/**
 * The long values of one set, asked for in the first record that has a place for it about an entry
 * which has that set. A stock sender breaks off when it is asked for a value twice.
 */
interface Asked {
  readonly ndx: number;
  /** Positions that are still to come, ascending. */
  readonly due: number[];
  readonly values: Map<number, Uint8Array>;
}

/**
 * Keeps the books of the values that a sender is asked for: the half that asks and the half that
 * reads share them.
 */
export class ArrivingXattrs {
  readonly #entries: readonly FlistEntry[];
  readonly #hasPlace: ((iflags: number) => boolean) | undefined;
  readonly #weightMax: number;
  readonly #asked = new Map<readonly ListedXattr[], Asked>();
  #weight = 0;

  /** @param weightMax - bytes of memory that the values may take, about */
  constructor(
    entries: readonly FlistEntry[],
    { session, options }: { readonly session: Session; readonly options: TransferOptions },
    weightMax: number,
  ) {
    this.#entries = entries;
    this.#hasPlace = xattrRequestRule(session, options);
    this.#weightMax = weightMax;
  }

  /** Whether a record about an entry has to ask for values, with `ITEM_REPORT_XATTR` beside its flags. */
  isToAsk(ndx: number, iflags: number): boolean {
    if (this.#hasPlace?.(iflags | ITEM_REPORT_XATTR) !== true) return false;
    const set = this.#listed(ndx);
    return !this.#asked.has(set) && set.some(isLong);
  }

  /** Writes behind the record which values are wanted. */
  writeRequest(sink: ByteSink, ndx: number): void {
    const due: number[] = [];
    let before = -1;
    const set = this.#listed(ndx);
    for (const [position, xattr] of set.entries()) {
      if (!isLong(xattr)) continue;
      writeVarint(sink, position - before); // 7
      before = position;
      due.push(position);
    }
    sink.byte(0);
    this.#asked.set(set, { ndx, due, values: new Map() });
  }

  /**
   * Reads what stands behind the flags of a record, if anything does.
   *
   * @throws {ProtocolError} `xattr-unrequested` — nobody asked for it, or not any more
   * @throws {ProtocolError} `xattr-too-long`, `xattrs-too-large`
   */
  async readAnswer(reader: MultiplexReader, ndx: number, iflags: number): Promise<void> {
    if (this.#hasPlace?.(iflags) !== true) return;
    const asked = this.#asked.get(this.#listed(ndx));
    if (asked?.ndx !== ndx) throw unrequested(ndx);
    let position = -1;
    for (;;) {
      const step = await reader.read(readVarint); // 8
      if (step === 0) return;
      position += step;
      const at = step > 0 ? asked.due.indexOf(position) : -1;
      if (at === -1) throw unrequested(ndx);
      asked.due.splice(0, at + 1);
      const length = await reader.read(readVarint); // 9
      this.#weigh(length);
      const value = await reader.read((bytes: ByteReader) => bytes.copy(length)); // 10
      asked.values.set(position, value);
    }
  }

  /** @returns undefined when a value did not come */
  of(ndx: number): readonly Xattr[] | undefined {
    const set = this.#listed(ndx);
    const values = this.#asked.get(set)?.values;
    const xattrs: Xattr[] = [];
    for (const [position, { name, value = values?.get(position) }] of set.entries()) {
      if (value === undefined) return undefined;
      xattrs.push({ name, value });
    }
    return xattrs;
  }

  #listed(ndx: number): readonly ListedXattr[] {
    return this.#entries[ndx]?.listedXattrs ?? NOTHING;
  }

  /** It may have become longer since the list was made. */
  #weigh(length: number): void {
    if (length < 0 || length > XATTR_VALUE_LENGTH_MAX) {
      throw new ProtocolError('xattr-too-long', `an extended attribute of ${length} bytes arrived`);
    }
    this.#weight += XATTR_WEIGHT + length;
    if (this.#weight <= this.#weightMax) return;
    throw new ProtocolError(
      'xattrs-too-large',
      "the peer's extended attributes do not fit into memory",
      { hint: 'Restore a part at a time, or without -X.' },
    );
  }
}

function isLong({ value, length }: ListedXattr): boolean {
  return value === undefined && length <= XATTR_VALUE_LENGTH_MAX;
}

function unrequested(ndx: number): ProtocolError {
  return new ProtocolError(
    'xattr-unrequested',
    `extended attributes of file ${ndx} arrived that were not asked for`,
  );
}
