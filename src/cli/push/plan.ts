/** The command `plan`: shows what a push would do, and changes nothing. */
import type { Command } from 'commander';
import { ExitCode } from '../../errors.ts';
import type { PlanSummary } from '../../sync/push/source/push-settings.ts';
import { shownBytes, shownCount } from '../../library/figures.ts';
import type { Host } from '../frame/host.ts';
import { pushFigures } from '../terminal/render-summary.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import { patienceOf, patiently, PLAN_CUT_OFF } from '../../library/retry.ts';
import { callerOf } from '../frame/caller.ts';
import type { Selected } from '../frame/selected.ts';
import { onPushArguments, readPush, withKey, type PushRequest } from './push.ts';
import { addPushOptions, hideOptions, type PushOptions } from '../settings/push-options.ts';

interface PlanOptions extends PushOptions {
  readonly exact?: boolean;
}

const AFTER_HELP = `
Prints what \`ecsync push\` with the same options would do, one line for every change as rsync does, and
changes nothing. With --exact the server compares its blocks with the files, without writing any, and
the plan says to the byte how much content the push would send. Files that differ are read for it.`;

/** Defines `plan [REMOTE] [PATH…]`. */
export function definePlan(program: Command, select: Selected): void {
  const command = program
    .command('plan')
    .summary('show what a push would do')
    .description('Show what a push would do, in plaintext names.')
    .option('--exact', 'ask the server how many bytes would be sent');
  const filters = addPushOptions(command);
  hideOptions(command, ['--dry-run', '--itemize-changes', '--stats', '--max-bytes', '--top']);
  command.addHelpText('after', AFTER_HELP);
  onPushArguments(command, filters, (request: PushRequest<PlanOptions>) => {
    const options = { ...request.options, itemizeChanges: true };
    select('plan', options, (host, warnings) => runPlan(host, warnings, { ...request, options }));
  });
}

async function runPlan(
  host: Host,
  warnings: Warnings,
  request: PushRequest<PlanOptions>,
): Promise<CommandResult> {
  const { vault, settings, options } = await readPush(host, request);
  const { destination } = settings;
  return withKey(host, warnings, { vault, options, destination }, async (opened, around) => {
    const { plan } = await import('../../sync/push/plan.ts');
    const patience = { ...patienceOf(options), hint: PLAN_CUT_OFF };
    const summary = await patiently(callerOf(host, warnings), patience, (signal) =>
      plan(settings, opened, { ...around, signal }, { exact: options.exact === true }),
    );
    return conclude(host, summary, destination.shown);
  });
}

function conclude(host: Host, summary: PlanSummary, shownDestination: string): CommandResult {
  host.out.clearStatus();
  const { exitCode, error } = summary;
  if (exitCode === ExitCode.ok) host.out.note(planText(summary, shownDestination));
  const { filesNew, foldersNew, contentBytesMax, exact } = summary;
  const { literalBytes, matchedBytes, ...figures } = pushFigures(summary);
  return {
    exitCode,
    figures: {
      ...figures,
      filesNew,
      foldersNew,
      contentBytesMax,
      exact,
      ...(exact && { literalBytes, matchedBytes }),
    },
    ...(error === undefined ? {} : { error }),
  };
}

/** The last line of a plan: `plan for /mnt/copy: 3 of 40 to send (1 new), 2 to delete; …`. */
function planText(summary: PlanSummary, shownDestination: string): string {
  const { filesSent, filesNew, foldersNew, filesDeleted, filesTotal } = summary;
  const counts = [
    `${shownCount(filesSent)} of ${shownCount(filesTotal)} to send (${shownCount(filesNew)} new)`,
    ...(foldersNew > 0 ? [`new folders: ${shownCount(foldersNew)}`] : []),
    ...(filesDeleted > 0 ? [`${shownCount(filesDeleted)} to delete`] : []),
  ].join(', ');
  const { exact, literalBytes, contentBytesMax } = summary;
  const most = shownBytes(contentBytesMax);
  const content = exact
    ? `${shownCount(literalBytes)} bytes (${shownBytes(literalBytes)}) of ${most} of content`
    : `at most ${most} of content`;
  return `plan for ${shownDestination}: ${counts}; ${content}`;
}
