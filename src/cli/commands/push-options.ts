import { InvalidArgumentError, Option, type Command } from 'commander';
import {
  addCommonOptions,
  addFutureOptions,
  addSecretOptions,
  byteSize,
  wholeNumber,
  type CommonOptions,
  type SecretOptions,
} from '../options.ts';

/** One filter option, in the order of the command line. */
export interface FilterWord {
  readonly kind: 'exclude' | 'include' | 'excludeFrom' | 'filter';
  readonly text: string;
}

/** The options of `push`, as commander gives them. */
export interface PushOptions extends CommonOptions, SecretOptions {
  readonly dryRun?: boolean;
  readonly itemizeChanges?: boolean;
  readonly delete?: boolean;
  readonly maxDelete?: number;
  readonly checksum?: boolean;
  readonly hardLinks?: boolean;
  readonly xattrs?: boolean;
  readonly blockSize?: number;
  readonly numericIds?: boolean;
  readonly devices: boolean;
  readonly specials: boolean;
  readonly owner: boolean;
  readonly group: boolean;
  readonly perms: boolean;
  readonly timeout: number;
  readonly rsh?: string;
  readonly rsyncPath?: string;
  readonly passwordFile?: string;
  readonly acceptNewHostKey?: boolean;
  readonly protocol: number;
  readonly progress?: boolean;
  readonly stats?: boolean;
}

export const TIMEOUT_SEC_DEFAULT = 600;
export const PROTOCOL_DEFAULT = 32;
const TIMEOUT_SEC_MAX = 86_400;

const AFTER_HELP = `
REMOTE is the name of a configured remote, or a destination: it contains a colon (user@host:path)
or starts with /, ./, ../ or a drive. Without REMOTE the first configured remote is used. PATHs
are relative to the current folder and lie inside the vault; without PATH everything is pushed.
Filter rules are rsync's: the first one that matches decides, in the order given.`;

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
    .option('-n, --dry-run', 'change nothing, only show what would be done')
    .option('-i, --itemize-changes', 'print one line for every change, as rsync does')
    .option('--delete', 'delete what is no longer in the folder')
    .option('--max-delete <n>', 'delete nothing when more than N would go', count())
    .option('-c, --checksum', 'compare content, not only size and time')
    .option('--exclude <pattern>', 'leave out what matches', collect('exclude'))
    .option('--include <pattern>', 'keep what matches', collect('include'))
    .option(
      '--exclude-from <file>',
      'leave out what matches a line of FILE',
      collect('excludeFrom'),
    )
    .option('--filter <rule>', 'add a filter rule', collect('filter'))
    .option('-H, --hard-links', 'keep hard links')
    .option('-X, --xattrs', 'keep extended attributes, encrypted (Linux; needs getfattr)')
    .option('-B, --block-size <size>', 'block size of the delta (suffix K)', byteSize(700, 131_072))
    .option('--numeric-ids', 'send user and group numbers, not names')
    .option('--no-owner', 'do not keep the owner')
    .option('--no-group', 'do not keep the group')
    .option('--no-perms', 'do not keep the permissions')
    .option('--no-devices', 'leave out devices')
    .option('--no-specials', 'leave out sockets and pipes')
    .option(
      '--timeout <seconds>',
      'give up after so long without a byte; 0: never',
      wholeNumber(0, TIMEOUT_SEC_MAX),
      TIMEOUT_SEC_DEFAULT,
    )
    .option('-e, --rsh <command>', 'use this remote shell instead of the built-in ssh')
    .option('--rsync-path <program>', 'the rsync to run on the other side')
    .option('--password-file <file>', 'the password of an rsync daemon is the first line of FILE')
    .option('--accept-new-host-key', 'trust and record the key of a host seen for the first time')
    .addOption(protocolOption().default(PROTOCOL_DEFAULT))
    .option('--progress', 'show progress also when no terminal is there')
    .option('--stats', 'print figures at the end');
  addSecretOptions(command, { masterkey: true });
  addCommonOptions(command);
  addFutureOptions(command, ['--bwlimit <rate>', '--append-only', '--snapshot [name]']);
  command.addHelpText('after', AFTER_HELP);
  return filters;
}

/** Leaves options out of a command's help that mean nothing there. */
export function hideOptions(command: Command, names: readonly string[]): void {
  for (const option of command.options) {
    if (option.long != null && names.includes(option.long)) option.hideHelp();
  }
}

function count(): (text: string) => number {
  return wholeNumber(0, Number.MAX_SAFE_INTEGER);
}

/** `--protocol <n>` */
export function protocolOption(): Option {
  return new Option('--protocol <n>', 'newest rsync protocol to use: 27, or 29 to 32').argParser(
    parseProtocol,
  );
}

function parseProtocol(text: string): number {
  const protocol = /^[0-9]{2}$/.test(text) ? Number(text) : 0;
  if (protocol === 27 || (protocol >= 29 && protocol <= 32)) return protocol;
  throw new InvalidArgumentError('It must be 27, 29, 30, 31 or 32.');
}
