/** The exit statuses of an rsync server, and which error ends one with which. */
import {
  ConnectionError,
  FileError,
  RemoteError,
  UsageError,
  type EcsyncError,
} from '../../errors.ts';

/** The sender gave up; `senderExitCode` when it said so. */
export class SenderGaveUp extends RemoteError {
  readonly senderExitCode: number | undefined;

  constructor(senderExitCode: number | undefined) {
    const code = senderExitCode === undefined ? '' : ` with exit code ${senderExitCode}`;
    super('remote-exit', `the sending side gave up${code}`);
    this.senderExitCode = senderExitCode;
  }
}

/** Exit statuses of a server, as rsync has them. */
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

/** The exit status that an error ends a server with. */
export function exitStatus(error: EcsyncError): number {
  if (error instanceof SenderGaveUp) return error.senderExitCode ?? ServerExit.interrupted;
  if (error instanceof ConnectionError) return ServerExit.stream;
  if (error.code === 'temp-dir-missing') return ServerExit.syntax;
  if (error.code === 'no-greeting') return ServerExit.stream;
  if (error instanceof FileError) return ServerExit.fileIo;
  if (error instanceof UsageError) return ServerExit.syntax;
  return ServerExit.protocol;
}
