/** Reads and checks the requests of a receiving server. */
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

/** One request of the generator. */
export type Request<E extends Entry> = { readonly kind: 'done' } | ItemRequest<E>;

/** A request for an entry. */
export type ItemRequest<E extends Entry> = Transfer<E> | Report<E>;

/** A record that is only echoed, or a transfer that we have declined. */
export interface Report<E extends Entry> {
  readonly kind: 'report' | 'declined';
  readonly ndx: number;
  readonly entry: E;
  readonly attributes: ItemAttributes;
  readonly xattrs?: XattrRequest;
}

/** Positions of the extended attributes whose values are requested. */
export type XattrRequest = readonly number[];

/** A request for a file's content. */
export interface Transfer<E extends Entry> {
  readonly kind: 'transfer';
  readonly ndx: number;
  readonly entry: E;
  readonly attributes: ItemAttributes;
  readonly xattrs?: XattrRequest;
  readonly head: SumHead;
  /** Absent if there is no basis, or if its sums were too many to keep. */
  readonly sums: SumTable | undefined;
}

/** What a server deleted, as counted in its report at the end. */
export interface DeletedCounts {
  readonly files: number;
  readonly dirs: number;
  readonly symlinks: number;
  readonly devices: number;
  readonly specials: number;
}

/** The rules that requests are checked against. */
export interface RequestRules<E extends Entry> {
  readonly protocol: number;
  readonly dryRun: boolean;
  /** Whether a record with these flags requests extended attributes. Absent: none does. */
  readonly requestsXattrs?: ((iflags: number) => boolean) | undefined;
  /** In index order. */
  readonly entries: readonly E[];
}

/**
 * Reads the requests of a receiving server's generator and refuses those that it must not send.
 * Only indexes of the list are allowed, and only regular files may be transferred: once per file
 * and phase, and not after the redo phase.
 */
export class RequestReader<E extends Entry> {
  /** The server's deletion report, once it has come. */
  deleted: DeletedCounts | undefined;
  readonly #input: MultiplexReader;
  readonly #rules: RequestRules<E>;
  readonly #ndx: NdxReader;
  /** For each file, the phases in which it was requested, as bits. */
  readonly #requestedPhases: Uint8Array;
  /** How often each entry's extended attributes were requested. */
  readonly #xattrRequestCounts: Uint8Array;
  readonly #decodeNdx = (reader: ByteReader): number => this.#ndx.read(reader);
  readonly #decodeAttributes = (reader: ByteReader): ItemAttributes =>
    readItemAttributes(reader, this.#rules.protocol);
  readonly #decodeSumHead = (reader: ByteReader): SumHead =>
    readSumHead(reader, this.#rules.protocol);
  /** An index that was read but not handled yet, because it is not a file's. */
  #unlisted: number | undefined;
  #phase = 0;
  #reportsLeft: number;

  constructor(input: MultiplexReader, rules: RequestRules<E>) {
    this.#input = input;
    this.#rules = rules;
    this.#ndx = new NdxReader(rules.protocol);
    this.#requestedPhases = new Uint8Array(rules.entries.length);
    this.#xattrRequestCounts = new Uint8Array(rules.requestsXattrs ? rules.entries.length : 0);
    this.#reportsLeft = REPORTS_BASE_MAX + REPORTS_PER_ENTRY_MAX * rules.entries.length;
  }

  /**
   * The next request; deletion reports and keep-alives before it are handled here.
   *
   * @throws {ProtocolError} `ndx-out-of-range`, `not-a-file`, `asked-twice`, `asked-too-late`,
   *   `too-many-reports`, `sum-head-invalid`, `string-too-long`, `del-stats-invalid`,
   *   `xattr-request-invalid`
   * @throws {ConnectionError} `connection-lost`
   */
  async next(): Promise<Request<E>> {
    const { entries, dryRun, requestsXattrs } = this.#rules;
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
      const xattrs = requestsXattrs && (await this.#readXattrs(ndx, entry, attributes));
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

  /** Reads one NDX_DONE of the goodbye. */
  async goodbye(): Promise<void> {
    for (;;) {
      const ndx = await this.#readNdx();
      if (ndx === NDX_DONE) return;
      const attributes = await this.#input.read(this.#decodeAttributes);
      this.#assertKeepAlive(ndx, attributes);
    }
  }

  /** The next index if it has arrived and is a file's, as nearly all are. */
  #listedNdxNow(): number | undefined {
    const ndx = this.#input.readNow(this.#decodeNdx);
    if (ndx === undefined || (ndx >= 0 && ndx < this.#rules.entries.length)) return ndx;
    this.#unlisted = ndx;
    return undefined;
  }

  /** The next index; deletion reports before it are handled here. */
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
        `the server reports ${count} deletions; 0 to ${DEL_STATS_COUNT_MAX} is allowed`,
      );
    }
    this.deleted = counts;
  }

  /** The requested values, if this record can request any. */
  async #readXattrs(
    ndx: number,
    { xattrs = [] }: E,
    { iflags }: ItemAttributes,
  ): Promise<XattrRequest | undefined> {
    if (this.#rules.requestsXattrs?.(iflags) !== true) return undefined;
    const previous = this.#xattrRequestCounts[ndx] ?? 0;
    if (previous >= XATTR_REQUESTS_PER_ENTRY_MAX) {
      throw new ProtocolError(
        'asked-twice',
        `the server asked for the extended attributes of entry ${ndx} more than ${XATTR_REQUESTS_PER_ENTRY_MAX} times`,
      );
    }
    this.#xattrRequestCounts[ndx] = previous + 1;
    return this.#input.read((reader) => readXattrRequest(reader, xattrs));
  }

  /**
   * Protocol 29 has no empty frames: its keep-alive is the index after the last one, flagged new.
   */
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
        `the server asked for the content of entry ${ndx}, which is not a regular file`,
      );
    }
    if (this.#phase > 1) {
      throw new ProtocolError(
        'asked-too-late',
        `the server asked for file ${ndx} in phase ${this.#phase}; transfers end with phase 1`,
      );
    }
    const bit = 1 << this.#phase;
    const previous = this.#requestedPhases[ndx] ?? 0;
    if (previous & bit) {
      throw new ProtocolError(
        'asked-twice',
        `the server asked for file ${ndx} twice in phase ${this.#phase}`,
      );
    }
    this.#requestedPhases[ndx] = previous | bit;
  }

  /** Reads the sums after a head; if they exceed the memory limit they are dropped. */
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
