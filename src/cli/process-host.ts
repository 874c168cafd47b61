/** The host of commands in this process: output, working folder and environment. */
import type { Writable } from 'node:stream';
import { ExitCode, FileError } from '../errors.ts';
import { reasonOf } from '../system-errors.ts';
import { describeFailure } from '../library/failure.ts';
import { readVersion } from '../library/version.ts';
import { failureLines } from './frame/failure.ts';
import { openStandardError, openStandardOutput, type StandardStream } from './file-output.ts';
import { takePasswordVariables, type Host } from './frame/host.ts';
import { Output } from './terminal/output.ts';

/** The output of one command on the standard output and error of this process. */
export interface ProcessOutput {
  readonly out: Output;
  /**
   * Waits until everything is written.
   *
   * @param exitCode - of the command
   * @returns the exit code of the command, or another one if standard output failed
   */
  end(exitCode: number): Promise<number>;
}

/** Errors that the writer of a pipe gets when its reader is gone. A closed terminal causes EIO. */
const READER_GONE = new Set(['EPIPE', 'EOF', 'ECONNRESET', 'ERR_STREAM_DESTROYED']);

export function openProcessOutput(): ProcessOutput {
  const stdout = openStandardOutput();
  const stderr = openStandardError();
  const out = new Output(stdout, stderr);
  out.mode = { ...out.mode, statusLine: canShowStatus(stderr, process.env) };
  // A reader that goes away (`| head`) is no failure. A failure of standard error cannot be
  // reported.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    const isGone = READER_GONE.has(error.code ?? '') || stdout.isTTY === true;
    if (isGone) out.close();
    else out.fail(error);
  });
  if (stderr.listenerCount('error') === 0) stderr.on('error', () => undefined);
  return {
    out,
    end: async (exitCode) => {
      await written(stdout);
      const ended =
        out.failure === undefined ? exitCode : reportUnwritten(out, out.failure, exitCode);
      await written(stderr);
      return ended;
    },
  };
}

/**
 * @param signal - aborted to end the command early
 * @throws {FileError} `no-working-folder`
 */
export function hostOfProcess(out: Output, signal: AbortSignal): Host {
  return {
    out,
    folder: workingFolder(),
    platform: process.platform,
    passwordVariables: takePasswordVariables(process.env),
    environment: process.env,
    stdin: process.stdin,
    signal,
    derivations: new Set(),
    version: readVersion(),
    canAsk: process.stdin.isTTY && out.isWatched,
  };
}

function written(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableEnded) resolve();
    else stream.write('', () => resolve());
  });
}

function canShowStatus({ isTTY }: StandardStream, environment: NodeJS.ProcessEnv): boolean {
  const isSet = (name: string): boolean => (environment[name] ?? '') !== '';
  return isTTY === true && environment['TERM'] !== 'dumb' && !isSet('NO_COLOR') && !isSet('CI');
}

/** @returns the exit code of a command whose output is incomplete */
function reportUnwritten(out: Output, failure: NodeJS.ErrnoException, exitCode: number): number {
  const error = new FileError(
    'output-not-written',
    `cannot write standard output: ${reasonOf(failure)}`,
    {
      hint: 'What was printed is incomplete. Check the space on the disk that it goes to.',
      cause: failure,
    },
  );
  for (const line of failureLines(describeFailure(error, false), false)) out.alert(line);
  return exitCode === ExitCode.ok ? error.exitCode : exitCode;
}

/**
 * The folder that relative paths start from.
 *
 * @throws {FileError} `no-working-folder` — it does not exist any more
 */
function workingFolder(): string {
  try {
    return process.cwd();
  } catch (error) {
    throw new FileError('no-working-folder', 'the current folder does not exist any more', {
      hint: 'Change to another folder (`cd`) and try again.',
      cause: error,
    });
  }
}
