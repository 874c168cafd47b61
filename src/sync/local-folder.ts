import path from 'node:path';
import { FileError, RemoteError } from '../errors.ts';
import { isDryRun, parseServerWords, type TransferOptions } from '../rsync/options.ts';
import { serve } from '../rsync/server.ts';
import { LocalStore } from '../tree/local-store.ts';
import { groupIds, userIds } from '../tree/owner-names.ts';
import { prepareFolder } from '../tree/prepare-folder.ts';
import type { Connection, Remote } from '../transport/connection.ts';
import { duplexPair, type PairEnd } from '../transport/pair.ts';
import { LocalConnection } from './local-connection.ts';
import { makeSpecial } from './local-special.ts';

/** How a local folder takes what is pushed. */
export interface LocalFolderOptions {
  /** Write whole files without comparing them with what is there. Default false. */
  readonly wholeFile?: boolean;
  /** Wait until the disk has a new version before it takes an old one's place. Default true. */
  readonly durable?: boolean;
}

/** A folder of this machine as a destination: the server's side of rsync runs in this process. */
export class LocalFolderRemote implements Remote {
  readonly shownName = 'this machine';
  readonly #options: LocalFolderOptions;
  readonly #running = new Set<LocalConnection>();

  constructor(options: LocalFolderOptions = {}) {
    this.#options = options;
  }

  /**
   * @param program - of no meaning here
   * @throws {UsageError} `server-words-invalid`
   * @throws {RemoteError} `destination-unusable` — the folder's parent is missing, or it is no folder
   */
  start(_program: string, words: readonly string[]): Promise<Connection> {
    return Promise.resolve().then(() => {
      const { options, destination } = parseServerWords(words);
      const folder = path.resolve(destination);
      const rootIsNew = prepare(folder, options);
      const [near, far] = duplexPair();
      const connection = new LocalConnection(near, far);
      connection.run(this.#serve(far, folder, { options, rootIsNew, connection }));
      this.#running.add(connection);
      void connection.exited.then(() => this.#running.delete(connection));
      return connection;
    });
  }

  async close(): Promise<void> {
    const running = [...this.#running];
    for (const connection of running) connection.destroy();
    await Promise.all(running.map((connection) => connection.exited));
  }

  async #serve(
    far: PairEnd,
    folder: string,
    job: {
      readonly options: TransferOptions;
      readonly rootIsNew: boolean;
      readonly connection: LocalConnection;
    },
  ): Promise<number> {
    const { options, rootIsNew, connection } = job;
    const { tempDir, linkDest } = options;
    const { wholeFile = false, durable = true } = this.#options;
    const store = new LocalStore(folder, {
      durable,
      makeSpecial,
      ...(tempDir !== undefined && { tempDir }),
      ...(linkDest !== undefined && { earlier: linkDest }),
    });
    try {
      return await serve(far, store, {
        transfer: options,
        habits: { users: userIds(), groups: groupIds() },
        wholeFile,
        rootIsNew,
        onStderr: (line) => connection.addStderr(line),
      });
    } finally {
      store.close();
    }
  }
}

function prepare(folder: string, options: TransferOptions): boolean {
  try {
    return prepareFolder(folder, isDryRun(options));
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const { message, hint, facts } = error;
    throw new RemoteError('destination-unusable', message, {
      ...(hint !== undefined && { hint }),
      facts,
      cause: error,
    });
  }
}
