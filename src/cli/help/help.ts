/** The command `help`: shows the help of a command, or a topic such as the exit codes. */
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { commandTree, HELP_TOPICS } from './command-tree.ts';
import { manualPage } from './manual.ts';
import { DONE } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';

/** The meaning of every exit code, which is part of the command line's contract. */
const EXIT_CODES: readonly (readonly [number, string])[] = [
  [0, 'success, also when there was nothing to do'],
  [1, 'unexpected failure; or the hook before a push failed'],
  [2, 'usage or configuration'],
  [4, 'overdue, or the last run failed'],
  [5, 'the remote rsync could not be started, or refused'],
  [10, 'no vault here, it cannot be written to, or the destination is not one'],
  [11, 'another run holds the lock'],
  [12, 'wrong or missing password or key'],
  [13, 'host key unknown, changed or revoked; authentication at the server failed'],
  [23, 'some files could not be read or stored'],
  [24, 'some files vanished or changed while being read'],
  [25, 'stopped by the limit of deletions or of changes'],
  [26, 'mismatch or corruption'],
  [30, 'timeout or connection lost; run again to continue'],
  [75, 'conditions not met, skipped; or stopped by --max-bytes or --max-time'],
  [130, 'interrupted'],
];

/** Defines `help [COMMAND…]` and `help exit-codes`. */
export function defineHelp(program: Command, select: Selected): void {
  const help = program
    .command('help')
    .summary('show help for a command, or `help exit-codes`')
    .description(
      'Show help for a command, what the exit codes mean (`help exit-codes`), or the manual page (`help man`).',
    )
    .argument('[topic...]', 'a command, exit-codes, or man')
    .helpOption(false);
  help.action((topics: readonly string[]) => {
    select('help', {}, ({ out, version }) => {
      const [topic] = topics.length === 1 ? topics : [];
      if (topic === HELP_TOPICS[0]) {
        for (const [code, meaning] of EXIT_CODES) {
          out.data(`${String(code).padStart(4)}  ${meaning}`);
        }
      } else if (topic === HELP_TOPICS[1]) {
        out.data(manualPage(commandTree(program), version, EXIT_CODES).trimEnd());
      } else {
        findCommand(program, topics).outputHelp();
      }
      return DONE;
    });
  });
}

function findCommand(program: Command, topics: readonly string[]): Command {
  let command = program;
  for (const topic of topics) {
    const next = command.commands.find((candidate) => candidate.name() === topic);
    if (next === undefined) {
      throw new UsageError('no-help', `there is no help about '${topics.join(' ')}'`, {
        hint: 'See `ecsync help`.',
      });
    }
    command = next;
  }
  return command;
}
