import path from 'node:path';
import { FileError, RemoteError } from '../errors.ts';
import { serveSender } from '../rsync/serve-sender.ts';
import { parseSenderWords } from '../rsync/sender-words.ts';
import { LocalTree } from '../tree/local-tree.ts';
import { prepareFolder } from '../tree/prepare-folder.ts';
import { groupNames, userNames } from '../tree/owner-names.ts';
import type { Connection, Remote } from '../transport/connection.ts';
import { duplexPair } from '../transport/pair.ts';
import { LocalConnection } from './local-connection.ts';

/** A folder of this machine as a source: the server's side of rsync runs in this process. */
export class LocalSourceRemote implements Remote {
  readonly shownName = 'this machine';
  readonly #running = new Set<LocalConnection>();

  /**
   * @param program - of no meaning here
   * @throws {UsageError} `server-words-invalid`
   * @throws {RemoteError} `source-missing`
   */
  start(_program: string, words: readonly string[]): Promise<Connection> {
    return Promise.resolve().then(() => {
      const { options, source } = parseSenderWords(words);
      const folder = path.resolve(source);
      if (!isFolder(folder)) {
        throw new RemoteError('source-missing', `${folder} is not a folder`, {
          hint: 'Is its disk mounted?',
        });
      }
      const [near, far] = duplexPair();
      const connection = new LocalConnection(near, far);
      connection.run(
        serveSender(far, {
          transfer: options,
          openTree: (filter, onProblem) => new LocalTree(folder, { filter, onProblem }),
          names: options.numericIds ? undefined : { users: userNames(), groups: groupNames() },
          onStderr: (line) => connection.addStderr(line),
        }),
      );
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
}

function isFolder(folder: string): boolean {
  try {
    return !prepareFolder(folder, true);
  } catch (error) {
    if (error instanceof FileError) return false;
    throw error;
  }
}
