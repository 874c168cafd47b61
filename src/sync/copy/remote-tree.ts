/** A remote folder as a tree, listed as a whole by one rsync run. */
import { EcsyncError, FileError } from '../../errors.ts';
import {
  CONF_LENGTH_MAX,
  DIR_IV_LENGTH,
  NAME_FILE_LENGTH_MAX,
} from '../../gocryptfs/format/limits.ts';
import { CONF_NAME, kindOfCipherName } from '../../gocryptfs/names/names.ts';
import type { FlistEntry } from '../../rsync/flist/decode.ts';
import type { SenderRule } from '../../rsync/flist/filter-list.ts';
import { readFiles } from '../../rsync/receive/read-files.ts';
import { isDirectory, isRegularFile, type OpenFile, type Tree } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import { BytesFile } from '../../view/encrypt/cipher-file.ts';
import { isRootPath, joinPath, pathKey, splitPath } from '../../bytes/paths.ts';
import { RemoteFile } from './remote-tree-file.ts';
import { rulesForOnly } from './remote-tree-rules.ts';
import {
  addTraffic,
  listingOptions,
  runPull,
  type RemoteSource,
  type RemoteTraffic,
} from './remote-tree-run.ts';
import { listPassingSystemFolders } from './system-folders.ts';

/** Files fetched together in one run. Each has a filter rule. */
const FILES_PER_RUN = 1000;
/** Directories whose children are indexed by name. */
const INDEXED_MAX = 64;

/** Which content a listing fetches. */
export interface RemoteTreeOptions {
  /**
   * Selects the files whose content comes with the listing. Default: the format's own files, that
   * is the conf, every `gocryptfs.diriv` and every `.name` file.
   */
  readonly wants?: (entry: FlistEntry) => boolean;
  /** Longest file that is fetched with the listing, in bytes. Default: that of a conf, 64 KiB. */
  readonly lengthMax?: number;
}

/**
 * A remote folder as a tree. One rsync run lists all of it and fetches the format's own small
 * files. Other files are fetched when they are opened, each in a run of its own, or earlier and
 * together by {@link prefetch}. Where names are plaintext, files that only look like the format's
 * own are fetched as well, which is harmless.
 */
export class RemoteTree implements Tree<FlistEntry> {
  /** Why the list is incomplete. Undefined if the server could read everything. */
  readonly incomplete: EcsyncError | undefined;
  /** Number of entries, including the root. */
  readonly count: number;
  readonly traffic: Readonly<RemoteTraffic>;
  /** The remote, with what a run that lists everything needs. */
  readonly source: RemoteSource;
  readonly #root: FlistEntry;
  /** By the key of the directory's path. */
  readonly #children: ReadonlyMap<string, readonly FlistEntry[]>;
  /** By the key of the file's path. */
  readonly #contents: Map<string, Buffer>;
  readonly #byName = new Map<string, ReadonlyMap<string, FlistEntry>>();
  readonly #traffic: RemoteTraffic;

  private constructor(source: RemoteSource, listed: Listed) {
    this.source = source;
    this.#root = listed.root;
    this.#children = listed.children;
    this.#contents = listed.contents;
    this.#traffic = listed.traffic;
    this.traffic = this.#traffic;
    this.count = listed.count;
    this.incomplete = listed.incomplete;
  }

  /**
   * Lists a remote folder.
   *
   * @throws {RemoteError} `source-missing`, `source-forbidden`, `rsync-missing`, `remote-exit`, …
   * @throws {FileError} `not-a-folder` — the path is a file there
   * @throws {LoginError | ConnectionError | ProtocolError} the peer
   * @throws {InterruptedError} `interrupted`
   */
  static async list(source: RemoteSource, options: RemoteTreeOptions = {}): Promise<RemoteTree> {
    const { wants = isFormatFile, lengthMax = CONF_LENGTH_MAX } = options;
    const traffic = { bytesSent: 0, bytesReceived: 0 };
    const list = async (senderRules: readonly SenderRule[]) => {
      let entries: readonly FlistEntry[] = [];
      let contents: ReadonlyMap<string, Buffer> = new Map();
      const plan = { ...planOf(source), senderRules, wants, lengthMax };
      const incomplete = await runPull(source, async (connection) => {
        const read = await readFiles(connection, plan);
        ({ entries, files: contents } = read);
        addTraffic(traffic, read.report);
        return read.report;
      });
      return { entries, contents, incomplete };
    };
    const { listing, rules } = await listPassingSystemFolders(list);
    const { entries, contents, incomplete } = listing;
    const root = entries.find(({ path }) => isRootPath(path));
    if (root === undefined || !isDirectory(root)) throw notAFolder(source);
    return new RemoteTree(rules.length === 0 ? source : { ...source, rules }, {
      root,
      children: childrenOf(entries),
      contents: new Map(contents),
      traffic,
      count: entries.length,
      incomplete,
    });
  }

  root(): Promise<FlistEntry> {
    return Promise.resolve(this.#root);
  }

  children(directory: FlistEntry): Promise<readonly FlistEntry[]> {
    return Promise.resolve(this.#children.get(pathKey(directory.path)) ?? []);
  }

  child(directory: FlistEntry, name: Uint8Array): Promise<FlistEntry | undefined> {
    const wanted = pathKey(joinPath(directory.path, name));
    return Promise.resolve(this.#namesIn(pathKey(directory.path)).get(wanted));
  }

  /**
   * Reads from memory what came with the listing or was prefetched. Everything else is fetched
   * while it is read, and errors appear then.
   */
  open(entry: FlistEntry): Promise<OpenFile> {
    const bytes = this.#contents.get(pathKey(entry.path));
    if (bytes === undefined)
      return Promise.resolve(new RemoteFile(this.source, entry, this.#traffic));
    return Promise.resolve(new BytesFile(bytes));
  }

  /**
   * Fetches small files together, so that opening them later costs nothing. Files that cannot be
   * fetched are left out; opening them reports why.
   *
   * @param lengthMax - longest file that is fetched, in bytes
   * @throws as {@link list}
   */
  async prefetch(files: readonly FlistEntry[], lengthMax: number): Promise<void> {
    const wanted = files.filter(
      (file) =>
        isRegularFile(file) && file.size <= lengthMax && !this.#contents.has(pathKey(file.path)),
    );
    for (let at = 0; at < wanted.length; at += FILES_PER_RUN) {
      const part = wanted.slice(at, at + FILES_PER_RUN);
      const keys = new Set(part.map(({ path }) => pathKey(path)));
      await runPull(this.source, async (connection) => {
        const read = await readFiles(connection, {
          ...planOf(this.source),
          senderRules: rulesForOnly(part.map(({ path }) => path)),
          wants: ({ path }) => keys.has(pathKey(path)),
          lengthMax,
        });
        for (const [key, bytes] of read.files) this.#contents.set(key, bytes);
        addTraffic(this.#traffic, read.report);
        return read.report;
      });
    }
  }

  #namesIn(directoryKey: string): ReadonlyMap<string, FlistEntry> {
    const known = this.#byName.get(directoryKey);
    if (known !== undefined) return known;
    const children = this.#children.get(directoryKey) ?? [];
    const byName = new Map(children.map((child) => [pathKey(child.path), child]));
    if (this.#byName.size >= INDEXED_MAX) this.#byName.clear();
    this.#byName.set(directoryKey, byName);
    return byName;
  }
}

/** The result of one listing. */
interface Listed {
  readonly root: FlistEntry;
  readonly children: ReadonlyMap<string, readonly FlistEntry[]>;
  readonly contents: Map<string, Buffer>;
  readonly traffic: RemoteTraffic;
  readonly count: number;
  readonly incomplete: EcsyncError | undefined;
}

function planOf(source: RemoteSource) {
  const { path, signal, timeoutSec } = source;
  return {
    options: listingOptions(source),
    paths: [path],
    signal,
    ...(timeoutSec > 0 && { idleTimeoutMs: timeoutSec * 1000 }),
  };
}

/** Whether a file is one of the format's own, by its place, name and size. */
export function isFormatFile({ path, size }: FlistEntry): boolean {
  const { name, directory } = splitPath(path);
  switch (kindOfCipherName(name)) {
    case 'conf':
      return isRootPath(directory) && pathKey(name) === CONF_NAME && size <= CONF_LENGTH_MAX;
    case 'diriv':
      return size <= DIR_IV_LENGTH;
    case 'name-file':
      return size <= NAME_FILE_LENGTH_MAX;
    case 'long':
    case 'direct':
      return false;
  }
}

/**
 * Groups the entries by directory. A hard link whose first name is not in the list becomes a plain
 * file.
 */
function childrenOf(entries: readonly FlistEntry[]): Map<string, readonly FlistEntry[]> {
  const children = new Map<string, FlistEntry[]>();
  const namesOfGroup = new Map<number, number>();
  for (const entry of entries) {
    const { linkGroup } = entry;
    if (linkGroup !== undefined)
      namesOfGroup.set(linkGroup, (namesOfGroup.get(linkGroup) ?? 0) + 1);
    if (isRootPath(entry.path)) continue;
    const key = pathKey(splitPath(entry.path).directory);
    const siblings = children.get(key);
    if (siblings === undefined) children.set(key, [entry]);
    else siblings.push(entry);
  }
  for (const entry of entries) {
    if (entry.linkGroup !== undefined && namesOfGroup.get(entry.linkGroup) === 1) {
      delete entry.linkGroup;
    }
  }
  return children;
}

/** The error for a remote path that exists but is no folder. */
export function notAFolder({ path }: RemoteSource): FileError {
  const shown = showPath(Buffer.from(path));
  return new FileError('not-a-folder', `${shown} is not a folder at the remote`, {
    hint: 'Name the folder that holds gocryptfs.conf.',
  });
}
