#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { ExitCode, FileError, InterruptedError } from '../errors.ts';
import { isWindows } from '../platform.ts';
import { describeFailure, failureLines } from './failure.ts';
import { openStandardOutput } from './file-output.ts';
import { takePasswordVariables, type Host } from './host.ts';
import { Output } from './output.ts';
import { runCommandLine } from './run.ts';

/** Beside `src/` and `dist/` alike. */
function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const version = /"version":\s*"([^"]*)"/.exec(text)?.[1];
  return version ?? 'unknown';
}

/** SIGBREAK is Ctrl-Break of a Windows console. */
const SIGNALS: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  ...(isWindows ? (['SIGBREAK'] as const) : []),
];

/** Time for an orderly end after the first signal. */
const ORDERLY_END_MS = 10_000;

/** The first signal asks for an orderly end, the second ends at once; so does an end that does not come. */
function watchSignals(out: Output): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) exitAtOnce();
    setTimeout(() => {
      out.clearStatus();
      out.alert('ecsync: interrupted');
      out.flush();
      exitAtOnce();
    }, ORDERLY_END_MS).unref();
    controller.abort(new InterruptedError('interrupted', 'interrupted'));
  };
  for (const name of SIGNALS) process.on(name, stop);
  return controller.signal;
}

/** Does not wait for threads in the middle of something, as an ordinary exit does. */
function exitAtOnce(): never {
  endBySignal('SIGINT');
  exit(ExitCode.interrupted);
}

/**
 * When all that must happen on `exit` has happened, the process takes the signal itself, and Node
 * does nothing more; a shell shows SIGINT as 130 too. Only SIGHUP does when the terminal was
 * closed: at any other end Node gives the terminal its settings back, which it then cannot, and
 * crashes.
 */
function endBySignal(signal: 'SIGINT' | 'SIGHUP'): void {
  if (isWindows) return;
  for (const name of SIGNALS) process.removeAllListeners(name);
  process.once('exit', () => process.kill(process.pid, terminalIsGone() ? 'SIGHUP' : signal));
}

/** The only place that ends the process; what holds a lock gives it back on `exit`. */
function exit(code: number): never {
  if (terminalIsGone()) endBySignal('SIGHUP');
  process.exit(code);
}

const terminals = [0, 1, 2].filter((fd) => isatty(fd));

function terminalIsGone(): boolean {
  return terminals.some((fd) => !isatty(fd));
}

function written(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableEnded) resolve();
    else stream.write('', () => resolve());
  });
}

function canShowStatus(environment: NodeJS.ProcessEnv): boolean {
  const isSet = (name: string): boolean => (environment[name] ?? '') !== '';
  return (
    process.stderr.isTTY && environment['TERM'] !== 'dumb' && !isSet('NO_COLOR') && !isSet('CI')
  );
}

/** How the writing end of a pipe hears that nobody reads any more; a closed terminal says EIO. */
const READER_GONE = new Set(['EPIPE', 'EOF', 'ECONNRESET', 'ERR_STREAM_DESTROYED']);

/** @returns the exit code of a command whose output is incomplete */
function tellUnwritten(out: Output, failure: NodeJS.ErrnoException, exitCode: number): number {
  const error = new FileError(
    'output-not-written',
    `cannot write standard output (${reasonOf(failure)})`,
    {
      hint: 'What was printed is incomplete. Check the space on the disk that it goes to.',
      cause: failure,
    },
  );
  for (const line of failureLines(describeFailure(error, false), false)) out.alert(line);
  return exitCode === ExitCode.ok ? error.exitCode : exitCode;
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return code ?? message;
}

/** The folder that relative paths start from. It may be gone: then whatever needs it ends here. */
function workingFolder(out: Output): string {
  try {
    return process.cwd();
  } catch (error) {
    const gone = new FileError('no-working-folder', 'the current folder does not exist any more', {
      hint: 'Change to another folder (`cd`) and try again.',
      cause: error,
    });
    for (const line of failureLines(describeFailure(gone, false), false)) out.alert(line);
    return exit(gone.exitCode);
  }
}

async function main(): Promise<void> {
  const stdout = openStandardOutput();
  const out = new Output(stdout, process.stderr);
  out.mode = { ...out.mode, statusLine: canShowStatus(process.env) };
  // A reader that goes away (`| head`) is no failure; on standard error there is nobody to tell.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    const isGone = READER_GONE.has(error.code ?? '') || stdout.isTTY === true;
    if (isGone) out.close();
    else out.fail(error);
  });
  process.stderr.on('error', () => undefined);
  // Of a terminal that was closed; who reads anything else sees its errors there.
  process.stdin.on('error', () => undefined);
  const host: Host = {
    out,
    folder: workingFolder(out),
    platform: process.platform,
    passwordVariables: takePasswordVariables(process.env),
    environment: process.env,
    stdin: process.stdin,
    signal: watchSignals(out),
    derivations: new Set(),
    version: readVersion(),
    canAsk: process.stdin.isTTY && process.stderr.isTTY,
  };
  const exitCode = await runCommandLine(process.argv.slice(2), host);
  await written(stdout);
  const ended = out.failure === undefined ? exitCode : tellUnwritten(out, out.failure, exitCode);
  await written(process.stderr);
  // Scrypt may go on for a minute, which nobody is waiting for any more.
  if (host.signal.aborted && host.derivations.size > 0) exitAtOnce();
  exit(ended);
}

await main();
