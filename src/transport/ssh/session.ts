/** One login of the built-in ssh and the commands that run over it. */
import type { ClientChannel } from 'ssh2';
import { PeerWatch } from '../../bytes/peer-watch.ts';
import { ConnectionError, RemoteError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { ChannelConnection, corkForNow } from './channel.ts';
import type { SshHostConfig } from './config/config.ts';
import type { Login } from './login.ts';

/** What runs on a channel. */
export type Startable = { readonly command: string } | { readonly subsystem: string };

/** Bytes that the kernel takes per interval even if the peer is gone: our own keepalives. */
const KEEPALIVE_NOISE_BYTES = 4096;

/** Time for an orderly disconnect. */
const CLOSE_GRACE_MS = 1000;

/** A server that sends other data than the answer gets this many times longer than a silent one. */
const EVASION_FACTOR = 4;

/** The options of a session besides the configuration. */
interface SessionOptions {
  readonly shownName: string;
  /** How long the server may take to answer the start of a command. */
  readonly answerMs: number;
}

function noAnswer(shownName: string, afterMs: number): ConnectionError {
  return new ConnectionError(
    'timeout',
    `${shownName}: no answer to the start of a command for ${Math.round(afterMs / 100) / 10} s`,
    { hint: 'Run again to continue.' },
  );
}

/** One login: an ssh connection and its commands. */
export class SshSession {
  readonly #login: Login;
  readonly #shownName: string;
  readonly #connections = new Set<ChannelConnection>();
  /** The reject functions of commands whose start is not answered yet. */
  readonly #starting = new Set<(error: ConnectionError) => void>();
  readonly #answerWatch: PeerWatch;
  #answers = 0;
  #watch: NodeJS.Timeout | undefined;
  #lost: ConnectionError | undefined;
  /** We ended a command before it was complete, so closing does not wait for the server. */
  #isAbandoned = false;

  constructor(login: Login, config: SshHostConfig, { shownName, answerMs }: SessionOptions) {
    this.#login = login;
    this.#shownName = shownName;
    const { client, socket } = login;
    this.#answerWatch = new PeerWatch(
      { silenceMs: () => answerMs, stagnationMs: () => EVASION_FACTOR * answerMs },
      {
        isDue: () => this.#starting.size > 0,
        life: () => socket.bytesRead,
        progress: () => this.#answers,
      },
      ({ afterMs }) => {
        this.#lost ??= noAnswer(shownName, afterMs);
        this.#lose(this.#lost.message);
      },
    );
    client.on('error', (error) => {
      this.#lose(reasonOf(error), error);
    });
    client.on('end', () => {
      this.#lose('the server closed it');
    });
    client.on('close', () => {
      this.#lose('it was closed');
    });
    socket.prependListener('data', () => {
      corkForNow(socket);
    });
    socket.on('data', () => {
      for (const connection of this.#connections) {
        if (connection.isFlooded) this.#lose('the server sent more than it was allowed to');
      }
    });
    if (config.serverAliveIntervalMs > 0) this.#watchOver(config);
  }

  get isAlive(): boolean {
    return this.#lost === undefined;
  }

  /** Why the session is not alive. */
  get lost(): ConnectionError | undefined {
    return this.#lost;
  }

  /**
   * Starts a command on a channel of its own.
   *
   * @throws {RemoteError} `command-not-started`
   * @throws {ConnectionError} `connection-lost`
   */
  start(what: Startable): Promise<ChannelConnection | 'no-more-channels'> {
    return new Promise((resolve, reject) => {
      this.#starting.add(reject);
      const done = (error: Error | undefined, channel: ClientChannel): void => {
        this.#answers++;
        this.#starting.delete(reject);
        // Attach at once: output and status of a short command may be in the same packet as the
        // answer.
        if (error === undefined) resolve(this.#attach(channel));
        else if (this.#lost !== undefined) reject(this.#lost);
        else if ('reason' in error) resolve('no-more-channels');
        else reject(this.#refused(error));
      };
      try {
        const { client } = this.#login;
        if ('command' in what) client.exec(what.command, done);
        else client.subsys(what.subsystem, done);
      } catch (error) {
        this.#starting.delete(reject);
        reject(this.#lost ?? this.#lostError('it is not open any more', error));
      }
    });
  }

  #attach(channel: ClientChannel): ChannelConnection {
    const connection = new ChannelConnection(channel, this.#login.socket, this.#shownName);
    this.#connections.add(connection);
    const forget = (): void => {
      this.#connections.delete(connection);
      this.#isAbandoned ||= connection.isAbandoned;
    };
    connection.exited.then(forget, forget);
    if (this.#lost !== undefined) connection.lose(this.#lost);
    return connection;
  }

  #refused(cause: Error): RemoteError {
    const message = `${this.#shownName}: the server refused to run a command`;
    const hint = 'The account may be allowed file transfer (SFTP) only.';
    return new RemoteError('command-not-started', message, { hint, cause });
  }

  async close(): Promise<void> {
    this.#endWatches();
    const wasStarting = this.#starting.size > 0;
    this.#lost ??= this.#lostError('it was closed locally');
    for (const fail of this.#starting) fail(this.#lost);
    const { client, socket } = this.#login;
    // A pending answer, or the end of an abandoned command, may never come.
    if (wasStarting || this.#isAbandoned) socket.destroy();
    if (socket.destroyed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => socket.destroy(), CLOSE_GRACE_MS);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      client.end();
    });
  }

  /**
   * Gives up if nothing was received and almost nothing could be sent for ServerAliveInterval times
   * ServerAliveCountMax. Answers to keepalives alone would not do: on a slow line a keepalive waits
   * behind megabytes of data.
   */
  #watchOver(config: SshHostConfig): void {
    const { socket } = this.#login;
    const { serverAliveIntervalMs, serverAliveCountMax } = config;
    let received = 0;
    let sent = 0;
    let silent = 0;
    this.#watch = setInterval(() => {
      const nowSent = socket.bytesWritten - socket.writableLength;
      const moved = socket.bytesRead !== received || nowSent - sent > KEEPALIVE_NOISE_BYTES;
      received = socket.bytesRead;
      sent = nowSent;
      silent = moved ? 0 : silent + 1;
      if (silent > serverAliveCountMax) {
        this.#lose(`no answer for ${(silent * serverAliveIntervalMs) / 1000} s`);
      }
    }, serverAliveIntervalMs).unref();
  }

  #lose(why: string, cause?: unknown): void {
    this.#endWatches();
    this.#lost ??= this.#lostError(why, cause);
    for (const fail of this.#starting) fail(this.#lost);
    for (const connection of this.#connections) {
      if (!connection.isComplete) connection.lose(this.#lost);
    }
    this.#login.socket.destroy();
  }

  #endWatches(): void {
    clearInterval(this.#watch);
    this.#answerWatch.end();
  }

  #lostError(why: string, cause?: unknown): ConnectionError {
    return new ConnectionError(
      'connection-lost',
      `${this.#shownName}: the connection was lost: ${why}`,
      { hint: 'Run again to continue.', cause },
    );
  }
}
