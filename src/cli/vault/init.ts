/** The command `init`: makes a vault for a folder. */
import path from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import type { LayoutChoice } from '../../gocryptfs/conf/feature-flags.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import { checkNewVault, makeVault, type NewVaultPlace } from '../../vault/new-vault.ts';
import type { Host } from '../frame/host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  typed,
  type CommonOptions,
  type SecretOptions,
} from '../frame/options.ts';
import { wholeNumber } from '../../options/option-values.ts';
import { noteVault, placeOf, vaultDirOf } from '../frame/place.ts';
import { recoverySheet } from '../keys/recovery-sheet.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { layoutOf, type LayoutOptions } from '../../library/settings/layout-options.ts';
import { addLayoutOptions } from '../settings/layout-option.ts';
import type { MadeKey } from '../../library/new-key.ts';
import { newKey, reverseKey } from '../keys/new-key.ts';
import { REVERSE_CONF_NAME } from '../../gocryptfs/names/names.ts';

interface InitOptions extends CommonOptions, SecretOptions, LayoutOptions {
  readonly scryptn?: number;
}

const AFTER_HELP = `
Where the folder has a .gocryptfs.reverse.conf, --layout reverse goes on with it: same file, same
password, same copy. Nothing new is made, and nothing is sent again.`;

/** Defines `init [DIR]`. */
export function defineInit(program: Command, select: Selected): void {
  const command = program
    .command('init')
    .summary('make a folder a vault')
    .description(
      'Make a folder a vault: new keys in DIR/.ecsync/, and a recovery sheet to keep on paper.',
    )
    .argument('[dir]', 'the folder to copy (default: the current one)');
  addLayoutOptions(command).option(
    '--scryptn <n>',
    'cost of trying one password: 2^N, N from 10 to 22 (default: 16, 64 MiB)',
    typed(wholeNumber(10, 22)),
  );
  addSecretOptions(command, { masterkey: false });
  addCommonOptions(command)
    .addHelpText('after', AFTER_HELP)
    .action((dir: string | undefined) => {
      const options: InitOptions = command.optsWithGlobals();
      select('init', options, (host, warnings) => init(host, warnings, dir, options));
    });
}

async function init(
  host: Host,
  warnings: Warnings,
  dir: string | undefined,
  options: InitOptions,
): Promise<CommandResult> {
  const source = path.resolve(placeOf(host, options).folder, dir ?? '.');
  refuseInvalidUtf8(source);
  const told = vaultDirOf(host, options);
  const place = { source, ...(told === undefined ? {} : { vaultDir: told }) };
  checkNewVault(place);
  const choice = layoutOf(options);
  const { findReverseConf } = await import('../../library/new-key.ts');
  const reverseConf = findReverseConf(source, options);
  const key =
    reverseConf === undefined
      ? await newKey(host, warnings, options, choice)
      : await reverseKey(host, warnings, options, reverseConf);
  try {
    host.signal.throwIfAborted();
    return conclude(host, place, { key, choice });
  } finally {
    key.masterkey.fill(0);
  }
}

function conclude(
  host: Host,
  place: NewVaultPlace,
  { key, choice }: { key: MadeKey; choice: LayoutChoice },
): CommandResult {
  const { out } = host;
  const { conf, masterkey } = key;
  const isFolderNew = pathKind(place.source) === 'absent';
  const vaultDir = makeVault(place, key);
  noteVault(host, vaultDir);
  if (isFolderNew) out.note(`made the folder ${place.source}, which was not there`);
  out.note(`made the vault ${vaultDir}`);
  if (key.reverse?.confInSource === true) {
    out.note(`it uses ${path.join(place.source, REVERSE_CONF_NAME)}, as gocryptfs -reverse does`);
  }
  if (out.isTerminal && !out.mode.json) {
    const facts = { source: place.source, remotes: [], conf, masterkey, date: new Date() };
    for (const line of ['', ...recoverySheet(facts), '']) out.data(line);
  } else {
    out.note('the recovery sheet is not shown, because standard output is no terminal');
    out.note('hint: Print it with `ecsync key paper` and keep it: it is the last way in.');
  }
  out.note('next: `ecsync remote add NAME user@host:path`, then `ecsync push`');
  return { exitCode: 0, figures: { vaultDir, layout: choice.layout, flags: [...conf.flags] } };
}

/**
 * A path that is not valid UTF-8 reaches a Node program with replacement characters. It would name
 * another folder, which would be made, and pushed empty ever after.
 */
function refuseInvalidUtf8(source: string): void {
  if (!source.includes('\uFFFD')) return;
  throw new UsageError('path-not-utf8', `${source}: the name of this folder is not valid UTF-8`, {
    hint: 'Rename the folder, or reach it by a symlink with a plain name. Names inside it may be anything.',
  });
}
