/** The command `clone`: restores a copy into a new folder and makes it a vault of that copy. */
import path from 'node:path';
import type { Command } from 'commander';
import { ExitCode, UsageError } from '../../errors.ts';
import type { CloneSummary } from '../../sync/adopt/adopt-summary.ts';
import type { CloneSettings } from '../../sync/adopt/clone.ts';
import { restoringSettings } from '../../library/settings/restore-choice.ts';
import { peerSettings } from '../frame/run-options.ts';
import { finishClone, placeToClone } from '../../library/continued-place.ts';
import { continuedSecret } from '../secrets/continued-secret.ts';
import type { Host } from '../frame/host.ts';
import { noteVault } from '../frame/place.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import { restoreFigures, restoreStatsLines, restoreText } from '../copies/restore-output.ts';
import type { Selected } from '../frame/selected.ts';
import {
  addRestoringOptions,
  refuseXattrsEarly,
  restoreReporter,
  type RestoringOptions,
} from '../copies/restore.ts';
import { loginQuestions } from '../frame/login-questions.ts';

interface CloneOptions extends RestoringOptions {
  readonly name: string;
}

const AFTER_HELP = `
REMOTE is where the copy is. DIR is made, or must be empty: all files of the copy are restored into
it, and it becomes a vault whose next push goes on from there. The password is the one of the copy.
Permissions come back as far as the umask lets them, and the next push sends them so: --perms and
--special-modes bring them back exactly. Use -X with --special-modes only for a copy that nobody else
could write: nothing binds values of extended attributes to files and names.

A clone that was interrupted goes on when it is run again. When something of the copy is damaged, the
rest is restored, but no vault is made (exit code 26): a push from it would take the missing files
for deleted ones. To go on with what is there all the same: ecsync adopt REMOTE DIR. Files that were
renamed before a push look as if somebody had exchanged them: they are restored, and counted.`;

/** Defines `clone REMOTE DIR`. */
export function defineClone(program: Command, select: Selected): void {
  const command = program
    .command('clone')
    .summary('restore everything on a new machine, and make the folder a vault')
    .description(
      'Restore a whole copy into a new folder, and make that a vault which continues it.',
    )
    .argument('<remote>', 'where the copy is: user@host:path, or a local folder')
    .argument('<dir>', 'the folder to make')
    .option('--name <name>', 'what the remote is called from now on', 'origin');
  addRestoringOptions(command).addHelpText('after', AFTER_HELP);
  command.action((remote: string, dir: string) => {
    const options: CloneOptions = command.optsWithGlobals();
    select('clone', options, (host, warnings) =>
      runClone(host, warnings, { options, remote, dir }),
    );
  });
}

async function runClone(
  host: Host,
  warnings: Warnings,
  words: { readonly options: CloneOptions; readonly remote: string; readonly dir: string },
): Promise<CommandResult> {
  const { options } = words;
  const target = path.resolve(host.folder, words.dir);
  const vaultDir = await finishClone(target);
  if (vaultDir !== undefined) {
    host.out.note(`${target} is cloned already`);
    return { exitCode: ExitCode.ok, figures: { vaultDir } };
  }
  const settings = readSettings(host, words, target);
  await refuseXattrsEarly(settings.restore);
  const { cloneWith } = await import('../../library/continued-run.ts');
  const shownCopy = settings.restore.from.shown;
  const secret = continuedSecret(host, warnings, { options, shownCopy });
  const questions = loginQuestions(host, { passwordFile: options.passwordFile, warnings });
  const reporter = restoreReporter(host, warnings, options);
  const cloning = cloneWith(host, { settings, secret }, { reporter, questions });
  const summary = await cloning.finally(() => host.out.clearStatus());
  return conclude(host, settings, { summary, options });
}

function readSettings(
  host: Host,
  { options, remote }: { readonly options: CloneOptions; readonly remote: string },
  target: string,
): CloneSettings {
  const { name } = options;
  if (options.dryRun === true) {
    throw new UsageError('conflicting-options', 'a clone has no dry run', {
      hint: 'To see what is there: ecsync restore -n --from REMOTE --to DIR',
    });
  }
  const { folder } = host;
  const words = { remote, name, source: target, folder };
  const { destination, place, vaultDir } = placeToClone(words, host);
  const restore = {
    ...restoringSettings(options),
    ...peerSettings(options),
    ...{ from: destination, target, paths: [], rules: [] },
  };
  return { restore, place, vaultDir, name };
}

function conclude(
  host: Host,
  settings: CloneSettings,
  { summary, options }: { readonly summary: CloneSummary; readonly options: CloneOptions },
): CommandResult {
  const { out } = host;
  const { exitCode, error, vaultDir } = summary;
  out.clearStatus();
  if (options.stats === true && !out.mode.json) {
    for (const line of restoreStatsLines(summary)) out.alert(line);
  }
  if (vaultDir !== undefined) {
    noteVault(host, vaultDir);
    out.note(restoreText(summary, settings.restore.target, false));
    out.note(`made the vault ${vaultDir}, with the remote '${settings.name}'`);
    out.note('next: `ecsync push`; and `ecsync key paper` for a recovery sheet');
  }
  const figures = { ...restoreFigures(summary), ...(vaultDir !== undefined && { vaultDir }) };
  if (error === undefined) return { exitCode, figures };
  const message = `${error.message}; no vault was made`;
  return { exitCode, figures, error: { ...error, message } };
}
