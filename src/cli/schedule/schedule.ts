/** The command `schedule` and its subcommands. */
import { Option, type Command } from 'commander';
import { SCHEDULERS } from '../../schedule/plan.ts';
import { addCommonOptions, typed } from '../frame/options.ts';
import { wholeNumber } from '../../options/option-values.ts';
import type { InstallOptions, JobOptions, RunOptions } from '../settings/schedule-options.ts';
import type { Selected } from '../frame/selected.ts';

const AFTER_INSTALL = `
The scheduler only asks; ecsync decides whether a push is due. With --every, what failed, or was missed
while the machine was off, is made up for within the hour; with --at, what was missed is. The password
must come from [password] in .ecsync/config.toml, from --passfile or --extpass after --, or from
--credential (systemd).
Options of push follow after --, for example:
  ecsync schedule install --every 1h
  ecsync schedule install --at 02:30 --all -- --delete --max-delete 500
  ecsync schedule install --every 1d --platform launchd --print`;

const DELAY_MAX_SEC = 21_600;

/** Defines `schedule install|remove|show|run|test`. */
export function defineSchedule(program: Command, select: Selected): void {
  const schedule = program
    .command('schedule')
    .summary("push regularly, by the system's own scheduler")
    .description('Push regularly: systemd timer, launchd agent, Windows task or cron line.')
    .helpCommand(false);
  defineInstall(schedule, select);
  defineJob(schedule, select, {
    name: 'remove',
    description: 'Take the job of this vault away. Nothing else is touched.',
    run: async (host, options) => (await import('./schedule-jobs.ts')).removeJob(host, options),
  });
  defineJob(schedule, select, {
    name: 'show',
    description: 'Show what is installed for this vault, the next run and how the last one ended.',
    run: async (host, options) => (await import('./schedule-jobs.ts')).showJob(host, options),
  });
  defineRun(schedule, select);
  defineJob(schedule, select, {
    name: 'test',
    description:
      'Have the scheduler start the job now, due or not, and report how the push ended: what works by hand may fail without a terminal.',
    run: async (host, options) => (await import('./schedule-test.ts')).testJob(host, options),
  });
}

function defineInstall(schedule: Command, select: Selected): void {
  const install = schedule
    .command('install')
    .description('Install a job that pushes this vault, in the place of an older one.')
    .argument('[remote...]', 'names of remotes; without one, the first')
    .usage('[options] [remote...] [-- PUSH OPTIONS]')
    .option('--every <interval>', 'how often: 15m, 1h, 1d (default: 1h)')
    .option('--at <time>', 'every day at this local time; may be repeated', collect, undefined)
    .option('--all', 'push to all remotes')
    .option('--jitter <duration>', 'longest delay by chance, so that not all start at once')
    .option('--no-low-priority', 'do not leave the machine to others first')
    .option('--credential <file>', 'systemd hands the password in FILE to the job')
    .option('--encrypted-credential <file>', 'the same for a file of systemd-creds encrypt')
    .addOption(platformOption())
    .option('--print', 'show exactly what would be written, and install nothing')
    .addHelpText('after', AFTER_INSTALL);
  addCommonOptions(install).action((words: readonly string[]) => {
    const options: InstallOptions = install.optsWithGlobals();
    select('schedule install', options, async (host, warnings) =>
      (await import('./schedule-install.ts')).installJob(host, warnings, { options, words }),
    );
  });
}

function defineRun(schedule: Command, select: Selected): void {
  const run = schedule
    .command('run')
    .description('What the scheduler starts: push if that is due, otherwise end at once.')
    .argument('[remote...]', 'names of remotes; without one, the first')
    .usage('[options] [remote...] [-- PUSH OPTIONS]')
    .option('--every <interval>', 'due when the last push is about so old')
    .option(
      '--at <time>',
      'due when there was none since this time; may be repeated',
      collect,
      undefined,
    )
    .option('--if-older-than <age>', 'due when the last push is at least so old')
    .option('--all', 'push to all remotes')
    .addOption(
      new Option('--delay-up-to <seconds>', 'wait so long at most, by chance').argParser(
        typed(wholeNumber(0, DELAY_MAX_SEC)),
      ),
    );
  addCommonOptions(run).action((words: readonly string[]) => {
    const options: RunOptions = run.optsWithGlobals();
    select('schedule run', options, async (host, warnings) =>
      (await import('./schedule-run.ts')).runJob(host, warnings, { options, words }),
    );
  });
}

interface JobCommand {
  readonly name: 'remove' | 'show' | 'test';
  readonly description: string;
  run(
    host: Parameters<Parameters<Selected>[2]>[0],
    options: JobOptions,
  ): ReturnType<Parameters<Selected>[2]>;
}

function defineJob(schedule: Command, select: Selected, job: JobCommand): void {
  const command = schedule.command(job.name).description(job.description);
  if (job.name === 'test') {
    command.option('--wait <duration>', 'how long to wait for the push', '15m');
  }
  command.addOption(platformOption());
  addCommonOptions(command).action(() => {
    const options: JobOptions = command.optsWithGlobals();
    select(`schedule ${job.name}`, options, (host) => job.run(host, options));
  });
}

function platformOption(): Option {
  return new Option('--platform <scheduler>', 'the scheduler, when not the one found here').choices(
    [...SCHEDULERS],
  );
}

function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}
