/** Reads everything that a sender sends before it waits for requests. */
import { getHeapStatistics } from 'node:v8';
import { readFlist, type FlistEntry } from '../flist/decode.ts';
import { flistFormat } from '../flist/format.ts';
import type { Session } from '../wire/handshake.ts';
import { readIdLists, type IdNames } from '../flist/id-list.ts';
import { ID_COUNT_MAX, LIST_HEAP_PART } from '../wire/limits.ts';
import type { MultiplexReader } from '../wire/multiplex.ts';
import type { TransferOptions } from '../wire/options.ts';

/** Everything that a sender sends before it waits for requests. */
export interface WireList {
  /** In wire order. */
  readonly entries: readonly FlistEntry[];
  readonly names: IdNames;
  /** IOERR_* bits, which say whether the list is incomplete. */
  readonly ioError: number;
}

/**
 * Reads the file list, the id lists and, below protocol 30, the io_error after them.
 *
 * @param weightMax - approximate bytes of memory that the list may take; default: a part of Node's
 *   heap
 * @throws {ProtocolError} `flist-invalid`, `list-too-large`, `id-list-too-long`, `varint-invalid`,
 *   …
 * @throws {ConnectionError} `connection-lost`
 */
export async function receiveList(
  reader: MultiplexReader,
  { session, options }: { readonly session: Session; readonly options: TransferOptions },
  weightMax = getHeapStatistics().heap_size_limit * LIST_HEAP_PART,
): Promise<WireList> {
  const format = flistFormat(session, options);
  const list = await readFlist(reader, format, weightMax);
  const names = await readIdLists(reader, format, Math.min(list.entries.length, ID_COUNT_MAX));
  const late = session.protocol < 30 ? await reader.read((bytes) => bytes.int32()) : 0;
  return { entries: list.entries, names, ioError: list.ioError | late };
}
