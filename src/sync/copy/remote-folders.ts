/** A remote folder as a tree that is listed one folder at a time. */
import type { EcsyncError } from '../../errors.ts';
import { CONF_LENGTH_MAX } from '../../gocryptfs/format/limits.ts';
import type { FlistEntry } from '../../rsync/flist/decode.ts';
import type { SenderRule } from '../../rsync/flist/filter-list.ts';
import { readFiles } from '../../rsync/receive/read-files.ts';
import { isDirectory, type OpenFile, type Tree } from '../../tree/entry.ts';
import { BytesFile } from '../../view/encrypt/cipher-file.ts';
import { isRootPath, joinPath, pathKey, ROOT_PATH, splitPath } from '../../bytes/paths.ts';
import { RemoteFile } from './remote-tree-file.ts';
import { rulesForChildren } from './remote-tree-rules.ts';
import {
  addTraffic,
  listingOptions,
  runPull,
  type RemoteSource,
  type RemoteTraffic,
} from './remote-tree-run.ts';
import { listPassingSystemFolders } from './system-folders.ts';
import { isFormatFile, notAFolder } from './remote-tree.ts';

/** One run's listing of a folder. */
interface Folder {
  readonly self: FlistEntry | undefined;
  readonly children: readonly FlistEntry[];
  /** Children by the key of their path. */
  readonly byPath: ReadonlyMap<string, FlistEntry>;
}

/**
 * A remote folder as a tree that is listed one folder at a time. One rsync run lists a folder and
 * fetches the format's small files in it. Use it to read a small part of a large copy, and
 * `RemoteTree` to read all of it. Hard links appear as separate files.
 */
export class RemoteFolders implements Tree<FlistEntry> {
  readonly traffic: Readonly<RemoteTraffic>;
  readonly #traffic: RemoteTraffic = { bytesSent: 0, bytesReceived: 0 };
  readonly #source: RemoteSource;
  readonly #onProblem: (path: Uint8Array, error: EcsyncError) => void;
  readonly #folders = new Map<string, Folder>();
  readonly #contents = new Map<string, Buffer>();

  /** @param onProblem - receives folders that the server could not read completely */
  constructor(
    source: RemoteSource,
    onProblem: (path: Uint8Array, error: EcsyncError) => void = () => undefined,
  ) {
    this.#source = source;
    this.#onProblem = onProblem;
    this.traffic = this.#traffic;
  }

  /**
   * @throws {RemoteError} `source-missing`, `source-forbidden`, `rsync-missing`, `remote-exit`, …
   * @throws {FileError} `not-a-folder` — the path is a file there
   * @throws {LoginError | ConnectionError | ProtocolError} the peer
   * @throws {InterruptedError} `interrupted`
   */
  async root(): Promise<FlistEntry> {
    const { self } = await this.#folder(ROOT_PATH);
    if (self === undefined || !isDirectory(self)) throw notAFolder(this.#source);
    return self;
  }

  /** @throws as {@link root} */
  async children(directory: FlistEntry): Promise<readonly FlistEntry[]> {
    return (await this.#folder(directory.path)).children;
  }

  /** @throws as {@link root} */
  async child(directory: FlistEntry, name: Uint8Array): Promise<FlistEntry | undefined> {
    const { byPath } = await this.#folder(directory.path);
    return byPath.get(pathKey(joinPath(directory.path, name)));
  }

  /** Reads from memory what came with a listing, and fetches everything else while it is read. */
  open(entry: FlistEntry): Promise<OpenFile> {
    const bytes = this.#contents.get(pathKey(entry.path));
    if (bytes === undefined)
      return Promise.resolve(new RemoteFile(this.#source, entry, this.#traffic));
    return Promise.resolve(new BytesFile(bytes));
  }

  async #folder(path: Uint8Array): Promise<Folder> {
    const key = pathKey(path);
    const known = this.#folders.get(key);
    if (known !== undefined) return known;
    const folder = await this.#list(path);
    this.#folders.set(key, folder);
    return folder;
  }

  async #list(path: Uint8Array): Promise<Folder> {
    const source = this.#source;
    const list = async (rules: readonly SenderRule[]) => {
      let entries: readonly FlistEntry[] = [];
      const incomplete = await runPull(source, async (connection) => {
        const read = await readFiles(connection, {
          options: listingOptions(source),
          paths: [source.path],
          senderRules: [...rules, ...rulesForChildren(path)],
          signal: source.signal,
          ...(source.timeoutSec > 0 && { idleTimeoutMs: source.timeoutSec * 1000 }),
          wants: isFormatFile,
          lengthMax: CONF_LENGTH_MAX,
        });
        entries = read.entries;
        for (const [key, bytes] of read.files) this.#contents.set(key, bytes);
        addTraffic(this.#traffic, read.report);
        return read.report;
      });
      return { entries, incomplete };
    };
    const { entries, incomplete } = (await listPassingSystemFolders(list)).listing;
    if (incomplete !== undefined) this.#onProblem(path, incomplete);
    const key = pathKey(path);
    const children = entries.filter(
      (entry) => !isRootPath(entry.path) && pathKey(splitPath(entry.path).directory) === key,
    );
    return {
      self: entries.find((entry) => pathKey(entry.path) === key),
      children,
      byPath: new Map(children.map((child) => [pathKey(child.path), child])),
    };
  }
}
