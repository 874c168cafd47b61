/** The options of `push`, as commander defines and returns them. */
import { Option, type Command } from 'commander';
import type { ObjectLimit } from '../../sync/push/source/push-settings.ts';
import type { RatePlan } from '../../transport/throttle.ts';
import {
  addCommonOptions,
  addFutureOptions,
  addSecretOptions,
  byteSize,
  oneMore,
  wholeNumber,
  type CommonOptions,
  type SecretOptions,
} from '../frame/options.ts';
import {
  parseBandwidth,
  parseBudget,
  parseFileSize,
  parseObjectLimit,
  parseSpan,
  parseTop,
  parseWaitOnline,
} from '../frame/push-values.ts';
import { ESCAPED_HELP } from '../frame/escaped-paths.ts';
import { addWaitOption, type WaitOptions } from '../frame/vault-lock.ts';
import { addPeerOptions, type AttributeOptions, type PeerOptions } from '../frame/run-options.ts';

/** One filter option, in the order of the command line. */
export interface FilterWord {
  readonly kind: 'exclude' | 'include' | 'excludeFrom' | 'filter';
  readonly text: string;
}

/** The options of `push`, as commander gives them. */
export interface PushOptions extends CommonOptions, SecretOptions, PeerOptions, AttributeOptions {
  readonly escaped?: boolean;
  readonly dryRun?: boolean;
  readonly itemizeChanges?: boolean;
  readonly delete?: boolean;
  readonly deleteExcluded?: boolean;
  readonly maxDelete?: ObjectLimit;
  readonly forgetMounts?: boolean;
  readonly maxChanged?: ObjectLimit;
  readonly intoNonEmpty?: boolean;
  readonly newCopy?: boolean;
  readonly keep?: string | readonly string[];
  readonly appendOnly?: boolean;
  readonly maxBytes?: number;
  readonly top?: number;
  readonly checksum?: boolean;
  readonly hardLinks?: boolean;
  readonly xattrs?: boolean;
  readonly blockSize?: number;
  readonly presets?: string | readonly string[];
  readonly ignoreFiles?: boolean;
  readonly excludeCaches?: boolean;
  readonly oneFileSystem?: boolean;
  readonly maxSize?: number;
  readonly minSize?: number;
  readonly excludeIfPresent?: string | readonly string[];
  /** Seconds. */
  readonly maxAge?: number;
  /** Seconds. */
  readonly minAge?: number;
  readonly bwlimit?: RatePlan;
  /** Seconds. */
  readonly maxTime?: number;
  readonly retries?: number;
  readonly progress?: boolean;
  readonly stats?: boolean;
}

/** Options of `push` alone. */
export interface PushCommandOptions extends PushOptions, WaitOptions {
  readonly all?: boolean;
  /** Seconds. */
  readonly ifOlderThan?: number;
  /** Seconds. */
  readonly waitOnline?: number;
  readonly skipOnBattery?: boolean;
  readonly skipOnMetered?: boolean;
  readonly lowPriority?: boolean;
}

/** Options that say under which conditions a push starts, and how it behaves then. */
export function addConditionOptions(command: Command): void {
  addWaitOption(command)
    .option('--if-older-than <age>', 'only when the last good push is older: 20h, 2d', parseSpan)
    .option(
      '--wait-online <seconds>',
      'wait so long for the destination to be reached, then exit code 75',
      parseWaitOnline,
    )
    .option('--skip-on-battery', 'exit code 75 while this machine runs on its battery')
    .option('--skip-on-metered', 'exit code 75 while the network costs by the byte')
    .option('--low-priority', 'let other programs go first');
  for (const flag of ['--no-skip-on-battery', '--no-skip-on-metered', '--no-low-priority']) {
    command.addOption(new Option(flag).hideHelp());
  }
}

const AFTER_HELP = `
REMOTE is the name of a configured remote, or a destination: it contains a colon (user@host:path)
or starts with /, ./, ../ or a drive. Without REMOTE the first configured remote is used. PATHs
are relative to the current folder and lie inside the vault; without PATH everything is pushed.
Filter rules are rsync's: the first one that matches decides, in the order given.

What is not said here is taken from ECSYNC_DELETE, ECSYNC_EXCLUDE and so on, then from [push] in
.ecsync/config.toml and ~/.config/ecsync/config.toml: see \`ecsync config show\`. Rules from there come
after those given here. A flag is taken back with --no-, such as --no-delete.`;

const INTO_NON_EMPTY =
  'make a copy in a folder that holds other things, too; a plain mirror replaces those of equal names';

/** Flags that configuration may set, and the command line take back. */
const REVERSIBLE = [
  ...[
    '--no-delete',
    '--no-delete-excluded',
    '--no-append-only',
    '--no-checksum',
    '--no-hard-links',
    '--no-xattrs',
    '--no-numeric-ids',
  ],
  ...['--no-ignore-files', '--no-exclude-caches', '--no-one-file-system'],
  ...['--owner', '--group', '--perms', '--devices', '--specials'],
];

/**
 * Gives the command its options.
 *
 * @returns the filter options as they come, which keeps the order between them
 */
export function addPushOptions(command: Command): readonly FilterWord[] {
  const filters: FilterWord[] = [];
  const collect = (kind: FilterWord['kind']) => (text: string) => {
    filters.push({ kind, text });
    return text;
  };
  command
    .option('--escaped', ESCAPED_HELP)
    .option('-n, --dry-run', 'change nothing, only show what would be done')
    .option('-i, --itemize-changes', 'print one line for every change, as rsync does')
    .option('--delete', 'delete what is no longer in the folder')
    .option('--delete-excluded', 'delete also what is left out now')
    .option(
      '--max-delete <n>',
      'delete nothing when more than N, or N%, would go (default: 10%, but 50 always may)',
      parseObjectLimit,
    )
    .option(
      '--max-changed <n>',
      'send nothing when more than N files, or N%, would be replaced (default: 50%, but 500 always may)',
      parseObjectLimit,
    )
    .option('--forget-mounts', 'with --delete: delete what was on disks that are no longer mounted')
    .option('--keep <pattern>', 'leave alone what has this name in the copy', oneMore)
    .option('--into-non-empty', INTO_NON_EMPTY)
    .option('--new-copy', 'make a new copy where the one that was there is gone')
    .option('--append-only', 'only add: replace and delete nothing in the copy')
    .option('-c, --checksum', 'compare content, not only size and time')
    .option('--exclude <pattern>', 'leave out what matches', collect('exclude'))
    .option('--include <pattern>', 'keep what matches', collect('include'))
    .option(
      '--exclude-from <file>',
      'leave out what matches a line of FILE',
      collect('excludeFrom'),
    )
    .option('--filter <rule>', 'add a filter rule', collect('filter'))
    .option('--presets <names>', 'leave out what is never missed: os, dev-caches')
    .option('--ignore-files', 'follow the rules in files named .ecsyncignore')
    .option('--exclude-caches', 'leave out what is in folders with a CACHEDIR.TAG')
    .option(
      '--exclude-if-present <name>',
      'leave out what is beside a file of this name, such as .nobackup',
      oneMore,
    )
    .option('-x, --one-file-system', 'leave out what is mounted inside the folder')
    .option('--max-size <size>', 'leave out larger files', parseFileSize)
    .option('--min-size <size>', 'leave out smaller files', parseFileSize)
    .option('--max-age <age>', 'leave out files that were changed before that: 30d', parseSpan)
    .option('--min-age <age>', 'leave out files that were changed since then: 10m', parseSpan)
    .option('-H, --hard-links', 'keep hard links')
    .option('-X, --xattrs', 'keep extended attributes, encrypted (Linux; needs getfattr)')
    .option('-B, --block-size <size>', 'block size of the delta (suffix K)', byteSize(700, 131_072))
    .option('--numeric-ids', 'send user and group numbers, not names')
    .option('--no-owner', 'do not keep the owner')
    .option('--no-group', 'do not keep the group')
    .option('--no-perms', 'do not keep the permissions')
    .option('--no-devices', 'leave out devices')
    .option('--no-specials', 'leave out sockets and pipes');
  addLimitOptions(command);
  addPeerOptions(command)
    .option('--progress', 'show progress also when no terminal is there')
    .option('--stats', 'print figures at the end')
    .option('--top <n>', 'name the N largest uploads at the end', parseTop);
  for (const flag of REVERSIBLE) command.addOption(new Option(flag).hideHelp());
  addSecretOptions(command, { masterkey: true });
  addCommonOptions(command);
  addFutureOptions(command, ['--snapshot [name]']);
  command.addHelpText('after', AFTER_HELP);
  return filters;
}

/** How much a run may take of time and of the line. */
function addLimitOptions(command: Command): void {
  command
    .option('--bwlimit <rate>', 'send no more than RATE a second: 512K, 1.5M', parseBandwidth)
    .option(
      '--max-bytes <size>',
      'stop after about SIZE of content; the next push continues',
      parseBudget,
    )
    .option('--max-time <time>', 'stop after so long; the next push continues', parseSpan)
    .option('--retries <n>', 'try so often again when the connection is lost', wholeNumber(0, 100));
}

/** Leaves options out of a command's help that mean nothing there. */
export function hideOptions(command: Command, names: readonly string[]): void {
  for (const option of command.options) {
    if (option.long != null && names.includes(option.long)) option.hideHelp();
  }
}

/** Names of the options that the command line itself says. */
export function givenOptions(command: Command): ReadonlySet<string> {
  const names = command.options.map((option) => option.attributeName());
  return new Set(names.filter((name) => command.getOptionValueSource(name) === 'cli'));
}
