/** Connects to the port of a daemon. */
import { connect, type Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { ConnectionError } from '../../errors.ts';
import { reasonOf } from '../../system-words.ts';
import { destroyStreams, endedHere, relayInput, relayOutput } from '../command-streams.ts';
import type { Connection, ExitStatus } from '../connection.ts';
import { shownAddress } from '../ssh-target.ts';

/** A silent peer is asked for a sign of life by the system after this time. */
const KEEPALIVE_MS = 60_000;

/**
 * Connects to a daemon's port.
 *
 * @param timeoutMs - for the connection alone
 * @throws {ConnectionError} `connect-failed`, `connect-timeout`
 */
export async function connectSocket(
  host: string,
  port: number,
  timeoutMs: number,
): Promise<Connection> {
  const shownName = shownAddress(host, port);
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  socket.setKeepAlive(true, KEEPALIVE_MS);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(tooSlow(shownName, timeoutMs));
    }, timeoutMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve();
    });
    socket.once('error', (cause) => {
      clearTimeout(timer);
      reject(unreachable(shownName, cause));
    });
  });
  return new SocketConnection(socket, shownName);
}

/** Nobody answered in time, neither to the connection nor to the greeting. */
export function tooSlow(shownName: string, timeoutMs: number): ConnectionError {
  return new ConnectionError(
    'connect-timeout',
    `${shownName}: no answer of an rsync daemon within ${timeoutMs / 1000} s`,
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
 * A socket as a connection. A daemon gives no exit status and has no standard error: its orderly
 * end counts as code 0, and what went wrong it says in the stream.
 */
class SocketConnection implements Connection {
  readonly input: Readable;
  readonly output: Writable;
  readonly exited: Promise<ExitStatus>;
  readonly #socket: Socket;
  readonly #shownName: string;
  #endedHere = false;

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
    // Who awaits it gets the error; who does not must not be ended by it.
    this.exited.catch(() => undefined);
  }

  stderrText(): string {
    return '';
  }

  destroy(): void {
    this.#endedHere = true;
    this.#socket.destroy();
    destroyStreams(this.input, this.output, endedHere(this.#shownName));
  }

  #watchEnd(): Promise<ExitStatus> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      socket.on('error', (error) => {
        failure = error;
      });
      socket.once('close', () => {
        // What came before a reset is still read: it may say why. Its end is seen to be none.
        if (!this.input.destroyed && !socket.readableEnded) this.input.push(null);
        if (this.#endedHere) resolve({ code: null, signal: null });
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
