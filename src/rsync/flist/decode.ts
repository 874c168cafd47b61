/**
 * The decoder of the file list; the layout is described in flist/encode.ts.
 *
 * @see rsync flist.c recv_file_entry (3.5.0)
 */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import { ProtocolError } from '../../errors.ts';
import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSpecial,
  isSymlink,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type Draft,
  type Entry,
} from '../../tree/entry.ts';
import { allocatePath } from '../../bytes/path-memory.ts';
import { nearestStorable } from '../../tree/stored-time.ts';
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
import { readLongint, readVarint, readVarlong, readVarlongTime } from '../wire/integers.ts';
import {
  ENTRY_WEIGHT,
  FLIST_COUNT_MAX,
  NAME_LENGTH_MAX,
  TARGET_LENGTH_MAX,
} from '../wire/limits.ts';
import type { MultiplexReader } from '../wire/multiplex.ts';
import { XattrListReader, type ListedXattr } from './xattr-list.ts';

/** A received entry. */
export interface FlistEntry extends Entry {
  /** This is the directory named for the transfer (`.`). */
  readonly topDir: boolean;
  /** With `-c`, for regular files: 16 bytes. */
  readonly checksum?: Uint8Array;
  /** With `-X`, if it has any; shared by all entries with the same set. */
  listedXattrs?: readonly ListedXattr[];
}

/** The fields that an entry can inherit from the previous one. */
interface Previous {
  path: Uint8Array;
  mode: number;
  mtimeSec: number;
  uid: number;
  gid: number;
  rdevMajor: number;
  rdevWord: number;
  device: number;
}

const KNOWN_TYPES = new Set([S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO]);

/** Reads the entries of one list, in wire order. */
export class FlistDecoder {
  readonly #format: FlistFormat;
  readonly #entries: FlistEntry[] = [];
  /** Below protocol 30: device and inode → wire position of the first name. */
  readonly #inodes = new Map<string, number>();
  #previous: Previous = {
    path: new Uint8Array(0),
    mode: 0,
    mtimeSec: 0,
    uid: 0,
    gid: 0,
    rdevMajor: 0,
    rdevWord: 0,
    device: 0,
  };
  #ioError = 0;
  readonly #xattrs: XattrListReader | undefined;
  readonly #weightMax: number;
  #weight = 0;

  /** @param weightMax - approximate bytes of memory that the list may take */
  constructor(format: FlistFormat, weightMax = Number.POSITIVE_INFINITY) {
    this.#format = format;
    this.#xattrs = format.xattrs === true ? new XattrListReader() : undefined;
    this.#weightMax = weightMax;
  }

  /**
   * The entries so far, in wire order. `linkGroup` is the wire position of an inode's first name.
   */
  get entries(): readonly FlistEntry[] {
    return this.#entries;
  }

  /** The io_error bits of the end marker. */
  get ioError(): number {
    return this.#ioError;
  }

  /**
   * Reads one entry and stores it; for use inside {@link ByteReader.attempt}.
   *
   * @returns false at the end of the list
   * @throws {ProtocolError} `flist-invalid` — a name that is not a relative path, an unknown type,
   *   a number out of range
   * @throws {ProtocolError} `list-too-large`
   */
  readEntry(reader: ByteReader): boolean {
    const flags = this.#readFlags(reader);
    if (flags === undefined) return false;
    if (this.#entries.length >= FLIST_COUNT_MAX) {
      throw invalid(`more than ${FLIST_COUNT_MAX} entries`);
    }
    // A copy: the decoder is run again if bytes are missing.
    const state = { ...this.#previous };
    const path = this.#readName(reader, flags, state.path);
    state.path = path;
    const entry = this.#readLinked(reader, flags, state) ?? this.#readRest(reader, flags, state);
    if (!isDirectory(entry) && path.length === 1 && path[0] === 0x2e) {
      throw invalid('a root that is not a directory');
    }
    const xattrs = this.#xattrs?.read(reader);
    // State changes only from here on: every read above may have run out of bytes.
    if (xattrs !== undefined) setXattrs(entry, xattrs.set);
    this.#previous = state;
    this.#entries.push(entry);
    this.#weigh(entry, xattrs?.weight ?? 0);
    return true;
  }

  #weigh({ path, target }: FlistEntry, xattrsWeight: number): void {
    this.#weight += ENTRY_WEIGHT + path.length + (target?.length ?? 0) + xattrsWeight;
    if (this.#weight <= this.#weightMax) return;
    throw new ProtocolError(
      'list-too-large',
      `the peer's file list does not fit into memory: it has more than ${this.#entries.length} entries`,
      { hint: 'Give Node more memory: NODE_OPTIONS=--max-old-space-size=8192 (MiB).' },
    );
  }

  #readFlags(reader: ByteReader): number | undefined {
    const { varintFlags, protocol, safeEnd } = this.#format;
    if (varintFlags) {
      const flags = readVarint(reader);
      if (flags !== 0) return flags;
      this.#ioError = readVarint(reader);
      return undefined;
    }
    const low = reader.byte();
    if (low === 0) return undefined;
    if (protocol < 28 || (low & XMIT_EXTENDED_FLAGS) === 0) return low;
    const flags = low | (reader.byte() << 8);
    if (safeEnd && flags === (XMIT_EXTENDED_FLAGS | XMIT_IO_ERROR_ENDLIST)) {
      this.#ioError = readVarint(reader);
      return undefined;
    }
    return flags;
  }

  #readName(reader: ByteReader, flags: number, previous: Uint8Array): Uint8Array {
    const { protocol } = this.#format;
    const prefix = flags & XMIT_SAME_NAME ? reader.byte() : 0;
    const length =
      flags & XMIT_LONG_NAME
        ? protocol >= 30
          ? readVarint(reader)
          : reader.int32()
        : reader.byte();
    if (prefix > previous.length || length < 0 || prefix + length > NAME_LENGTH_MAX) {
      throw invalid(`a name of ${prefix} + ${length} bytes after one of ${previous.length}`);
    }
    const suffix = reader.bytes(length);
    const path = allocatePath(prefix + length);
    path.set(previous.subarray(0, prefix), 0);
    path.set(suffix, prefix);
    assertPath(path);
    return path;
  }

  /** Protocol ≥ 30: a further name of an inode that is already in the list. */
  #readLinked(reader: ByteReader, flags: number, state: Previous): FlistEntry | undefined {
    const { hardLinks, protocol } = this.#format;
    if (!hardLinks || protocol < 30) return undefined;
    if (!(flags & XMIT_HLINKED) || flags & XMIT_HLINK_FIRST) return undefined;
    const position = readVarint(reader);
    const first = position < 0 ? undefined : this.#entries[position];
    if (first?.linkGroup !== position) {
      throw invalid(`a hard link to position ${position} of ${this.#entries.length}`);
    }
    state.mode = first.mode;
    state.mtimeSec = first.mtimeSec;
    state.uid = first.uid;
    state.gid = first.gid;
    state.rdevMajor = first.rdev?.major ?? state.rdevMajor;
    return { ...first, path: state.path };
  }

  #readRest(reader: ByteReader, flags: number, state: Previous): FlistEntry {
    const { protocol, links } = this.#format;
    const modern = protocol >= 30;
    const size = modern ? readVarlong(reader, 3) : readLongint(reader);
    if (size < 0) throw invalid(`a size of ${size} bytes`);
    if (!(flags & XMIT_SAME_TIME)) {
      state.mtimeSec = modern ? nearestStorable(readVarlongTime(reader)) : reader.uint32();
    }
    const mtimeNsec = protocol >= 31 && flags & XMIT_MOD_NSEC ? readVarint(reader) : 0;
    if (mtimeNsec < 0 || mtimeNsec > 999_999_999) throw invalid(`${mtimeNsec} nanoseconds`);
    if (!(flags & XMIT_SAME_MODE)) state.mode = reader.int32();
    const { mode } = state;
    if (!KNOWN_TYPES.has(mode & S_IFMT) || mode >>> 16 !== 0) {
      throw invalid(`an entry of mode 0${(mode >>> 0).toString(8)}`);
    }
    if (!(flags & XMIT_SAME_UID)) state.uid = readWord(reader, modern) >>> 0;
    if (!(flags & XMIT_SAME_GID)) state.gid = readWord(reader, modern) >>> 0;
    const rdev = this.#readRdev(reader, flags, state);
    const target = links && isSymlink(state) ? readTarget(reader, modern) : undefined;
    const linkGroup = this.#readInode(reader, flags, state);
    const checksum = this.#readChecksum(reader, state);
    const contentUnknown = isDirectory(state) && modern && (flags & XMIT_NO_CONTENT_DIR) !== 0;
    const { path, mtimeSec, uid, gid } = state;
    const topDir = isDirectory(state) && (flags & XMIT_TOP_DIR) !== 0;
    const entry: Draft<FlistEntry> = { path, mode, size, mtimeSec, mtimeNsec, uid, gid, topDir };
    if (target !== undefined) entry.target = target;
    if (rdev !== undefined) entry.rdev = rdev;
    if (linkGroup !== undefined) entry.linkGroup = linkGroup;
    if (contentUnknown) entry.contentUnknown = contentUnknown;
    if (checksum !== undefined) entry.checksum = checksum;
    return entry;
  }

  #readRdev(reader: ByteReader, flags: number, state: Previous): Entry['rdev'] {
    const { protocol } = this.#format;
    const device = isDevice(state);
    if (!carriesRdev(this.#format, device, isSpecial(state))) {
      if (protocol < 28) state.rdevWord = 0;
      return undefined;
    }
    if (protocol < 28) {
      if (!(flags & XMIT_SAME_RDEV_PRE28)) state.rdevWord = reader.int32();
      const word = state.rdevWord;
      const minor = (word & 0xff) | ((word >>> 12) & 0xfff00);
      return device ? { major: (word >>> 8) & 0xfff, minor } : undefined;
    }
    if (!(flags & XMIT_SAME_RDEV_MAJOR)) state.rdevMajor = readWord(reader, protocol >= 30) >>> 0;
    let minor: number;
    if (protocol >= 30) minor = readVarint(reader);
    else minor = flags & XMIT_RDEV_MINOR_8_PRE30 ? reader.byte() : reader.int32();
    return device ? { major: state.rdevMajor, minor: minor >>> 0 } : undefined;
  }

  /** Position of the inode's first name if the entry is flagged as a hard link, else undefined. */
  #readInode(reader: ByteReader, flags: number, state: Previous): number | undefined {
    const { protocol, hardLinks } = this.#format;
    if (!hardLinks) return undefined;
    const position = this.#entries.length;
    if (protocol >= 30) return flags & XMIT_HLINKED && !isDirectory(state) ? position : undefined;
    if (protocol >= 28 ? !(flags & XMIT_HLINKED) : !isRegularFile(state)) return undefined;
    if (protocol < 28 || !(flags & XMIT_SAME_DEV_PRE30)) state.device = readLongint(reader);
    const key = `${state.device}:${readLongint(reader)}`;
    // Make sure that the checksum is there before state changes: the attempt may still run out of
    // bytes.
    const later = this.#checksumLength(state);
    if (reader.available < later) reader.bytes(later);
    const first = this.#inodes.get(key);
    if (first === undefined) {
      this.#inodes.set(key, position);
      return protocol >= 28 ? position : undefined;
    }
    const entry = this.#entries[first];
    if (entry !== undefined) entry.linkGroup = first;
    return first;
  }

  #readChecksum(reader: ByteReader, entry: Pick<Entry, 'mode'>): Uint8Array | undefined {
    const length = this.#checksumLength(entry);
    if (length === 0) return undefined;
    const checksum = reader.copy(length);
    return isRegularFile(entry) ? checksum : undefined;
  }

  /** Protocol 27 has checksums for all entries; those of other types are zeros. */
  #checksumLength(entry: Pick<Entry, 'mode'>): number {
    const { checksumLength, protocol } = this.#format;
    return isRegularFile(entry) || protocol < 28 ? checksumLength : 0;
  }
}

/**
 * Reads a whole list up to its end marker. Id lists and, below protocol 30, io_error follow it.
 *
 * @throws as {@link FlistDecoder.readEntry} and {@link MultiplexReader.read}
 */
export async function readFlist(
  input: MultiplexReader,
  format: FlistFormat,
  weightMax?: number,
): Promise<{ entries: readonly FlistEntry[]; ioError: number }> {
  const decoder = new FlistDecoder(format, weightMax);
  const readEntry = (reader: ByteReader): boolean => decoder.readEntry(reader);
  for (;;) {
    const more = input.stream.attempt(readEntry) ?? (await input.read(readEntry));
    if (!more) return { entries: decoder.entries, ioError: decoder.ioError };
  }
}

/** A further name of a file was copied from the first one, but has its own set. */
function setXattrs(entry: FlistEntry, set: readonly ListedXattr[]): void {
  if (set.length > 0) entry.listedXattrs = set;
  else if (entry.listedXattrs !== undefined) delete entry.listedXattrs;
}

function readWord(reader: ByteReader, modern: boolean): number {
  return modern ? readVarint(reader) : reader.int32();
}

function readTarget(reader: ByteReader, modern: boolean): Uint8Array {
  const length = readWord(reader, modern);
  if (length < 1 || length > TARGET_LENGTH_MAX) {
    throw invalid(`a symlink target of ${length} bytes`);
  }
  return reader.copy(length);
}

/**
 * Accepts `.` and relative paths without empty, `.` or `..` components (CVE-2022-29154 and
 * similar): such a path cannot by itself name an object outside the tree.
 */
function assertPath(path: Uint8Array): void {
  if (path.length === 1 && path[0] === 0x2e) return;
  let start = 0;
  for (let i = 0; i <= path.length; i++) {
    if (path[i] === 0) throw invalid('a name with a zero byte in it');
    if (i < path.length && path[i] !== 0x2f) continue;
    const length = i - start;
    const dots =
      path[start] === 0x2e && (length === 1 || (length === 2 && path[start + 1] === 0x2e));
    if (length === 0 || dots) {
      const shown = JSON.stringify(Buffer.from(path).toString('latin1'));
      throw invalid(`the name ${shown}, which is not inside the tree`);
    }
    start = i + 1;
  }
}

function invalid(what: string): ProtocolError {
  return new ProtocolError('flist-invalid', `the peer's file list contains ${what}`);
}
