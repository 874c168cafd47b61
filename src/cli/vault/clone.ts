/** The command `clone`: restores a copy into a new folder and makes that a vault of the same copy. */
import fs from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { ExitCode, UsageError } from '../../errors.ts';
import type { CloneSettings, CloneSummary } from '../../sync/adopt/clone.ts';
import { hasUnfinished, removeUnfinished } from '../../tree/target/unfinished-files.ts';
import { acquireTargetLock } from '../../vault/lock/lock.ts';
import { isRemoteName } from '../../vault/config/config.ts';
import { checkNewVault } from '../../vault/new-vault.ts';
import { looksLikeDestination, parseDestination } from '../../vault/destination/destination.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import { VAULT_DIR_NAME } from '../../vault/vault.ts';
import { admitConf } from '../secrets/foreign-conf.ts';
import type { Host } from '../frame/host.ts';
import { layoutLine } from '../secrets/layout-line.ts';
import { noteVault } from '../frame/place.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import { restoreFigures, restoreStatsLines, restoreText } from '../copies/restore-output.ts';
import { unlockAdopted } from '../secrets/secrets.ts';
import type { Selected } from '../frame/selected.ts';
import {
  addRestoringOptions,
  refuseXattrsEarly,
  restoreReporter,
  restoringSettings,
  type RestoringOptions,
} from '../copies/restore.ts';
import { loginQuestions } from '../frame/login-questions.ts';
import type { AdoptKey } from '../../sync/adopt/adopt-settings.ts';

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
  const vaultDir = path.join(target, VAULT_DIR_NAME);
  if (pathKind(vaultDir) === 'folder' && hasUnfinished(target)) {
    // All was done but to clean up.
    removeUnfinished(target, acquireTargetLock);
    host.out.note(`${target} is cloned already`);
    return { exitCode: ExitCode.ok, figures: { vaultDir } };
  }
  const settings = readSettings(host, words, target);
  await refuseXattrsEarly(settings.restore);
  const { clone } = await import('../../sync/adopt/clone.ts');
  const keys: AdoptKey[] = [];
  try {
    const summary = await clone(settings, {
      reporter: restoreReporter(host, warnings, options),
      signal: host.signal,
      questions: loginQuestions(host, { passwordFile: options.passwordFile, warnings }),
      unlock: async (conf) => {
        const byMasterkey = options.masterkey !== undefined;
        const place = settings.restore.from.shown;
        await admitConf(host, conf, { options, place, byMasterkey });
        host.out.note(layoutLine(conf, place));
        const key = await unlockAdopted(host, { conf }, options, warnings);
        keys.push(key);
        return key;
      },
    });
    return conclude(host, settings, { summary, options });
  } finally {
    host.out.clearStatus();
    for (const { masterkey } of keys) masterkey.fill(0);
  }
}

function readSettings(
  host: Host,
  { options, remote }: { readonly options: CloneOptions; readonly remote: string },
  target: string,
): CloneSettings {
  const { name } = options;
  if (!isRemoteName(name)) {
    throw new UsageError('remote-name-invalid', `'${name}' cannot be the name of a remote`, {
      hint: 'Use 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first.',
    });
  }
  if (options.dryRun === true) {
    throw new UsageError('conflicting-options', 'a clone has no dry run', {
      hint: 'To see what is there: ecsync restore -n --from REMOTE --to DIR',
    });
  }
  if (!looksLikeDestination(remote)) {
    throw new UsageError('destination-invalid', `'${remote}' is not a destination`, {
      hint: 'Write user@host:path, or a local folder as ./folder or /folder.',
    });
  }
  const place = { source: target };
  const vaultDir = checkNewVault(place);
  refuseFilled(target);
  const from = parseDestination(remote, { platform: host.platform, folder: host.folder });
  const restore = { ...restoringSettings(options), from, target, paths: [], rules: [] };
  return { restore, place, vaultDir, name };
}

/** @throws {UsageError} `target-not-empty` */
function refuseFilled(target: string): void {
  if (pathKind(target) === 'absent' || hasUnfinished(target)) return;
  if (fs.readdirSync(target).length === 0) return;
  throw new UsageError('target-not-empty', `${target} is not empty`, {
    hint: 'Clone into a new folder. To go on with files that are here already: ecsync adopt REMOTE DIR',
  });
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
