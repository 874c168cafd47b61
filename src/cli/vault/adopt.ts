/** The command `adopt`: makes a vault that continues an existing copy. */
import fs from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { UsageError, VaultError } from '../../errors.ts';
import type { Conf } from '../../gocryptfs/conf/config.ts';
import { REVERSE_CONF_NAME } from '../../gocryptfs/names/names.ts';
import { isRemoteName } from '../../vault/config/config.ts';
import { checkNewVault } from '../../vault/new-vault.ts';
import { looksLikeDestination, parseDestination } from '../../vault/destination/destination.ts';
import { pathKind } from '../../vault/files/path-kind.ts';
import { readConfFile } from '../../vault/stored-conf.ts';
import { adoptFigures, adoptFindingEvent, adoptFindingText, adoptLines } from './adopt-output.ts';
import { shownCount } from '../terminal/figures.ts';
import { admitConf, type ForeignConfOptions } from '../secrets/foreign-conf.ts';
import type { Host } from '../frame/host.ts';
import { layoutLine } from '../secrets/layout-line.ts';
import {
  addCommonOptions,
  addSecretOptions,
  type CommonOptions,
  type SecretOptions,
} from '../frame/options.ts';
import { noteVault, placeOf, vaultDirOf } from '../frame/place.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import { unlockAdopted } from '../secrets/secrets.ts';
import { addPeerOptions, peerSettings, type PeerOptions } from '../frame/run-options.ts';
import type { Selected } from '../frame/selected.ts';
import { addForeignConfOptions } from '../copies/copy-options.ts';
import { loginQuestions } from '../frame/login-questions.ts';
import type {
  AdoptSettings,
  AdoptKey,
  AdoptSurroundings,
  AdoptSummary,
} from '../../sync/adopt/adopt-settings.ts';

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
  const { adopt } = await import('../../sync/adopt/adopt.ts');
  const keys: AdoptKey[] = [];
  try {
    const summary = await adopt(settings, {
      ...reportersFor(host, warnings, options),
      unlock: async (conf, confBytes) => {
        const key = await unlock(host, warnings, { options, settings, conf, confBytes });
        keys.push(key);
        return key;
      },
    });
    host.out.clearStatus();
    return conclude(host, settings, summary);
  } finally {
    for (const { masterkey } of keys) masterkey.fill(0);
  }
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
  const source = path.resolve(folder, dir ?? '.');
  const told = vaultDirOf(host, options);
  const place = { source, ...(told === undefined ? {} : { vaultDir: told }) };
  const vaultDir = checkNewVault(place);
  refuseEmpty(source);
  const { name, cipherdir } = options;
  if (!isRemoteName(name)) {
    throw new UsageError('remote-name-invalid', `'${name}' cannot be the name of a remote`, {
      hint: 'Use 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first.',
    });
  }
  if (!looksLikeDestination(remote)) {
    throw new UsageError('destination-invalid', `'${remote}' is not a destination`, {
      hint: 'Write user@host:path, or a local folder as ./folder or /folder.',
    });
  }
  return {
    place,
    vaultDir,
    destination: parseDestination(remote, { platform: host.platform, folder }),
    name,
    dryRun: options.dryRun === true,
    repair: options.repair === true,
    numericIds: options.numericIds === true,
    ...peerSettings(options),
    ...(cipherdir === undefined ? {} : { cipherDir: path.resolve(folder, cipherdir) }),
  };
}

/**
 * A folder that holds nothing would make the copy empty, one push with `--delete` later.
 *
 * @throws {UsageError} `not-a-folder`, `source-empty`
 */
function refuseEmpty(source: string): void {
  if (pathKind(source) !== 'folder') {
    throw new UsageError('not-a-folder', `${source} is not a folder`, {
      hint: 'Name the folder that holds the plaintext of the copy.',
    });
  }
  if (fs.readdirSync(source).some((name) => name !== REVERSE_CONF_NAME)) return;
  throw new UsageError('source-empty', `${source} is empty: there is nothing to continue with`, {
    hint: 'Is its disk mounted? To bring the files of the copy back, and go on from there: `ecsync clone`.',
  });
}

/** The key of the copy, and the reverse conf of the source if it is of the same key. */
async function unlock(
  host: Host,
  warnings: Warnings,
  about: {
    readonly options: AdoptOptions;
    readonly settings: AdoptSettings;
    readonly conf: Conf;
    readonly confBytes: Uint8Array;
  },
): Promise<AdoptKey> {
  const { options, settings, conf, confBytes } = about;
  const { parseConf } = await import('../../gocryptfs/conf/config.ts');
  const file = path.join(settings.place.source, REVERSE_CONF_NAME);
  const stored = pathKind(file) === 'absent' ? undefined : readConfFile(file);
  const isSame = stored !== undefined && Buffer.compare(stored.confBytes, confBytes) === 0;
  const other = stored === undefined || isSame ? undefined : tryParse(parseConf, stored.confBytes);
  const isAlike =
    other !== undefined &&
    other.longNameMax === conf.longNameMax &&
    other.flags.size === conf.flags.size &&
    [...other.flags].every((flag) => conf.flags.has(flag));
  const place = settings.destination.shown;
  const admit = (): Promise<void> =>
    admitConf(host, conf, { options, place, byMasterkey: options.masterkey !== undefined });
  // The user's own conf in the source may vouch for that of the copy.
  if (!isSame && !isAlike) await admit();
  host.out.note(layoutLine(conf, place));
  const confs = { conf, other: isAlike ? other : undefined };
  const key = await unlockAdopted(host, confs, options, warnings);
  const { masterkey, isUnproven } = key;
  if (stored === undefined) return { masterkey, isUnproven };
  if (isSame || key.isKeyOfOther) return { masterkey, isUnproven, reverseConf: stored };
  if (isAlike) await admit();
  const message = `${file} is not of this copy, as far as can be told: the conf of the copy is used`;
  warnings.add({ code: 'reverse-conf-differs', message });
  return { masterkey, isUnproven };
}

function tryParse(parse: (bytes: Uint8Array) => Conf, bytes: Uint8Array): Conf | undefined {
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof VaultError) return undefined;
    throw error;
  }
}

function reportersFor(
  host: Host,
  warnings: Warnings,
  options: AdoptOptions,
): Omit<AdoptSurroundings, 'unlock'> {
  const { out } = host;
  return {
    signal: host.signal,
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
