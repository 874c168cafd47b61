/** Reads the content of many files of a remote in one rsync run. */
import { FileError, VanishedError, type EcsyncError } from '../../errors.ts';
import type { FlistEntry } from '../../rsync/flist/decode.ts';
import { MemoryStore } from '../../rsync/receive/memory-store.ts';
import { pull } from '../../rsync/receive/pull.ts';
import type { PullReport } from '../../rsync/receive/pull-plan.ts';
import type { Entry, OpenFile } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import type { NewFile } from '../../tree/store.ts';
import type { Connection } from '../../transport/connection.ts';
import { pathKey } from '../../bytes/paths.ts';
import { Feed } from './remote-tree-file.ts';
import { rulesForOnly } from './remote-tree-rules.ts';
import { listingOptions, runPull, type RemoteSource } from './remote-tree-run.ts';

/**
 * Up to this many files are named to the server by filter rules. For more, it lists everything
 * again.
 */
const NAMED_MAX = 1000;
const NOTHING = Buffer.alloc(0);

/** Consumer of the content of files. */
export interface ContentReader<C extends Entry> {
  /**
   * Reads a file once from start to end, and may stop early. Does not throw.
   *
   * @returns a function to call after the server's checksum has confirmed the whole content
   */
  read(cipher: C, file: OpenFile): Promise<() => void>;
  /** The content of a file could not be fetched. */
  fail(cipher: C, error: EcsyncError): void;
}

/** A source that delivers the content of many files at once. */
export interface ContentSource<C extends Entry> {
  /**
   * Either reads or fails every file, one at a time, in any order.
   *
   * @param wanted - by the key of the path
   */
  readAll(wanted: ReadonlyMap<string, C>, reader: ContentReader<C>): Promise<void>;
}

/**
 * Files of a remote, in one run. Memory use does not depend on their sizes.
 *
 * @param onTraffic - receives the bytes of the stream at the end
 */
export function remoteContents<C extends Entry>(
  source: RemoteSource,
  onTraffic: (traffic: { bytesSent: number; bytesReceived: number }) => void,
): ContentSource<C> {
  return {
    readAll: async (wanted, reader) => {
      if (wanted.size === 0) return;
      const store = new ReadingStore(wanted, reader);
      // Any one name of a hard-linked file is enough.
      const options = { ...listingOptions(source), hardLinks: false };
      const converse = async (connection: Connection): Promise<PullReport> => {
        const report = await pull(connection, {
          options,
          paths: [source.path],
          store,
          senderRules: wanted.size <= NAMED_MAX ? rulesFor(wanted) : (source.rules ?? []),
          signal: source.signal,
          ...(source.timeoutSec > 0 && { idleTimeoutMs: source.timeoutSec * 1000 }),
          wants: ({ path }) => wanted.has(pathKey(path)),
          onList: (list) => store.noteList(list),
          onProblem: (error, entry) => {
            if (entry !== undefined) store.fail(entry.path, error);
          },
        });
        onTraffic(report);
        return report;
      };
      try {
        await runPull(source, converse, options);
      } finally {
        await store.end();
      }
      store.failRest();
    },
  };
}

function rulesFor(wanted: ReadonlyMap<string, Entry>): ReturnType<typeof rulesForOnly> {
  return rulesForOnly([...wanted.values()].map(({ path }) => path));
}

/** Passes files on to their reader, and keeps none. */
class ReadingStore<C extends Entry> extends MemoryStore {
  readonly #wanted: ReadonlyMap<string, C>;
  readonly #reader: ContentReader<C>;
  /** Keys of the paths that were read or failed. */
  readonly #settled = new Set<string>();
  readonly #changed = new Set<string>();
  readonly #open = new Set<Delivery>();

  constructor(wanted: ReadonlyMap<string, C>, reader: ContentReader<C>) {
    super({ lengthMax: 0, totalMax: 0 });
    this.#wanted = wanted;
    this.#reader = reader;
  }

  /** Compares the server's new listing with the earlier one. */
  noteList(list: readonly FlistEntry[]): void {
    for (const now of list) {
      const key = pathKey(now.path);
      const before = this.#wanted.get(key);
      if (before === undefined) continue;
      const { size, mtimeSec, mtimeNsec } = before;
      const isSame = now.size === size && now.mtimeSec === mtimeSec && now.mtimeNsec === mtimeNsec;
      if (!isSame) this.#changed.add(key);
    }
  }

  override createFile(path: Uint8Array): Promise<NewFile> {
    const key = pathKey(path);
    const cipher = this.#wanted.get(key);
    if (cipher === undefined) return Promise.reject(notRequested(path));
    const delivery = new Delivery(cipher.size, this.#changed.has(key), (file) =>
      this.#reader.read(cipher, file),
    );
    this.#open.add(delivery);
    const end = async (isWhole: boolean): Promise<undefined> => {
      if (!this.#open.delete(delivery)) return undefined;
      const conclude = await delivery.end(isWhole);
      if (!isWhole) return undefined;
      this.#settled.add(key);
      conclude();
      return undefined;
    };
    return Promise.resolve({
      write: (bytes) => delivery.write(bytes),
      commit: () => end(true),
      discard: () => end(false),
    });
  }

  fail(path: Uint8Array, error: EcsyncError): void {
    const key = pathKey(path);
    const cipher = this.#wanted.get(key);
    if (cipher === undefined || this.#settled.has(key)) return;
    this.#settled.add(key);
    this.#reader.fail(cipher, error);
  }

  /** Ends all open deliveries: no more content comes. */
  async end(): Promise<void> {
    for (const delivery of this.#open) await delivery.end(false);
    this.#open.clear();
  }

  failRest(): void {
    for (const { path } of this.#wanted.values()) this.fail(path, vanished(path));
  }
}

/** A file in transit, as its reader sees it. */
class Delivery implements OpenFile {
  readonly size: number;
  readonly positional = false;
  readonly #feed = new Feed();
  readonly #isChanged: boolean;
  readonly #reading: Promise<() => void>;
  #isRead = false;
  #position = 0;
  #left: Buffer = NOTHING;

  constructor(size: number, isChanged: boolean, read: (file: OpenFile) => Promise<() => void>) {
    this.size = size;
    this.#isChanged = isChanged;
    this.#reading = read(this).finally(() => {
      this.#isRead = true;
      this.#feed.end('complete');
    });
    this.#reading.catch(() => undefined); // `end` reports this rejection
  }

  /** Drops the bytes once the reader has stopped. */
  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#isRead) await this.#feed.write(bytes);
  }

  end(isWhole: boolean): Promise<() => void> {
    this.#feed.end(
      isWhole ? 'complete' : new FileError('read-failed', 'its content is incomplete'),
    );
    return this.#reading;
  }

  /** @throws {FileError} `read-failed` */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.size);
    const pieces = [this.#left];
    let reached = this.#position + this.#left.length;
    while (reached < end) {
      const piece = await this.#feed.next();
      if (piece === undefined) break;
      pieces.push(piece);
      reached += piece.length;
    }
    const all = pieces.length === 1 ? this.#left : Buffer.concat(pieces);
    const from = offset - this.#position;
    if (from < 0) throw new FileError('read-failed', 'a stream was read backwards');
    const taken = all.subarray(from, end - this.#position);
    this.#position += from + taken.length;
    this.#left = all.subarray(from + taken.length);
    return taken;
  }

  close(): Promise<'unchanged' | 'changed'> {
    return Promise.resolve(this.#isChanged ? 'changed' : 'unchanged');
  }
}

function notRequested(path: Uint8Array): FileError {
  return new FileError('read-failed', `${showPath(path)} was not requested`);
}

function vanished(path: Uint8Array): VanishedError {
  const shown = showPath(path);
  return new VanishedError('vanished', `${shown} is no longer at the remote`, {
    facts: { path: shown },
  });
}
