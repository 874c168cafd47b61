/**
 * The encoder of the file list; {@link FlistDecoder} is the inverse. An entry on the wire has these
 * fields in this order. Most are present only if the flags say so; the numbers recur in the code:
 *
 *   1  flags            varint, or one or two bytes
 *   2  prefix length    byte: bytes shared with the previous name
 *   3  suffix length    byte; varint or int32 when over 255
 *   4  suffix
 *   5  link position    varint: wire position of the first name of this inode; ends the entry
 *   6  size             varlong(3); longint below protocol 30
 *   7  mtime            varlong(4); uint32 below 30
 *   8  mtime nsec       varint, protocol ≥ 31
 *   9  mode             int32
 *  10  uid              varint; int32 below 30
 *  11  gid              varint; int32 below 30
 *  12  rdev             major, minor; one int32 at 27
 *  13  link target      length, bytes
 *  14  dev, inode       longints, below protocol 30
 *  15  checksum
 *  16  xattrs           see xattrs.ts; also after an entry that ended at 5
 *
 * @see rsync flist.c send_file_entry (3.5.0)
 */
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { BugError } from '../../errors.ts';
import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSpecial,
  isSymlink,
  type Entry,
} from '../../tree/entry.ts';
import {
  XMIT_EXTENDED_FLAGS,
  XMIT_HLINK_FIRST,
  XMIT_HLINKED,
  XMIT_IO_ERROR_ENDLIST,
  XMIT_LONG_NAME,
  XMIT_MOD_NSEC,
  XMIT_NO_CONTENT_DIR,
  XMIT_RDEV_MINOR_8_PRE30,
  XMIT_SAME_DEV_PRE30,
  XMIT_SAME_GID,
  XMIT_SAME_MODE,
  XMIT_SAME_NAME,
  XMIT_SAME_RDEV_MAJOR,
  XMIT_SAME_RDEV_PRE28,
  XMIT_SAME_TIME,
  XMIT_SAME_UID,
  XMIT_TOP_DIR,
} from '../wire/constants.ts';
import { carriesRdev, type FlistFormat } from './format.ts';
import { writeLongint, writeVarint, writeVarlong } from '../wire/integers.ts';
import { NAME_LENGTH_MAX } from '../wire/limits.ts';
import type { XattrListWriter } from './xattrs.ts';

/** Times below protocol 30 have 32 bits, which some peers read as signed. */
const TIME_MAX_PRE30 = 0x7fffffff;
const PREFIX_LENGTH_MAX = 255;
/** The device number, plus one, that we send for all inodes of a tree. */
const WIRE_DEVICE = 1;

/** Writes the entries of one list; each is encoded relative to the previous one. */
export class FlistEncoder {
  readonly #format: FlistFormat;
  readonly #xattrs: XattrListWriter | undefined;
  #path: Uint8Array = new Uint8Array(0);
  #mode = -1;
  #mtimeSec = Number.NaN;
  #uid = -1;
  #gid = -1;
  #rdevMajor = -1;
  #rdevWord = 0;
  #deviceSent = false;
  #count = 0;
  /** Owners of the entries written. */
  readonly uids = new Set<number>();
  /** Groups of the entries written. */
  readonly gids = new Set<number>();
  /** linkGroup → its first name and that name's wire position. */
  readonly #firstLinks = new Map<number, { position: number; entry: Entry }>();

  /** @param xattrs - absent when the list carries no extended attributes */
  constructor(format: FlistFormat, xattrs?: XattrListWriter) {
    this.#format = format;
    this.#xattrs = xattrs;
  }

  /** Entries written so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Writes one entry. The wire order is free, except that below protocol 30 the root must come
   * before its contents if the receiver is to delete.
   *
   * @param checksum - the list checksum of a regular file; only read with `-c`
   * @throws {BugError} `name-too-long`
   */
  writeEntry(sink: ByteSink, entry: Entry, checksum?: Uint8Array): void {
    const { path } = entry;
    if (path.length === 0 || path.length > NAME_LENGTH_MAX) {
      throw new BugError('name-too-long', `a path of ${path.length} bytes in the file list`);
    }
    const position = this.#count++;
    const firstLink = this.#firstLink(entry, position);
    const prefix = this.#prefixLength(path);
    const flags = this.#nonZeroFlags(
      this.#nameFlags(path, prefix) |
        this.#flags(entry, firstLink?.position === position) |
        this.#deviceFlags(entry),
      isDirectory(entry),
    );
    this.#writeFlags(sink, flags); // 1
    this.#writeName(sink, path, flags, prefix); // 2, 3, 4
    this.#path = path;
    if (firstLink !== undefined && firstLink.position !== position) {
      writeVarint(sink, firstLink.position); // 5
      this.#remember(firstLink.entry);
      this.#xattrs?.write(sink, entry.xattrs); // 16
      return;
    }
    this.#writeAttributes(sink, entry, flags);
    this.#remember(entry);
    this.#writeRdev(sink, entry, flags); // 12
    if (this.#format.links && isSymlink(entry)) this.#writeTarget(sink, entry); // 13
    this.#writeInode(sink, entry, flags, position); // 14
    this.#writeChecksum(sink, entry, checksum); // 15
    this.#xattrs?.write(sink, entry.xattrs); // 16
  }

  /**
   * Writes the end marker. Protocol 30 without a safe list end, and older protocols, report
   * `ioError` elsewhere.
   */
  writeEnd(sink: ByteSink, ioError: number): void {
    if (this.#format.varintFlags) {
      writeVarint(sink, 0);
      writeVarint(sink, ioError);
    } else if (ioError !== 0 && this.#format.safeEnd) {
      sink.uint16(XMIT_EXTENDED_FLAGS | XMIT_IO_ERROR_ENDLIST);
      writeVarint(sink, ioError);
    } else {
      sink.byte(0);
    }
  }

  /**
   * Protocol ≥ 30: the inode's first name, maybe this one; undefined for an inode with one name.
   */
  #firstLink(entry: Entry, position: number): { position: number; entry: Entry } | undefined {
    const { hardLinks, protocol } = this.#format;
    if (!hardLinks || protocol < 30) return undefined;
    if (entry.linkGroup === undefined || isDirectory(entry)) return undefined;
    const known = this.#firstLinks.get(entry.linkGroup);
    if (known !== undefined) return known;
    const first = { position, entry };
    this.#firstLinks.set(entry.linkGroup, first);
    return first;
  }

  /**
   * Stores what the next entry is encoded relative to; for a further link that is its first name.
   */
  #remember(entry: Entry): void {
    this.#mtimeSec = this.#wireTime(entry);
    this.#mode = entry.mode;
    const { uid, gid } = entry;
    if (uid !== this.#uid) this.uids.add(uid);
    if (gid !== this.#gid) this.gids.add(gid);
    this.#uid = uid;
    this.#gid = gid;
    if (this.#format.devices && isDevice(entry)) this.#rdevMajor = entry.rdev?.major ?? 0;
  }

  #prefixLength(path: Uint8Array): number {
    const end = Math.min(path.length, this.#path.length, PREFIX_LENGTH_MAX);
    let shared = 0;
    while (shared < end && path[shared] === this.#path[shared]) shared++;
    return shared;
  }

  #nameFlags(path: Uint8Array, prefix: number): number {
    let flags = 0;
    // Only a directory has this name.
    if (path.length === 1 && path[0] === 0x2e) flags |= XMIT_TOP_DIR;
    if (prefix > 0) flags |= XMIT_SAME_NAME;
    if (path.length - prefix > 255) flags |= XMIT_LONG_NAME;
    return flags;
  }

  #flags(entry: Entry, firstLink: boolean): number {
    const { protocol, owner, group, hardLinks } = this.#format;
    const first = this.#path.length === 0;
    let flags = 0;
    if (isDirectory(entry)) {
      if (entry.contentUnknown === true && protocol >= 30) flags |= XMIT_NO_CONTENT_DIR;
    } else if (hardLinks && entry.linkGroup !== undefined && protocol >= 28) {
      flags |= XMIT_HLINKED;
      if (firstLink) flags |= XMIT_HLINK_FIRST;
      if (protocol < 30 && this.#deviceSent) flags |= XMIT_SAME_DEV_PRE30;
    }
    if (entry.mode === this.#mode) flags |= XMIT_SAME_MODE;
    if (this.#wireTime(entry) === this.#mtimeSec) flags |= XMIT_SAME_TIME;
    if (!owner || (entry.uid === this.#uid && !first)) flags |= XMIT_SAME_UID;
    if (!group || (entry.gid === this.#gid && !first)) flags |= XMIT_SAME_GID;
    if (protocol >= 31 && entry.mtimeNsec !== 0) flags |= XMIT_MOD_NSEC;
    return flags;
  }

  #deviceFlags(entry: Entry): number {
    const { protocol } = this.#format;
    const device = isDevice(entry);
    if (!carriesRdev(this.#format, device, isSpecial(entry))) {
      if (protocol < 28) this.#rdevWord = 0;
      return 0;
    }
    if (protocol < 28) {
      return !device || rdevWord(entry) === this.#rdevWord ? XMIT_SAME_RDEV_PRE28 : 0;
    }
    // Fifos and sockets have no device number: they are sent as minor 0 of the previous major.
    if (!device) return XMIT_SAME_RDEV_MAJOR | (protocol < 30 ? XMIT_RDEV_MINOR_8_PRE30 : 0);
    const { major, minor } = entry.rdev ?? { major: 0, minor: 0 };
    const same = major === this.#rdevMajor ? XMIT_SAME_RDEV_MAJOR : 0;
    return same | (protocol < 30 && minor <= 0xff ? XMIT_RDEV_MINOR_8_PRE30 : 0);
  }

  /** The flags to send. 0 would mean the end of the list, so a harmless bit is set instead. */
  #nonZeroFlags(flags: number, directory: boolean): number {
    const { protocol, varintFlags } = this.#format;
    if (varintFlags) return flags === 0 ? XMIT_EXTENDED_FLAGS : flags;
    if (protocol < 28) {
      const low = flags & 0xff;
      if (low !== 0) return low;
      return directory ? XMIT_LONG_NAME : XMIT_TOP_DIR;
    }
    const some = flags === 0 && !directory ? XMIT_TOP_DIR : flags;
    return (some & 0xff00) !== 0 || some === 0 ? some | XMIT_EXTENDED_FLAGS : some;
  }

  #writeFlags(sink: ByteSink, flags: number): void {
    const { protocol, varintFlags } = this.#format;
    if (varintFlags) writeVarint(sink, flags);
    else if (protocol >= 28 && flags & XMIT_EXTENDED_FLAGS) sink.uint16(flags);
    else sink.byte(flags);
  }

  #writeName(sink: ByteSink, path: Uint8Array, flags: number, prefix: number): void {
    const suffix = path.subarray(prefix);
    if (flags & XMIT_SAME_NAME) sink.byte(prefix);
    if (!(flags & XMIT_LONG_NAME)) sink.byte(suffix.length);
    else writeWord(sink, this.#format.protocol >= 30, suffix.length);
    sink.bytes(suffix);
  }

  #writeAttributes(sink: ByteSink, entry: Entry, flags: number): void {
    const { protocol } = this.#format;
    const modern = protocol >= 30;
    const size = isDevice(entry) || isSpecial(entry) ? 0 : entry.size;
    if (modern)
      writeVarlong(sink, size, 3); // 6
    else writeLongint(sink, size);
    if (!(flags & XMIT_SAME_TIME)) {
      if (modern)
        writeVarlong(sink, entry.mtimeSec, 4); // 7
      else sink.int32(this.#wireTime(entry));
    }
    if (flags & XMIT_MOD_NSEC) writeVarint(sink, entry.mtimeNsec); // 8
    if (!(flags & XMIT_SAME_MODE)) sink.int32(entry.mode); // 9
    if (!(flags & XMIT_SAME_UID)) writeWord(sink, modern, entry.uid); // 10
    if (!(flags & XMIT_SAME_GID)) writeWord(sink, modern, entry.gid); // 11
  }

  #writeRdev(sink: ByteSink, entry: Entry, flags: number): void {
    const { protocol } = this.#format;
    const device = isDevice(entry);
    if (!carriesRdev(this.#format, device, isSpecial(entry))) return;
    if (protocol < 28) {
      if (flags & XMIT_SAME_RDEV_PRE28) return;
      this.#rdevWord = rdevWord(entry);
      sink.int32(this.#rdevWord);
      return;
    }
    const { major, minor } = (device ? entry.rdev : undefined) ?? { major: 0, minor: 0 };
    if (!(flags & XMIT_SAME_RDEV_MAJOR)) writeWord(sink, protocol >= 30, major);
    if (protocol >= 30) writeVarint(sink, minor);
    else if (flags & XMIT_RDEV_MINOR_8_PRE30) sink.byte(minor);
    else sink.int32(minor);
  }

  #writeTarget(sink: ByteSink, entry: Entry): void {
    const target = entry.target ?? new Uint8Array(0);
    writeWord(sink, this.#format.protocol >= 30, target.length);
    sink.bytes(target);
  }

  /** Below protocol 30 hard links are recognised by device and inode. */
  #writeInode(sink: ByteSink, entry: Entry, flags: number, position: number): void {
    const { protocol, hardLinks } = this.#format;
    if (!hardLinks || protocol >= 30) return;
    if (protocol >= 28 ? (flags & XMIT_HLINKED) === 0 : !isRegularFile(entry)) return;
    if (protocol < 28 || !(flags & XMIT_SAME_DEV_PRE30)) writeLongint(sink, WIRE_DEVICE);
    this.#deviceSent = true;
    // Link groups get odd numbers; files with a single name (protocol 27) get unique even ones.
    writeLongint(sink, entry.linkGroup === undefined ? 2 * position + 2 : 2 * entry.linkGroup + 1);
  }

  #writeChecksum(sink: ByteSink, entry: Entry, checksum: Uint8Array | undefined): void {
    const { checksumLength, protocol } = this.#format;
    if (checksumLength === 0) return;
    if (!isRegularFile(entry) && protocol >= 28) return;
    sink.bytes(checksum?.subarray(0, checksumLength) ?? new Uint8Array(checksumLength));
  }

  #wireTime(entry: Entry): number {
    if (this.#format.protocol >= 30) return entry.mtimeSec;
    return Math.min(Math.max(entry.mtimeSec, 0), TIME_MAX_PRE30);
  }
}

function writeWord(sink: ByteSink, modern: boolean, value: number): void {
  if (modern) writeVarint(sink, value);
  else sink.int32(value);
}

/** Major and minor in one word, the low half of Linux's dev_t (protocol 27). */
function rdevWord(entry: Entry): number {
  const { major, minor } = entry.rdev ?? { major: 0, minor: 0 };
  return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12) | 0;
}
