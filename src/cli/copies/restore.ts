/** The command `restore`: restores a copy, or parts of it, into a folder. */
import path from 'node:path';
import { Option, type Command } from 'commander';
import { ExitCode } from '../../errors.ts';
import type {
  Overwrite,
  RestoreReporter,
  RestoreSettings,
  RestoreSummary,
} from '../../sync/restore/restore-settings.ts';
import { restoringSettings, type RestoreChoice } from '../../library/settings/restore-choice.ts';
import type { CopyPlace } from '../../library/copy-place.ts';
import { callerOf } from '../frame/caller.ts';
import { ESCAPED_HELP, typedBytes } from '../frame/escaped-paths.ts';
import {
  configuredLayers,
  configuredPeer,
  keptPatterns,
} from '../../library/settings/configured-peer.ts';
import type { Host } from '../frame/host.ts';
import { typed, typedOften } from '../frame/options.ts';
import { parseBandwidth, parseText } from '../../options/option-values.ts';
import { reportItem } from '../terminal/render-item.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import {
  restoreFigures,
  RestoreProgressReport,
  restoreStatsLines,
  restoreText,
} from './restore-output.ts';
import { readRestorePaths } from './restore-paths.ts';
import { peerSettings } from '../frame/run-options.ts';
import type { Selected } from '../frame/selected.ts';
import { PATH_RULE } from '../frame/vault-paths.ts';
import { addCopyOptions, type CopyOptions } from './copy-options.ts';
import { loginQuestions } from '../frame/login-questions.ts';
import { rulesOf, type FilterEntry } from '../../library/settings/filter-entries.ts';
import { addFilterOptions } from '../settings/push-options.ts';

/** Options of a command that restores. */
export interface RestoringOptions extends CopyOptions, RestoreChoice {
  readonly itemizeChanges?: boolean;
  readonly progress?: boolean;
  readonly stats?: boolean;
}

interface RestoreOptions extends RestoringOptions {
  readonly to: string;
  readonly from?: string;
  readonly overwrite?: Overwrite;
  readonly escaped?: boolean;
  /** False for `--no-last-push`. */
  readonly lastPush: boolean;
}

const AFTER_HELP = `${PATH_RULE}
PATHs are files and folders of the vault, as they are called there; they need not exist here. Without
PATH everything is restored. What is below the current folder keeps its path from there in DIR; when
anything else is named, everything keeps its path from the vault's top. Without --from the vault's first remote is read. Outside of a vault,
--from names a copy, which is opened with its own gocryptfs.conf and password, or with
--masterkey=stdin.

Nothing that is there and differs is replaced unless --overwrite says so:
  never    leave it, which is then no error
  older    replace it when it is older than the copy
  changed  replace it when size or time differ
  always   compare content, and replace what differs
Nothing is ever deleted. A restore that was interrupted goes on when it is run again.

Nothing vouches for permissions, owners and kinds of objects in a copy: whoever holds it can change
them. What is new gets the permissions of the copy as far as the umask lets it, and never set-id or
sticky bits; what is there keeps its own, and so does DIR. --perms takes them over exactly, and
--special-modes with those bits. Devices are made with --devices only. Owners are those of the copy
when root restores; --no-owner and --no-group leave them out. -X brings extended attributes back: those of
security.* with --special-modes only, access control lists with --perms; a file's surplus ones go with
--overwrite changed. Nothing binds their values to files and names: use -X with --special-modes only for
a copy that nobody else could write, else what was some user.* may come back as security.capability. Files that were pushed with -H are links of each other again.

What is damaged in the copy is not restored; the rest is. Exit code 26 then. So are folders and links
that the key shows to have been moved or exchanged: --allow-moved restores them where they are now. A
remote of this vault is compared with what the last push from here left: what is missing, has another
size, time or mode, or came back, is told, and ends in exit code 26, too. Has another machine pushed
there since: --no-last-push.`;

/** Defines `restore [PATH…] --to DIR`. */
export function defineRestore(program: Command, select: Selected): void {
  const command = program
    .command('restore')
    .summary('decrypt files from a remote into a folder')
    .description('Fetch files from a remote, or all of them, and decrypt them into a folder.')
    .argument('[path...]', 'only these files and folders')
    .requiredOption('--to <dir>', 'the folder to restore into; made when it is missing')
    .option('--from <remote>', 'name of a remote, or where the copy is')
    .addOption(
      new Option('--overwrite <when>', 'what happens to files that are there and differ').choices([
        'never',
        'older',
        'changed',
        'always',
      ]),
    );
  const filters = addFilterOptions(command);
  command
    .option('--escaped', ESCAPED_HELP)
    .option('--no-last-push', 'do not compare with what the last push from here left');
  addRestoringOptions(command).addHelpText('after', AFTER_HELP);
  command.action((paths: readonly string[]) => {
    const options: RestoreOptions = command.optsWithGlobals();
    select('restore', options, (host, warnings) =>
      runRestore(host, warnings, { options, filters, paths }),
    );
  });
}

/** Adds the options of {@link RestoringOptions} to a command. */
export function addRestoringOptions(command: Command): Command {
  command
    .option('-n, --dry-run', 'write nothing, only show what would be done')
    .option('-i, --itemize-changes', 'print one line for every change, as rsync does')
    .option('--numeric-ids', 'go by user and group numbers, not names')
    .option('--no-owner', 'do not keep the owner')
    .option('--no-group', 'do not keep the group')
    .option('--perms', 'permissions exactly as in the copy, whatever the umask')
    .addOption(new Option('--no-perms').hideHelp()) // the default
    .option('--special-modes', 'as --perms, with set-user-id, set-group-id and sticky bits')
    .option('-X, --xattrs', 'bring extended attributes back (Linux; needs the package attr)')
    .option('--devices', 'make devices')
    .option('--no-devices', 'leave out devices, which is then no shortfall')
    .option('--no-specials', 'leave out sockets and pipes')
    .option('--allow-holes', 'blocks of zeros that gocryptfs may have left are no damage')
    .option('--allow-moved', 'restore also files and links that were moved within the copy')
    .option(
      '--keep <pattern>',
      'objects with this name do not belong to the copy',
      typedOften(parseText),
    )
    .option(
      '--bwlimit <rate>',
      'receive no more than RATE a second: 512K, 1.5M',
      typed(parseBandwidth),
    )
    .option('--progress', 'show progress also when no terminal is there')
    .option('--stats', 'print figures at the end')
    .addOption(new Option('--names <kind>').choices(['any', 'windows']).hideHelp());
  return addCopyOptions(command);
}

interface RestoreRequest {
  readonly options: RestoreOptions;
  readonly filters: readonly FilterEntry[];
  readonly paths: readonly string[];
}

async function runRestore(
  host: Host,
  warnings: Warnings,
  { options, filters, paths }: RestoreRequest,
): Promise<CommandResult> {
  const { findPlace, unlockCopy } = await import('./cipher-folder.ts');
  const place = findPlace(host, options, options.from);
  const { vault, destination } = place;
  const { overwrite } = options;
  const layers = configuredLayers(host, place);
  const settings: RestoreSettings = {
    ...restoringSettings(options),
    ...peerSettings(options),
    ...configuredPeer(layers, options),
    from: destination,
    target: path.resolve(host.folder, options.to),
    ...(vault && { vaultDir: vault.vaultDir }),
    ...readRestorePaths(
      paths.map((typed) => typedBytes(typed, options.escaped)),
      { folder: host.folder, source: vault?.source },
    ),
    rules: await rulesOf(filters),
    ...(overwrite && { overwrite }),
    ignoreLastPush: !options.lastPush,
    keep: keptPatterns(layers, options.keep),
  };
  await refuseXattrsEarly(settings);
  const { restoreCopy, restoreRecorded } = await import('../../library/restore-run.ts');
  const caller = callerOf(host, warnings);
  const run = {
    place,
    settings,
    questions: loginQuestions(host, { ...place, passwordFile: options.passwordFile, warnings }),
    unlock: (from: CopyPlace) => unlockCopy(host, warnings, from, options),
    reporter: restoreReporter(host, warnings, options),
  };
  return restoreRecorded(caller, run, async () =>
    conclude(host, settings, { summary: await restoreCopy(caller, run), options }),
  ).finally(() => host.out.clearStatus());
}

/**
 * Refuses `-X` where it cannot work, before a password is asked for.
 *
 * @throws {UsageError} `xattrs-unsupported`
 */
export async function refuseXattrsEarly(
  settings: Pick<RestoreSettings, 'xattrs' | 'protocolMax'>,
): Promise<void> {
  if (settings.xattrs !== true) return;
  const { assertRestoresXattrs } = await import('../../sync/restore/restore-xattrs.ts');
  assertRestoresXattrs(settings);
}

/** Shows the events of a restore. */
export function restoreReporter(
  host: Host,
  warnings: Warnings,
  options: RestoringOptions,
): RestoreReporter {
  const { out } = host;
  const progress = new RestoreProgressReport(out, options.progress === true);
  return {
    item: (line) => reportItem(out, line, options.itemizeChanges === true),
    warning: (warning) => warnings.add(warning),
    detail: (warning) => {
      if (out.mode.json) out.event({ type: 'detail', ...warning });
      else out.detail(warning.message);
    },
    progress: (now) => progress.show(now),
  };
}

function conclude(
  host: Host,
  settings: RestoreSettings,
  { summary, options }: { readonly summary: RestoreSummary; readonly options: RestoreOptions },
): CommandResult {
  const { out } = host;
  const { exitCode, error } = summary;
  out.clearStatus();
  if (options.stats === true && !out.mode.json) {
    for (const line of restoreStatsLines(summary)) out.alert(line);
  }
  if (exitCode === ExitCode.ok) {
    out.success(restoreText(summary, settings.target, settings.dryRun));
  }
  return { exitCode, figures: restoreFigures(summary), ...(error && { error }) };
}
