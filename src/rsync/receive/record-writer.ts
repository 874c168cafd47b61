/** Writes the generator's output: item records, ends of phases and deletion counts. */
import type { ArrivingXattrs } from './arriving-xattrs.ts';
import {
  ITEM_BASIS_TYPE_FOLLOWS,
  ITEM_LOCAL_CHANGE,
  ITEM_RECORDS_SINCE,
  ITEM_REPORT_XATTR,
  ITEM_XNAME_FOLLOWS,
  NDX_DEL_STATS,
  NDX_DONE,
} from '../wire/constants.ts';
import { writeVarint } from '../wire/integers.ts';
import { writeItemAttributes, type ItemAttributes } from '../wire/item-record.ts';
import type { MultiplexWriter } from '../wire/multiplex.ts';
import { NdxWriter } from '../wire/ndx.ts';

/** Flags that alone do not justify a record. */
const INSIGNIFICANT = ITEM_BASIS_TYPE_FOLLOWS | ITEM_XNAME_FOLLOWS | ITEM_LOCAL_CHANGE;

/** Number of deleted objects by type. */
export interface DeletionCounts {
  files: number;
  directories: number;
  symlinks: number;
  devices: number;
  specials: number;
}

/** Writes the generator's output: item records, ends of phases and deletion counts. */
export class GeneratorWriter {
  readonly #writer: MultiplexWriter;
  readonly #protocol: number;
  readonly #ndx: NdxWriter;
  readonly #onItem: (ndx: number, attributes: ItemAttributes) => void;
  readonly #xattrs: ArrivingXattrs | undefined;

  /** @param onItem - called for every significant item, whether or not a record is sent */
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

  /**
   * Reports a local change to the sender, if it is significant; below protocol 29 no record is
   * sent.
   */
  report(ndx: number, attributes: ItemAttributes): void {
    const { iflags, xname } = attributes;
    const isSignificant =
      (iflags & ~INSIGNIFICANT) !== 0 || (xname !== undefined && xname.length > 0);
    if (isSignificant) this.#onItem(ndx, attributes);
    const needsRecord = isSignificant || this.#xattrs?.mustRequest(ndx, iflags) === true;
    if (needsRecord && this.#protocol >= ITEM_RECORDS_SINCE)
      this.#writeWithXattrRequest(ndx, attributes);
  }

  /** Begins a request; the sum head and the sums follow, except in a dry run. */
  request(ndx: number, attributes: ItemAttributes): void {
    this.#onItem(ndx, attributes);
    this.#writeWithXattrRequest(ndx, attributes);
  }

  /** Begins another request for a file that arrived damaged. */
  requestAgain(ndx: number, attributes: ItemAttributes): void {
    this.#write(ndx, attributes);
  }

  /** Writes a record, with a request for extended attributes if one is necessary. */
  #writeWithXattrRequest(ndx: number, attributes: ItemAttributes): void {
    const { iflags } = attributes;
    if (this.#xattrs?.mustRequest(ndx, iflags) !== true) {
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

  /** Protocol ≥ 31: writes the deletion report. */
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
