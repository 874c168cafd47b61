/** A remote folder as a tree over SFTP. */
import { getHeapStatistics } from 'node:v8';
import { FileError, ProtocolError, VanishedError, type EcsyncError } from '../../errors.ts';
import { ENTRY_WEIGHT, LIST_HEAP_PART } from '../../rsync/wire/limits.ts';
import {
  isDirectory,
  isSymlink,
  S_IFMT,
  type Draft,
  type Entry,
  type OpenFile,
} from '../../tree/entry.ts';
import type { Tree } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import { READ_LENGTH, type SftpSession } from '../../transport/sftp/sftp.ts';
import type { SftpAttributes, SftpName } from '../../transport/sftp/packet.ts';
import { isSameSftpTime, sftpTime } from '../../transport/sftp/time.ts';
import { isRootPath, joinPath, ROOT_PATH } from '../../bytes/paths.ts';

/** Bytes requested ahead of a reader that goes from start to end. */
const AHEAD_BYTES = 2 * 1024 * 1024;
/** Longest path below the copy that is followed, in bytes: the limit of Linux and rsync. */
const PATH_LENGTH_MAX = 4095;
/** Concurrent requests about the objects of one folder. */
const REQUESTS_MAX = 64;
/** A few paths may be too long to be read. This many mean that a folder contains itself. */
const TOO_LONG_MAX = 100;
/** Paths and link targets of one tree, in bytes. A tree of millions of files needs less. */
const PATH_BYTES_MAX = 512 * 1024 * 1024;
/** How much of an overlong path is shown. */
const PATH_SHOWN_MAX = 200;
const NOTHING = Buffer.alloc(0);

/** Memory limits of a tree, whatever the server sends. */
export interface SftpTreeLimits {
  readonly pathBytes: number;
  /** Approximate bytes, including the cost of each entry. */
  readonly weight: number;
}

/**
 * A folder as an SFTP server shows it. Every access is a request: children are listed when they are
 * needed, and only the parts of a file that are read are fetched. Times are whole seconds, see
 * `sftpTime`. Device numbers and hard links are not available. A walk may keep all entries, so
 * their memory is limited as for the lists of rsync.
 */
export class SftpTree implements Tree {
  readonly #session: SftpSession;
  readonly #folder: Uint8Array;
  readonly #onProblem: (path: Uint8Array, error: EcsyncError) => void;
  readonly #limits: SftpTreeLimits;
  #entryCount = 0;
  #pathBytes = 0;
  #tooLongCount = 0;

  /**
   * @param folder - the tree's root, as the server names it
   * @param onProblem - receives everything that could not be examined and is therefore missing
   * @param limits - default: by Node's heap
   */
  constructor(
    session: SftpSession,
    folder: Uint8Array,
    onProblem: (path: Uint8Array, error: EcsyncError) => void = () => undefined,
    limits: SftpTreeLimits = defaultLimits(),
  ) {
    this.#session = session;
    this.#folder = folder;
    this.#onProblem = onProblem;
    this.#limits = limits;
  }

  /** @throws {FileError} `not-found`, `permission-denied`, `not-a-folder`; as `SftpSession` */
  async root(): Promise<Entry> {
    // A trailing dot follows a link at the root, as rsync does.
    const attributes = await this.#session.lstat(joinPath(this.#folder, ROOT_PATH));
    const entry = this.#entry(ROOT_PATH, attributes);
    if (isDirectory(entry)) return entry;
    throw new FileError('not-a-folder', `${showPath(this.#folder)} is not a folder at the remote`, {
      hint: 'Name the folder that holds gocryptfs.conf.',
    });
  }

  /** @throws {ProtocolError} `list-too-large`, `sftp-folder-loop`; as `SftpSession` */
  async children(directory: Entry): Promise<readonly Entry[]> {
    let names;
    try {
      names = await this.#session.list(this.#fullPath(directory.path));
      for (const { name } of names) this.#weigh(directory.path.length + 1 + name.length);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      directory.contentUnknown = true;
      this.#onProblem(directory.path, error);
      return [];
    }
    const entries: Entry[] = [];
    for (let at = 0; at < names.length; at += REQUESTS_MAX) {
      const part = names.slice(at, at + REQUESTS_MAX).map((listed) => {
        return this.#examine(joinPath(directory.path, listed.name), listed);
      });
      for (const entry of await Promise.all(part)) if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  async child(directory: Entry, name: Uint8Array): Promise<Entry | undefined> {
    const path = joinPath(directory.path, name);
    try {
      return await this.#complete(path, await this.#session.lstat(this.#fullPath(path)));
    } catch (error) {
      if (error instanceof FileError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  async open(entry: Entry): Promise<OpenFile> {
    const path = this.#fullPath(entry.path);
    try {
      const handle = await this.#session.openFile(path);
      return new SftpFile(this.#session, handle, entry);
    } catch (error) {
      if (!(error instanceof FileError) || error.code !== 'not-found') throw error;
      throw vanished(entry.path, error);
    }
  }

  #fullPath(path: Uint8Array): Uint8Array {
    return isRootPath(path) ? this.#folder : joinPath(this.#folder, path);
  }

  async #examine(
    path: Uint8Array,
    { attributes, rendered }: Pick<SftpName, 'attributes' | 'rendered'>,
  ): Promise<Entry | undefined> {
    if (path.length > PATH_LENGTH_MAX) {
      this.#tooLongCount += 1;
      if (this.#tooLongCount > TOO_LONG_MAX) throw folderLoop(path);
      this.#onProblem(path, pathTooLong(path));
      return undefined;
    }
    try {
      const { mode = 0 } = attributes;
      const isTold = (mode & S_IFMT) !== 0;
      const known = isTold ? attributes : await this.#session.lstat(this.#fullPath(path));
      return await this.#complete(path, known, rendered);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.#onProblem(path, error.code === 'not-found' ? vanished(path, error) : error);
      return undefined;
    }
  }

  /** Reads the target of a link, which needs a request of its own. */
  async #complete(path: Uint8Array, attributes: SftpAttributes, rendered?: string): Promise<Entry> {
    const entry = this.#entry(path, attributes, rendered);
    if (!isSymlink(entry)) return entry;
    const target = await this.#session.readlink(this.#fullPath(path));
    this.#pathBytes += target.length;
    return { ...entry, size: target.length, target };
  }

  #weigh(pathLength: number): void {
    this.#entryCount += 1;
    this.#pathBytes += pathLength;
    const { pathBytes, weight } = this.#limits;
    const isTooHeavy = this.#entryCount * ENTRY_WEIGHT + this.#pathBytes > weight;
    if (isTooHeavy || this.#pathBytes > pathBytes) throw treeTooLarge(this.#entryCount);
  }

  #entry(path: Uint8Array, attributes: SftpAttributes, rendered?: string): Entry {
    const { mode, size = 0, uid = 0, gid = 0 } = attributes;
    const nowSec = Math.floor(Date.now() / 1000);
    const { mtimeSec, isUncertain } = sftpTime(attributes.mtimeSec ?? 0, rendered, nowSec);
    if (mode === undefined || (mode & S_IFMT) === 0) {
      const shown = showPath(path);
      throw new ProtocolError('sftp-attributes', `the SFTP server does not say what ${shown} is`);
    }
    const entry: Draft<Entry> = { path, mode, size, mtimeSec, mtimeNsec: 0, uid, gid };
    if (isUncertain) entry.isTimeUncertain = true;
    return entry;
  }
}

/** A requested part of a file. */
interface RequestedPart {
  readonly offset: number;
  readonly length: number;
  readonly bytes: Promise<Buffer>;
}

/** A file at the server. Sequential reads use data that was requested ahead. */
class SftpFile implements OpenFile {
  readonly size: number;
  readonly positional = false;
  readonly #session: SftpSession;
  readonly #handle: Uint8Array;
  readonly #entry: Entry;
  /** Consecutive parts, from `#position` on. */
  #requested: RequestedPart[] = [];
  /** Where the last read ended. */
  #position = -1;

  constructor(session: SftpSession, handle: Uint8Array, entry: Entry) {
    this.#session = session;
    this.#handle = handle;
    this.#entry = entry;
    this.size = entry.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.size);
    if (end <= offset) return NOTHING;
    if (offset !== this.#position) this.#requested = [];
    const isReadingOn = offset === this.#position;
    this.#askUpTo(offset, isReadingOn ? Math.min(end + AHEAD_BYTES, this.size) : end);
    const pieces: Buffer[] = [];
    let at = offset;
    while (at < end) {
      const next = this.#requested.shift();
      if (next === undefined) break;
      const bytes = await next.bytes;
      const taken = bytes.subarray(0, end - at);
      pieces.push(taken);
      at += taken.length;
      const rest = bytes.subarray(taken.length);
      if (rest.length > 0) {
        const left = { offset: at, length: rest.length, bytes: Promise.resolve(rest) };
        this.#requested.unshift(left);
      }
      if (bytes.length < next.length) break;
    }
    this.#position = at;
    return pieces.length === 1 ? (pieces[0] ?? NOTHING) : Buffer.concat(pieces);
  }

  async close(): Promise<'unchanged' | 'changed'> {
    const now = this.#session.fstat(this.#handle);
    this.#session.close(this.#handle);
    this.#requested = [];
    const { size, mtimeSec = 0 } = await now;
    const isSame = size === this.#entry.size && isSameSftpTime(mtimeSec, this.#entry.mtimeSec);
    return isSame ? 'unchanged' : 'changed';
  }

  #askUpTo(start: number, end: number): void {
    const last = this.#requested.at(-1);
    for (let at = last === undefined ? start : last.offset + last.length; at < end;) {
      const length = Math.min(READ_LENGTH, end - at);
      const bytes = this.#readWhole(at, length);
      bytes.catch(() => undefined); // the reader handles this rejection
      this.#requested.push({ offset: at, length, bytes });
      at += length;
    }
  }

  /** Repeats short reads: a server may return less than requested before the end of the file. */
  async #readWhole(offset: number, length: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let got = 0;
    while (got < length) {
      const part = { offset: offset + got, length: length - got };
      const bytes = await this.#session.read(this.#handle, part, this.#entry.path);
      if (bytes.length === 0) break;
      pieces.push(bytes);
      got += bytes.length;
    }
    return pieces.length === 1 ? (pieces[0] ?? NOTHING) : Buffer.concat(pieces);
  }
}

function defaultLimits(): SftpTreeLimits {
  const weight = getHeapStatistics().heap_size_limit * LIST_HEAP_PART;
  return { pathBytes: PATH_BYTES_MAX, weight };
}

function treeTooLarge(count: number): ProtocolError {
  return new ProtocolError(
    'list-too-large',
    `the SFTP server shows a tree that is not held in memory: after ${count} names it is not at an end`,
    {
      hint: 'Look there whether a folder contains itself. If not: read some of its paths at a time.',
    },
  );
}

function folderLoop(path: Uint8Array): ProtocolError {
  const shown = showPath(path.subarray(0, PATH_SHOWN_MAX));
  return new ProtocolError(
    'sftp-folder-loop',
    `more than ${TOO_LONG_MAX} paths at the remote are too long to be read, the last one below ${shown}…`,
    { hint: 'Look at that folder at the server: it seems to contain itself.' },
  );
}

/** The error for an overlong path. A folder that contains itself may be the cause. */
function pathTooLong(path: Uint8Array): FileError {
  const shown = showPath(path.subarray(0, PATH_SHOWN_MAX));
  return new FileError(
    'path-too-long',
    `${shown}… at the remote has a path of ${path.length} bytes, at most ${PATH_LENGTH_MAX} are read`,
    { hint: 'Look at that folder at the server: it may lead back into itself.' },
  );
}

function vanished(path: Uint8Array, cause: unknown): VanishedError {
  const shown = showPath(path);
  return new VanishedError('vanished', `${shown} is no longer at the remote`, {
    facts: { path: shown },
    cause,
  });
}
