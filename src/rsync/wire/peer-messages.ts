/** Handles what a peer says beside the data: messages, errors and its exit code. */
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

/** Who wants to know what the peer says beside the data. */
export interface MessageListener {
  onMessage(level: 'info' | 'warning' | 'error', text: string): void;
  onDeleted(path: Uint8Array, isDirectory: boolean): void;
  /** The peer gives idle connections up after this many seconds: 1 … 86400. */
  onTimeout(timeoutSec: number): void;
  /** The peer is not going to send this file, which was asked for. */
  onNoSend(ndx: number): void;
  /** The peer dies with this exit code. The return value is thrown. */
  onErrorExit(exitCode: number | undefined): Error;
}

/** What a peer of either role says beside the data. */
export class PeerMessages {
  /** Whether the peer reported a failure that must show in the outcome. */
  errorSeen = false;
  /** io_error bits that the peer reported. */
  ioError = 0;
  readonly #listener: MessageListener;

  constructor(listener: MessageListener) {
    this.#listener = listener;
  }

  /** Takes over io_error bits that came with the file list. */
  addIoError(bits: number): void {
    this.ioError |= bits & (IOERR_GENERAL | IOERR_VANISHED | IOERR_DEL_LIMIT);
  }

  /**
   * Takes one message. Kinds that nobody has a use for are skipped.
   *
   * @throws {ProtocolError} `message-invalid` — a number of the wrong length
   * @throws what the listener makes of an ERROR_EXIT
   */
  handle(code: number, payload: Buffer): void {
    switch (code) {
      case MSG_ERROR_XFER:
      case MSG_ERROR:
        this.errorSeen = true;
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
      // Keep-alives, notices for processes of a server, and codes of versions to come.
    }
  }

  /** A name; that of a directory ends in a zero byte. */
  #deleted(payload: Buffer): void {
    const isDirectory = payload.length > 0 && payload[payload.length - 1] === 0;
    const path = isDirectory ? payload.subarray(0, -1) : payload;
    if (path.length > 0) this.#listener.onDeleted(path, isDirectory);
  }

  /** CVE-2026-70462: a peer may only ask for patience within reason; whether less is up to us. */
  #timeout(timeoutSec: number): void {
    if (timeoutSec >= 1 && timeoutSec <= IO_TIMEOUT_SEC_MAX) this.#listener.onTimeout(timeoutSec);
  }
}

function number(code: number, payload: Buffer): number {
  if (payload.length === 4) return payload.readInt32LE(0);
  throw new ProtocolError(
    'message-invalid',
    `message ${code} of ${payload.length} bytes, 4 are needed`,
  );
}

/** The peer announced its end with an exit code. */
export function errorExit(exitCode: number | undefined): RemoteError {
  const shown = exitCode === undefined ? '' : ` with exit code ${exitCode}`;
  return new RemoteError('remote-exit', `the remote rsync gave up${shown}`, {
    facts: exitCode === undefined ? {} : { remoteExitCode: exitCode },
  });
}
