/** Logs in with the built-in ssh and runs commands over that login. */
import { homedir } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { RemoteError } from '../../errors.ts';
import { closeAll, tracked } from '../child.ts';
import type { Connection, Remote } from '../connection.ts';
import { remoteCommandLine } from '../quote.ts';
import type { ChannelConnection } from './channel.ts';
import { listed, unsupportedConfig } from './choice.ts';
import type { SshHostConfig } from './config/config.ts';
import { logIn } from './login.ts';
import { LoginMemory } from './memory.ts';
import type { SshOptions } from './options.ts';
import { resolveRoute, type SshRoute } from './route.ts';
import { SshSession, type Startable } from './session.ts';
import type { SshTarget } from '../ssh-target.ts';

export type { SshOptions } from './options.ts';
export type { SshTarget } from '../ssh-target.ts';

/**
 * Logs in with the built-in ssh; commands then run over the same login, one after the other or side
 * by side. All questions are asked before this returns; a new login that the server wants later goes
 * by the same answers, as far as they are good for more than once.
 *
 * @throws {UsageError} `ssh-config-invalid`, `ssh-config-unsupported`, `host-invalid`,
 *   `user-invalid`, `port-invalid`
 * @throws {LoginError} `host-key-unknown`, `host-key-changed`, `host-key-revoked`,
 *   `known-hosts-unreadable`, `known-hosts-unwritable`, `algorithms-mismatch`, `login-refused`
 * @throws {ConnectionError} `connect-failed`, `connect-timeout`, `handshake-failed`,
 *   `connection-lost`
 */
export async function connectSsh(target: SshTarget, options: SshOptions): Promise<Remote> {
  const route = await resolveRoute(target, {
    homeDir: options.homeDir ?? homedir(),
    configFile: options.configFile,
  });
  const missing = route.flatMap(({ config }) => config.beyondUs);
  if (missing.length > 0) throw unsupportedConfig(listed(missing));
  return connectRoute(route, options, new LoginMemory());
}

/**
 * {@link connectSsh} by a route that was looked up before.
 *
 * @param memory - what a person answered already, and is going to
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
  /** Settles when no command that was started ahead in vain is there any more. */
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
    // The start that ends an unused one does not wait for that: only servers that let in one at a time
    // mind, and are asked again. Noted now: it may be gone by the time that this one was refused.
    const isBesideUnused = this.#unusedEnded !== undefined;
    const connection = await this.#startAnywhere({ command });
    if (isBesideUnused) connection.startedAhead = true;
    return connection;
  }

  async startSubsystem(subsystem: string): Promise<Connection> {
    return this.#startAnywhere({ subsystem });
  }

  async #startAnywhere(what: Startable): Promise<ChannelConnection> {
    const started = (await this.#startHere(what)) ?? (await this.#startInPlaceOfUnused(what));
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
    return tracked(connection, this.#running);
  }

  /** One that is not needed may have taken the last place. */
  async #startInPlaceOfUnused(what: Startable): Promise<ChannelConnection | undefined> {
    if (this.#unusedEnded === undefined) return undefined;
    await this.#unusedEnded;
    await pause(COUNTED_MS);
    return this.#startHere(what);
  }

  startAhead(program: string, words: readonly string[]): void {
    const command = remoteCommandLine(program, words);
    const connection = this.#startHere({ command }).catch(() => undefined);
    this.#ahead = { command, connection };
  }

  /** The command that was started ahead, when it is this one and still there. */
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

  /** Starts a command over a login there is; undefined when none of them takes another. */
  async #startHere(what: Startable): Promise<ChannelConnection | undefined> {
    for (const session of this.#sessions) {
      if (!session.isAlive) {
        // A server that does not answer is not asked to let us in once more.
        if (session.lost?.code === 'timeout') throw session.lost;
        this.#sessions.delete(session);
        continue;
      }
      const connection = await session.start(what);
      if (connection !== 'no-more-channels') return tracked(connection, this.#running);
    }
    return undefined;
  }

  async close(): Promise<void> {
    await closeAll(this.#running);
    await Promise.all([...this.#sessions].map((session) => session.close()));
    this.#sessions.clear();
  }
}

/** A command that waits to be asked for. */
interface StartedAhead {
  readonly command: string;
  /** Undefined when it could not be started. */
  readonly connection: Promise<ChannelConnection | undefined>;
}

/** Ends a command by what it hears: a closed channel would not tell when it is gone. */
async function endUnused(connection: ChannelConnection): Promise<void> {
  connection.output.end();
  connection.input.resume();
  const ended = new AbortController();
  const patience = pause(UNUSED_GRACE_MS, undefined, { signal: ended.signal });
  await Promise.race([connection.exited, patience]).catch(() => undefined);
  ended.abort();
  connection.destroy();
}

/** For so long sshd may still count a session that has ended. */
const COUNTED_MS = 100;

/** Time a command that is not needed may take to end. */
const UNUSED_GRACE_MS = 2000;
