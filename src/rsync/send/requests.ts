/** Reads and checks what a receiving server asks for. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import { ProtocolError } from '../../errors.ts';
import { isRegularFile, type Entry } from '../../tree/entry.ts';
import { ITEM_IS_NEW, ITEM_TRANSFER, NDX_DEL_STATS, NDX_DONE } from '../wire/constants.ts';
import { readVarint } from '../wire/integers.ts';
import { readItemAttributes, type ItemAttributes } from '../wire/item-record.ts';
import {
  DEL_STATS_COUNT_MAX,
  REPORTS_BASE_MAX,
  REPORTS_PER_ENTRY_MAX,
  SUM_TABLE_BYTES_MAX,
  XATTR_REQUESTS_PER_ENTRY_MAX,
} from '../wire/limits.ts';
import type { MultiplexReader } from '../wire/multiplex.ts';
import { NdxReader } from '../wire/ndx.ts';
import { NO_BASIS, readSumHead, type SumHead } from '../wire/sum-head.ts';
import { sumStride, SumTable } from '../delta/sum-table.ts';
import { readXattrRequest } from '../flist/xattrs.ts';

/** One thing the generator wants. */
export type Request<E extends Entry> = { readonly kind: 'done' } | ItemRequest<E>;

/** A request that is about an entry. */
export type ItemRequest<E extends Entry> = Transfer<E> | Report<E>;

/** A record that wants nothing but its echo, or a transfer that we have declined. */
export interface Report<E extends Entry> {
  readonly kind: 'report' | 'declined';
  readonly ndx: number;
  readonly entry: E;
  readonly attributes: ItemAttributes;
  readonly xattrs?: XattrRequest;
}

/** Positions of the extended attributes whose values are wanted. Absent in records without a place for them. */
export type XattrRequest = readonly number[];

/** A file that is to be sent. */
export interface Transfer<E extends Entry> {
  readonly kind: 'transfer';
  readonly ndx: number;
  readonly entry: E;
  readonly attributes: ItemAttributes;
  readonly xattrs?: XattrRequest;
  readonly head: SumHead;
  /** Absent when there is no basis, or when its sums were too many to keep. */
  readonly sums: SumTable | undefined;
}

/** What a server deleted, as it counts at the end. */
export interface DeletedCounts {
  readonly files: number;
  readonly dirs: number;
  readonly symlinks: number;
  readonly devices: number;
  readonly specials: number;
}

/** What requests are checked against. */
export interface RequestRules<E extends Entry> {
  readonly protocol: number;
  readonly dryRun: boolean;
  /** Whether a record with these flags asks for extended attributes. Absent: none does. */
  readonly asksForXattrs?: ((iflags: number) => boolean) | undefined;
  /** In the order of the indexes. */
  readonly entries: readonly E[];
}

/**
 * Reads what the generator of a receiving server sends and lets nothing pass that it must not send:
 * indexes of the list only, transfers of regular files only, one per file and phase, none after the
 * redo phase.
 */
export class RequestReader<E extends Entry> {
  /** From the server's deletion report, once it has come. */
  deleted: DeletedCounts | undefined;
  readonly #input: MultiplexReader;
  readonly #rules: RequestRules<E>;
  readonly #ndx: NdxReader;
  /** Phases in which a file was asked for already, as bits. */
  readonly #asked: Uint8Array;
  /** How often each entry's extended attributes were asked for. */
  readonly #xattrsAsked: Uint8Array;
  readonly #decodeNdx = (reader: ByteReader): number => this.#ndx.read(reader);
  readonly #decodeAttributes = (reader: ByteReader): ItemAttributes =>
    readItemAttributes(reader, this.#rules.protocol);
  readonly #decodeSumHead = (reader: ByteReader): SumHead =>
    readSumHead(reader, this.#rules.protocol);
  /** An index that was read already and not looked at. */
  #unlisted: number | undefined;
  #phase = 0;
  #reportsLeft: number;

  constructor(input: MultiplexReader, rules: RequestRules<E>) {
    this.#input = input;
    this.#rules = rules;
    this.#ndx = new NdxReader(rules.protocol);
    this.#asked = new Uint8Array(rules.entries.length);
    this.#xattrsAsked = new Uint8Array(rules.asksForXattrs ? rules.entries.length : 0);
    this.#reportsLeft = REPORTS_BASE_MAX + REPORTS_PER_ENTRY_MAX * rules.entries.length;
  }

  /**
   * The next request; reports of deletions and keep-alives in between are taken care of.
   *
   * @throws {ProtocolError} `ndx-out-of-range`, `not-a-file`, `asked-twice`, `asked-too-late`,
   *   `too-many-reports`, `sum-head-invalid`, `string-too-long`, `del-stats-invalid`,
   *   `xattr-request-invalid`
   * @throws {ConnectionError} `connection-lost`
   */
  async next(): Promise<Request<E>> {
    const { entries, dryRun, asksForXattrs } = this.#rules;
    const input = this.#input;
    for (;;) {
      const ndx = this.#listedNdxNow() ?? (await this.#readNdx());
      if (ndx === NDX_DONE) {
        this.#phase++;
        return { kind: 'done' };
      }
      const entry = entries[ndx];
      const decode = this.#decodeAttributes;
      const attributes = input.readNow(decode) ?? (await input.read(decode));
      if (entry === undefined) {
        this.#assertKeepAlive(ndx, attributes);
        continue;
      }
      const xattrs = asksForXattrs && (await this.#readXattrs(ndx, entry, attributes));
      const item = { ndx, entry, attributes, ...(xattrs && { xattrs }) };
      if (!(attributes.iflags & ITEM_TRANSFER)) {
        this.#countReport();
        return { kind: 'report', ...item };
      }
      this.#assertWanted(ndx, entry);
      if (dryRun) return { kind: 'transfer', ...item, head: NO_BASIS, sums: undefined };
      const head = input.readNow(this.#decodeSumHead) ?? (await input.read(this.#decodeSumHead));
      const sums = head.count === 0 ? undefined : await this.#readSums(head);
      return { kind: 'transfer', ...item, head, sums };
    }
  }

  /** Reads one of the goodbye's NDX_DONE. */
  async goodbye(): Promise<void> {
    for (;;) {
      const ndx = await this.#readNdx();
      if (ndx === NDX_DONE) return;
      const attributes = await this.#input.read(this.#decodeAttributes);
      this.#assertKeepAlive(ndx, attributes);
    }
  }

  /** An index with nothing special about it, if it has come: nearly all of them. */
  #listedNdxNow(): number | undefined {
    const ndx = this.#input.readNow(this.#decodeNdx);
    if (ndx === undefined || (ndx >= 0 && ndx < this.#rules.entries.length)) return ndx;
    this.#unlisted = ndx;
    return undefined;
  }

  /** An index, with reports of deletions read on the way. */
  async #readNdx(): Promise<number> {
    const { protocol, entries } = this.#rules;
    for (;;) {
      const ndx = this.#unlisted ?? (await this.#input.read(this.#decodeNdx));
      this.#unlisted = undefined;
      if (ndx === NDX_DEL_STATS && protocol >= 31) {
        await this.#readDeletedCounts();
        continue;
      }
      const keepAlive = protocol === 29 && ndx === entries.length;
      if (ndx === NDX_DONE || keepAlive || (ndx >= 0 && ndx < entries.length)) return ndx;
      throw new ProtocolError(
        'ndx-out-of-range',
        `the server asked for file ${ndx} of 0 to ${entries.length - 1} (phase ${this.#phase})`,
      );
    }
  }

  async #readDeletedCounts(): Promise<void> {
    this.#countReport();
    const counts = await this.#input.read((reader) => {
      const read = (): number => readVarint(reader);
      return { files: read(), dirs: read(), symlinks: read(), devices: read(), specials: read() };
    });
    for (const count of Object.values(counts)) {
      if (count >= 0 && count <= DEL_STATS_COUNT_MAX) continue;
      throw new ProtocolError(
        'del-stats-invalid',
        `the server reports ${count} deletions, allowed are 0 to ${DEL_STATS_COUNT_MAX}`,
      );
    }
    this.deleted = counts;
  }

  /** The values asked for, if this record has a place for them. */
  async #readXattrs(
    ndx: number,
    { xattrs = [] }: E,
    { iflags }: ItemAttributes,
  ): Promise<XattrRequest | undefined> {
    if (this.#rules.asksForXattrs?.(iflags) !== true) return undefined;
    const asked = this.#xattrsAsked[ndx] ?? 0;
    if (asked >= XATTR_REQUESTS_PER_ENTRY_MAX) {
      throw new ProtocolError(
        'asked-twice',
        `the server asked for the extended attributes of entry ${ndx} more than ${XATTR_REQUESTS_PER_ENTRY_MAX} times`,
      );
    }
    this.#xattrsAsked[ndx] = asked + 1;
    return this.#input.read((reader) => readXattrRequest(reader, xattrs));
  }

  /** Protocol 29 has no empty frames: an index behind the last one, flagged new, says "I live". */
  #assertKeepAlive(ndx: number, attributes: ItemAttributes): void {
    const { protocol, entries } = this.#rules;
    if (protocol === 29 && ndx === entries.length && attributes.iflags === ITEM_IS_NEW) {
      this.#input.discountProgress();
      return;
    }
    throw new ProtocolError(
      'ndx-out-of-range',
      `the server sent a record for file ${ndx} where only the end or a keep-alive is allowed`,
    );
  }

  #countReport(): void {
    if (--this.#reportsLeft >= 0) return;
    throw new ProtocolError(
      'too-many-reports',
      `the server reported more than ${REPORTS_PER_ENTRY_MAX} times per file`,
    );
  }

  #assertWanted(ndx: number, entry: E): void {
    if (!isRegularFile(entry)) {
      throw new ProtocolError(
        'not-a-file',
        `the server asked for the content of entry ${ndx}, which is no regular file`,
      );
    }
    if (this.#phase > 1) {
      throw new ProtocolError(
        'asked-too-late',
        `the server asked for file ${ndx} in phase ${this.#phase}, transfers end with phase 1`,
      );
    }
    const bit = 1 << this.#phase;
    const asked = this.#asked[ndx] ?? 0;
    if (asked & bit) {
      throw new ProtocolError(
        'asked-twice',
        `the server asked for file ${ndx} twice in phase ${this.#phase}`,
      );
    }
    this.#asked[ndx] = asked | bit;
  }

  /** Reads the sums behind a head; more than memory allows are read and dropped. */
  async #readSums(head: SumHead): Promise<SumTable | undefined> {
    let left = head.count * sumStride(head);
    const keep = left <= SUM_TABLE_BYTES_MAX;
    const bytes = Buffer.allocUnsafeSlow(keep ? left : 0);
    let filled = 0;
    while (left > 0) {
      const lengthMax = left;
      const piece = await this.#input.read((reader) => reader.some(lengthMax));
      if (keep) filled += piece.copy(bytes, filled);
      left -= piece.length;
    }
    return keep ? new SumTable(head, bytes) : undefined;
  }
}
