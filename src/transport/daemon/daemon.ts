/** A module of an rsync daemon as a remote. */
import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { closeAll, track } from '../child.ts';
import { StderrTail } from '../command-streams.ts';
import type { Connection, Remote } from '../connection.ts';
import { logInToDaemon, sendArgs } from './login.ts';
import { isBusy } from './refusal.ts';
import { connectSocket } from './socket.ts';
import { assertTarget } from '../ssh-target.ts';

/** A module of a daemon. */
export interface DaemonTarget {
  readonly host: string;
  /** Default 873. */
  readonly port?: number;
  /** Default: the name of the user here. */
  readonly user?: string;
  readonly module: string;
}

export interface DaemonOptions {
  /** Newest rsync protocol to offer: 27 … 32. The login agrees on it, before any command. */
  readonly protocolMax: number;
  /** Limit for connecting, and again for the login; time spent on a question does not count. */
  readonly connectTimeoutMs: number;
  /**
   * Called once, when the daemon requires a password; undefined means that there is none. The bytes
   * are overwritten at the end.
   */
  readonly password?: (() => Promise<Buffer | undefined>) | undefined;
  /** Ends a login under way, with its reason as the error. */
  readonly signal?: AbortSignal | undefined;
  /** The message of the day of the first login: raw and untrusted, at most 64 KiB. */
  readonly onMotd?: ((text: string) => void) | undefined;
  /**
   * Opens a connection by other means than the daemon's port: a command that speaks the daemon's
   * protocol on its standard input and output.
   */
  readonly dial?: () => Promise<Connection>;
}

const PORT_DEFAULT = 873;
/** A daemon does not wait for ever for the arguments of a command; a new login costs little. */
const HELD_MS_MAX = 15_000;
/** The daemon may not have noticed the end of our own last connection yet. */
const BUSY_RETRIES = 4;
const BUSY_PAUSE_MS = 150;
const OWN_END_MS = 3000;

/**
 * Logs in to a module of an rsync daemon. Each command needs its own connection and login; the
 * first one uses the login of this call. The program of a command is ignored: the daemon runs its
 * own rsync.
 *
 * @throws {UsageError} `host-invalid`, `user-invalid`, `port-invalid`
 * @throws {LoginError} `login-refused`, `daemon-password-missing`, `daemon-auth-too-old`
 * @throws {RemoteError} `not-a-daemon`, `rsync-too-old`, `rsync-missing`, `module-unknown`,
 *   `daemon-refused`
 * @throws {ProtocolError} `daemon-text-too-long`, `challenge-invalid`, `challenge-repeated`
 * @throws {ConnectionError} `connect-failed`, `connect-timeout`, `connection-lost`, `daemon-busy`
 */
export async function connectDaemon(target: DaemonTarget, options: DaemonOptions): Promise<Remote> {
  assertTarget(target);
  const remote = new DaemonRemote(target, options);
  try {
    await remote.logIn();
  } catch (error) {
    await remote.close();
    throw error;
  }
  return remote;
}

/** A connection on which the daemon waits for the arguments of a command. */
interface LoggedIn {
  readonly connection: Connection;
  readonly protocol: number;
}

class DaemonRemote implements Remote {
  readonly shownName: string;
  readonly #target: DaemonTarget;
  readonly #options: DaemonOptions;
  readonly #running = new Set<Connection>();
  #held: (LoggedIn & { readonly sinceMs: number }) | undefined;
  #password: Promise<Buffer | undefined> | undefined;
  #isMotdReported = false;
  /** When a connection of ours last ended. */
  #lastEndMs = -OWN_END_MS;

  constructor(target: DaemonTarget, options: DaemonOptions) {
    this.#target = target;
    this.#options = options;
    this.shownName = `${target.host}::${target.module}`;
  }

  /** Logs in once, so that a refusal shows early; the first command uses the connection. */
  async logIn(): Promise<void> {
    this.#held = { ...(await this.#open()), sinceMs: performance.now() };
  }

  async start(_program: string, words: readonly string[]): Promise<Connection> {
    const held = this.#takeHeld();
    const { connection, protocol } = held ?? (await this.#open());
    sendArgs(connection, words, protocol);
    return new GreetedConnection(connection, protocol, held !== undefined);
  }

  async close(): Promise<void> {
    this.#held = undefined;
    await closeAll(this.#running);
    // A question that nobody answers does not keep the login open.
    this.#password?.then(
      (password) => password?.fill(0),
      () => undefined,
    );
    this.#password = undefined;
  }

  #takeHeld(): LoggedIn | undefined {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return undefined;
    const isFresh = performance.now() - held.sinceMs < HELD_MS_MAX;
    if (isFresh && this.#running.has(held.connection)) return held;
    held.connection.destroy();
    return undefined;
  }

  /** Opens a login. If the daemon may be busy only with our own last connection, it retries. */
  async #open(): Promise<LoggedIn> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#openOnce();
      } catch (error) {
        const isOwn = performance.now() - this.#lastEndMs < OWN_END_MS;
        if (!isBusy(error) || !isOwn || attempt > BUSY_RETRIES) throw error;
        await sleep(BUSY_PAUSE_MS * attempt);
      }
    }
  }

  async #openOnce(): Promise<LoggedIn> {
    const { host, port = PORT_DEFAULT, user = userName(), module } = this.#target;
    const { connectTimeoutMs, protocolMax, signal, dial } = this.#options;
    signal?.throwIfAborted();
    const how = { timeoutMs: connectTimeoutMs, signal };
    const dialled = dial === undefined ? connectSocket(host, port, how) : dial();
    const connection = track(await dialled, this.#running);
    try {
      const protocol = await logInToDaemon(connection, {
        module,
        user,
        protocolMax,
        ...how,
        shownName: this.shownName,
        password: this.#options.password && (() => this.#askOnce()),
        onMotd: (text) => this.#reportMotd(text),
      });
      const ended = (): void => {
        this.#lastEndMs = performance.now();
      };
      connection.exited.then(ended, ended);
      return { connection, protocol };
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  #askOnce(): Promise<Buffer | undefined> {
    this.#password ??= this.#options.password?.() ?? Promise.resolve(undefined);
    return this.#password;
  }

  #reportMotd(text: string): void {
    if (this.#isMotdReported) return;
    this.#isMotdReported = true;
    this.#options.onMotd?.(text);
  }
}

/** A connection whose rsync protocol was agreed on before the command started. */
class GreetedConnection implements Connection {
  readonly input;
  readonly output;
  readonly exited;
  readonly greeted: { readonly protocol: number };
  readonly startedAhead: boolean;
  readonly #connection: Connection;
  readonly #errorText = new StderrTail();

  constructor(connection: Connection, protocol: number, startedAhead: boolean) {
    this.input = connection.input;
    this.output = connection.output;
    this.exited = connection.exited;
    this.greeted = { protocol };
    this.startedAhead = startedAhead;
    this.#connection = connection;
  }

  addErrorText(text: string): void {
    this.#errorText.add(Buffer.from(text.endsWith('\n') ? text : `${text}\n`));
  }

  stderrText(): string {
    return this.#connection.stderrText() + this.#errorText.text();
  }

  destroy(): void {
    this.#connection.destroy();
  }
}

/** The user name that the stock client sends: the current user, or `nobody`. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'nobody'; // a user id without an entry
  }
}
