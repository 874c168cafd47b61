/** The command `adopt`: makes a vault that continues an existing copy. */
import path from 'node:path';
import type { Command } from 'commander';
import { REVERSE_CONF_NAME } from '../../gocryptfs/names/names.ts';
import { placeToAdopt } from '../../library/continued-place.ts';
import { adoptFigures, adoptFindingEvent, adoptFindingText, adoptLines } from './adopt-output.ts';
import { shownCount } from '../../library/figures.ts';
import type { ForeignConfOptions } from '../../library/settings/layout-options.ts';
import { callerOf } from '../frame/caller.ts';
import { continuedSecret } from '../secrets/continued-secret.ts';
import type { Host } from '../frame/host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  type CommonOptions,
  type SecretOptions,
} from '../frame/options.ts';
import { noteVault, placeOf, vaultDirOf } from '../frame/place.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import { addPeerOptions, peerSettings, type PeerOptions } from '../frame/run-options.ts';
import type { Selected } from '../frame/selected.ts';
import { addForeignConfOptions } from '../copies/copy-options.ts';
import { loginQuestions } from '../frame/login-questions.ts';
import type { AdoptSettings, AdoptSurroundings } from '../../sync/adopt/adopt-settings.ts';
import type { AdoptSummary } from '../../sync/adopt/adopt-summary.ts';

interface AdoptOptions extends CommonOptions, SecretOptions, PeerOptions, ForeignConfOptions {
  readonly name: string;
  readonly cipherdir?: string;
  readonly repair?: boolean;
  readonly dryRun?: boolean;
  readonly numericIds?: boolean;
}

const AFTER_HELP = `
REMOTE holds what gocryptfs wrote: the view of \`gocryptfs -reverse\` that rsync copied, or a folder
that was mounted and written to. DIR holds the plaintext of it (default: the current folder). The
password is the one of the copy. Nothing is sent: what is equal stays, and the next push sends what
changed. Of a copy that was written through a mount, a changed file is sent whole once.

Damage in the copy is listed, one line each: a code and the path in plaintext. Exit code 26: nothing
was made because of it; --repair mends it. Where the login may only write, --cipherdir names a
local folder with the same encrypted content.

What the copy's gocryptfs.conf says of names is what every later push does. Names that are not
encrypted, or not as usual, must be confirmed: --plaintextnames and the options below it.`;

/** Defines `adopt REMOTE [DIR]`. */
export function defineAdopt(program: Command, select: Selected): void {
  const command = program
    .command('adopt')
    .summary('make a folder a vault that continues an existing gocryptfs copy')
    .description(
      'Make a folder a vault that continues an existing copy made by gocryptfs, without sending it again.',
    )
    .argument(
      '<remote>',
      'where the copy is: user@host:path, or a local folder (./folder, /folder)',
    )
    .argument('[dir]', 'the folder with the plaintext (default: the current one)')
    .option('--name <name>', 'what the remote is called from now on', 'origin')
    .option('--cipherdir <dir>', 'read the encrypted names from this local folder instead')
    .option('--repair', 'mend what is damaged in the copy')
    .option('-n, --dry-run', 'make and change nothing, only show what would be done')
    .option('--numeric-ids', 'compare user and group numbers, not names');
  addForeignConfOptions(command);
  addPeerOptions(command);
  addSecretOptions(command, { masterkey: true });
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action((remote: string, dir: string | undefined) => {
      const options: AdoptOptions = command.optsWithGlobals();
      select('adopt', options, (host, warnings) =>
        runAdopt(host, warnings, { options, remote, dir }),
      );
    });
}

async function runAdopt(
  host: Host,
  warnings: Warnings,
  words: {
    readonly options: AdoptOptions;
    readonly remote: string;
    readonly dir: string | undefined;
  },
): Promise<CommandResult> {
  const { options } = words;
  const settings = readSettings(host, words);
  const { adoptWith } = await import('../../library/continued-run.ts');
  const shownCopy = settings.destination.shown;
  const secret = continuedSecret(host, warnings, { options, shownCopy });
  const summary = await adoptWith(
    callerOf(host, warnings),
    { settings, secret },
    reportersFor(host, warnings, options),
  );
  host.out.clearStatus();
  return conclude(host, settings, summary);
}

function readSettings(
  host: Host,
  words: {
    readonly options: AdoptOptions;
    readonly remote: string;
    readonly dir: string | undefined;
  },
): AdoptSettings {
  const { options, remote, dir } = words;
  const { folder } = placeOf(host, options);
  const { name, cipherdir } = options;
  const source = path.resolve(folder, dir ?? '.');
  const vaultDir = vaultDirOf(host, options);
  return {
    ...placeToAdopt({ remote, name, source, vaultDir, folder }, host),
    dryRun: options.dryRun === true,
    repair: options.repair === true,
    numericIds: options.numericIds === true,
    ...peerSettings(options),
    ...(cipherdir === undefined ? {} : { cipherDir: path.resolve(folder, cipherdir) }),
  };
}

function reportersFor(
  host: Host,
  warnings: Warnings,
  options: AdoptOptions,
): Omit<AdoptSurroundings, 'unlock' | 'signal'> {
  const { out } = host;
  return {
    questions: loginQuestions(host, { passwordFile: options.passwordFile, warnings }),
    reporter: {
      finding: (finding) => {
        const text = adoptFindingText(finding, options.repair === true);
        if (out.mode.json) out.event(adoptFindingEvent(finding));
        else if (finding.mending === 'none') out.note(`note: ${text}`);
        else out.data(text);
      },
      warning: (warning) => warnings.add(warning),
      progress: ({ filesTotal }) => out.status(`comparing: ${shownCount(filesTotal)}`),
      surveyed: (objects) => out.status(`looking at the copy: ${shownCount(objects)}`),
    },
  };
}

function conclude(host: Host, settings: AdoptSettings, summary: AdoptSummary): CommandResult {
  const { out } = host;
  const { name, destination } = settings;
  const { vaultDir, confInSource } = summary;
  for (const line of adoptLines(summary, destination.shown)) out.note(line);
  if (vaultDir !== undefined) {
    noteVault(host, vaultDir);
    out.note(`made the vault ${vaultDir}, with the remote '${name}'`);
    if (confInSource) {
      out.note(
        `it uses ${path.join(settings.place.source, REVERSE_CONF_NAME)}, as gocryptfs -reverse does`,
      );
    }
    out.note('next: `ecsync push`; and `ecsync key paper` for a recovery sheet');
  }
  return { exitCode: 0, figures: adoptFigures(summary, name) };
}
