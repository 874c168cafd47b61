/**
 * The options of a push. The command line, its help, completion and manual page, variables,
 * configuration files and the settings of a push are all derived from this table.
 */
import {
  byteSize,
  parseBandwidth,
  parseBudget,
  parseFileName,
  parseFileSize,
  parseObjectLimit,
  parsePresets,
  parseProtocol,
  parseSpan,
  wholeNumber,
} from './option-values.ts';
import type { ConfigurableKey, OptionTable } from './option-table.ts';

/** Seconds: a day. */
const WAIT_SEC_MAX = 86_400;

/** The conditions under which a push starts, and its behaviour then. For `push` alone. */
export const CONDITION_OPTIONS = {
  /** Seconds. */
  if_older_than: {
    flags: '--if-older-than <age>',
    help: 'only when the last good push is older: 20h, 2d',
    takes: 'text',
    parse: parseSpan,
    commandLineOnly: true,
  },
  /** Seconds. */
  wait_online: {
    flags: '--wait-online <seconds>',
    help: 'wait up to SECONDS for the destination to be reached, then exit code 75',
    takes: 'amount',
    parse: wholeNumber(0, WAIT_SEC_MAX),
  },
  skip_on_battery: {
    flags: '--skip-on-battery',
    help: 'exit code 75 while this machine runs on its battery',
  },
  skip_on_metered: {
    flags: '--skip-on-metered',
    help: 'exit code 75 while the network costs by the byte',
  },
  low_priority: { flags: '--low-priority', help: 'let other programs go first' },
} as const satisfies OptionTable;

/** What a push may change in the copy. */
const CHANGE_OPTIONS = {
  dry_run: {
    flags: '-n, --dry-run',
    help: 'change nothing, only show what would be done',
    commandLineOnly: true,
    setting: 'dryRun',
  },
  itemize_changes: {
    flags: '-i, --itemize-changes',
    help: 'print one line for every change, as rsync does',
    commandLineOnly: true,
  },
  delete: {
    flags: '--delete',
    help: 'delete what is no longer in the folder',
    setting: 'delete',
  },
  /** Also delete what rules and limits now leave out, except what is mounted elsewhere. */
  delete_excluded: {
    flags: '--delete-excluded',
    help: 'delete also what is left out now',
    setting: 'deleteExcluded',
  },
  /** Delete nothing at all if more plaintext objects than this would be deleted. */
  max_delete: {
    flags: '--max-delete <n>',
    help: 'delete nothing when more than N, or N%, would go (default: 10%, but 50 always may)',
    takes: 'amount',
    parse: parseObjectLimit,
    setting: 'maxDelete',
  },
  /** Send nothing at all if the content of more files in the copy than this would be replaced. */
  max_changed: {
    flags: '--max-changed <n>',
    help: 'send nothing when more than N files, or N%, would be replaced (default: 50%, but 500 always may)',
    takes: 'amount',
    parse: parseObjectLimit,
    setting: 'maxChanged',
  },
  /** Also delete the content of disks that are not mounted any more. */
  forget_mounts: {
    flags: '--forget-mounts',
    help: 'with --delete: delete what was on disks that are no longer mounted',
    commandLineOnly: true,
    setting: 'forgetMounts',
  },
  /** Patterns for names in the copy that are left alone. */
  keep: {
    flags: '--keep <pattern>',
    help: 'leave alone what has this name in the copy',
    takes: 'texts',
    setting: 'keep',
  },
  /** Allow a first push into a folder that holds other objects. */
  into_non_empty: {
    flags: '--into-non-empty',
    help: 'make a copy in a folder that holds other things, or inside another copy; a plain mirror replaces things of equal names',
    commandLineOnly: true,
    setting: 'intoNonEmpty',
  },
  /** Ignore the memory of earlier pushes to this destination. */
  new_copy: {
    flags: '--new-copy',
    help: 'make a new copy where the one that was there is gone',
    commandLineOnly: true,
    setting: 'newCopy',
  },
  /** Replace and delete nothing in the copy. */
  append_only: {
    flags: '--append-only',
    help: 'only add: replace and delete nothing in the copy',
    setting: 'appendOnly',
  },
  checksum: {
    flags: '-c, --checksum',
    help: 'compare content, not only size and time',
    setting: 'checksum',
  },
} as const satisfies OptionTable;

/** Filter rules. Their order matters. */
export const FILTER_OPTIONS = {
  exclude: { flags: '--exclude <pattern>', help: 'leave out what matches', takes: 'texts' },
  include: { flags: '--include <pattern>', help: 'keep what matches', takes: 'texts' },
  exclude_from: {
    flags: '--exclude-from <file>',
    help: 'leave out what matches a line of FILE',
    takes: 'texts',
  },
  filter: { flags: '--filter <rule>', help: 'add a filter rule', takes: 'texts' },
} as const satisfies OptionTable;

/** What else is left out of the source, and which attributes are kept. */
const SELECTION_OPTIONS = {
  presets: {
    flags: '--presets <names>',
    help: 'leave out what is never missed: os, dev-caches',
    takes: 'texts',
    parse: parsePresets,
  },
  ignore_files: {
    flags: '--ignore-files',
    help: 'follow the rules in files named .ecsyncignore',
    limit: 'ignoreFileName',
    limitWhenOn: '.ecsyncignore',
  },
  exclude_caches: {
    flags: '--exclude-caches',
    help: 'leave out what is in folders with a CACHEDIR.TAG',
    limit: 'excludeCaches',
  },
  exclude_if_present: {
    flags: '--exclude-if-present <name>',
    help: 'leave out what is beside a file of this name, such as .nobackup',
    takes: 'texts',
    parse: parseFileName,
    limit: 'folderTags',
  },
  one_file_system: {
    flags: '-x, --one-file-system',
    help: 'leave out what is mounted inside the folder',
    limit: 'oneFileSystem',
  },
  max_size: {
    flags: '--max-size <size>',
    help: 'leave out larger files',
    takes: 'amount',
    parse: parseFileSize,
    limit: 'maxBytes',
  },
  min_size: {
    flags: '--min-size <size>',
    help: 'leave out smaller files',
    takes: 'amount',
    parse: parseFileSize,
    limit: 'minBytes',
  },
  max_age: {
    flags: '--max-age <age>',
    help: 'leave out files that were changed before that: 30d',
    takes: 'text',
    parse: parseSpan,
    limit: 'maxAgeSec',
  },
  min_age: {
    flags: '--min-age <age>',
    help: 'leave out files that were changed since then: 10m',
    takes: 'text',
    parse: parseSpan,
    limit: 'minAgeSec',
  },
  hard_links: {
    flags: '-H, --hard-links',
    help: 'keep hard links',
    setting: 'hardLinks',
  },
  /** Extended attributes, on Linux. A push into a local folder then uses a local rsync. */
  xattrs: {
    flags: '-X, --xattrs',
    help: 'keep extended attributes, encrypted (Linux; needs getfattr)',
    setting: 'xattrs',
  },
  /** Bytes. Absent: chosen for the cipher block. */
  block_size: {
    flags: '-B, --block-size <size>',
    help: 'block size of the delta (suffix K)',
    takes: 'amount',
    parse: byteSize(700, 131_072),
    setting: 'blockSize',
  },
} as const satisfies OptionTable;

/** Which attributes of an object are carried beside its content. */
export const ATTRIBUTE_OPTIONS = {
  numeric_ids: {
    flags: '--numeric-ids',
    help: 'send user and group numbers, not names',
    setting: 'numericIds',
  },
  owner: { flags: '--no-owner', help: 'do not keep the owner', setting: 'owner' },
  group: { flags: '--no-group', help: 'do not keep the group', setting: 'group' },
  perms: {
    flags: '--no-perms',
    help: 'do not keep the permissions',
    setting: 'perms',
  },
  devices: { flags: '--no-devices', help: 'leave out devices', setting: 'devices' },
  specials: {
    flags: '--no-specials',
    help: 'leave out sockets and pipes',
    setting: 'specials',
  },
} as const satisfies OptionTable;

/** Limits of time and bandwidth for a push. */
const EFFORT_OPTIONS = {
  /** Limits what is sent to the peer. */
  bwlimit: {
    flags: '--bwlimit <rate>',
    help: 'send no more than RATE a second: 512K, 1.5M',
    takes: 'amount',
    parse: parseBandwidth,
    setting: 'bandwidth',
  },
  /** Stop after about this many bytes of content. */
  max_bytes: {
    flags: '--max-bytes <size>',
    help: 'stop after about SIZE of content; the next push continues',
    takes: 'amount',
    parse: parseBudget,
    setting: 'maxBytes',
  },
  /** Seconds. */
  max_time: {
    flags: '--max-time <time>',
    help: 'stop after this time; the next push continues',
    takes: 'text',
    parse: parseSpan,
  },
  retries: {
    flags: '--retries <n>',
    help: 'try again up to N times when the connection is lost',
    takes: 'amount',
    parse: wholeNumber(0, 100),
  },
} as const satisfies OptionTable;

/** How a peer is reached. */
export const PEER_OPTIONS = {
  /** Seconds without a byte from or to the peer; 0: no limit. */
  timeout: {
    flags: '--timeout <seconds>',
    help: 'give up after so long without a byte, or five times that with keep-alives only; 0: never',
    takes: 'amount',
    parse: wholeNumber(0, WAIT_SEC_MAX),
    default: 600,
    setting: 'timeoutSec',
  },
  /** A shell command used instead of the built-in ssh. */
  rsh: {
    flags: '-e, --rsh <command>',
    help: 'use this remote shell instead of the built-in ssh',
    takes: 'text',
    setting: 'rsh',
  },
  /**
   * Absent: `rsync` over ssh, and no program for a local folder. If it is given for a local folder,
   * that local rsync is used.
   */
  rsync_path: {
    flags: '--rsync-path <program>',
    help: 'the rsync to run on the other side',
    takes: 'text',
    setting: 'rsyncPath',
  },
  password_file: {
    flags: '--password-file <file>',
    help: 'the password of an rsync daemon is the first line of FILE',
    takes: 'text',
    commandLineOnly: true,
  },
  /** Trust and record a host seen for the first time. */
  accept_new_host_key: {
    flags: '--accept-new-host-key',
    help: 'trust and record the key of a host seen for the first time',
    commandLineOnly: true,
    setting: 'acceptNewHostKey',
  },
  /** The newest rsync protocol to offer, 27 or 29 … 32. */
  protocol: {
    flags: '--protocol <n>',
    help: 'newest rsync protocol to use: 27, or 29 to 32',
    takes: 'amount',
    parse: parseProtocol,
    default: 32,
    setting: 'protocolMax',
  },
} as const satisfies OptionTable;

/** What a push reports. */
const REPORT_OPTIONS = {
  progress: {
    flags: '--progress',
    help: 'show progress also when no terminal is there',
    commandLineOnly: true,
  },
  stats: {
    flags: '--stats',
    help: 'print figures at the end',
    commandLineOnly: true,
  },
  /** How many of the largest uploads the summary names. */
  top: {
    flags: '--top <n>',
    help: 'name the N largest uploads at the end',
    takes: 'amount',
    parse: wholeNumber(0, 1000),
    setting: 'top',
  },
} as const satisfies OptionTable;

/** Options that `push`, `plan` and `verify` share. */
export const SHARED_PUSH_OPTIONS = {
  ...CHANGE_OPTIONS,
  ...FILTER_OPTIONS,
  ...SELECTION_OPTIONS,
  ...ATTRIBUTE_OPTIONS,
  ...EFFORT_OPTIONS,
  ...PEER_OPTIONS,
  ...REPORT_OPTIONS,
} as const satisfies OptionTable;

/** All options of a push. */
export const PUSH_OPTIONS = {
  ...CONDITION_OPTIONS,
  ...SHARED_PUSH_OPTIONS,
} as const satisfies OptionTable;

/** A key of `[push]`: the name of an option of `push`, with underscores. */
export type PushKey = ConfigurableKey<typeof PUSH_OPTIONS>;

const TABLE: OptionTable = PUSH_OPTIONS;

/** True for a key of `[push]`. */
export function isPushKey(key: string): key is PushKey {
  return Object.hasOwn(TABLE, key) && TABLE[key]?.commandLineOnly !== true;
}

/** Every key of `[push]`, in the order of help. */
export const PUSH_KEYS: readonly PushKey[] = Object.keys(PUSH_OPTIONS).filter(isPushKey);
