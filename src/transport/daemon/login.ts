/**
 * The login to an rsync daemon: the text before the conversation. Lines end in a newline:
 *
 *   1  both    @RSYNCD: 32.0 sha512 sha256 …       version and digests, sent at once
 *   2  client  module
 *   3  server  any lines                           the message of the day
 *   4  server  @RSYNCD: AUTHREQD challenge         only if a password is required
 *   5  client  user answer                         likewise
 *   6  server  @RSYNCD: OK
 *   7  client  the arguments of the command, each ended by NUL (by a newline below protocol 30),
 *              and one more such end
 *
 * rsync's protocol follows from the compatibility flags on, since the versions are known.
 *
 * @see rsync clientserver.c exchange_protocols, start_inband_exchange, rsync_module (3.5.0)
 */
import {
  ConnectionError,
  LoginError,
  ProtocolError,
  RemoteError,
  UsageError,
} from '../../errors.ts';
import type { Connection } from '../connection.ts';
import { answerChallenge, chooseDigest, DIGESTS } from './auth.ts';
import { DaemonLines } from './lines.ts';
import { explainRefusal } from './refusal.ts';
import { timedOut } from './socket.ts';
import { Deadline } from '../deadline.ts';

/** The options and callbacks of a login. */
export interface DaemonLoginOptions {
  readonly module: string;
  readonly user: string;
  /** Newest rsync protocol to offer: 27 … 32. */
  readonly protocolMax: number;
  /** Limit for greeting and login together; time spent on a question does not count. */
  readonly timeoutMs: number;
  /**
   * Called when the daemon requires a password; undefined means none. Its owner wipes the bytes.
   */
  readonly password?: (() => Promise<Uint8Array | undefined>) | undefined;
  /** Ends the login, with its reason as the error. */
  readonly signal?: AbortSignal | undefined;
  /** The message of the day: raw and untrusted, at most 64 KiB. */
  readonly onMotd?: ((text: string) => void) | undefined;
  /** For messages. */
  readonly shownName: string;
}

/** Versions that a peer may claim, and the oldest one that we support. */
const VERSION_MIN = 20;
const VERSION_MAX = 40;
const VERSION_OLDEST = 27;
/** First protocol whose arguments end with NUL. */
const NUL_ENDS_SINCE = 30;
/** Length of the text quoted in messages if the peer is not a daemon. */
const LENGTH_SHOWN = 60;
/** How long to wait for the exit status after an early end. */
const STATUS_MS = 2000;

interface Greeting {
  readonly protocol: number;
  readonly digests: readonly string[] | undefined;
}

/**
 * Greets a daemon and logs in to a module.
 *
 * @returns the agreed protocol, 27 … 32
 * @throws {LoginError} `login-refused`, `daemon-password-missing`, `daemon-auth-too-old`
 * @throws {RemoteError} `not-a-daemon`, `rsync-too-old`, `rsync-missing`, `module-unknown`,
 *   `daemon-refused`
 * @throws {ProtocolError} `daemon-text-too-long`, `challenge-invalid`, `challenge-repeated`
 * @throws {ConnectionError} `connect-timeout`, `connection-lost`, `daemon-busy`
 */
export async function logInToDaemon(
  connection: Connection,
  options: DaemonLoginOptions,
): Promise<number> {
  const { shownName, timeoutMs, signal } = options;
  const lines = new DaemonLines(connection.input, shownName);
  const deadline = new Deadline(timeoutMs, () => lines.fail(timedOut(shownName, timeoutMs)));
  let end: (reason: Error) => void = () => undefined;
  const ended = new Promise<never>((_resolve, reject) => (end = reject));
  ended.catch(() => undefined);
  const stop = (): void => {
    end(signal?.reason as Error);
    lines.fail(signal?.reason as Error);
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    sendLine(connection, `@RSYNCD: ${options.protocolMax}.0 ${DIGESTS.join(' ')}`);
    const first = await lines.next();
    if (first === undefined) throw await explainSilence(connection, lines.remainder, shownName);
    const greeting = parseGreeting(first, options);
    sendLine(connection, options.module);
    await Promise.race([ended, enterModule(connection, lines, { greeting, options, deadline })]);
    return greeting.protocol;
  } finally {
    signal?.removeEventListener('abort', stop);
    deadline.cancel();
    lines.release();
  }
}

/**
 * Sends the arguments of the command. Only then does the daemon start rsync.
 *
 * @throws {UsageError} `word-invalid` — an argument is empty, or contains a NUL or a line break
 */
export function sendArgs(connection: Connection, words: readonly string[], protocol: number): void {
  const end = protocol >= NUL_ENDS_SINCE ? '\0' : '\n';
  if (words.some((word) => word === '' || /[\0\n]/.test(word))) {
    throw new UsageError('word-invalid', 'a NUL or a line break cannot be part of a path there');
  }
  connection.output.write(words.map((word) => word + end).join('') + end);
}

function sendLine(connection: Connection, line: string): void {
  connection.output.write(`${line}\n`);
}

/** Handles the daemon's lines from the module's name to the OK. */
async function enterModule(
  connection: Connection,
  lines: DaemonLines,
  context: {
    readonly greeting: Greeting;
    readonly options: DaemonLoginOptions;
    readonly deadline: Deadline;
  },
): Promise<void> {
  const { options, deadline } = context;
  const { shownName } = options;
  const motd: string[] = [];
  let isAnswered = false;
  for (;;) {
    const line = await lines.next();
    if (line === undefined) {
      throw new ConnectionError(
        'connection-lost',
        `${shownName}: the daemon closed the connection during the login`,
        { hint: "Run again, or read the daemon's log." },
      );
    }
    const [, challenge] = /^@RSYNCD: AUTHREQD (.*)$/.exec(line) ?? [];
    if (line.startsWith('@ERROR')) throw explainRefusal(shownName, line);
    if (line === '@RSYNCD: OK') break;
    if (line.startsWith('@RSYNCD: EXIT')) {
      throw new RemoteError('daemon-refused', `${shownName}: the daemon ended the conversation`);
    }
    if (challenge === undefined) motd.push(line);
    else if (isAnswered) {
      throw new ProtocolError(
        'challenge-repeated',
        `${shownName}: the daemon asks for a password twice`,
      );
    } else {
      isAnswered = true;
      const ask = deadline.pausedDuring(() => answer(challenge, context));
      sendLine(connection, `${options.user} ${await ask('')}`);
    }
  }
  if (motd.some((line) => line.trim() !== '')) options.onMotd?.(motd.join('\n'));
}

async function answer(
  challenge: string,
  { greeting, options }: { readonly greeting: Greeting; readonly options: DaemonLoginOptions },
): Promise<string> {
  const { shownName, user } = options;
  const digest = chooseDigest(greeting.digests, greeting.protocol, shownName);
  const password = await options.password?.();
  if (password === undefined) {
    throw new LoginError(
      'daemon-password-missing',
      `${shownName}: the daemon requires a password for ${user}, and none was given`,
      {
        hint: "Use --password-file FILE, ECSYNC_DAEMON_PASSWORD_FILE, RSYNC_PASSWORD, or daemon_password_file in the remote's table of .ecsync/config.toml.",
      },
    );
  }
  return answerChallenge(digest, password, challenge);
}

/** @throws {RemoteError} `not-a-daemon`, `rsync-too-old`, `module-unknown`, `daemon-refused` */
function parseGreeting(line: string, { protocolMax, shownName }: DaemonLoginOptions): Greeting {
  if (line.startsWith('@ERROR')) throw explainRefusal(shownName, line);
  const [, digits, sub, names] = /^@RSYNCD: (\d{1,3})(?:\.(\d{1,5}))?(?: +(.*))?$/.exec(line) ?? [];
  const version = Number(digits ?? 0);
  if (version < VERSION_MIN || version > VERSION_MAX) throw notADaemon(shownName, line);
  // A version under development counts as the previous one.
  const isUnfinished = Number(sub ?? 0) > 0 && version <= protocolMax;
  const protocol = Math.min(protocolMax, version) - (isUnfinished ? 1 : 0);
  if (protocol < VERSION_OLDEST) {
    throw new RemoteError(
      'rsync-too-old',
      `${shownName}: the daemon speaks rsync protocol ${protocol}; at least ${VERSION_OLDEST} is needed`,
      { hint: 'Install rsync 3 on the server.' },
    );
  }
  return { protocol, digests: names?.split(' ') };
}

/** Explains an end without a greeting, by the bytes received or by the exit status. */
async function explainSilence(
  connection: Connection,
  remainder: string,
  shownName: string,
): Promise<Error> {
  if (remainder !== '') return notADaemon(shownName, remainder);
  let timer: NodeJS.Timeout | undefined;
  try {
    const patience = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), STATUS_MS);
    });
    const status = await Promise.race([connection.exited, patience]);
    const received = connection.stderrText().trim().slice(-200);
    if (status?.code === 127 || status?.code === 126) {
      return new RemoteError(
        'rsync-missing',
        `${shownName}: there is no rsync there (${received})`,
        {
          hint: 'Install rsync there, or give its path with --rsync-path.',
        },
      );
    }
    return notADaemon(shownName, received);
  } catch (error) {
    return error instanceof Error ? error : notADaemon(shownName, '');
  } finally {
    clearTimeout(timer);
  }
}

function notADaemon(shownName: string, received: string): RemoteError {
  const what =
    received === ''
      ? 'closed the connection'
      : `said ${JSON.stringify(received.slice(0, LENGTH_SHOWN))}`;
  const isSsh = received.startsWith('SSH-');
  return new RemoteError('not-a-daemon', `${shownName}: this is not an rsync daemon: it ${what}`, {
    hint: isSsh
      ? 'This is an ssh server: write user@host:path.'
      : 'Check the name and the port; rsync daemons usually use port 873.',
  });
}
