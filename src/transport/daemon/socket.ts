/** Connects to the port of an rsync daemon. */
import { connect, type Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { ConnectionError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import { destroyStreams, endedLocally, relayInput, relayOutput } from '../command-streams.ts';
import type { Connection, ExitStatus } from '../connection.ts';
import { shownAddress } from '../ssh-target.ts';

/** After this time without data the system sends TCP keep-alives. */
const KEEPALIVE_MS = 60_000;

/**
 * Connects to a daemon's port.
 *
 * @param how - `timeoutMs`: limit for connecting; `signal`: gives up, with its reason as the error
 * @throws {ConnectionError} `connect-failed`, `connect-timeout`
 */
export async function connectSocket(
  host: string,
  port: number,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<Connection> {
  const shownName = shownAddress(host, port);
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  socket.setKeepAlive(true, KEEPALIVE_MS);
  let giveUp: (error: unknown) => void = () => undefined;
  const stop = (): void => giveUp(signal?.reason);
  const timer = setTimeout(() => giveUp(timedOut(shownName, timeoutMs)), timeoutMs);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      giveUp = reject;
      socket.once('connect', resolve);
      socket.once('error', (cause) => reject(unreachable(shownName, cause)));
    });
    socket.removeAllListeners('error');
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
  return new SocketConnection(socket, shownName);
}

/** The error for a connection or a greeting that was not answered in time. */
export function timedOut(shownName: string, timeoutMs: number): ConnectionError {
  return new ConnectionError(
    'connect-timeout',
    `${shownName}: no rsync daemon answered within ${timeoutMs / 1000} s`,
    { hint: 'Check the name and the port, and that the server is up.' },
  );
}

function unreachable(shownName: string, cause: Error): ConnectionError {
  return new ConnectionError(
    'connect-failed',
    `${shownName}: cannot be reached: ${reasonOf(cause)}`,
    {
      hint: 'Check the name and the port, and that an rsync daemon runs there.',
      cause,
    },
  );
}

/**
 * A socket as a connection. A daemon has no exit status and no standard error: an orderly end
 * counts as code 0, and the daemon reports errors in the stream.
 */
class SocketConnection implements Connection {
  readonly input: Readable;
  readonly output: Writable;
  readonly exited: Promise<ExitStatus>;
  readonly #socket: Socket;
  readonly #shownName: string;
  #isEndedLocally = false;

  constructor(socket: Socket, shownName: string) {
    this.#socket = socket;
    this.#shownName = shownName;
    const input = relayInput(socket, () => {
      if (!input.destroyed) input.push(null);
    });
    this.input = input;
    this.output = relayOutput(
      socket,
      (cause) =>
        new ConnectionError('connection-lost', `${shownName}: the connection was lost`, {
          hint: 'Run again to continue.',
          cause,
        }),
    );
    input.once('close', () => {
      if (!input.readableEnded) this.destroy();
    });
    this.exited = this.#watchEnd();
    // An awaiting caller gets the error; without one it must not be an unhandled rejection.
    this.exited.catch(() => undefined);
  }

  stderrText(): string {
    return '';
  }

  destroy(): void {
    this.#isEndedLocally = true;
    this.#socket.destroy();
    destroyStreams(this.input, this.output, endedLocally(this.#shownName));
  }

  #watchEnd(): Promise<ExitStatus> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      socket.on('error', (error) => {
        failure = error;
      });
      socket.once('close', () => {
        // Bytes before a reset can still be read: they may give the reason. `exited` reports the
        // reset.
        if (!this.input.destroyed && !socket.readableEnded) this.input.push(null);
        if (this.#isEndedLocally) resolve({ code: null, signal: null });
        else if (failure === undefined) resolve({ code: 0, signal: null });
        else reject(this.#lost(failure));
      });
    });
  }

  #lost(cause: Error): ConnectionError {
    return new ConnectionError(
      'connection-lost',
      `${this.#shownName}: the connection was lost: ${reasonOf(cause)}`,
      { hint: 'Run again to continue.', cause },
    );
  }
}
