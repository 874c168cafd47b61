/** Handles the messages that a peer sends besides data: texts, errors and its exit code. */
import { ProtocolError, RemoteError } from '../../errors.ts';
import {
  IOERR_DEL_LIMIT,
  IOERR_GENERAL,
  IOERR_VANISHED,
  MSG_DELETED,
  MSG_ERROR,
  MSG_ERROR_EXIT,
  MSG_ERROR_XFER,
  MSG_INFO,
  MSG_IO_ERROR,
  MSG_IO_TIMEOUT,
  MSG_NO_SEND,
  MSG_WARNING,
} from './constants.ts';
import { IO_TIMEOUT_SEC_MAX } from './limits.ts';

/** Receives the messages that a peer sends besides data. */
export interface MessageListener {
  onMessage(level: 'info' | 'warning' | 'error', text: string): void;
  onDeleted(path: Uint8Array, isDirectory: boolean): void;
  /** The peer gives up idle connections after this many seconds: 1 … 86400. */
  onTimeout(timeoutSec: number): void;
  /** The peer will not send this file, which was requested. */
  onNoSend(ndx: number): void;
  /** The peer ends with this exit code. The return value is thrown. */
  onErrorExit(exitCode: number | undefined): Error;
}

/** Decodes the messages of a peer of either role and records its errors. */
export class PeerMessages {
  /** Whether the peer reported an error that must show in the outcome. */
  reportedError = false;
  /** io_error bits that the peer reported. */
  ioError = 0;
  readonly #listener: MessageListener;

  constructor(listener: MessageListener) {
    this.#listener = listener;
  }

  /** Adds io_error bits that came with the file list. */
  addIoError(bits: number): void {
    this.ioError |= bits & (IOERR_GENERAL | IOERR_VANISHED | IOERR_DEL_LIMIT);
  }

  /**
   * Handles one message. Unknown and unused kinds are ignored.
   *
   * @throws {ProtocolError} `message-invalid` — a number of the wrong length
   * @throws the error that the listener returns for an ERROR_EXIT
   */
  handle(code: number, payload: Buffer): void {
    switch (code) {
      case MSG_ERROR_XFER:
      case MSG_ERROR:
        this.reportedError = true;
        this.#listener.onMessage('error', payload.toString('utf8'));
        return;
      case MSG_WARNING:
        this.#listener.onMessage('warning', payload.toString('utf8'));
        return;
      case MSG_INFO:
        this.#listener.onMessage('info', payload.toString('utf8'));
        return;
      case MSG_DELETED:
        this.#deleted(payload);
        return;
      case MSG_IO_ERROR:
        this.addIoError(number(code, payload));
        return;
      case MSG_IO_TIMEOUT:
        this.#timeout(number(code, payload));
        return;
      case MSG_NO_SEND:
        this.#listener.onNoSend(number(code, payload));
        return;
      case MSG_ERROR_EXIT:
        throw this.#listener.onErrorExit(payload.length === 0 ? undefined : number(code, payload));
      default:
      // Keep-alives, messages between the processes of a server, and codes of future versions.
    }
  }

  /** The payload is a name; the name of a directory ends in a zero byte. */
  #deleted(payload: Buffer): void {
    const isDirectory = payload.length > 0 && payload[payload.length - 1] === 0;
    const path = isDirectory ? payload.subarray(0, -1) : payload;
    if (path.length > 0) this.#listener.onDeleted(path, isDirectory);
  }

  /**
   * CVE-2026-70462: only a timeout within bounds counts; the listener decides whether to shorten
   * its own.
   */
  #timeout(timeoutSec: number): void {
    if (timeoutSec >= 1 && timeoutSec <= IO_TIMEOUT_SEC_MAX) this.#listener.onTimeout(timeoutSec);
  }
}

function number(code: number, payload: Buffer): number {
  if (payload.length === 4) return payload.readInt32LE(0);
  throw new ProtocolError(
    'message-invalid',
    `message ${code} of ${payload.length} bytes; 4 are needed`,
  );
}

/** The error for a peer that announced its end with an exit code. */
export function errorExit(exitCode: number | undefined): RemoteError {
  const shown = exitCode === undefined ? '' : ` with exit code ${exitCode}`;
  return new RemoteError('remote-exit', `the remote rsync gave up${shown}`, {
    facts: exitCode === undefined ? {} : { remoteExitCode: exitCode },
  });
}
