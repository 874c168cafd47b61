/** Runs one command line: parses it, runs the command, and shows how that ended. */
import { performance } from 'node:perf_hooks';
import type { Command } from 'commander';
import { describeFailure, type ShownFailure } from '../library/failure.ts';
import { failureLines } from './frame/failure.ts';
import type { Host } from './frame/host.ts';
import { startLog } from './frame/log-file.ts';
import type { CommonOptions } from './frame/options.ts';
import type { OutputMode } from './terminal/output.ts';
import { enterFolder, folderOf } from './frame/place.ts';
import { buildProgram } from './program.ts';
import { NO_FIGURES } from './terminal/render-summary.ts';
import { Warnings, type CommandResult } from './frame/report.ts';
import type { RunCommand } from './frame/selected.ts';
import { namedCommand, isAnswered, isParsingError, toUsageError } from './usage.ts';

interface Selection {
  readonly name: string;
  readonly options: CommonOptions;
  readonly run: RunCommand;
}

/**
 * Parses a command line and runs its command. Every error is shown here, once, and becomes an exit
 * code.
 *
 * @param args - the words after the program's name
 * @returns the exit code
 */
export async function runCommandLine(args: readonly string[], host: Host): Promise<number> {
  const startedMs = performance.now();
  const { out } = host;
  const warnings = new Warnings(host);
  const selected: { command?: Selection } = {};
  const program = buildProgram(
    {
      version: host.version,
      out: (text) => printAnswer(host, text.trimEnd()),
      err: (text) => {
        for (const line of text.trimEnd().split('\n')) out.alert(line);
      },
    },
    (name, options, run) => {
      selected.command = { name, options, run };
    },
  );
  out.mode = { ...out.mode, json: asksForJson(args) };
  let result: CommandResult;
  try {
    const command = select(program, args, selected);
    if (command === undefined) {
      result = { exitCode: 0 };
    } else {
      out.mode = modeOf(host, command.options);
      const entered = enter(host, command.options);
      startLog(entered, warnings, command.options);
      result = await command.run(entered, warnings);
    }
  } catch (thrown) {
    result = showFailure(host, describeFailure(thrown, host.signal.aborted));
  }
  if (result.error !== undefined && result.exitCode !== 0) showShortfall(host, result);
  if (out.mode.json) {
    const command = selected.command?.name ?? namedCommand(args, program);
    const elapsedMs = Math.round(performance.now() - startedMs);
    out.event(summaryOf(command, result, { elapsedMs, warnings: warnings.list() }));
  }
  return finish(host, result.exitCode);
}

/** @returns undefined if commander answered by itself: help, version */
function select(
  program: Command,
  args: readonly string[],
  selected: { command?: Selection },
): Selection | undefined {
  try {
    program.parse(args, { from: 'user' });
  } catch (error) {
    if (!isParsingError(error)) throw error;
    if (isAnswered(error)) return undefined;
    throw toUsageError(error, program);
  }
  return selected.command;
}

/** Prints commander's own answer: the version, or help. */
function printAnswer({ out, version }: Host, text: string): void {
  if (!out.mode.json) out.data(text);
  else if (text === version) out.event({ type: 'version', version });
  else out.event({ type: 'help', text });
}

/** `-C`: changes the process's folder, so that every relative path starts there. */
function enter(host: Host, options: CommonOptions): Host {
  if (options.C === undefined) return host;
  const folder = folderOf(host.folder, options);
  enterFolder(folder);
  return { ...host, folder };
}

function modeOf(host: Host, options: CommonOptions): OutputMode {
  const json = options.json === true;
  const quiet = options.quiet === true;
  const statusLine = host.out.mode.statusLine && !json && !quiet;
  return { quiet, verbose: options.verbose === true && !quiet, json, statusLine };
}

/** Whether `--json` is given, before the options are parsed, since parse errors end in JSON too. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).includes('--json');
}

/** Shows an error. `error` counts as shown then. */
function showFailure(host: Host, failure: ShownFailure): CommandResult & { shown: true } {
  const isDebug = (host.environment['ECSYNC_DEBUG'] ?? '') !== '';
  host.out.clearStatus();
  for (const line of failureLines(failure, isDebug)) host.out.alert(line);
  const { exitCode, code, message, hint } = failure;
  return {
    exitCode,
    error: { code, message, ...(hint === undefined ? {} : { hint }) },
    shown: true,
  };
}

/** Shows the error of a command that ran to its end but could not do everything. */
function showShortfall(host: Host, result: CommandResult): void {
  if (result.shown === true || result.error === undefined) return;
  const { message, hint } = result.error;
  host.out.alert(`ecsync: ${message}`);
  if (hint !== undefined) host.out.alert(`hint: ${hint}`);
}

function summaryOf(
  command: string,
  { exitCode, figures, error }: CommandResult,
  common: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return {
    type: 'summary',
    command,
    exitCode,
    ...(command === 'push' ? NO_FIGURES : {}),
    ...common,
    ...figures,
    ...(error === undefined ? {} : { error }),
  };
}

function finish(host: Host, exitCode: number): number {
  host.out.clearStatus();
  host.out.flush();
  return exitCode;
}
