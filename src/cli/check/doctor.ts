/**
 * The command `doctor`: checks this machine, the vault and its remotes for problems that would make
 * a push fail.
 */
import type { Command } from 'commander';
import type { Host } from '../frame/host.ts';
import { addCommonOptions } from '../frame/options.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { shownText } from '../terminal/terminal.ts';
import { addReachOptions } from '../copies/copy-options.ts';
import type { DoctorOptions, DoctorFinding } from './doctor-checks.ts';

const AFTER_HELP = `
Looks at the vault, its configuration and its keys' files, the clock, the lock, the schedule, the last
runs, and logs in to every remote, without a password of the vault. The exit code is that of the first
thing that is wrong; what only deserves a look does not count.`;

/** Defines `doctor`. */
export function defineDoctor(program: Command, select: Selected): void {
  const command = program
    .command('doctor')
    .summary('find out what is wrong, and what to do')
    .description('Look at everything a push needs, and say what is wrong and what to do.')
    .option('--offline', 'do not log in anywhere');
  addReachOptions(command);
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action(() => {
      const options: DoctorOptions = command.optsWithGlobals();
      select('doctor', options, (host, warnings) => runDoctor(host, warnings, options));
    });
}

async function runDoctor(
  host: Host,
  warnings: Warnings,
  options: DoctorOptions,
): Promise<CommandResult> {
  const { examine } = await import('./doctor-checks.ts');
  const bad: DoctorFinding[] = [];
  for await (const finding of examine(host, warnings, options)) {
    show(host, finding);
    if (finding.state === 'bad') bad.push(finding);
  }
  const [first] = bad;
  if (first === undefined) return { exitCode: 0, figures: { bad: 0 } };
  return {
    exitCode: first.exitCode ?? 1,
    figures: { bad: bad.length },
    error: {
      code: 'doctor',
      message: bad.length === 1 ? 'one thing is wrong' : `${bad.length} things are wrong`,
    },
  };
}

const WORDS = { good: 'ok', look: 'look', bad: 'WRONG' } as const;

function show({ out }: Host, { topic, state, text, hint }: DoctorFinding): void {
  if (out.mode.json) {
    out.event({ type: 'finding', topic, state, text, ...(hint === undefined ? {} : { hint }) });
    return;
  }
  if (state === 'good' && out.mode.quiet) return;
  out.data(`${WORDS[state].padEnd(6)} ${topic}: ${shownText(text)}`);
  if (hint !== undefined) out.data(`       ${shownText(hint)}`);
}
