import { ProtocolError, RemoteError } from '../errors.ts';
import {
  IOERR_DEL_LIMIT,
  IOERR_GENERAL,
  IOERR_VANISHED,
  MSG_ERROR_EXIT,
  MSG_IO_ERROR,
  MSG_NO_SEND,
} from './constants.ts';

/** The sender gave up; `exitCode` when it said so. */
export class SenderGaveUp extends RemoteError {
  readonly senderExitCode: number | undefined;

  constructor(senderExitCode: number | undefined) {
    const code = senderExitCode === undefined ? '' : ` with exit code ${senderExitCode}`;
    super('remote-exit', `the sending side gave up${code}`);
    this.senderExitCode = senderExitCode;
  }
}

/** What a sender says beside the data. */
export class SenderMessages {
  /** io_error bits that it reported: something is missing on its side. */
  ioError = 0;
  readonly #onNoSend: (ndx: number) => void;

  /** @param onNoSend - a file that was asked for is not going to be sent */
  constructor(onNoSend: (ndx: number) => void) {
    this.#onNoSend = onNoSend;
  }

  /** Takes over bits that came with the file list. */
  addIoError(bits: number): void {
    this.ioError |= bits & (IOERR_GENERAL | IOERR_VANISHED | IOERR_DEL_LIMIT);
  }

  /**
   * @throws {ProtocolError} `message-invalid`
   * @throws {SenderGaveUp} `remote-exit`
   */
  handle(code: number, payload: Buffer): void {
    switch (code) {
      case MSG_IO_ERROR:
        this.addIoError(number(code, payload));
        return;
      case MSG_NO_SEND:
        this.#onNoSend(number(code, payload));
        return;
      case MSG_ERROR_EXIT:
        throw new SenderGaveUp(payload.length === 0 ? undefined : number(code, payload));
      default:
      // Keep-alives, texts, and codes of versions to come: of no use to a receiver.
    }
  }
}

function number(code: number, payload: Buffer): number {
  if (payload.length === 4) return payload.readInt32LE(0);
  throw new ProtocolError('message-invalid', `message ${code} of ${payload.length} bytes, not 4`);
}
