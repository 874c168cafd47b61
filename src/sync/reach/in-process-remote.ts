/** A folder of this machine as a peer, served inside this process. */
import type { EcsyncError } from '../../errors.ts';
import type { Connection, Remote } from '../../transport/connection.ts';
import { duplexPair, type PairEnd } from '../../transport/pair.ts';
import { LocalConnection } from './local-connection.ts';

/**
 * One conversation of a server in this process.
 *
 * @param onFailure - receives the error that ended it, which the server's output only describes as
 *   text
 * @returns its exit status
 */
export type InProcessServer = (
  peer: PairEnd,
  onStderr: (line: string) => void,
  onFailure: (error: EcsyncError) => void,
) => Promise<number>;

/** A folder of this machine as a peer: the server's side of rsync runs in this process. */
export class InProcessRemote implements Remote {
  readonly shownName = 'this machine';
  readonly #serverFor: (words: readonly string[]) => InProcessServer;
  readonly #running = new Set<LocalConnection>();

  /**
   * @param serverFor - parses the arguments of a command line; {@link start} rejects with what it
   *   throws
   */
  constructor(serverFor: (words: readonly string[]) => InProcessServer) {
    this.#serverFor = serverFor;
  }

  /** @param _program - ignored */
  start(_program: string, words: readonly string[]): Promise<Connection> {
    return Promise.resolve().then(() => {
      const server = this.#serverFor(words);
      const [near, far] = duplexPair();
      const connection = new LocalConnection(near, far);
      const onStderr = (line: string): void => connection.addStderr(line);
      const onFailure = (error: EcsyncError): void => {
        connection.failure = error;
      };
      connection.run(server(far, onStderr, onFailure));
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
