/** The command `fsck`: checks a copy from end to end without writing to it. */
import type { Command } from 'commander';
import { ExitCode } from '../../errors.ts';
import { movedFilesText, type FsckFinding } from '../../sync/copy/fsck-finding.ts';
import type { Sample } from '../../sync/browse/sample.ts';
import type { CopyPlace } from '../../library/copy-place.ts';
import type { FsckRunSummary } from '../../library/fsck-summary.ts';
import { callerOf } from '../frame/caller.ts';
import { configuredLayers, keptPatterns } from '../../library/settings/configured-peer.ts';
import {
  checkedText,
  counted,
  findingEvent,
  findingText,
  FsckProgressReport,
} from '../copies/fsck-output.ts';
import type { Host } from '../frame/host.ts';
import { typed, typedOften } from '../frame/options.ts';
import { OptionValueError, parseText } from '../../options/option-values.ts';
import type { CommandResult, Warnings } from '../frame/report.ts';
import type { Selected } from '../frame/selected.ts';
import { addCopyOptions, type CopyOptions } from '../copies/copy-options.ts';
import type { FsckReporter } from '../../sync/check/fsck-job.ts';
import type { FsckProgress, FsckSummary } from '../../sync/check/fsck-summary.ts';

interface FsckOptions extends CopyOptions {
  /** Percent. */
  readonly sample?: number;
  readonly seed?: string;
  readonly allowHoles?: boolean;
  readonly nonces?: boolean;
  readonly keep?: readonly string[];
  /** False for `--no-last-push`. */
  readonly lastPush: boolean;
}

const AFTER_HELP = `
Without an argument the vault's first remote is checked. A folder that is no remote of the vault is
opened with its own gocryptfs.conf and password. When that file is lost, the master key opens the
folder: --masterkey=stdin, and the layout from the recovery sheet. If it says that names are stored in
an unusual way and has no seal that proves it, an option must confirm that: --plaintextnames …

Everything at a remote is downloaded once, and kept nowhere. With --sample every name and folder is
checked, and the content of a share of the files.

Every finding is one line on standard output: the path in plaintext, and what is wrong there. A folder
and the path in the copy stand for what has no plaintext path. With --json a finding has a code, too.
Exit code 26: something is damaged. Where the gocryptfs.diriv of a folder is lost or damaged, gocryptfs
cannot read it, and nothing in it is lost: \`ecsync verify --repair\` puts the file back.

A check finds what is not what the key wrote, and what is not where the key says it was written for:
files, folders and links that somebody has moved or exchanged. A remote of this vault is also compared
with what the last push from here left, if that ended well: what is missing, has another size, time or
mode, or came back. When another machine has pushed there since, add --no-last-push. A file that was
rolled back to an earlier version of the same size and time shows in \`ecsync verify\` only.`;

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
      typed(percent),
    )
    .option('--seed <text>', 'pick the same files again')
    .option('--allow-holes', 'blocks of zeros that gocryptfs may have left are no damage')
    .option('--nonces', 'look whether ecsync wrote each block, which takes longer')
    .option(
      '--keep <pattern>',
      'objects with this name do not belong to the copy',
      typedOften(parseText),
    )
    .option('--no-last-push', 'do not compare with what the last push from here left');
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
  throw new OptionValueError('It must be a share such as 5%.');
}

async function runFsck(
  host: Host,
  warnings: Warnings,
  { options, word }: { readonly options: FsckOptions; readonly word: string | undefined },
): Promise<CommandResult> {
  const { findCopy } = await import('../copies/cipher-folder.ts');
  const { fsckRecorded } = await import('../../library/fsck-run.ts');
  const place = findCopy(host, options, word);
  const isPart = options.sample !== undefined;
  return fsckRecorded(callerOf(host, warnings), { place, isPart }, () =>
    check(host, warnings, { place, options }).finally(() => host.out.clearStatus()),
  );
}

async function check(
  host: Host,
  warnings: Warnings,
  { place, options }: { readonly place: CopyPlace; readonly options: FsckOptions },
): Promise<CommandResult> {
  const { copyAccess } = await import('../copies/copy-access.ts');
  const { fsckCopy } = await import('../../library/fsck-run.ts');
  const reporter = new FsckReport(host);
  const run = {
    access: copyAccess(host, warnings, { place, options }),
    sample: await sampleOf(host, options),
    allowHoles: options.allowHoles === true,
    checksNonces: options.nonces === true,
    keep: keptPatterns(configuredLayers(host, place), options.keep),
    comparesWithPush: options.lastPush,
  };
  const { pushUnknown, ...summary } = await fsckCopy(callerOf(host, warnings), run, reporter);
  reporter.conclude();
  if (pushUnknown !== undefined) {
    host.out.detail(`not compared with the last push: ${pushUnknown}`);
  }
  return conclude(host, summary, place);
}

/** The random sample of files, and the seed that repeats it. */
async function sampleOf({ out }: Host, { sample, seed }: FsckOptions): Promise<Sample | undefined> {
  if (sample === undefined) return undefined;
  const { pickSample } = await import('../../sync/browse/sample.ts');
  const picked = pickSample(sample / 100, seed);
  out.note(`reading ${sample}% of the files; the same ones again: --seed ${picked.seed}`);
  return picked;
}

/** Codes of files that may have been renamed. */
const MOVED = new Set(['file-moved', 'file-copied']);

/**
 * Shows the findings of a check. Files that may have been renamed are counted, and named with `-v`.
 */
class FsckReport implements FsckReporter {
  readonly #out: Host['out'];
  readonly #progress: FsckProgressReport;
  #moved = 0;

  constructor({ out }: Host) {
    this.#out = out;
    this.#progress = new FsckProgressReport(out);
  }

  finding(finding: FsckFinding): void {
    const out = this.#out;
    const isMoved = finding.severity === 'note' && MOVED.has(finding.code);
    if (isMoved) this.#moved++;
    if (out.mode.json) out.event(findingEvent(finding));
    else if (isMoved) out.detail(`note: ${finding.message}`);
    else if (finding.severity === 'note') out.note(`note: ${findingText(finding)}`);
    else out.data(findingText(finding));
  }

  progress(now: FsckProgress): void {
    this.#progress.show(now);
  }

  conclude(): void {
    if (this.#moved === 0 || this.#out.mode.json) return;
    this.#out.note(`note: ${movedFilesText(this.#moved)}`);
  }
}

function conclude(
  host: Host,
  summary: Omit<FsckRunSummary, 'pushUnknown'>,
  place: CopyPlace,
): CommandResult {
  const { out } = host;
  const { exitCode, ...figures } = summary;
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
    const shown = remote ?? destination.shown;
    return `Repair it from the source: ecsync verify --repair ${shown} (add --delete to remove what does not belong there)`;
  }
  if (nothingOpened) return 'If this is all there is, the key or the layout may be the wrong one.';
  return 'Replace what is damaged from another copy.';
}
