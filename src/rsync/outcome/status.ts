/** Judges how an rsync run ended, from the stream, the exit status and standard error. */
import {
  ConnectionError,
  DeleteLimitError,
  EcsyncError,
  ExitCode,
  FileError,
  RemoteError,
  VanishedError,
} from '../../errors.ts';
import { IOERR_GENERAL, IOERR_VANISHED } from '../wire/constants.ts';
import type { PullReport } from '../receive/pull-plan.ts';
import type { SendReport } from '../send/send-job.ts';
import { explainDeadDisk, explainDiskFull, explainWords, type Direction } from './status-words.ts';

/** How a run ended, in terms of the command line. */
export interface Outcome {
  readonly exitCode: ExitCode;
  /** The reason whenever `exitCode` is not 0. */
  readonly error?: EcsyncError;
}

/** How the remote command ended; `code` is null when a signal or a lost connection ended it. */
export interface RemoteStatus {
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
/** A shell tells of a command that a signal ended by 128 and the signal's number. */
const SHELL_SIGNAL_BASE = 128;
const SIGNAL_MAX = 64;
/** Endings that say nothing but that the conversation broke: I/O, stream, IPC, kill, signals, ssh. */
const LOST_CODES = new Set([10, 12, 13, 14, 15, 16, 19, 20, 35, SSH_FAILED]);

const LINES_SHOWN = 3;
const LENGTH_SHOWN = 500;

/**
 * What a run came to, from all three places where a server says how it went: the stream, its exit
 * status and its standard error. Servers before 3.2.3 exit 0 after failures that only the stream
 * tells of; later ones write them only to standard error.
 *
 * @param result - the report of {@link send} or {@link pull}, or what it threw
 * @param status - of the remote command
 * @param stderrText - raw; it is quoted in messages, for the renderer to escape
 */
export function judge(
  result: unknown,
  status: RemoteStatus,
  stderrText: string,
  { direction = 'push', tell = (line) => line }: Judging = {},
): Outcome {
  const said = firstLines(stderrText);
  const told = firstLines(stderrText, tell);
  const words = { said, told, stderrText };
  if (!isReport(result)) {
    const error = explainFailure(result, status, { ...words, direction });
    return { exitCode: error.exitCode, error };
  }
  const explain = 'listed' in result ? explainPull : explainPush;
  const error = explain(result as SendReport & PullReport, status, words);
  return error === undefined ? { exitCode: ExitCode.ok } : { exitCode: error.exitCode, error };
}

function isReport(result: unknown): result is SendReport | PullReport {
  return !(result instanceof Error) && typeof result === 'object' && result !== null;
}

/** How a run is judged. */
export interface Judging {
  /** Which of the two it was; default: a push. */
  readonly direction?: Direction;
  /** A line of the server as a person is to read it, with plaintext paths in it. */
  readonly tell?: (line: string) => string;
}

/** The conversation did not reach its end. */
function explainFailure(
  thrown: unknown,
  status: RemoteStatus,
  { said, told, direction }: ServerWords & { readonly direction: Direction },
): EcsyncError {
  const error =
    thrown instanceof EcsyncError
      ? thrown
      : new ConnectionError('connection-lost', 'the transfer broke off', { cause: thrown });
  // Everything else names its cause already; these three only say that the server went away.
  if (!['connection-lost', 'no-greeting', 'remote-exit'].includes(error.code)) return error;
  const announced = error.facts['remoteExitCode'];
  const code = typeof announced === 'number' ? announced : status.code;
  // A shell that found no rsync may end before or after our first bytes reach it.
  const missing = error.code === 'remote-exit' ? undefined : explainMissing(code, said, told);
  if (missing !== undefined) return missing;
  const known = explainWords({ said, told }, direction);
  if (known !== undefined) return known;
  if (code === RERR_DEL_LIMIT) return deleteLimit();
  if (code === RERR_TIMEOUT) return timedOut(told);
  const silent = code === 0 && error.code === 'connection-lost';
  if (code === null || silent || LOST_CODES.has(code) || isSignal(code))
    return lost(error, status, told);
  return refused(code, told);
}

/** Nobody answered: is there no rsync at all? */
function explainMissing(code: number | null, said: string, told: string): EcsyncError | undefined {
  const missing = code === SHELL_NOT_FOUND || code === SHELL_CANNOT_RUN;
  if (!missing && !/rsync\b.*: (command )?not found/i.test(said)) return undefined;
  return new RemoteError('rsync-missing', `there is no rsync at the destination${quoted(told)}`, {
    hint: 'Install rsync there, or give its path with --rsync-path.',
  });
}

/** What a server wrote to standard error: its first lines, what a person is shown of them, and all that was kept. */
interface ServerWords {
  readonly said: string;
  readonly told: string;
  readonly stderrText: string;
}

/** The conversation is complete; what is left is how well it went. */
function explainPush(
  report: SendReport,
  { code, signal }: RemoteStatus,
  { said, told, stderrText }: ServerWords,
): EcsyncError | undefined {
  const end = explainEnd({ code, signal }, told);
  if (end !== undefined) return end;
  if (code === RERR_DEL_LIMIT) return deleteLimit();
  const stored = code !== RERR_PARTIAL && !report.remoteErrors;
  const read = (report.ioError & IOERR_GENERAL) === 0;
  const disk = stored
    ? undefined
    : (explainDeadDisk(told, stderrText, report.filesSent) ?? explainDiskFull({ said, told }));
  if (disk !== undefined) return disk;
  if (!stored && read) {
    return new FileError('remote-partial', `the server could not store everything${quoted(told)}`, {
      hint: 'Look at its messages, then run the same command again.',
    });
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
  return code === 0 ? undefined : refused(code ?? 0, told);
}

/** The same of a pull. What could not be stored here, its caller has heard of already. */
function explainPull(
  report: PullReport,
  { code, signal }: RemoteStatus,
  { said, told }: ServerWords,
): EcsyncError | undefined {
  const end = explainEnd({ code, signal }, told);
  if (end !== undefined) return end;
  // Nothing came at all: then it matters why. Otherwise words about one file are no more than that.
  const known =
    report.listed === 0 && code !== 0 ? explainWords({ said, told }, 'pull') : undefined;
  if (known !== undefined) return known;
  if (code === RERR_PARTIAL || report.remoteErrors || (report.ioError & IOERR_GENERAL) !== 0) {
    return new FileError('remote-partial', `the server could not read everything${quoted(told)}`, {
      hint: 'Look at its messages, then run the same command again.',
      facts: { said },
    });
  }
  if (code === RERR_VANISHED || report.ioError & IOERR_VANISHED) {
    return new VanishedError('files-vanished', 'some files vanished while they were read', {
      hint: 'The next run fetches what is there then.',
    });
  }
  return code === 0 ? undefined : refused(code ?? 0, told);
}

/** The server did not come to its own end. */
function explainEnd(status: RemoteStatus, told: string): ConnectionError | undefined {
  const { code, signal } = status;
  if (code === null || signal !== null || isSignal(code)) return lost(undefined, status, told);
  return code === RERR_TIMEOUT ? timedOut(told) : undefined;
}

function isSignal(code: number): boolean {
  return code > SHELL_SIGNAL_BASE && code <= SHELL_SIGNAL_BASE + SIGNAL_MAX;
}

function lost(error: EcsyncError | undefined, status: RemoteStatus, told: string): ConnectionError {
  const how =
    status.signal === null
      ? 'the connection to the server was lost'
      : `the remote rsync was ended by ${status.signal}`;
  return new ConnectionError('connection-lost', how + quoted(told), {
    hint: 'Run the same command again to continue.',
    cause: error,
  });
}

function refused(code: number, told: string): RemoteError {
  return new RemoteError(
    code === 0 ? 'no-greeting' : 'remote-exit',
    code === 0
      ? `the server ended without a word of rsync's protocol${quoted(told)}`
      : `the remote rsync gave up with exit code ${code}${quoted(told)}`,
    { facts: { remoteExitCode: code } },
  );
}

function timedOut(told: string): ConnectionError {
  return new ConnectionError('timeout', `the server gave up waiting${quoted(told)}`, {
    hint: 'Run the same command again to continue; a longer --timeout may help.',
  });
}

function deleteLimit(): DeleteLimitError {
  return new DeleteLimitError('delete-limit', 'the server stopped deleting at the limit', {
    hint: 'Look at what would be deleted with --dry-run, then raise --max-delete.',
  });
}

function quoted(said: string): string {
  return said === '' ? '' : ` (${said})`;
}

/** What a person needs to see of standard error: its first lines, in one. */
function firstLines(stderrText: string, tell = (line: string): string => line): string {
  const lines = stderrText
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.slice(0, LINES_SHOWN).map(tell).join('; ').slice(0, LENGTH_SHOWN);
}
