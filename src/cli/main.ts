#!/usr/bin/env node
/** The program: one command line, from the first word to the exit code. */
import { isatty } from 'node:tty';
import { ExitCode } from '../errors.ts';
import { interrupted } from '../interruption.ts';
import { isWindows } from '../platform.ts';
import { describeFailure } from '../library/failure.ts';
import { failureLines } from './frame/failure.ts';
import type { Host } from './frame/host.ts';
import type { Output } from './terminal/output.ts';
import { hostOfProcess, openProcessOutput } from './process-host.ts';
import { runCommandLine } from './run.ts';

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
    controller.abort(interrupted());
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

function hostOrEnd(out: Output): Host {
  try {
    return hostOfProcess(out, watchSignals(out));
  } catch (error) {
    const failure = describeFailure(error, false);
    for (const line of failureLines(failure, false)) out.alert(line);
    return exit(failure.exitCode);
  }
}

async function main(): Promise<void> {
  const output = openProcessOutput();
  // Of a terminal that was closed; who reads anything else sees its errors there.
  process.stdin.on('error', () => undefined);
  const host = hostOrEnd(output.out);
  const exitCode = await output.end(await runCommandLine(process.argv.slice(2), host));
  // Scrypt may go on for a minute, which nobody is waiting for any more.
  if (host.signal.aborted && host.derivations.size > 0) exitAtOnce();
  exit(exitCode);
}

await main();
