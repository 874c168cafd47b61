/** Logs in with the built-in ssh and runs commands over that login. */
import { setTimeout as pause } from 'node:timers/promises';
import { RemoteError } from '../../errors.ts';
import { closeAll, track } from '../child.ts';
import type { Connection, Remote } from '../connection.ts';
import { remoteCommandLine } from '../quote.ts';
import type { ChannelConnection } from './channel.ts';
import type { SshHostConfig } from './config/config.ts';
import { logIn } from './login.ts';
import { LoginMemory } from './memory.ts';
import type { SshOptions } from './options.ts';
import { type SshRoute } from './route.ts';
import { SshSession, type Startable } from './session.ts';

/**
 * Logs in with the built-in ssh. Commands then run over the same login, also several at a time. All
 * questions are asked before this returns. A further login that becomes necessary later reuses the
 * answers, except those that are valid only once.
 *
 * @param options - with questions that end with the login
 * @param memory - holds the answers so far, and gets later ones
 * @throws {LoginError} `host-key-unknown`, `host-key-changed`, `host-key-revoked`,
 *   `known-hosts-unreadable`, `known-hosts-unwritable`, `algorithms-mismatch`, `login-refused`
 * @throws {ConnectionError} `connect-failed`, `connect-timeout`, `handshake-failed`,
 *   `connection-lost`
 */
export async function connectRoute(
  route: SshRoute,
  options: SshOptions,
  memory: LoginMemory,
): Promise<Remote> {
  const remote = new SshRemote(route, options, memory);
  await remote.logIn();
  return remote;
}

class SshRemote implements Remote {
  readonly shownName: string;
  readonly #route: SshRoute;
  readonly #config: SshHostConfig;
  readonly #options: SshOptions;
  readonly #memory: LoginMemory;
  readonly #sessions = new Set<SshSession>();
  readonly #running = new Set<Connection>();
  #ahead: StartedAhead | undefined;
  /** Resolves when all unused commands that were started ahead have ended. */
  #unusedEnded: Promise<unknown> | undefined;

  constructor(route: SshRoute, options: SshOptions, memory: LoginMemory) {
    const last = route[route.length - 1] ?? route[0];
    this.#route = route;
    this.#config = last.config;
    this.#options = options;
    this.#memory = memory;
    this.shownName = last.shownName;
  }

  async logIn(): Promise<SshSession> {
    const login = await logIn(this.#route, this.#options, this.#memory);
    const session = new SshSession(login, this.#config, {
      shownName: this.shownName,
      answerMs: this.#options.connectTimeoutMs,
    });
    this.#sessions.add(session);
    return session;
  }

  async start(program: string, words: readonly string[]): Promise<Connection> {
    const command = remoteCommandLine(program, words);
    const earlierEnded = this.#unusedEnded;
    const ahead = await this.#takeAhead(command);
    if (ahead !== undefined) return ahead;
    await earlierEnded;
    // This start does not wait for the unused command to end: only servers that allow one command
    // at a time would refuse it, and then it is retried. The state is read now, since the unused
    // command may have ended by the time of the refusal.
    const isBesideUnused = this.#unusedEnded !== undefined;
    const connection = await this.#startOnAnySession({ command });
    if (isBesideUnused) connection.startedAhead = true;
    return connection;
  }

  async startSubsystem(subsystem: string): Promise<Connection> {
    return this.#startOnAnySession({ subsystem });
  }

  async #startOnAnySession(what: Startable): Promise<ChannelConnection> {
    const started =
      (await this.#startOnOpenSession(what)) ?? (await this.#startInPlaceOfUnused(what));
    if (started !== undefined) return started;
    const connection = await (await this.logIn()).start(what);
    if (connection === 'no-more-channels') {
      throw new RemoteError(
        'command-not-started',
        `${this.shownName}: the server runs no commands`,
        {
          hint: 'The account may be allowed file transfer (SFTP) only.',
        },
      );
    }
    return track(connection, this.#running);
  }

  /** Retries after the unused commands have ended, since they may occupy the last channel. */
  async #startInPlaceOfUnused(what: Startable): Promise<ChannelConnection | undefined> {
    if (this.#unusedEnded === undefined) return undefined;
    await this.#unusedEnded;
    await pause(SESSION_RELEASE_MS);
    return this.#startOnOpenSession(what);
  }

  startAhead(program: string, words: readonly string[]): void {
    const command = remoteCommandLine(program, words);
    const connection = this.#startOnOpenSession({ command }).catch(() => undefined);
    this.#ahead = { command, connection };
  }

  /** The command that was started ahead, if it is this one and still running. */
  async #takeAhead(command: string): Promise<ChannelConnection | undefined> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const connection = await ahead?.connection;
    if (connection === undefined) return undefined;
    if (connection.isComplete) {
      connection.destroy();
      return undefined;
    }
    if (ahead?.command !== command) {
      this.#endUnused(connection);
      return undefined;
    }
    connection.startedAhead = true;
    return connection;
  }

  #endUnused(connection: ChannelConnection): void {
    const ended = Promise.all([this.#unusedEnded, endUnused(connection)]).then(() => {
      if (this.#unusedEnded === ended) this.#unusedEnded = undefined;
    });
    this.#unusedEnded = ended;
  }

  /** Starts a command over an existing login; undefined if none of them accepts another. */
  async #startOnOpenSession(what: Startable): Promise<ChannelConnection | undefined> {
    for (const session of this.#sessions) {
      if (!session.isAlive) {
        // Do not log in again to a server that does not answer.
        if (session.lost?.code === 'timeout') throw session.lost;
        this.#sessions.delete(session);
        continue;
      }
      const connection = await session.start(what);
      if (connection !== 'no-more-channels') return track(connection, this.#running);
    }
    return undefined;
  }

  async close(): Promise<void> {
    await closeAll(this.#running);
    await Promise.all([...this.#sessions].map((session) => session.close()));
    this.#sessions.clear();
  }
}

/** A command that was started ahead. */
interface StartedAhead {
  readonly command: string;
  /** Resolves to undefined if it could not be started. */
  readonly connection: Promise<ChannelConnection | undefined>;
}

/** Ends a command by closing its input: closing the channel would not show when it has ended. */
async function endUnused(connection: ChannelConnection): Promise<void> {
  connection.output.end();
  connection.input.resume();
  const ended = new AbortController();
  const patience = pause(UNUSED_GRACE_MS, undefined, { signal: ended.signal });
  await Promise.race([connection.exited, patience]).catch(() => undefined);
  ended.abort();
  connection.destroy();
}

/** How long sshd may still count a session that has ended. */
const SESSION_RELEASE_MS = 100;

/** Time for an unused command to end. */
const UNUSED_GRACE_MS = 2000;
