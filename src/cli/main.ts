#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { ExitCode, InterruptedError } from '../errors.ts';
import { takePasswordVariables, type Host } from './host.ts';
import { Output } from './output.ts';
import { runCommandLine } from './run.ts';

/** Beside `src/` and `dist/` alike. */
function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const version = /"version":\s*"([^"]*)"/.exec(text)?.[1];
  return version ?? 'unknown';
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

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

/**
 * Does not wait for threads in the middle of something, as an ordinary exit does: when all that
 * must happen has happened, the process takes the signal itself. A shell shows that as 130 too.
 */
function exitAtOnce(): never {
  if (process.platform !== 'win32') {
    for (const name of SIGNALS) process.removeAllListeners(name);
    process.once('exit', () => process.kill(process.pid, 'SIGINT'));
  }
  exit(ExitCode.interrupted);
}

/** The only place that ends the process; what holds a lock gives it back on `exit`. */
function exit(code: number): never {
  process.exit(code);
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
