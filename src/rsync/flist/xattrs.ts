/**
 * Extended attributes on the wire (protocol ≥ 30). Behind each entry of the file list:
 *
 *   1  varint   0, or the number of an earlier set that this entry has too, counted from 1
 *   2  varint   how many attributes                       only a new set, as all that follows
 *   3  varint   length of a name with its NUL             these four per attribute,
 *   4  varint   length of the value                       in the order of the names' bytes
 *   5  bytes    the name and a NUL
 *   6  bytes    the value; its md5 when it is longer than 32 bytes
 *
 * Long values that the receiver lacks are asked for in item records with ITEM_REPORT_XATTR, behind
 * the xname:
 *
 *   7  varint   position of the attribute, counted from 1, less the one before; 0 is the end
 *
 * and the record's echo has at the same place for each of them
 *
 *   8  varint   the same
 *   9  varint   length of the value
 *  10  bytes    the value
 *
 * and 0 as the end. This is the sending side; the receiving one is in xattr-list.ts and
 * arriving-xattrs.ts.
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

/** Longer values travel only when they are asked for. */
export const FULL_VALUE_LENGTH_MAX = 32;
/** Bytes of what a list has in the place of a longer value. */
export const VALUE_DIGEST_LENGTH = 16;
/** A notice that a name was linked: with the shortcut it has no place for attributes. */
const LINKED = ITEM_XNAME_FOLLOWS | ITEM_LOCAL_CHANGE;

const NO_XATTRS: readonly Xattr[] = [];

/** Writes the attributes behind the entries of one list; a set that is the same array goes out once. */
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

/** @throws {RemoteError} `xattrs-unsupported` — the server's protocol is older than they are */
export function assertCarriesXattrs({ protocol }: Pick<Session, 'protocol'>): void {
  if (protocol >= 30) return;
  throw new RemoteError(
    'xattrs-unsupported',
    `the server speaks rsync protocol ${protocol}, which cannot carry extended attributes`,
    { hint: 'Do without -X, or install rsync 3.0 or newer on the server.' },
  );
}

/**
 * Which item records ask for attributes; undefined when none does. Servers that do not know our wish
 * for it leave the request out of notices about links.
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
 * Reads which of an entry's values are wanted.
 *
 * @returns positions in `xattrs` from 0 on, ascending
 * @throws {ProtocolError} `xattr-request-invalid` — no such attribute, one twice, or one whose value
 *   the list has told already
 */
export function readXattrRequest(reader: ByteReader, xattrs: readonly Xattr[]): number[] {
  const wanted: number[] = [];
  let position = -1;
  for (;;) {
    const step = readVarint(reader); // 7
    if (step === 0) return wanted;
    position += step;
    const value = step > 0 ? xattrs[position]?.value : undefined;
    if (value === undefined || value.length <= FULL_VALUE_LENGTH_MAX) {
      throw new ProtocolError(
        'xattr-request-invalid',
        `the server asked for extended attribute ${position + 1} of ${xattrs.length}, which it may not`,
      );
    }
    wanted.push(position);
  }
}

/** Answers {@link readXattrRequest}. */
export function writeXattrAnswer(
  sink: ByteSink,
  xattrs: readonly Xattr[],
  wanted: readonly number[],
): void {
  let before = -1;
  for (const position of wanted) {
    const value = xattrs[position]?.value ?? new Uint8Array(0);
    writeVarint(sink, position - before); // 8
    writeVarint(sink, value.length); // 9
    sink.bytes(value); // 10
    before = position;
  }
  sink.byte(0);
}
