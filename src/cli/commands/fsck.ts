import { InvalidArgumentError, type Command } from 'commander';
import { ExitCode, VaultError } from '../../errors.ts';
import type { FsckReporter, FsckSummary } from '../../sync/fsck.ts';
import type { Sample } from '../../sync/sample.ts';
import { acquireLock } from '../../vault/lock.ts';
import { pathKind } from '../../vault/path-kind.ts';
import { vaultFiles } from '../../vault/vault-files.ts';
import type { CopyPlace } from '../cipher-folder.ts';
import {
  checkedText,
  counted,
  findingEvent,
  findingText,
  FsckProgressReport,
} from '../fsck-output.ts';
import type { Host } from '../host.ts';
import { recordRun } from '../recorded-run.ts';
import type { CommandResult, Warnings } from '../report.ts';
import type { Selected } from '../selected.ts';
import { addCopyOptions, type CopyOptions } from './copy-options.ts';

interface FsckOptions extends CopyOptions {
  /** Percent. */
  readonly sample?: number;
  readonly seed?: string;
}

const AFTER_HELP = `
Without an argument the vault's first remote is checked. A folder that is no remote of the vault is
opened with its own gocryptfs.conf and password. When that file is lost, the master key opens the
folder: --masterkey=stdin, and the layout from the recovery sheet.

Everything at a remote is downloaded once, and kept nowhere. With --sample every name and folder is
checked, and the content of a share of the files.

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
    .argument('[copy]', 'name of a remote, a destination, or an encrypted folder')
    .option(
      '--sample <percent>',
      'read the content of so many files only, picked at random',
      percent,
    )
    .option('--seed <text>', 'pick the same files again');
  addCopyOptions(command).addHelpText('after', AFTER_HELP);
  command.action((word: string | undefined) => {
    const options: FsckOptions = command.optsWithGlobals();
    select('fsck', options, (host, warnings) => runFsck(host, warnings, { options, word }));
  });
}

/** `5`, `5%`, `0.1%` */
function percent(text: string): number {
  const value = /^[0-9]{1,3}(?:\.[0-9]{1,6})?%?$/.test(text) ? parseFloat(text) : NaN;
  if (value > 0 && value <= 100) return value;
  throw new InvalidArgumentError('It must be a share such as 5%.');
}

async function runFsck(
  host: Host,
  warnings: Warnings,
  { options, word }: { readonly options: FsckOptions; readonly word: string | undefined },
): Promise<CommandResult> {
  const { findCopy } = await import('../cipher-folder.ts');
  const place = findCopy(host, options, word);
  if (place.destination.kind === 'local') assertFolder(place.destination.path);
  const { vault, destination } = place;
  const work = async (): Promise<CommandResult> => {
    // A push changes what is checked here.
    const lock = vault && acquireLock(vaultFiles(vault.vaultDir).lock);
    try {
      return await check(host, warnings, { place, options });
    } finally {
      lock?.release();
      host.out.clearStatus();
    }
  };
  if (vault === undefined) return work();
  const isPart = options.sample !== undefined;
  const run = { vault, command: 'fsck', destination: destination.shown, isPart } as const;
  return recordRun(host, warnings, run, work);
}

/** @throws {VaultError} `copy-missing` */
function assertFolder(folder: string): void {
  if (pathKind(folder) === 'folder') return;
  throw new VaultError('copy-missing', `${folder} is not a folder`, {
    hint: 'Is its disk mounted?',
  });
}

interface CheckRequest {
  readonly place: CopyPlace;
  readonly options: FsckOptions;
}

async function check(
  host: Host,
  warnings: Warnings,
  { place, options }: CheckRequest,
): Promise<CommandResult> {
  const { HeldProblems, withOpenedCopy } = await import('../opened-copy.ts');
  const { fsck } = await import('../../sync/fsck.ts');
  const sample = await sampleOf(host, options);
  const { vault } = place;
  const held = new HeldProblems();
  const plan = { options, reach: 'all' as const, onProblem: held.onProblem };
  return withOpenedCopy({ host, warnings }, place, plan, async (opened) => {
    const { reached, copy, layout, holesAreDamage } = opened;
    const contents = await reached.contents(copy);
    const job = {
      openTree: (onProblem: typeof held.onProblem) => {
        held.tell(onProblem);
        return copy.tree;
      },
      layout,
      ...(vault?.confBytes === undefined ? {} : { conf: vault.confBytes }),
      ...(contents === undefined ? {} : { contents }),
      ...(sample === undefined ? {} : { sample: sample.isIn }),
      holesAreDamage,
    };
    const summary = await fsck(job, reporterFor(host), host.signal);
    const seed = sample === undefined ? {} : { seed: sample.seed };
    return conclude(host, { summary, place, figures: { ...copy.traffic(), ...seed } });
  });
}

/** Which files are read, and what picks the same ones again. */
async function sampleOf({ out }: Host, { sample, seed }: FsckOptions): Promise<Sample | undefined> {
  if (sample === undefined) return undefined;
  const { pickSample } = await import('../../sync/sample.ts');
  const picked = pickSample(sample / 100, seed);
  out.note(`reading ${sample}% of the files; the same ones again: --seed ${picked.seed}`);
  return picked;
}

function reporterFor(host: Host): FsckReporter {
  const { out } = host;
  const progress = new FsckProgressReport(out);
  return {
    finding: (finding) => {
      if (out.mode.json) out.event(findingEvent(finding));
      else if (finding.severity === 'note') out.note(`note: ${findingText(finding)}`);
      else out.data(findingText(finding));
    },
    progress: (now) => progress.show(now),
  };
}

function conclude(
  host: Host,
  about: {
    readonly summary: FsckSummary;
    readonly place: CopyPlace;
    readonly figures: Readonly<Record<string, unknown>>;
  },
): CommandResult {
  const { out } = host;
  const { summary, place } = about;
  const { exitCode, ...counts } = summary;
  const figures = { ...counts, ...about.figures };
  const { shown } = place.destination;
  out.clearStatus();
  if (exitCode === ExitCode.ok) {
    out.success(`checked ${shown}: ${checkedText(summary)}; nothing is damaged`);
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
