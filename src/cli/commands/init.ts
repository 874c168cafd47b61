import path from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../../errors.ts';
import { checkNewVault, createVault } from '../../vault/create-vault.ts';
import type { Host } from '../host.ts';
import {
  addCommonOptions,
  addFutureOptions,
  addSecretOptions,
  wholeNumber,
  type CommonOptions,
  type SecretOptions,
} from '../options.ts';
import { placeOf, vaultDirOf } from '../place.ts';
import { recoverySheet } from '../recovery-sheet.ts';
import type { CommandResult, Warnings } from '../report.ts';
import { readNewPassword } from '../secrets.ts';
import { parseLayout } from './layout-option.ts';
import type { Selected } from '../selected.ts';

interface InitOptions extends CommonOptions, SecretOptions {
  readonly scryptn?: number;
}

/** Defines `init [DIR]`. */
export function defineInit(program: Command, select: Selected): void {
  const command = program
    .command('init')
    .summary('make a folder a vault')
    .description(
      'Make a folder a vault: new keys in DIR/.ecsync/, and a recovery sheet to keep on paper.',
    )
    .argument('[dir]', 'the folder to copy (default: the current one)')
    .option('--layout <name>', 'how the copy is encrypted: gcm', parseLayout)
    .option(
      '--scryptn <n>',
      'cost of trying one password: 2^N, N from 10 to 22 (default: 16, 64 MiB)',
      wholeNumber(10, 22),
    );
  addSecretOptions(command, { masterkey: false });
  addCommonOptions(command);
  addFutureOptions(command, [
    '--plaintextnames',
    '--deterministic-names',
    '--longnamemax <n>',
  ]).action((dir: string | undefined) => {
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
  const { out } = host;
  const source = path.resolve(placeOf(host, options).folder, dir ?? '.');
  refuseUnspeakable(source);
  const told = vaultDirOf(host, options);
  const place = { source, ...(told === undefined ? {} : { vaultDir: told }) };
  checkNewVault(place);
  const [{ createConf }, { serialiseConf }] = await Promise.all([
    import('../../gocryptfs/keys.ts'),
    import('../../gocryptfs/config.ts'),
  ]);
  const secret = await readNewPassword(host, options, warnings);
  const { conf, masterkey } = await createConf({
    password: secret.bytes,
    creator: `ecsync ${host.version}`,
    ...(options.scryptn === undefined ? {} : { scryptLogN: options.scryptn }),
  }).finally(() => secret.bytes.fill(0));
  try {
    host.signal.throwIfAborted();
    const vaultDir = createVault(place, { confBytes: serialiseConf(conf), masterkey });
    out.note(`made the vault ${vaultDir}`);
    if (out.isTerminal && !out.mode.json) {
      const facts = { source, remotes: [], conf, masterkey, date: new Date() };
      for (const line of ['', ...recoverySheet(facts), '']) out.data(line);
    } else {
      out.note('the recovery sheet is not shown, because standard output is no terminal');
      out.note('hint: Print it with `ecsync key paper` and keep it: it is the last way in.');
    }
    out.note('next: `ecsync remote add NAME user@host:path`, then `ecsync push`');
    return { exitCode: 0, figures: { vaultDir } };
  } finally {
    masterkey.fill(0);
  }
}

/**
 * A path that is not valid text reaches a Node program with replacement characters in it: it names
 * another folder than the one that was meant, which would be made, and pushed empty ever after.
 */
function refuseUnspeakable(source: string): void {
  if (!source.includes('\uFFFD')) return;
  throw new UsageError('path-not-utf8', `${source}: the name of this folder is not valid UTF-8`, {
    hint: 'Rename the folder, or reach it by a symlink with a plain name. Names inside it may be anything.',
  });
}
