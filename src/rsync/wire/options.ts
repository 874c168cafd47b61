/** The options of a transfer, and the command lines of servers made from them. */
import { UsageError } from '../../errors.ts';
import { ITEM_RECORDS_SINCE, PROTOCOL_NEWEST } from './constants.ts';

/**
 * The options of a transfer. One object determines both the command line of the server and the
 * switches of our codecs, since the two must agree exactly. Recursion is always on.
 */
export interface TransferOptions {
  /** Newest protocol to offer: 27, 29 … 32. Not part of the command line. */
  readonly protocolMax: number;
  readonly links: boolean;
  readonly perms: boolean;
  readonly times: boolean;
  readonly owner: boolean;
  readonly group: boolean;
  readonly devices: boolean;
  readonly specials: boolean;
  readonly hardLinks: boolean;
  /** `-X`: extended attributes of all entries. Needs protocol 30. */
  readonly xattrs?: boolean;
  /** `-c`: compare by checksum instead of size and time. */
  readonly checksum: boolean;
  readonly dryRun: boolean;
  /**
   * `--only-write-batch`: a dry run in which the server nevertheless sends the block sums of its
   * files. We answer as in a dry run, and count the bytes that a real run would send.
   */
  readonly measure?: boolean;
  readonly numericIds: boolean;
  /** `-I`: check every file, even if size and time are equal. */
  readonly ignoreTimes: boolean;
  /** `--delete-after`, with a report of each deleted name. */
  readonly deleteAfter: boolean;
  /** `--ignore-existing`: existing objects stay unchanged; existing folders can get new entries. */
  readonly ignoreExisting?: boolean;
  /** `--existing`: nothing new is created. */
  readonly existing?: boolean;
  /** `--info=SKIP2`: one message for each skipped object, with whether it differs. */
  readonly reportSkipped?: boolean;
  /** `-v`: lines for people. Before protocol 29 only these name deletions. */
  readonly verbose?: boolean;
  /** `-B`: bytes per block of the delta, 1 … 131072. */
  readonly blockSize?: number;
  /** `--modify-window`: times that differ by no more seconds count as equal. Default 0. */
  readonly modifyWindowSec?: number;
  /** `--timeout`: seconds after which the server gives up an idle connection. */
  readonly timeoutSec?: number;
  /** `--fsync`, since 3.2.4: each file is on the server's disk before it is renamed into place. */
  readonly fsync?: boolean;
  /** `--temp-dir`: where the server builds files before it renames them. */
  readonly tempDir?: string;
  /**
   * `--link-dest`: earlier copy, relative to the destination, that unchanged files are linked to.
   */
  readonly linkDest?: string;
  /**
   * `--compare-dest`: folder whose equal files need not be sent. At most one of this, `linkDest`
   * and `copyDest` may be set.
   */
  readonly compareDest?: string;
  /** `--copy-dest`: folder whose equal files are copied instead of being sent. */
  readonly copyDest?: string;
  /**
   * `--inplace`: a file is written under its own name, and keeps its bytes if the run is cut off.
   */
  readonly inPlace?: boolean;
  /** `-S`: zeros are stored as holes. Together with `inPlace` it needs rsync 3.1.3. */
  readonly sparse?: boolean;
  /** `--mkpath`, since 3.2.3: missing folders above the destination are created too. */
  readonly mkPath?: boolean;
  /** `--size-only`: files of equal size count as equal. */
  readonly sizeOnly?: boolean;
}

/** Whether the receiving side changes nothing. */
export function isDryRun({
  dryRun,
  measure,
}: Pick<TransferOptions, 'dryRun' | 'measure'>): boolean {
  return dryRun || measure === true;
}

/**
 * All that a file list can hold, with numeric ids: for listing, and for reading files whose content
 * is used without storing the files.
 */
export const LISTING: TransferOptions = {
  protocolMax: PROTOCOL_NEWEST,
  links: true,
  perms: true,
  times: true,
  owner: true,
  group: true,
  devices: true,
  specials: true,
  hardLinks: false,
  checksum: false,
  dryRun: false,
  numericIds: true,
  ignoreTimes: false,
  deleteAfter: false,
};

/**
 * The capabilities we offer: `.` version placeholder, `L` symlink times, `s` symlink iconv, `f`
 * safe list end, `x` no xattr shortcut, `C` seed order fixed, `v` varint flags and checksum
 * negotiation, `u` names of id 0. Without `i` the file list arrives whole; without `I` partial
 * files are not updated in place.
 */
const CAPABILITIES = 'e.LsfxCvu';

/** Cluster letters in the order in which the stock client sends them. */
const LETTERS = [
  ['v', 'verbose'],
  ['n', 'dryRun'],
  ['l', 'links'],
  ['H', 'hardLinks'],
  ['o', 'owner'],
  ['g', 'group'],
  ['D', 'devices'],
  ['t', 'times'],
  ['p', 'perms'],
  ['X', 'xattrs'],
  ['r', undefined],
  ['c', 'checksum'],
  ['I', 'ignoreTimes'],
  ['S', 'sparse'],
] as const;

/**
 * Makes the server report each deletion by name: without a log format it deletes silently. Below
 * protocol 29 there is no message for it, only the lines of `-v`.
 */
const REPORT_ITEMS = '--log-format=%i';

/**
 * As the stock client sends it. The batch file would be on the client, so its name does not matter.
 */
const MEASURE = '--only-write-batch=X';

/**
 * Since rsync 3.2.4 it says how the object differs; 3.1 says only that it exists; older ones
 * refuse.
 */
const REPORT_SKIPPED = '--info=SKIP2';

/**
 * The stock client sends it with `-S --inplace`: without it some servers begin with an empty file.
 */
const BY_DELTA = '--no-W';

/** Options whose value is a folder, as a separate argument. */
const FOLDERS = [
  ['tempDir', '--temp-dir'],
  ['linkDest', '--link-dest'],
  ['compareDest', '--compare-dest'],
  ['copyDest', '--copy-dest'],
] as const;

/**
 * The arguments of `rsync` for a receiving server, in the stock client's form, which restricted
 * shells expect.
 *
 * @param destination - directory on the server; a slash is appended, `./` put before a dash
 * @see rsync options.c server_options (3.5.0)
 */
export function serverArgs(options: TransferOptions, destination: string): string[] {
  const args = ['--server', clusterOf(options), ...specialsArgs(options)];
  if (options.deleteAfter && options.protocolMax >= ITEM_RECORDS_SINCE) args.push(REPORT_ITEMS);
  if (options.blockSize !== undefined) args.push(`-B${options.blockSize}`);
  if (options.timeoutSec !== undefined) args.push(`--timeout=${options.timeoutSec}`);
  if (options.deleteAfter) args.push('--delete-after');
  if (options.measure === true) args.push(MEASURE);
  if (options.sizeOnly === true) args.push('--size-only');
  if (options.modifyWindowSec !== undefined) {
    args.push(`--modify-window=${options.modifyWindowSec}`);
  }
  if (options.numericIds) args.push('--numeric-ids');
  if (options.ignoreExisting === true) args.push('--ignore-existing');
  if (options.existing === true) args.push('--existing');
  if (options.tempDir !== undefined) args.push('--temp-dir', options.tempDir);
  if (options.fsync === true) args.push('--fsync');
  for (const [name, arg] of FOLDERS) {
    const folder = options[name];
    if (folder !== undefined && name !== 'tempDir') args.push(arg, folder);
  }
  if (options.reportSkipped === true) args.push(REPORT_SKIPPED);
  if (options.inPlace === true) args.push('--inplace');
  if (options.inPlace === true && options.sparse === true) args.push(BY_DELTA);
  if (options.mkPath === true) args.push('--mkpath');
  args.push('.', destinationArg(destination));
  return args;
}

/**
 * The arguments of `rsync` for a sending server, in the stock client's form. Options that concern
 * only the receiver (deletions, folders for temporary files and earlier copies) are not sent.
 *
 * @param paths - what to send: with a trailing slash the contents of a folder, otherwise the object
 *   under its own name; no paths means the server's current folder
 * @see rsync options.c server_options (3.5.0)
 */
export function senderArgs(options: TransferOptions, paths: readonly string[]): string[] {
  const args = ['--server', '--sender', clusterOf(options), ...specialsArgs(options)];
  if (options.blockSize !== undefined) args.push(`-B${options.blockSize}`);
  if (options.timeoutSec !== undefined) args.push(`--timeout=${options.timeoutSec}`);
  if (options.numericIds) args.push('--numeric-ids');
  args.push('.', ...(paths.length === 0 ? ['.'] : paths.map(safeArg)));
  return args;
}

function clusterOf(options: TransferOptions): string {
  let cluster = '-';
  for (const [letter, name] of LETTERS) {
    if (name === undefined || options[name] === true) cluster += letter;
  }
  return cluster + CAPABILITIES;
}

/** Corrections to the letter `D`, which stands for both devices and specials. */
function specialsArgs(options: TransferOptions): string[] {
  if (options.devices === options.specials) return [];
  return [options.devices ? '--no-specials' : '--specials'];
}

/** A trailing slash makes rsync create a missing destination as a directory even for one entry. */
function destinationArg(destination: string): string {
  const safe = safeArg(destination);
  return safe.endsWith('/') ? safe : `${safe}/`;
}

/** An empty path becomes the current folder, and a leading dash is not taken as an option. */
function safeArg(path: string): string {
  const named = path === '' ? '.' : path;
  return named.startsWith('-') ? `./${named}` : named;
}

/**
 * Inverse of {@link serverArgs}, for a server in this process.
 *
 * @returns the options (`protocolMax` is the newest: it is not part of the arguments) and the
 *   destination as it was sent
 * @throws {UsageError} `server-words-invalid` — arguments that `serverArgs` does not make
 * @throws {UsageError} `xattrs-unsupported` — a server in this process cannot store them
 */
export function parseServerArgs(args: readonly string[]): {
  options: TransferOptions;
  destination: string;
} {
  const [server, cluster = ''] = args;
  // The last but one argument: an earlier folder may also be named `.`.
  const dot = args.length - 2;
  const destination = args[dot + 1];
  if (server !== '--server' || dot < 2 || args[dot] !== '.' || !destination) {
    throw invalidArgs(args);
  }
  const letters = parseCluster(cluster, args);
  const long = parseLongArgs(args.slice(2, dot), args);
  const devices = letters.has('D');
  const options: TransferOptions = {
    protocolMax: PROTOCOL_NEWEST,
    links: letters.has('l'),
    perms: letters.has('p'),
    times: letters.has('t'),
    owner: letters.has('o'),
    group: letters.has('g'),
    devices,
    specials: long.specials ?? devices,
    hardLinks: letters.has('H'),
    checksum: letters.has('c'),
    dryRun: letters.has('n'),
    numericIds: long.numericIds,
    ignoreTimes: letters.has('I'),
    deleteAfter: long.deleteAfter,
    ...(letters.has('S') && { sparse: true }),
    ...long.flags,
    ...long.values,
  };
  return { options, destination };
}

function parseCluster(cluster: string, args: readonly string[]): Set<string> {
  if (!cluster.startsWith('-') || !cluster.endsWith(CAPABILITIES)) throw invalidArgs(args);
  const letters = new Set(cluster.slice(1, -CAPABILITIES.length));
  const known = new Set<string>(LETTERS.map(([letter]) => letter));
  for (const letter of letters) if (!known.has(letter)) throw invalidArgs(args);
  if (letters.has('X')) {
    throw new UsageError('xattrs-unsupported', 'extended attributes need a real rsync', {
      hint: 'Give the rsync that stores them: --rsync-path rsync',
    });
  }
  return letters;
}

interface LongArgs {
  specials: boolean | undefined;
  deleteAfter: boolean;
  numericIds: boolean;
  flags: { -readonly [K in keyof typeof FLAGS]?: true };
  values: { blockSize?: number; timeoutSec?: number; modifyWindowSec?: number } & {
    -readonly [K in (typeof FOLDERS)[number][0]]?: string;
  };
}

/** Options with a number as value. */
const NUMBERED = /^(-B|--timeout=|--modify-window=)(\d{1,9})$/;
const NUMBERS: Readonly<Record<string, 'blockSize' | 'timeoutSec' | 'modifyWindowSec'>> = {
  '-B': 'blockSize',
  '--timeout=': 'timeoutSec',
  '--modify-window=': 'modifyWindowSec',
};

/** Options without a value. */
const FLAGS = {
  measure: MEASURE,
  fsync: '--fsync',
  existing: '--existing',
  ignoreExisting: '--ignore-existing',
  sizeOnly: '--size-only',
  inPlace: '--inplace',
  mkPath: '--mkpath',
  reportSkipped: REPORT_SKIPPED,
} as const;

function parseLongArgs(long: readonly string[], args: readonly string[]): LongArgs {
  const parsed: LongArgs = {
    specials: undefined,
    deleteAfter: false,
    numericIds: false,
    flags: {},
    values: {},
  };
  for (let i = 0; i < long.length; i++) {
    const arg = long[i] ?? '';
    const folder = FOLDERS.find(([, option]) => option === arg);
    const flag = flagOf(arg);
    const [, numbered, digits] = NUMBERED.exec(arg) ?? [];
    if (numbered !== undefined) parsed.values[NUMBERS[numbered] ?? 'blockSize'] = Number(digits);
    else if (arg === '--specials') parsed.specials = true;
    else if (arg === '--no-specials') parsed.specials = false;
    else if (arg === '--delete-after') parsed.deleteAfter = true;
    else if (arg === '--numeric-ids') parsed.numericIds = true;
    else if (folder !== undefined) parsed.values[folder[0]] = nextArg(long, ++i, args);
    else if (flag !== undefined) parsed.flags[flag] = true;
    else if (arg !== REPORT_ITEMS && arg !== BY_DELTA) throw invalidArgs(args);
  }
  return parsed;
}

function flagOf(arg: string): keyof typeof FLAGS | undefined {
  const flags = Object.keys(FLAGS) as (keyof typeof FLAGS)[];
  return flags.find((flag) => FLAGS[flag] === arg);
}

function nextArg(long: readonly string[], i: number, args: readonly string[]): string {
  const arg = long[i];
  if (arg === undefined) throw invalidArgs(args);
  return arg;
}

function invalidArgs(args: readonly string[]): UsageError {
  return new UsageError(
    'server-words-invalid',
    `not a command line of a receiving server: ${args.join(' ')}`,
  );
}
