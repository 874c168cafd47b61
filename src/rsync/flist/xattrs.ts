/**
 * The sending side of extended attributes (protocol ≥ 30); the receiving side is in xattr-list.ts
 * and arriving-xattrs.ts. After each entry of the file list:
 *
 *   1  varint   0, or the number of an equal earlier set, counted from 1
 *   2  varint   number of attributes                      2 to 6 only for a new set
 *   3  varint   length of a name with its NUL             3 to 6 per attribute,
 *   4  varint   length of the value                       in the order of the names' bytes
 *   5  bytes    the name and a NUL
 *   6  bytes    the value, or its md5 if it is longer than 32 bytes
 *
 * The receiver requests long values that it lacks in item records with ITEM_REPORT_XATTR. After the
 * xname they have:
 *
 *   7  varint   position of the attribute, counted from 1, minus the previous one; 0 is the end
 *
 * The echo of the record has at the same place, for each of them:
 *
 *   8  varint   the same
 *   9  varint   length of the value
 *  10  bytes    the value
 *
 * and then 0 as the end.
 *
 * @see rsync xattrs.c send_xattr, recv_xattr_request, send_xattr_request (3.5.0)
 */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { ProtocolError, RemoteError } from '../../errors.ts';
import type { Xattr } from '../../tree/entry.ts';
import type { RunningSum } from '../wire/checksums.ts';
import {
  CF_AVOID_XATTR_OPTIM,
  ITEM_LOCAL_CHANGE,
  ITEM_REPORT_XATTR,
  ITEM_XNAME_FOLLOWS,
} from '../wire/constants.ts';
import type { Session } from '../wire/handshake.ts';
import { readVarint, writeVarint } from '../wire/integers.ts';
import type { TransferOptions } from '../wire/options.ts';

/** Longer values are sent only on request. */
export const FULL_VALUE_LENGTH_MAX = 32;
/** Bytes of the digest that stands for a longer value in a list. */
export const VALUE_DIGEST_LENGTH = 16;
/** The flags of a report of a hard link: with the xattr shortcut it carries no attributes. */
const LINKED = ITEM_XNAME_FOLLOWS | ITEM_LOCAL_CHANGE;

const NO_XATTRS: readonly Xattr[] = [];

/**
 * Writes the attributes after the entries of one list. A set that is the same array is sent once.
 */
export class XattrListWriter {
  readonly #md5: RunningSum;
  readonly #numbers = new Map<readonly Xattr[], number>();

  constructor(md5: RunningSum) {
    this.#md5 = md5;
  }

  /** @param xattrs - in the order of their names' bytes */
  write(sink: ByteSink, xattrs: readonly Xattr[] = NO_XATTRS): void {
    const set = xattrs.length === 0 ? NO_XATTRS : xattrs;
    const number = this.#numbers.get(set);
    writeVarint(sink, number ?? 0); // 1
    if (number !== undefined) return;
    this.#numbers.set(set, this.#numbers.size + 1);
    writeVarint(sink, set.length); // 2
    for (const { name, value } of set) {
      writeVarint(sink, name.length + 1); // 3
      writeVarint(sink, value.length); // 4
      sink.bytes(name); // 5
      sink.byte(0);
      sink.bytes(value.length > FULL_VALUE_LENGTH_MAX ? this.#digest(value) : value); // 6
    }
  }

  #digest(value: Uint8Array): Uint8Array {
    this.#md5.update(value);
    return this.#md5.digest();
  }
}

/** @throws {RemoteError} `xattrs-unsupported` — the server's protocol is too old for them */
export function assertCarriesXattrs({ protocol }: Pick<Session, 'protocol'>): void {
  if (protocol >= 30) return;
  throw new RemoteError(
    'xattrs-unsupported',
    `the server speaks rsync protocol ${protocol}, which cannot carry extended attributes`,
    { hint: 'Leave out -X, or install rsync 3.0 or newer on the server.' },
  );
}

/**
 * Tells which item records request attributes; undefined when none does. Servers without
 * CF_AVOID_XATTR_OPTIM leave the request out of reports of hard links.
 */
export function xattrRequestRule(
  { protocol, compatFlags }: Pick<Session, 'protocol' | 'compatFlags'>,
  { xattrs, dryRun }: Pick<TransferOptions, 'xattrs' | 'dryRun'>,
): ((iflags: number) => boolean) | undefined {
  if (xattrs !== true || dryRun) return undefined;
  const hasShortcut = protocol >= 31 && (compatFlags & CF_AVOID_XATTR_OPTIM) === 0;
  return (iflags) =>
    (iflags & ITEM_REPORT_XATTR) !== 0 && !(hasShortcut && (iflags & LINKED) === LINKED);
}

/**
 * Reads which values of an entry are requested.
 *
 * @returns positions in `xattrs` from 0 on, ascending
 * @throws {ProtocolError} `xattr-request-invalid` — an attribute that does not exist, one requested
 *   twice, or one whose value was in the list
 */
export function readXattrRequest(reader: ByteReader, xattrs: readonly Xattr[]): number[] {
  const requested: number[] = [];
  let position = -1;
  for (;;) {
    const step = readVarint(reader); // 7
    if (step === 0) return requested;
    position += step;
    const value = step > 0 ? xattrs[position]?.value : undefined;
    if (value === undefined || value.length <= FULL_VALUE_LENGTH_MAX) {
      throw new ProtocolError(
        'xattr-request-invalid',
        `the server asked for extended attribute ${position + 1} of ${xattrs.length}, which is not allowed`,
      );
    }
    requested.push(position);
  }
}

/** Answers {@link readXattrRequest}. */
export function writeXattrAnswer(
  sink: ByteSink,
  xattrs: readonly Xattr[],
  requested: readonly number[],
): void {
  let before = -1;
  for (const position of requested) {
    const value = xattrs[position]?.value ?? new Uint8Array(0);
    writeVarint(sink, position - before); // 8
    writeVarint(sink, value.length); // 9
    sink.bytes(value); // 10
    before = position;
  }
  sink.byte(0);
}
