/** Writes what the generator says: item records, ends of phases and deletion counts. */
import type { ArrivingXattrs } from './arriving-xattrs.ts';
import {
  ITEM_BASIS_TYPE_FOLLOWS,
  ITEM_LOCAL_CHANGE,
  ITEM_REPORT_XATTR,
  ITEM_XNAME_FOLLOWS,
  NDX_DEL_STATS,
  NDX_DONE,
} from '../wire/constants.ts';
import { writeVarint } from '../wire/integers.ts';
import { writeItemAttributes, type ItemAttributes } from '../wire/item-record.ts';
import type { MultiplexWriter } from '../wire/multiplex.ts';
import { NdxWriter } from '../wire/ndx.ts';

/** Flags that alone make no record worth sending. */
const INSIGNIFICANT = ITEM_BASIS_TYPE_FOLLOWS | ITEM_XNAME_FOLLOWS | ITEM_LOCAL_CHANGE;

/** What was deleted, by kind. */
export interface DeletionCounts {
  files: number;
  directories: number;
  symlinks: number;
  devices: number;
  specials: number;
}

/** Writes what the generator says: item records, ends of phases, the account of deletions. */
export class RecordWriter {
  readonly #writer: MultiplexWriter;
  readonly #protocol: number;
  readonly #ndx: NdxWriter;
  readonly #onItem: (ndx: number, attributes: ItemAttributes) => void;
  readonly #xattrs: ArrivingXattrs | undefined;

  /** @param onItem - hears of every item that is worth a record, whether the sender is told or not */
  constructor(
    writer: MultiplexWriter,
    protocol: number,
    onItem: (ndx: number, attributes: ItemAttributes) => void,
    xattrs?: ArrivingXattrs,
  ) {
    this.#xattrs = xattrs;
    this.#writer = writer;
    this.#protocol = protocol;
    this.#ndx = new NdxWriter(protocol);
    this.#onItem = onItem;
  }

  /** Tells the sender what was done without it, if that is anything; below protocol 29 it is not told. */
  inform(ndx: number, attributes: ItemAttributes): void {
    const { iflags, xname } = attributes;
    const isWorthIt = (iflags & ~INSIGNIFICANT) !== 0 || (xname !== undefined && xname.length > 0);
    if (isWorthIt) this.#onItem(ndx, attributes);
    const isWorthARecord = isWorthIt || this.#xattrs?.isToAsk(ndx, iflags) === true;
    if (isWorthARecord && this.#protocol >= 29) this.#writeAsking(ndx, attributes);
  }

  /** Starts a request; the sum head and the sums follow, unless it is a dry run. */
  request(ndx: number, attributes: ItemAttributes): void {
    this.#onItem(ndx, attributes);
    this.#writeAsking(ndx, attributes);
  }

  /** Starts a request for what arrived damaged. */
  requestAgain(ndx: number, attributes: ItemAttributes): void {
    this.#write(ndx, attributes);
  }

  /** A record about an entry is also where its extended attributes are asked for. */
  #writeAsking(ndx: number, attributes: ItemAttributes): void {
    const { iflags } = attributes;
    if (this.#xattrs?.isToAsk(ndx, iflags) !== true) {
      this.#write(ndx, attributes);
      return;
    }
    this.#write(ndx, { ...attributes, iflags: iflags | ITEM_REPORT_XATTR });
    this.#xattrs.writeRequest(this.#writer, ndx);
  }

  #write(ndx: number, attributes: ItemAttributes): void {
    this.#ndx.write(this.#writer, ndx);
    writeItemAttributes(this.#writer, attributes, this.#protocol);
  }

  /** Ends a phase. */
  done(): void {
    this.#ndx.write(this.#writer, NDX_DONE);
    this.#writer.flush();
  }

  /** Protocol ≥ 31: how much was deleted. */
  deletions(counts: DeletionCounts): void {
    if (this.#protocol < 31) return;
    this.#ndx.write(this.#writer, NDX_DEL_STATS);
    writeVarint(this.#writer, counts.files);
    writeVarint(this.#writer, counts.directories);
    writeVarint(this.#writer, counts.symlinks);
    writeVarint(this.#writer, counts.devices);
    writeVarint(this.#writer, counts.specials);
  }
}
