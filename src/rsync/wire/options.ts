/** What a transfer is to do, as the command line of a server and as the switches of the codecs. */
import { UsageError } from '../../errors.ts';
import { PROTOCOL_NEWEST } from './constants.ts';

/**
 * What a transfer is to do. One object makes both the command line of the server and the switches
 * of our codecs, since the two must agree to the bit. Recursion is always on.
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
  /** `-X`: extended attributes of everything listed. Needs protocol 30. */
  readonly xattrs?: boolean;
  /** `-c`: compare by checksum instead of size and time. */
  readonly checksum: boolean;
  readonly dryRun: boolean;
  /**
   * `--only-write-batch`: a dry run in which the server sends the block sums of what it has all the
   * same. It is answered as in a dry run, and what would have been sent is counted.
   */
  readonly measure?: boolean;
  readonly numericIds: boolean;
  /** `-I`: look at every file, whatever its size and time. */
  readonly ignoreTimes: boolean;
  /** `--delete-after`, with a report of each deleted name. */
  readonly deleteAfter: boolean;
  /** `--ignore-existing`: what is there stays as it is; of folders, what is in them. */
  readonly ignoreExisting?: boolean;
  /** `--existing`: what is not there is not made. */
  readonly existing?: boolean;
  /** `--info=SKIP2`: one message for each object that is ignored, and whether it differs. */
  readonly tellSkipped?: boolean;
  /** `-v`: lines for people, the only ones that name deletions before protocol 29. */
  readonly talkative?: boolean;
  /** `-B`: bytes per block of the delta, 1 … 131072. */
  readonly blockSize?: number;
  /** `--modify-window`: times that differ by no more seconds count as equal. Default 0. */
  readonly modifyWindowSec?: number;
  /** `--timeout`: seconds after which the server gives an idle connection up. */
  readonly timeoutSec?: number;
  /** `--fsync`, since 3.2.4: each file is on the server's disk before it gets its name. */
  readonly fsync?: boolean;
  /** `--temp-dir`: where the server builds files before it renames them. */
  readonly tempDir?: string;
  /** `--link-dest`: earlier copy that unchanged files are linked to, relative to the destination. */
  readonly linkDest?: string;
  /** `--compare-dest`: folder whose equal files need not be sent; with `linkDest` and `copyDest` one at most. */
  readonly compareDest?: string;
  /** `--copy-dest`: folder whose equal files are copied instead of being sent. */
  readonly copyDest?: string;
  /** `--inplace`: a file grows under its own name, and keeps what it has got when the run is cut off. */
  readonly inPlace?: boolean;
  /** `-S`: zeros become holes of what is stored. With `inPlace` rsync 3.1.3 and later can do that. */
  readonly sparse?: boolean;
  /** `--mkpath`, since 3.2.3: the folders above the destination are made, too. */
  readonly mkPath?: boolean;
  /** `--size-only`: files of equal size count as equal. */
  readonly sizeOnly?: boolean;
}

/** Whether nothing is changed at the receiving side. */
export function isDryRun({
  dryRun,
  measure,
}: Pick<TransferOptions, 'dryRun' | 'measure'>): boolean {
  return dryRun || measure === true;
}

/**
 * Everything that a list can tell, ids as numbers: for listing, and for reading files that are not
 * stored as such.
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
 * The capabilities we offer: `.` version placeholder, `L` symlink times, `s` symlink iconv, `f` safe
 * list end, `x` no xattr shortcut, `C` seed order fixed, `v` varint flags and checksum negotiation,
 * `u` names of id 0. Without `i` the file list arrives whole, without `I` nothing is changed in place.
 */
const CAPABILITIES = 'e.LsfxCvu';

/** Cluster letters in the order the stock client sends them. */
const LETTERS = [
  ['v', 'talkative'],
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
 * Makes each deletion known by name: without a log format a server deletes in silence. Below protocol
 * 29 there is no message for it, only chatter.
 */
const REPORT_ITEMS = '--log-format=%i';

/** As the stock client sends it: the file would be the client's, so its name is of no meaning here. */
const MEASURE = '--only-write-batch=X';

/** Since rsync 3.2.4 it tells how the object differs; 3.1 says only that it exists, older ones refuse. */
const TELL_SKIPPED = '--info=SKIP2';

/** As the stock client has it for holes in place: some servers begin with an empty file without it. */
const BY_DELTA = '--no-W';

/** Options that name a folder, in a word of its own. */
const FOLDERS = [
  ['tempDir', '--temp-dir'],
  ['linkDest', '--link-dest'],
  ['compareDest', '--compare-dest'],
  ['copyDest', '--copy-dest'],
] as const;

/**
 * The words after `rsync` for a receiving server, in the shape of the stock client's own, which
 * restricted shells expect.
 *
 * @param destination - directory at the server; a slash is appended, `./` put before a dash
 * @see rsync options.c server_options (3.5.0)
 */
export function serverWords(options: TransferOptions, destination: string): string[] {
  const words = ['--server', clusterOf(options), ...specialsWords(options)];
  if (options.deleteAfter && options.protocolMax >= 29) words.push(REPORT_ITEMS);
  if (options.blockSize !== undefined) words.push(`-B${options.blockSize}`);
  if (options.timeoutSec !== undefined) words.push(`--timeout=${options.timeoutSec}`);
  if (options.deleteAfter) words.push('--delete-after');
  if (options.measure === true) words.push(MEASURE);
  if (options.sizeOnly === true) words.push('--size-only');
  if (options.modifyWindowSec !== undefined) {
    words.push(`--modify-window=${options.modifyWindowSec}`);
  }
  if (options.numericIds) words.push('--numeric-ids');
  if (options.ignoreExisting === true) words.push('--ignore-existing');
  if (options.existing === true) words.push('--existing');
  if (options.tempDir !== undefined) words.push('--temp-dir', options.tempDir);
  if (options.fsync === true) words.push('--fsync');
  for (const [name, word] of FOLDERS) {
    const folder = options[name];
    if (folder !== undefined && name !== 'tempDir') words.push(word, folder);
  }
  if (options.tellSkipped === true) words.push(TELL_SKIPPED);
  if (options.inPlace === true) words.push('--inplace');
  if (options.inPlace === true && options.sparse === true) words.push(BY_DELTA);
  if (options.mkPath === true) words.push('--mkpath');
  words.push('.', destinationWord(destination));
  return words;
}

/**
 * The words after `rsync` for a sending server, in the shape of the stock client's own. What is only
 * the receiver's business (deletions, folders for temporary files and earlier copies) does not travel.
 *
 * @param paths - what to send: with a slash at the end the contents of a folder, otherwise the object
 *   under its own name; none means the server's current folder
 * @see rsync options.c server_options (3.5.0)
 */
export function senderWords(options: TransferOptions, paths: readonly string[]): string[] {
  const words = ['--server', '--sender', clusterOf(options), ...specialsWords(options)];
  if (options.blockSize !== undefined) words.push(`-B${options.blockSize}`);
  if (options.timeoutSec !== undefined) words.push(`--timeout=${options.timeoutSec}`);
  if (options.numericIds) words.push('--numeric-ids');
  words.push('.', ...(paths.length === 0 ? ['.'] : paths.map(safeWord)));
  return words;
}

function clusterOf(options: TransferOptions): string {
  let cluster = '-';
  for (const [letter, name] of LETTERS) {
    if (name === undefined || options[name] === true) cluster += letter;
  }
  return cluster + CAPABILITIES;
}

/** What differs from the letter `D`, which stands for both devices and specials. */
function specialsWords(options: TransferOptions): string[] {
  if (options.devices === options.specials) return [];
  return [options.devices ? '--no-specials' : '--specials'];
}

/** With a trailing slash a missing destination is made as a directory even for a single entry. */
function destinationWord(destination: string): string {
  const safe = safeWord(destination);
  return safe.endsWith('/') ? safe : `${safe}/`;
}

/** Nothing is the current folder, and a dash in front is no option. */
function safeWord(path: string): string {
  const named = path === '' ? '.' : path;
  return named.startsWith('-') ? `./${named}` : named;
}

/**
 * Inverse of {@link serverWords}, for a server in this process.
 *
 * @returns the options (`protocolMax` is the newest: it does not travel here) and the destination as
 *   it was sent
 * @throws {UsageError} `server-words-invalid` — anything that `serverWords` does not make
 * @throws {UsageError} `xattrs-unsupported` — a server in this process cannot store them
 */
export function parseServerWords(words: readonly string[]): {
  options: TransferOptions;
  destination: string;
} {
  const [server, cluster = ''] = words;
  // The last but one: a folder in front of it may be called the same.
  const dot = words.length - 2;
  const destination = words[dot + 1];
  if (server !== '--server' || dot < 2 || words[dot] !== '.' || !destination) {
    throw invalidWords(words);
  }
  const letters = parseCluster(cluster, words);
  const long = parseLongWords(words.slice(2, dot), words);
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

function parseCluster(cluster: string, words: readonly string[]): Set<string> {
  if (!cluster.startsWith('-') || !cluster.endsWith(CAPABILITIES)) throw invalidWords(words);
  const letters = new Set(cluster.slice(1, -CAPABILITIES.length));
  const known = new Set<string>(LETTERS.map(([letter]) => letter));
  for (const letter of letters) if (!known.has(letter)) throw invalidWords(words);
  if (letters.has('X')) {
    throw new UsageError('xattrs-unsupported', 'extended attributes need a real rsync', {
      hint: 'Give the rsync that stores them: --rsync-path rsync',
    });
  }
  return letters;
}

interface LongWords {
  specials: boolean | undefined;
  deleteAfter: boolean;
  numericIds: boolean;
  flags: { -readonly [K in keyof typeof FLAGS]?: true };
  values: { blockSize?: number; timeoutSec?: number; modifyWindowSec?: number } & {
    -readonly [K in (typeof FOLDERS)[number][0]]?: string;
  };
}

/** Words with a number, and what it is. */
const NUMBERED = /^(-B|--timeout=|--modify-window=)(\d{1,9})$/;
const NUMBERS: Readonly<Record<string, 'blockSize' | 'timeoutSec' | 'modifyWindowSec'>> = {
  '-B': 'blockSize',
  '--timeout=': 'timeoutSec',
  '--modify-window=': 'modifyWindowSec',
};

/** Words that switch something on and have no value. */
const FLAGS = {
  measure: MEASURE,
  fsync: '--fsync',
  existing: '--existing',
  ignoreExisting: '--ignore-existing',
  sizeOnly: '--size-only',
  inPlace: '--inplace',
  mkPath: '--mkpath',
  tellSkipped: TELL_SKIPPED,
} as const;

function parseLongWords(long: readonly string[], words: readonly string[]): LongWords {
  const parsed: LongWords = {
    specials: undefined,
    deleteAfter: false,
    numericIds: false,
    flags: {},
    values: {},
  };
  for (let i = 0; i < long.length; i++) {
    const word = long[i] ?? '';
    const folder = FOLDERS.find(([, option]) => option === word);
    const flag = flagOf(word);
    const [, numbered, digits] = NUMBERED.exec(word) ?? [];
    if (numbered !== undefined) parsed.values[NUMBERS[numbered] ?? 'blockSize'] = Number(digits);
    else if (word === '--specials') parsed.specials = true;
    else if (word === '--no-specials') parsed.specials = false;
    else if (word === '--delete-after') parsed.deleteAfter = true;
    else if (word === '--numeric-ids') parsed.numericIds = true;
    else if (folder !== undefined) parsed.values[folder[0]] = nextWord(long, ++i, words);
    else if (flag !== undefined) parsed.flags[flag] = true;
    else if (word !== REPORT_ITEMS && word !== BY_DELTA) throw invalidWords(words);
  }
  return parsed;
}

function flagOf(word: string): keyof typeof FLAGS | undefined {
  const flags = Object.keys(FLAGS) as (keyof typeof FLAGS)[];
  return flags.find((flag) => FLAGS[flag] === word);
}

function nextWord(long: readonly string[], i: number, words: readonly string[]): string {
  const word = long[i];
  if (word === undefined) throw invalidWords(words);
  return word;
}

function invalidWords(words: readonly string[]): UsageError {
  return new UsageError(
    'server-words-invalid',
    `not a command line of a receiving server: ${words.join(' ')}`,
  );
}
