/** Opens a copy for reading, whether it is local or remote. */
import {
  ConnectionError,
  FileError,
  RemoteError,
  VanishedError,
  VaultError,
  type EcsyncError,
} from '../../errors.ts';
import type { Entry, Tree } from '../../tree/entry.ts';
import { LocalTree } from '../../tree/local/local-tree.ts';
import { ROOT_PATH } from '../../bytes/paths.ts';
import { collectGarbageSooner, prepareHeap, MANY_OBJECTS } from '../garbage-collection.ts';
import type { ContentSource } from '../copy/content-source.ts';
import { closeLate, openDestination, type OpenDestination } from '../reach/destination-remote.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import { interrupted, unlessAborted } from '../../interruption.ts';
import { destinationOptions, type LoginQuestions } from '../reach/destination-options.ts';
import type { AbilityResult } from './remote-test.ts';
import { RemoteFolders } from '../copy/remote-folders.ts';
import { RemoteTree } from '../copy/remote-tree.ts';
import type { RemoteSource, RemoteTraffic } from '../copy/remote-tree-run.ts';
import type { PeerSettings } from '../run-settings.ts';

/** Which copy is read, and how it is reached. */
export interface ReachSettings extends PeerSettings {
  readonly destination: Destination;
  /** Forces a protocol. Default: the best one for the purpose. */
  readonly via?: 'sftp' | 'rsync';
}

/** Callbacks and prompts while a copy is read. */
export interface ReachSurroundings {
  readonly signal: AbortSignal;
  readonly questions: LoginQuestions;
  /** Reports an event, such as a host key that was recorded. */
  note(code: string, message: string): void;
}

/** How a tree of a copy is read. */
export interface ReadingPlan {
  /** How much will be read: a few folders or files, or everything. */
  readonly reach: 'little' | 'all';
  /** Receives everything that cannot be read and is therefore missing from the tree. */
  readonly onProblem: (path: Uint8Array, error: EcsyncError) => void;
}

/** A copy as a tree of ciphertext. */
export interface ReadableCopy {
  readonly tree: Tree;
  readonly how: 'local' | 'rsync' | 'sftp';
  /** The remote, with what was learnt about it. */
  readonly source?: RemoteSource;
  /** Stream bytes so far; 0 for a local folder. */
  traffic(): Readonly<RemoteTraffic>;
  /** Counts traffic beside that of the tree. */
  addTraffic?(more: Readonly<RemoteTraffic>): void;
}

/** A destination that is logged in to, for reading. */
export class ReachedCopy {
  /** What an rsync run over it needs. Undefined for a folder of this machine. */
  readonly source: RemoteSource | undefined;
  readonly #settings: ReachSettings;
  readonly #anySource: RemoteSource;

  private constructor(settings: ReachSettings, opened: OpenDestination, signal: AbortSignal) {
    const { destination, rsyncPath = 'rsync', timeoutSec, protocolMax } = settings;
    this.#settings = settings;
    this.#anySource = { ...opened, rsyncPath, timeoutSec, protocolMax, signal };
    this.source = destination.kind === 'local' ? undefined : this.#anySource;
  }

  /**
   * Logs in, calls `use`, and logs out.
   *
   * @throws {VaultError} `copy-missing` — the local folder does not exist
   * @throws {LoginError | ConnectionError | UsageError} from the login
   * @throws {InterruptedError} `interrupted`; what `use` throws
   */
  static async with<T>(
    settings: ReachSettings,
    surroundings: ReachSurroundings,
    use: (copy: ReachedCopy) => Promise<T>,
  ): Promise<T> {
    const { signal, questions } = surroundings;
    const options = destinationOptions(settings, surroundings, questions, signal);
    const opening = openDestination(settings.destination, options);
    const opened = await unlessAborted(opening, signal, closeLate);
    const stop = (): void => void opened.remote.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      return await use(new ReachedCopy(settings, opened, signal));
    } catch (error) {
      throw signal.aborted ? interrupted(error) : error;
    } finally {
      signal.removeEventListener('abort', stop);
      await opened.remote.close();
    }
  }

  /**
   * Opens the copy. A remote is listed at once or folder by folder.
   *
   * @throws {VaultError} `copy-missing`
   * @throws {LoginError | ConnectionError | RemoteError | ProtocolError | FileError} the peer
   */
  async open(plan: ReadingPlan): Promise<ReadableCopy> {
    const { source } = this;
    if (source === undefined) return this.#openFolder(plan);
    const { via } = this.#settings;
    if (via === 'sftp') return this.#openSftp(source, plan);
    if (plan.reach === 'little') return this.#openLittle(source, plan);
    try {
      return await this.#openAll(source, plan);
    } catch (error) {
      // A login that allows only file transfer cannot start rsync.
      const { mayBeSftpOnly } = await import('../copy/sftp-source.ts');
      if (via === 'rsync' || !mayBeSftpOnly(error)) throw error;
      const copy = await this.#openSftp(source, plan).catch(() => undefined);
      if (copy === undefined) throw error;
      return copy;
    }
  }

  /**
   * Tests what the destination allows.
   *
   * @throws as `testRemote`
   */
  async test(): Promise<readonly AbilityResult[]> {
    const { testRemote } = await import('./remote-test.ts');
    const source = this.#anySource;
    const plan = { reach: 'little' as const, onProblem: () => undefined };
    const openSftp = (): Promise<unknown> => this.#openSftp(source, plan);
    const listFolder = this.source === undefined ? () => this.#openFolder(plan) : undefined;
    return testRemote(source, { openSftp, ...(listFolder && { listFolder }) });
  }

  /** Prefers SFTP, which reads parts of a file. rsync reads only whole files. */
  async #openLittle(source: RemoteSource, plan: ReadingPlan): Promise<ReadableCopy> {
    const { via, rsyncPath } = this.#settings;
    // A given `--rsync-path` may be allowed to read more than the login itself (`sudo rsync`).
    if (via !== 'rsync' && rsyncPath === undefined) {
      const copy = await this.#openSftp(source, plan).catch((error: unknown) => {
        if (!isRefusal(error)) throw error;
        return undefined;
      });
      if (copy !== undefined) return copy;
    }
    const tree = new RemoteFolders(source, plan.onProblem);
    return { tree, how: 'rsync', traffic: () => tree.traffic };
  }

  async #openAll(source: RemoteSource, plan: ReadingPlan): Promise<ReadableCopy> {
    const tree = await RemoteTree.list(source);
    if (tree.count > MANY_OBJECTS) collectGarbageSooner('reading');
    const { incomplete } = tree;
    if (incomplete !== undefined && !(incomplete instanceof VanishedError)) {
      plan.onProblem(ROOT_PATH, incomplete);
    }
    const beside = { bytesSent: 0, bytesReceived: 0 };
    return {
      tree,
      source: tree.source,
      how: 'rsync',
      traffic: () => ({
        bytesSent: tree.traffic.bytesSent + beside.bytesSent,
        bytesReceived: tree.traffic.bytesReceived + beside.bytesReceived,
      }),
      addTraffic: (more) => {
        beside.bytesSent += more.bytesSent;
        beside.bytesReceived += more.bytesReceived;
      },
    };
  }

  /** @throws {RemoteError} `sftp-refused`, `command-not-started`; as `SftpTree.root` */
  async #openSftp(source: RemoteSource, { onProblem }: ReadingPlan): Promise<ReadableCopy> {
    const { openSftpFolder } = await import('../copy/sftp-source.ts');
    const { SftpTree } = await import('../copy/sftp-tree.ts');
    const { session, folder } = await openSftpFolder(source);
    const tree = new SftpTree(session, folder, onProblem);
    const traffic = ({ bytesSent, bytesReceived }: RemoteTraffic): RemoteTraffic => {
      return { bytesSent, bytesReceived };
    };
    return { tree, how: 'sftp', traffic: () => traffic(session) };
  }

  /** Reads the content of the whole copy in one run. Undefined where opening each file is best. */
  async contents(copy: ReadableCopy): Promise<ContentSource<Entry> | undefined> {
    if (this.source === undefined || copy.how === 'sftp') return undefined;
    const { remoteContents } = await import('../copy/content-source.ts');
    prepareHeap();
    return remoteContents(copy.source ?? this.source, (traffic) => copy.addTraffic?.(traffic));
  }

  async #openFolder({ onProblem }: ReadingPlan): Promise<ReadableCopy> {
    const { destination } = this.#settings;
    const folder = destination.kind === 'local' ? destination.path : '';
    const tree = new LocalTree(folder, { onProblem });
    await tree.root().catch((cause: unknown) => {
      throw cause instanceof FileError ? copyMissing(folder, cause) : cause;
    });
    return { tree, how: 'local', traffic: () => ({ bytesSent: 0, bytesReceived: 0 }) };
  }
}

/**
 * Whether SFTP is not offered, or shows other folders than rsync. A forced command that ignores the
 * requested command may wait in silence.
 */
function isRefusal(error: unknown): boolean {
  const isSilence = error instanceof ConnectionError && error.code === 'timeout';
  return error instanceof RemoteError || error instanceof FileError || isSilence;
}

function copyMissing(folder: string, cause: unknown): VaultError {
  return new VaultError('copy-missing', `${folder} is not a folder that can be opened`, {
    hint: 'Is its disk mounted?',
    cause,
  });
}
