/** Extended attributes in a pull: the values to request, and the values received. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { ProtocolError } from '../../errors.ts';
import type { Xattr } from '../../tree/entry.ts';
import { ITEM_REPORT_XATTR } from '../wire/constants.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { Session } from '../wire/handshake.ts';
import { readVarint, writeVarint } from '../wire/integers.ts';
import { WIRE_XATTR_VALUE_LENGTH_MAX, XATTR_WEIGHT } from '../wire/limits.ts';
import type { MultiplexReader } from '../wire/multiplex.ts';
import type { TransferOptions } from '../wire/options.ts';
import type { ListedXattr } from '../flist/xattr-list.ts';
import { xattrRequestRule } from '../flist/xattrs.ts';

const NOTHING: readonly ListedXattr[] = [];

/**
 * The long values of one set. They are requested in the first suitable record about an entry with
 * that set, and only once, since a stock sender aborts when a value is requested twice.
 */
interface RequestedValues {
  readonly ndx: number;
  /** Positions of values that have not arrived yet, ascending. */
  readonly pending: number[];
  readonly values: Map<number, Uint8Array>;
}

/**
 * Records which values were requested from the sender and which have arrived. The half that sends
 * requests and the half that reads answers share it.
 */
export class ArrivingXattrs {
  readonly #entries: readonly FlistEntry[];
  readonly #requestsXattrs: ((iflags: number) => boolean) | undefined;
  readonly #weightMax: number;
  readonly #requested = new Map<readonly ListedXattr[], RequestedValues>();
  #weight = 0;

  /** @param weightMax - approximate bytes of memory that the values may take */
  constructor(
    entries: readonly FlistEntry[],
    { session, options }: { readonly session: Session; readonly options: TransferOptions },
    weightMax: number,
  ) {
    this.#entries = entries;
    this.#requestsXattrs = xattrRequestRule(session, options);
    this.#weightMax = weightMax;
  }

  /** Whether a record about an entry must request values, with `ITEM_REPORT_XATTR` in its flags. */
  mustRequest(ndx: number, iflags: number): boolean {
    if (this.#requestsXattrs?.(iflags | ITEM_REPORT_XATTR) !== true) return false;
    const set = this.#listed(ndx);
    return !this.#requested.has(set) && set.some(isLong);
  }

  /** Writes the requested positions after the record. */
  writeRequest(sink: ByteSink, ndx: number): void {
    const pending: number[] = [];
    let previous = -1;
    const set = this.#listed(ndx);
    for (const [position, xattr] of set.entries()) {
      if (!isLong(xattr)) continue;
      writeVarint(sink, position - previous); // 7
      previous = position;
      pending.push(position);
    }
    sink.byte(0);
    this.#requested.set(set, { ndx, pending, values: new Map() });
  }

  /**
   * Reads the values after a record, if its flags announce them.
   *
   * @throws {ProtocolError} `xattr-unrequested` — a value that was not requested, or arrived before
   * @throws {ProtocolError} `xattr-too-long`, `xattrs-too-large`
   */
  async readAnswer(reader: MultiplexReader, ndx: number, iflags: number): Promise<void> {
    if (this.#requestsXattrs?.(iflags) !== true) return;
    const requested = this.#requested.get(this.#listed(ndx));
    if (requested?.ndx !== ndx) throw unrequested(ndx);
    let position = -1;
    for (;;) {
      const step = await reader.read(readVarint); // 8
      if (step === 0) return;
      position += step;
      const at = step > 0 ? requested.pending.indexOf(position) : -1;
      if (at === -1) throw unrequested(ndx);
      requested.pending.splice(0, at + 1);
      const length = await reader.read(readVarint); // 9
      this.#weigh(length);
      const value = await reader.read((bytes: ByteReader) => bytes.copy(length)); // 10
      requested.values.set(position, value);
    }
  }

  /** @returns undefined if a value did not arrive */
  of(ndx: number): readonly Xattr[] | undefined {
    const set = this.#listed(ndx);
    const values = this.#requested.get(set)?.values;
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

  /** Bounds the length, since a value may have grown since the list was made. */
  #weigh(length: number): void {
    if (length < 0 || length > WIRE_XATTR_VALUE_LENGTH_MAX) {
      throw new ProtocolError('xattr-too-long', `an extended attribute of ${length} bytes arrived`);
    }
    this.#weight += XATTR_WEIGHT + length;
    if (this.#weight <= this.#weightMax) return;
    throw new ProtocolError(
      'xattrs-too-large',
      "the peer's extended attributes do not fit into memory",
      { hint: 'Restore one part at a time, or without -X.' },
    );
  }
}

function isLong({ value, length }: ListedXattr): boolean {
  return value === undefined && length <= WIRE_XATTR_VALUE_LENGTH_MAX;
}

function unrequested(ndx: number): ProtocolError {
  return new ProtocolError(
    'xattr-unrequested',
    `extended attributes of file ${ndx} arrived that were not requested`,
  );
}
