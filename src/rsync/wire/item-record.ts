/** The codec of one item record, without its index. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import {
  ITEM_BASIS_TYPE_FOLLOWS,
  ITEM_RECORDS_SINCE,
  ITEM_TRANSFER,
  ITEM_XNAME_FOLLOWS,
} from './constants.ts';
import { readVstring, writeVstring } from './integers.ts';
import { XNAME_LENGTH_MAX } from './limits.ts';

/*
 * The attributes that follow a file index, in both directions:
 *
 *   1  uint16   iflags               protocol ≥ 29; below, always a transfer
 *   2  byte     basis type           ITEM_BASIS_TYPE_FOLLOWS
 *   3  vstring  xname                ITEM_XNAME_FOLLOWS
 *
 * and then, with ITEM_TRANSFER and not in a dry run, a sum head.
 *
 * @see rsync rsync.c read_ndx_and_attrs, write_ndx_and_attrs (3.5.0)
 */

/** One item record without its index. */
export interface ItemAttributes {
  readonly iflags: number;
  readonly basisType?: number;
  readonly xname?: Uint8Array;
}

export function writeItemAttributes(
  sink: ByteSink,
  attributes: ItemAttributes,
  protocol: number,
): void {
  if (protocol < ITEM_RECORDS_SINCE) return;
  const { iflags, basisType, xname } = attributes;
  sink.uint16(iflags); // 1
  if (iflags & ITEM_BASIS_TYPE_FOLLOWS) sink.byte(basisType ?? 0); // 2
  if (iflags & ITEM_XNAME_FOLLOWS) writeVstring(sink, xname ?? new Uint8Array(0)); // 3
}

/**
 * Inverse of {@link writeItemAttributes}.
 *
 * @throws {ProtocolError} `string-too-long` — an xname of 4096 bytes or more
 */
export function readItemAttributes(reader: ByteReader, protocol: number): ItemAttributes {
  if (protocol < ITEM_RECORDS_SINCE) return { iflags: ITEM_TRANSFER };
  const iflags = reader.uint16(); // 1
  const basisType = iflags & ITEM_BASIS_TYPE_FOLLOWS ? reader.byte() : undefined; // 2
  const xname =
    iflags & ITEM_XNAME_FOLLOWS ? readVstring(reader, XNAME_LENGTH_MAX, 'an xname') : undefined; // 3
  return {
    iflags,
    ...(basisType !== undefined && { basisType }),
    ...(xname && { xname }),
  };
}
