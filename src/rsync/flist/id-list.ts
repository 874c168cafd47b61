/** The id lists after the file list, which name users and groups, and their codec. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { ProtocolError } from '../../errors.ts';
import type { FlistFormat } from './format.ts';
import { readVarint, writeVarint } from '../wire/integers.ts';
import { ID_COUNT_MAX, ID_NAME_LENGTH_MAX } from '../wire/limits.ts';
import type { MultiplexReader } from '../wire/multiplex.ts';

/*
 * The names of the ids in the file list: a list of users, then a list of groups, each:
 *
 *   1  repeated: id (varint; int32 below protocol 30), byte length, name    id ≠ 0
 *   2  id 0
 *   3  byte length, name of id 0                                            CF_ID0_NAMES
 *
 * @see rsync uidlist.c send_one_list, recv_id_list (3.5.0)
 */

/** id → name, for users and for groups. */
export interface IdNames {
  readonly users: ReadonlyMap<number, string>;
  readonly groups: ReadonlyMap<number, string>;
}

/** Writes the lists that the format calls for: none with numeric ids. */
export function writeIdLists(sink: ByteSink, format: FlistFormat, names: IdNames): void {
  if (format.numericIds) return;
  if (format.owner) writeIdList(sink, format, names.users);
  if (format.group) writeIdList(sink, format, names.groups);
}

function writeIdList(
  sink: ByteSink,
  format: FlistFormat,
  names: ReadonlyMap<number, string>,
): void {
  for (const [id, name] of names) {
    const bytes = Buffer.from(name);
    if (id === 0 || bytes.length === 0 || bytes.length > ID_NAME_LENGTH_MAX) continue;
    writeId(sink, format, id);
    sink.byte(bytes.length);
    sink.bytes(bytes);
  }
  writeId(sink, format, 0);
  if (!format.id0Names) return;
  const root = Buffer.from(names.get(0) ?? '').subarray(0, ID_NAME_LENGTH_MAX);
  sink.byte(root.length);
  sink.bytes(root);
}

function writeId(sink: ByteSink, format: FlistFormat, id: number): void {
  if (format.protocol >= 30) writeVarint(sink, id);
  else sink.int32(id);
}

/**
 * Inverse of {@link writeIdLists}: reads the lists that the format calls for.
 *
 * @param countMax - most names in each list; only ids of the file list belong there
 * @throws {ProtocolError} `id-list-too-long`
 */
export async function readIdLists(
  input: MultiplexReader,
  format: FlistFormat,
  countMax = ID_COUNT_MAX,
): Promise<IdNames> {
  const read = async (isPresent: boolean): Promise<Map<number, string>> =>
    isPresent && !format.numericIds ? readIdList(input, format, countMax) : new Map();
  const users = await read(format.owner);
  const groups = await read(format.group);
  return { users, groups };
}

async function readIdList(
  input: MultiplexReader,
  format: FlistFormat,
  countMax: number,
): Promise<Map<number, string>> {
  const names = new Map<number, string>();
  for (let count = 0; count <= countMax; count++) {
    const [id, name] = await input.read((reader) => readId(reader, format));
    if (name !== '') names.set(id, name);
    if (id === 0) return names;
  }
  throw new ProtocolError('id-list-too-long', `more than ${countMax} names of users or groups`);
}

function readId(reader: ByteReader, format: FlistFormat): [number, string] {
  const id = (format.protocol >= 30 ? readVarint(reader) : reader.int32()) >>> 0;
  if (id === 0 && !format.id0Names) return [0, ''];
  return [id, reader.bytes(reader.byte()).toString('utf8')];
}
