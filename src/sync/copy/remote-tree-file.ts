/** A remote file that is fetched while it is read. */
import { BugError, FileError, VanishedError, type EcsyncError } from '../../errors.ts';
import { MemoryStore } from '../../rsync/receive/memory-store.ts';
import { pull } from '../../rsync/receive/pull.ts';
import type { FlistEntry } from '../../rsync/flist/decode.ts';
import type { OpenFile } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import type { NewFile } from '../../tree/store.ts';
import { rulesForOnly } from './remote-tree-rules.ts';
import {
  addTraffic,
  listingOptions,
  runPull,
  type RemoteSource,
  type RemoteTraffic,
} from './remote-tree-run.ts';

/** Bytes that may be buffered before the server has to wait. */
const WAITING_BYTES_MAX = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

/** A bounded buffer between the run that fetches bytes and their reader. */
export class Feed {
  readonly #pieces: Buffer[] = [];
  #waitingBytes = 0;
  #end: 'complete' | EcsyncError | undefined;
  #wakeReader: () => void = () => undefined;
  #wakeWriter: () => void = () => undefined;

  async write(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(Buffer.from(bytes));
    this.#waitingBytes += bytes.length;
    this.#wakeReader();
    while (this.#waitingBytes > WAITING_BYTES_MAX && this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }

  /** Ends the stream, as complete or with an error. Only the first call counts. */
  end(how: 'complete' | EcsyncError): void {
    this.#end ??= how;
    this.#wakeReader();
    this.#wakeWriter();
  }

  /** @returns undefined at the end; throws if the stream ended with an error */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#waitingBytes -= piece.length;
        this.#wakeWriter();
        return piece;
      }
      if (this.#end === 'complete') return undefined;
      if (this.#end !== undefined) throw this.#end;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }
}

/** A run that fetches one file as far as it is read. */
class Fetching {
  readonly feed = new Feed();
  /** The server's current entry of the file. */
  now: FlistEntry | undefined;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(source: RemoteSource, entry: FlistEntry, traffic: RemoteTraffic) {
    this.#ended = this.#fetch(source, entry, traffic).catch((error: unknown) =>
      this.feed.end(asFailure(error, entry)),
    );
  }

  /** Ends the run, whether it is complete or not. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.feed.end(new BugError('invariant', 'a closed file was read'));
    await this.#ended;
  }

  async #fetch(source: RemoteSource, entry: FlistEntry, traffic: RemoteTraffic): Promise<void> {
    const signal = AbortSignal.any([source.signal, this.#stop.signal]);
    let failure: EcsyncError | undefined;
    const store = new FeedStore(this.feed);
    await runPull({ ...source, signal }, (connection) =>
      pull(connection, {
        options: listingOptions(source),
        paths: [source.path],
        store,
        senderRules: rulesForOnly([entry.path]),
        signal,
        ...(source.timeoutSec > 0 && { idleTimeoutMs: source.timeoutSec * 1000 }),
        wants: ({ path }) => Buffer.compare(path, entry.path) === 0,
        onList: (list) => {
          this.now = list.find(({ path }) => Buffer.compare(path, entry.path) === 0);
        },
        onProblem: (error) => {
          failure ??= error;
        },
        onEnd: (bytesSent, bytesReceived) => addTraffic(traffic, { bytesSent, bytesReceived }),
      }),
    );
    this.feed.end(failure ?? (store.isComplete ? 'complete' : vanished(entry)));
  }
}

/** Passes the one fetched file on instead of keeping it. */
class FeedStore extends MemoryStore {
  isComplete = false;
  readonly #feed: Feed;
  #begun = false;

  constructor(feed: Feed) {
    super({ lengthMax: 0, totalMax: 0 });
    this.#feed = feed;
  }

  override createFile(path: Uint8Array): Promise<NewFile> {
    // The server sends the file again after a checksum mismatch.
    if (this.#begun) return Promise.reject(damagedOnTheWay(path));
    this.#begun = true;
    return Promise.resolve({
      write: (bytes) => this.#feed.write(bytes),
      commit: () => {
        this.isComplete = true;
        return Promise.resolve(undefined);
      },
      discard: () => Promise.resolve(),
    });
  }
}

/**
 * A remote file that is fetched while it is read, in a run of its own. Reading forwards is cheap.
 * Reading backwards fetches it again from the start. The last bytes are withheld until the checksum
 * of the whole file was verified. Memory use does not depend on its size.
 */
export class RemoteFile implements OpenFile {
  readonly size: number;
  readonly positional = false;
  readonly #source: RemoteSource;
  readonly #entry: FlistEntry;
  readonly #traffic: RemoteTraffic;
  #fetching: Fetching | undefined;
  /** The last fetched bytes, from `#start` on. */
  #held: Buffer = NOTHING;
  #start = 0;

  /** @param traffic - counts the bytes of its runs */
  constructor(source: RemoteSource, entry: FlistEntry, traffic: RemoteTraffic) {
    this.#source = source;
    this.#entry = entry;
    this.#traffic = traffic;
    this.size = entry.size;
  }

  /**
   * @throws {FileError} `read-failed`, `not-sent`, `verification-failed`
   * @throws {VanishedError} `vanished`
   * @throws {LoginError | ConnectionError | RemoteError | ProtocolError} the peer
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset >= this.size || length === 0) return NOTHING;
    if (this.#fetching === undefined || offset < this.#start) await this.#restart();
    const end = Math.min(offset + length, this.size);
    const pieces = [this.#held];
    let reached = this.#start + this.#held.length;
    // The last byte is returned only after the file's checksum was verified.
    while (reached < end || end === this.size) {
      const piece = await this.#fetching?.feed.next();
      if (piece === undefined) break;
      // Ignores bytes that were appended after the listing.
      if (reached < this.size) pieces.push(piece);
      reached += piece.length;
      if (reached <= offset) {
        pieces.length = 0;
        this.#start = reached;
      }
    }
    const all = pieces.length === 1 ? (pieces[0] ?? NOTHING) : Buffer.concat(pieces);
    this.#held = all.subarray(Math.max(0, offset - this.#start));
    this.#start = Math.max(this.#start, offset);
    return this.#held.subarray(0, end - offset);
  }

  async close(): Promise<'unchanged' | 'changed'> {
    const now = this.#fetching?.now;
    await this.#fetching?.close();
    this.#fetching = undefined;
    this.#held = NOTHING;
    if (now === undefined) return 'unchanged';
    const { size, mtimeSec, mtimeNsec } = this.#entry;
    const isSame = now.size === size && now.mtimeSec === mtimeSec && now.mtimeNsec === mtimeNsec;
    return isSame ? 'unchanged' : 'changed';
  }

  async #restart(): Promise<void> {
    await this.#fetching?.close();
    this.#fetching = new Fetching(this.#source, this.#entry, this.#traffic);
    this.#held = NOTHING;
    this.#start = 0;
  }
}

function vanished({ path }: FlistEntry): VanishedError {
  const shown = showPath(path);
  return new VanishedError('vanished', `${shown} is no longer at the remote`, {
    facts: { path: shown },
  });
}

function damagedOnTheWay(path: Uint8Array): FileError {
  const shown = showPath(path);
  return new FileError('read-failed', `${shown} changed while it was fetched`, {
    hint: 'Run again when nothing else changes the copy.',
    facts: { path: shown },
  });
}

function asFailure(error: unknown, { path }: FlistEntry): EcsyncError {
  if (isEcsyncError(error)) return error;
  return new FileError('read-failed', `${showPath(path)} could not be fetched`, { cause: error });
}

function isEcsyncError(error: unknown): error is EcsyncError {
  return error instanceof Error && 'exitCode' in error;
}
