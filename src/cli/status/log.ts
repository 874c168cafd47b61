/** The command `log`: lists the past runs of a vault. */
import type { Command } from 'commander';
import { readHistory } from '../../vault/memory/history.ts';
import { findVaultDir } from '../../vault/vault.ts';
import type { Host } from '../frame/host.ts';
import { addCommonOptions, typed, type CommonOptions } from '../frame/options.ts';
import { wholeNumber } from '../../options/option-values.ts';
import { placeOf } from '../frame/place.ts';
import { DONE, type CommandResult } from '../frame/report.ts';
import { runLine } from '../terminal/run-lines.ts';
import type { Selected } from '../frame/selected.ts';

interface LogOptions extends CommonOptions {
  readonly number: number;
}

const RUNS_DEFAULT = 20;

const AFTER_HELP = `
Every push, verify, restore and fsck that was begun is one line: when, what, where, how it ended, or that
it did not end, because it was killed. A dry run is not noted. About 2 MiB of lines are kept, in .ecsync/log/.`;

/** Defines `log`. */
export function defineLog(program: Command, select: Selected): void {
  const command = program
    .command('log')
    .summary('what was run, and how it ended')
    .description('Show what was run on this vault, the newest first.')
    .option(
      '-n, --number <n>',
      'so many runs; 0: all',
      typed(wholeNumber(0, 1_000_000)),
      RUNS_DEFAULT,
    );
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action(() => {
      const options: LogOptions = command.optsWithGlobals();
      select('log', options, (host) => showLog(host, options));
    });
}

function showLog(host: Host, options: LogOptions): CommandResult {
  const { out } = host;
  const runs = readHistory(findVaultDir(placeOf(host, options))).toReversed();
  for (const run of options.number === 0 ? runs : runs.slice(0, options.number)) {
    if (out.mode.json) out.event({ type: 'run', ...run });
    else out.data(runLine(run));
  }
  if (runs.length === 0 && !out.mode.json) out.note('Nothing was run yet.');
  return DONE;
}
