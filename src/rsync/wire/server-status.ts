/** The exit statuses of an rsync server, and the status for each error. */
import {
  ConnectionError,
  FileError,
  RemoteError,
  UsageError,
  type EcsyncError,
} from '../../errors.ts';

/** The sender gave up; `senderExitCode` is set if it announced one. */
export class SenderGaveUp extends RemoteError {
  readonly senderExitCode: number | undefined;

  constructor(senderExitCode: number | undefined) {
    const code = senderExitCode === undefined ? '' : ` with exit code ${senderExitCode}`;
    super('remote-exit', `the sending side gave up${code}`);
    this.senderExitCode = senderExitCode;
  }
}

/** rsync's exit statuses, as far as our server uses them. */
export const ServerExit = {
  ok: 0,
  syntax: 1,
  protocol: 2,
  fileIo: 11,
  stream: 12,
  interrupted: 20,
  partial: 23,
  vanished: 24,
  deleteLimit: 25,
} as const;

/** The exit status of a server that ends with this error. */
export function exitStatus(error: EcsyncError): number {
  if (error instanceof SenderGaveUp) return error.senderExitCode ?? ServerExit.interrupted;
  if (error instanceof ConnectionError) return ServerExit.stream;
  if (error.code === 'temp-dir-missing') return ServerExit.syntax;
  if (error.code === 'no-greeting') return ServerExit.stream;
  if (error instanceof FileError) return ServerExit.fileIo;
  if (error instanceof UsageError) return ServerExit.syntax;
  return ServerExit.protocol;
}
