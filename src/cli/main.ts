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

/** Time for a clean exit after the first signal. */
const ORDERLY_END_MS = 10_000;

/** The first signal requests a clean exit. The second one, or a timeout, exits at once. */
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

/** Does not wait for busy threads, as an ordinary exit does. */
function exitAtOnce(): never {
  endBySignal('SIGINT');
  exit(ExitCode.interrupted);
}

/**
 * After all `exit` handlers, the process kills itself with the signal, so that Node does nothing
 * more. A shell shows SIGINT as 130 too. SIGHUP is used only when the terminal was closed: at any
 * other exit Node restores the settings of the terminal, which fails then and crashes.
 */
function endBySignal(signal: 'SIGINT' | 'SIGHUP'): void {
  if (isWindows) return;
  for (const name of SIGNALS) process.removeAllListeners(name);
  process.once('exit', () => process.kill(process.pid, terminalIsGone() ? 'SIGHUP' : signal));
}

/** The only place that ends the process. The holder of a lock releases it on `exit`. */
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
  // Ignores errors of a closed terminal. Other readers handle their own errors.
  process.stdin.on('error', () => undefined);
  const host = hostOrEnd(output.out);
  const exitCode = await output.end(await runCommandLine(process.argv.slice(2), host));
  // Scrypt may run for a minute, although nobody waits for it any more.
  if (host.signal.aborted && host.derivations.size > 0) exitAtOnce();
  exit(exitCode);
}

await main();
