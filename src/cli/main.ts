#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { ExitCode, InterruptedError } from '../errors.ts';
import { isWindows } from '../platform.ts';
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

/** The first signal asks for an orderly end, the second ends at once. */
function watchSignals(): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) exitAtOnce();
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

async function main(): Promise<void> {
  const out = new Output(process.stdout, process.stderr);
  out.mode = { ...out.mode, statusLine: canShowStatus(process.env) };
  // A reader that goes away (`| head`) is no failure; on standard error there is nobody to tell.
  process.stdout.on('error', () => out.close());
  process.stderr.on('error', () => undefined);
  // Of a terminal that was closed; who reads anything else sees its errors there.
  process.stdin.on('error', () => undefined);
  const host: Host = {
    out,
    folder: process.cwd(),
    platform: process.platform,
    passwordVariables: takePasswordVariables(process.env),
    environment: process.env,
    stdin: process.stdin,
    signal: watchSignals(),
    version: readVersion(),
    canAsk: process.stdin.isTTY && process.stderr.isTTY,
  };
  const exitCode = await runCommandLine(process.argv.slice(2), host);
  await Promise.all([written(process.stdout), written(process.stderr)]);
  exit(exitCode);
}

await main();
