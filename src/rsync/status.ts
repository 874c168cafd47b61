import {
  ConnectionError,
  DeleteLimitError,
  EcsyncError,
  ExitCode,
  FileError,
  RemoteError,
  VanishedError,
} from '../errors.ts';
import { IOERR_GENERAL, IOERR_VANISHED } from './constants.ts';
import type { SendReport } from './send-job.ts';

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

/** What the server's words give away, in the order of precedence. */
const KNOWN_WORDS: readonly {
  readonly words: RegExp;
  readonly make: (said: string) => EcsyncError;
}[] = [
  {
    words: /No space left on device|Disk quota exceeded/i,
    make: (said) =>
      new FileError('remote-disk-full', `the destination has no space left (${said})`, {
        hint: 'Make room there and run the same command again; it continues.',
      }),
  },
  {
    words: /Read-only file system/i,
    make: (said) =>
      new RemoteError('destination-read-only', `the destination cannot be written to (${said})`, {
        hint: 'Mount its file system for writing, or choose another destination.',
      }),
  },
  {
    words: /--delete\S* has been disabled/i,
    make: (said) =>
      new RemoteError('delete-forbidden', `the server does not allow deleting (${said})`, {
        hint: 'Push without --delete, or allow deleting there (rrsync without -no-del).',
      }),
  },
  {
    words: /read-only server/i,
    make: (said) =>
      new RemoteError('destination-forbidden', `the login may not write there (${said})`, {
        hint: 'Allow writing there (rrsync without -ro), or choose another destination.',
      }),
  },
  {
    words: /(mkdir|change_dir#?\d*|chdir|stat destination)\b.*Permission denied/i,
    make: (said) =>
      new RemoteError('destination-forbidden', `the login may not write there (${said})`, {
        hint: 'Give the login write permission on the destination folder, or choose another one.',
      }),
  },
  {
    words: /(mkdir|change_dir#?\d*|chdir)\b.*No such file or directory/i,
    make: (said) =>
      new RemoteError('destination-missing', `the destination's parent does not exist (${said})`, {
        hint: 'Create the folder that the destination is to be in.',
      }),
  },
];

/**
 * What a run came to, from all three places where a server says how it went: the stream, its exit
 * status and its standard error. Servers before 3.2.3 exit 0 after failures that only the stream
 * tells of; later ones write them only to standard error.
 *
 * @param result - the report of {@link send}, or what it threw
 * @param status - of the remote command
 * @param stderrText - raw; it is quoted in messages, for the renderer to escape
 */
export function judge(result: unknown, status: RemoteStatus, stderrText: string): Outcome {
  const said = firstLines(stderrText);
  if (!isReport(result)) {
    const error = explainFailure(result, status, said);
    return { exitCode: error.exitCode, error };
  }
  const error = explainReport(result, status, said);
  return error === undefined ? { exitCode: ExitCode.ok } : { exitCode: error.exitCode, error };
}

function isReport(result: unknown): result is SendReport {
  return !(result instanceof Error) && typeof result === 'object' && result !== null;
}

/** The conversation did not reach its end. */
function explainFailure(thrown: unknown, status: RemoteStatus, said: string): EcsyncError {
  const error =
    thrown instanceof EcsyncError
      ? thrown
      : new ConnectionError('connection-lost', 'the transfer broke off', { cause: thrown });
  // Everything else names its cause already; these three only say that the server went away.
  if (!['connection-lost', 'no-greeting', 'remote-exit'].includes(error.code)) return error;
  const announced = error.facts['remoteExitCode'];
  const code = typeof announced === 'number' ? announced : status.code;
  // A shell that found no rsync may end before or after our first bytes reach it.
  const missing = error.code === 'remote-exit' ? undefined : explainMissing(code, said);
  if (missing !== undefined) return missing;
  const known = KNOWN_WORDS.find(({ words }) => words.test(said));
  if (known !== undefined) return known.make(said);
  if (code === RERR_DEL_LIMIT) return deleteLimit();
  if (code === RERR_TIMEOUT) return timedOut(said);
  const silent = code === 0 && error.code === 'connection-lost';
  if (code === null || silent || LOST_CODES.has(code) || isSignal(code))
    return lost(error, status, said);
  return refused(code, said);
}

/** Nobody answered: is there no rsync at all? */
function explainMissing(code: number | null, said: string): EcsyncError | undefined {
  const missing = code === SHELL_NOT_FOUND || code === SHELL_CANNOT_RUN;
  if (!missing && !/rsync\b.*: (command )?not found/i.test(said)) return undefined;
  return new RemoteError('rsync-missing', `there is no rsync at the destination${quoted(said)}`, {
    hint: 'Install rsync there, or give its path with --rsync-path.',
  });
}

/** The conversation is complete; what is left is how well it went. */
function explainReport(
  report: SendReport,
  { code, signal }: RemoteStatus,
  said: string,
): EcsyncError | undefined {
  if (code === null || signal !== null || isSignal(code))
    return lost(undefined, { code, signal }, said);
  if (code === RERR_DEL_LIMIT) return deleteLimit();
  if (code === RERR_TIMEOUT) return timedOut(said);
  const stored = code !== RERR_PARTIAL && !report.remoteErrors;
  const read = (report.ioError & IOERR_GENERAL) === 0;
  if (!stored && KNOWN_WORDS[0]?.words.test(said) === true) return KNOWN_WORDS[0].make(said);
  if (!stored && read) {
    return new FileError('remote-partial', `the server could not store everything${quoted(said)}`, {
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
  return code === 0 ? undefined : refused(code, said);
}

function isSignal(code: number): boolean {
  return code > SHELL_SIGNAL_BASE && code <= SHELL_SIGNAL_BASE + SIGNAL_MAX;
}

function lost(error: EcsyncError | undefined, status: RemoteStatus, said: string): ConnectionError {
  const how =
    status.signal === null
      ? 'the connection to the server was lost'
      : `the remote rsync was ended by ${status.signal}`;
  return new ConnectionError('connection-lost', how + quoted(said), {
    hint: 'Run the same command again to continue.',
    cause: error,
  });
}

function refused(code: number, said: string): RemoteError {
  return new RemoteError(
    code === 0 ? 'no-greeting' : 'remote-exit',
    code === 0
      ? `the server ended without a word of rsync's protocol${quoted(said)}`
      : `the remote rsync gave up with exit code ${code}${quoted(said)}`,
    { facts: { remoteExitCode: code } },
  );
}

function timedOut(said: string): ConnectionError {
  return new ConnectionError('timeout', `the server gave up waiting${quoted(said)}`, {
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
function firstLines(stderrText: string): string {
  const lines = stderrText
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.slice(0, LINES_SHOWN).join('; ').slice(0, LENGTH_SHOWN);
}
