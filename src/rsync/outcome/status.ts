/** Judges how an rsync run ended, from the stream, the exit status and standard error. */
import {
  ConnectionError,
  DeleteLimitError,
  EcsyncError,
  ExitCode,
  FileError,
  RemoteError,
  VanishedError,
  type ErrorCode,
} from '../../errors.ts';
import { IOERR_GENERAL, IOERR_VANISHED } from '../wire/constants.ts';
import type { PullReport } from '../receive/pull-plan.ts';
import type { SendReport } from '../send/send-job.ts';
import {
  explainDeadDisk,
  explainDiskFull,
  explainStderr,
  type Direction,
} from './server-errors.ts';

/** How a run ended, in terms of the command line. */
export interface Outcome {
  readonly exitCode: ExitCode;
  /** The reason whenever `exitCode` is not 0. */
  readonly error?: EcsyncError;
}

/** How the remote command ended; `code` is null if a signal or a lost connection ended it. */
export interface CommandStatus {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Exit codes of rsync, of a shell and of ssh. @see rsync errcode.h (3.5.0) */
const RERR_PARTIAL = 23;
const RERR_VANISHED = 24;
const RERR_DEL_LIMIT = 25;
const RERR_TIMEOUT = 30;
const SHELL_CANNOT_RUN = 126;
const SHELL_NOT_FOUND = 127;
const SSH_FAILED = 255;
/** A shell exits with this base plus the signal's number if a signal ended the command. */
const SHELL_SIGNAL_BASE = 128;
const SIGNAL_MAX = 64;
/** Codes that only say that the conversation broke: I/O, stream, IPC, kill, signals, ssh. */
const LOST_CODES = new Set([10, 12, 13, 14, 15, 16, 19, 20, 35, SSH_FAILED]);

const LINES_SHOWN = 3;
const LENGTH_SHOWN = 500;

/**
 * The outcome of a run, from all three sources: the stream, the server's exit status and its
 * standard error. Servers before 3.2.3 exit 0 after failures that they report only in the stream;
 * later ones report them only on standard error.
 *
 * @param result - the report of {@link send} or {@link pull}, or the error it threw
 * @param status - exit status of the remote command
 * @param stderrText - raw text; messages quote it, and the renderer escapes it
 */
export function judge(
  result: unknown,
  status: CommandStatus,
  stderrText: string,
  { direction = 'push', showLine = (line) => line }: JudgeOptions = {},
): Outcome {
  const raw = firstLines(stderrText);
  const shown = firstLines(stderrText, showLine);
  const stderr = { raw, shown, stderrText };
  if (!isReport(result)) {
    const error = explainFailure(result, status, { ...stderr, direction });
    return { exitCode: error.exitCode, error };
  }
  const explain = 'listed' in result ? explainPull : explainPush;
  const error = explain(result as SendReport & PullReport, status, stderr);
  return error === undefined ? { exitCode: ExitCode.ok } : { exitCode: error.exitCode, error };
}

function isReport(result: unknown): result is SendReport | PullReport {
  return !(result instanceof Error) && typeof result === 'object' && result !== null;
}

/** Which run is judged, and how its messages are shown. */
export interface JudgeOptions {
  /** Default: a push. */
  readonly direction?: Direction;
  /** Makes a line of the server readable for a person, with plaintext paths. */
  readonly showLine?: (line: string) => string;
}

/** Codes that say only that the server is gone. Every other error names its cause. */
export const SERVER_GONE: ReadonlySet<ErrorCode> = new Set([
  'connection-lost',
  'no-greeting',
  'remote-exit',
]);

/** The cause when the conversation did not reach its end. */
function explainFailure(
  thrown: unknown,
  status: CommandStatus,
  { raw, shown, direction }: ServerStderr & { readonly direction: Direction },
): EcsyncError {
  const error =
    thrown instanceof EcsyncError
      ? thrown
      : new ConnectionError('connection-lost', 'the transfer broke off', { cause: thrown });
  if (!SERVER_GONE.has(error.code)) return error;
  const announced = error.facts['remoteExitCode'];
  const code = typeof announced === 'number' ? announced : status.code;
  // A shell that finds no rsync may end before or after our first bytes reach it.
  const missing = error.code === 'remote-exit' ? undefined : explainMissing(code, raw, shown);
  if (missing !== undefined) return missing;
  const known = explainStderr({ raw, shown }, direction);
  if (known !== undefined) return known;
  if (code === RERR_DEL_LIMIT) return deleteLimit();
  if (code === RERR_TIMEOUT) return timedOut(shown);
  const silent = code === 0 && error.code === 'connection-lost';
  if (code === null || silent || LOST_CODES.has(code) || isSignal(code))
    return lost(error, status, shown);
  return refused(code, shown);
}

/** The error for a missing rsync, if the shell's exit code or message says so. */
function explainMissing(code: number | null, raw: string, shown: string): EcsyncError | undefined {
  const missing = code === SHELL_NOT_FOUND || code === SHELL_CANNOT_RUN;
  if (!missing && !/rsync\b.*: (command )?not found/i.test(raw)) return undefined;
  return new RemoteError('rsync-missing', `there is no rsync at the destination${quoted(shown)}`, {
    hint: 'Install rsync there, or give its path with --rsync-path.',
  });
}

/**
 * A server's standard error: its first lines raw, the same as shown to a person, and the full text.
 */
interface ServerStderr {
  readonly raw: string;
  readonly shown: string;
  readonly stderrText: string;
}

/** The problem of a push whose conversation is complete, if it had one. */
function explainPush(
  report: SendReport,
  { code, signal }: CommandStatus,
  { raw, shown, stderrText }: ServerStderr,
): EcsyncError | undefined {
  const end = explainEnd({ code, signal }, shown);
  if (end !== undefined) return end;
  if (code === RERR_DEL_LIMIT) return deleteLimit();
  const stored = code !== RERR_PARTIAL && !report.remoteErrors;
  const read = (report.ioError & IOERR_GENERAL) === 0;
  const disk = stored
    ? undefined
    : (explainDeadDisk(shown, stderrText, report.filesSent) ?? explainDiskFull({ raw, shown }));
  if (disk !== undefined) return disk;
  if (!stored && read) {
    return new FileError(
      'remote-partial',
      `the server could not store everything${quoted(shown)}`,
      {
        hint: 'Read its messages, then run the same command again.',
      },
    );
  }
  if (!read) {
    return new FileError('unreadable', 'some files could not be read and were not sent', {
      hint: 'Make them readable, or exclude them.',
    });
  }
  if (code === RERR_VANISHED || report.ioError & IOERR_VANISHED) {
    return new VanishedError(
      'files-vanished',
      'some files vanished or changed while they were read',
      {
        hint: 'The next run sends them.',
      },
    );
  }
  return code === 0 ? undefined : refused(code ?? 0, shown);
}

/** The problem of a complete pull. Failures to store here were reported to the caller before. */
function explainPull(
  report: PullReport,
  { code, signal }: CommandStatus,
  { raw, shown }: ServerStderr,
): EcsyncError | undefined {
  const end = explainEnd({ code, signal }, shown);
  if (end !== undefined) return end;
  // Messages explain the whole run only if nothing was listed; otherwise they may concern one file.
  const known =
    report.listed === 0 && code !== 0 ? explainStderr({ raw, shown }, 'pull') : undefined;
  if (known !== undefined) return known;
  if (code === RERR_PARTIAL || report.remoteErrors || (report.ioError & IOERR_GENERAL) !== 0) {
    return new FileError('remote-partial', `the server could not read everything${quoted(shown)}`, {
      hint: 'Read its messages, then run the same command again.',
      facts: { said: raw },
    });
  }
  if (code === RERR_VANISHED || report.ioError & IOERR_VANISHED) {
    return new VanishedError('files-vanished', 'some files vanished while they were read', {
      hint: 'The next run fetches the files that exist then.',
    });
  }
  return code === 0 ? undefined : refused(code ?? 0, shown);
}

/** The error for a server that did not end by itself. */
function explainEnd(status: CommandStatus, shown: string): ConnectionError | undefined {
  const { code, signal } = status;
  if (code === null || signal !== null || isSignal(code)) return lost(undefined, status, shown);
  return code === RERR_TIMEOUT ? timedOut(shown) : undefined;
}

function isSignal(code: number): boolean {
  return code > SHELL_SIGNAL_BASE && code <= SHELL_SIGNAL_BASE + SIGNAL_MAX;
}

function lost(
  error: EcsyncError | undefined,
  status: CommandStatus,
  shown: string,
): ConnectionError {
  const how =
    status.signal === null
      ? 'the connection to the server was lost'
      : `the remote rsync was ended by ${status.signal}`;
  return new ConnectionError('connection-lost', how + quoted(shown), {
    hint: 'Run the same command again to continue.',
    cause: error,
  });
}

function refused(code: number, shown: string): RemoteError {
  return new RemoteError(
    code === 0 ? 'no-greeting' : 'remote-exit',
    code === 0
      ? `the server ended before rsync answered${quoted(shown)}`
      : `the remote rsync gave up with exit code ${code}${quoted(shown)}`,
    {
      hint: 'Does the login run rsync there? Find out with: ecsync remote test',
      facts: { remoteExitCode: code },
    },
  );
}

function timedOut(shown: string): ConnectionError {
  return new ConnectionError('timeout', `the server gave up waiting${quoted(shown)}`, {
    hint: 'Run the same command again to continue; a longer --timeout may help.',
  });
}

function deleteLimit(): DeleteLimitError {
  return new DeleteLimitError('delete-limit', 'the server stopped deleting at the limit', {
    hint: 'See what would be deleted with --dry-run, then raise --max-delete.',
  });
}

function quoted(raw: string): string {
  return raw === '' ? '' : ` (${raw})`;
}

/** The first lines of standard error, joined into one. */
function firstLines(stderrText: string, showLine = (line: string): string => line): string {
  const lines = stderrText
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.slice(0, LINES_SHOWN).map(showLine).join('; ').slice(0, LENGTH_SHOWN);
}
