import { performance } from 'node:perf_hooks';
import { Option, type Command } from 'commander';
import { ExitCode, UsageError, VaultError } from '../../errors.ts';
import type { FsckReporter, FsckSummary } from '../../sync/fsck.ts';
import { readAdopted } from '../../vault/adopted.ts';
import { acquireLock } from '../../vault/lock.ts';
import { pathKind } from '../../vault/path-kind.ts';
import { vaultFiles } from '../../vault/vault-files.ts';
import type { CopyPlace, FolderLayoutOptions } from '../cipher-folder.ts';
import {
  checkedText,
  counted,
  findingEvent,
  findingText,
  FsckProgressReport,
} from '../fsck-output.ts';
import type { Host } from '../host.ts';
import {
  addCommonOptions,
  addSecretOptions,
  wholeNumber,
  type CommonOptions,
  type SecretOptions,
} from '../options.ts';
import type { CommandResult, Warnings } from '../report.ts';
import type { Selected } from '../selected.ts';

interface FsckOptions extends CommonOptions, SecretOptions, FolderLayoutOptions {}

const AFTER_HELP = `
Without an argument the vault's first remote is checked. A folder that is no remote of the vault is
opened with its own gocryptfs.conf and password. When that file is lost, the master key opens the
folder: --masterkey=stdin, and the layout from the recovery sheet.

Every finding is one line on standard output: a code, and the path in plaintext. A folder and the
path in the copy stand for what has no plaintext path. Exit code 26: something is damaged.

A check finds what is not what the key wrote. Whole files that are missing, older, or exchanged with
another of the same folder can only be found by comparing the copy with its source.`;

/** Defines `fsck [REMOTE|CIPHERDIR]`. */
export function defineFsck(program: Command, select: Selected): void {
  const command = program
    .command('fsck')
    .summary('read a copy and check every name and block')
    .description('Read a whole copy and authenticate every name, file and link with the key.')
    .argument('[copy]', 'name of a remote, or an encrypted folder')
    .addOption(
      new Option(
        '--layout <name>',
        'with --masterkey, without a conf: how it is encrypted',
      ).choices(['gcm', 'reverse', 'xchacha']),
    )
    .option('--plaintextnames', 'likewise: names are not encrypted')
    .option('--deterministic-names', 'likewise: folders have no IV')
    .option('--longnamemax <n>', 'likewise: longer names are hashed', wholeNumber(62, 255))
    .option('--no-hkdf', 'likewise: made before gocryptfs 1.3')
    .option('--no-raw64', 'likewise: names end in "="');
  addSecretOptions(command, { masterkey: true });
  addCommonOptions(command).addHelpText('after', AFTER_HELP);
  command.action((word: string | undefined) => {
    const options: FsckOptions = command.optsWithGlobals();
    select('fsck', options, (host, warnings) => runFsck(host, warnings, { options, word }));
  });
}

async function runFsck(
  host: Host,
  warnings: Warnings,
  { options, word }: { readonly options: FsckOptions; readonly word: string | undefined },
): Promise<CommandResult> {
  const { findCopy } = await import('../cipher-folder.ts');
  const place = findCopy(host, options, word);
  const folder = folderOf(place);
  // A push changes what is checked here.
  const lock = place.vault && acquireLock(vaultFiles(place.vault.vaultDir).lock);
  try {
    return await check(host, warnings, { place, folder, options });
  } finally {
    lock?.release();
    host.out.clearStatus();
  }
}

/** @throws {UsageError} `destination-unsupported`, {@link VaultError} `copy-missing` */
function folderOf({ destination }: CopyPlace): string {
  if (destination.kind !== 'local') {
    throw new UsageError(
      'destination-unsupported',
      `${destination.shown}: only a local folder can be checked in this release of ecsync`,
      { hint: 'Run `ecsync fsck CIPHERDIR` on that machine, or where the folder is mounted.' },
    );
  }
  if (pathKind(destination.path) === 'folder') return destination.path;
  throw new VaultError('copy-missing', `${destination.path} is not a folder`, {
    hint: 'Is its disk mounted?',
  });
}

interface CheckRequest {
  readonly place: CopyPlace;
  readonly folder: string;
  readonly options: FsckOptions;
}

async function check(
  host: Host,
  warnings: Warnings,
  { place, folder, options }: CheckRequest,
): Promise<CommandResult> {
  const { unlockCopy } = await import('../cipher-folder.ts');
  const { conf, masterkey } = await unlockCopy(host, warnings, place, options);
  const { openLayout } = await import('../../gocryptfs/layout.ts');
  const layout = openLayout(conf, masterkey);
  masterkey.fill(0);
  const { fsck } = await import('../../sync/fsck.ts');
  const { LocalTree } = await import('../../tree/local-tree.ts');
  const { vault } = place;
  const summary = await fsck(
    {
      openTree: (onProblem) => new LocalTree(folder, { onProblem }),
      layout,
      ...(vault?.confBytes === undefined ? {} : { conf: vault.confBytes }),
      // What was adopted may have been written by gocryptfs, which leaves holes.
      holesAreDamage: vault !== undefined && readAdopted(vault.vaultDir) === undefined,
    },
    reporterFor(host),
    host.signal,
  );
  return conclude(host, summary, place);
}

function reporterFor(host: Host): FsckReporter {
  const { out } = host;
  const progress = new FsckProgressReport(out, () => performance.now());
  return {
    finding: (finding) => {
      if (out.mode.json) out.event(findingEvent(finding));
      else if (finding.severity === 'note') out.note(`note: ${findingText(finding)}`);
      else out.data(findingText(finding));
    },
    progress: (now) => progress.show(now),
  };
}

function conclude(host: Host, summary: FsckSummary, place: CopyPlace): CommandResult {
  const { out } = host;
  const { exitCode, ...figures } = summary;
  const { shown } = place.destination;
  out.clearStatus();
  if (exitCode === ExitCode.ok) {
    const text = `checked ${shown}: ${checkedText(summary)}; nothing is damaged`;
    if (out.isWatched) out.note(text);
    else out.detail(text);
    return { exitCode, figures };
  }
  return { exitCode, figures, error: errorOf(summary, place) };
}

function errorOf(summary: FsckSummary, place: CopyPlace): NonNullable<CommandResult['error']> {
  const { damaged, unread, files, links, others } = summary;
  const { shown } = place.destination;
  const found = [
    ...(damaged > 0 ? [`${counted(damaged, 'finding')} of damage`] : []),
    ...(unread > 0 ? [`${counted(unread, 'object')} not read`] : []),
  ];
  const message = `${shown}: ${found.join(', ')}; checked ${checkedText(summary)}`;
  if (damaged === 0) return { code: 'not-all-read', message };
  const nothingOpened = files + links + others === 0 && summary.folders <= 1;
  return { code: 'copy-damaged', message, hint: hintFor(place, nothingOpened) };
}

function hintFor({ vault, remote, destination }: CopyPlace, nothingOpened: boolean): string {
  if (vault !== undefined) {
    return `Repair it from the source: ecsync push --checksum ${remote ?? destination.shown}`;
  }
  if (nothingOpened) return 'If this is all there is, the key or the layout may be the wrong one.';
  return 'Replace what is damaged from another copy.';
}
