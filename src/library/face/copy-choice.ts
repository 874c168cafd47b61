/** What a program chooses of everything that reads a copy. */
import { UsageError, type EcsyncError } from '../../errors.ts';
import { settingsOf, tableWithout } from '../../options/option-table.ts';
import {
  ATTRIBUTE_OPTIONS,
  FILTER_OPTIONS,
  PEER_OPTIONS,
  SHARED_PUSH_OPTIONS,
} from '../../options/push-options.ts';
import { pickSample, type Sample } from '../../sync/browse/sample.ts';
import type { FindTests } from '../../sync/browse/find-test.ts';
import type { FsckProgress } from '../../sync/check/fsck-summary.ts';
import type { FsckFinding } from '../../sync/copy/fsck-finding.ts';
import type { ItemLine, PushWarning } from '../../sync/push/source/push-settings.ts';
import type {
  Overwrite,
  RestoreProgress,
  RestoreSettings,
} from '../../sync/restore/restore-settings.ts';
import type { PeerSettings } from '../../sync/run-settings.ts';
import { bytesOf, isRootPath } from '../../bytes/paths.ts';
import { configuredFileLayers, configuredWay, keptPatterns } from '../settings/configured-way.ts';
import type { CopyPlace } from '../copy-place.ts';
import { rulesOf } from '../settings/filter-words.ts';
import { restoringSettings } from '../settings/restore-choice.ts';
import { pathInCopy, type CopyPath } from './copy-paths.ts';
import {
  assertOptions,
  assertWithin,
  filterWordsOf,
  kindsOf,
  readOptions,
  type GivenOptions,
  type OptionKinds,
} from './given-options.ts';
import { LISTENING_KINDS, type ListeningOptions } from './listening.ts';

const PEER_TABLE = tableWithout(PEER_OPTIONS, ['password_file']);

/**
 * What {@link CopyReachOptions} are, to be read by {@link peerOf}.
 *
 * @internal
 */
export const PEER_KINDS = kindsOf(PEER_TABLE);

/** How a peer is reached: the options of that name of every command. */
export type CopyReachOptions = GivenOptions<typeof PEER_TABLE>;

/**
 * How the peer is reached that options say.
 *
 * @internal
 */
export function peerOf(options: CopyReachOptions): PeerSettings {
  return settingsOf(PEER_OPTIONS, peerValuesOf(options));
}

function peerValuesOf(options: CopyReachOptions) {
  const given = Object.entries(options).filter(([name]) => Object.hasOwn(PEER_KINDS, name));
  const picked = Object.fromEntries(given);
  return readOptions(PEER_TABLE, picked, {}).values;
}

/**
 * How the copy of a vault is reached, and what is left alone in it: as options and configuration say.
 *
 * @throws {UsageError} `option-invalid`, and every code of `configuredFileLayers`
 *
 * @internal
 */
export function wayTo(
  place: CopyPlace,
  options: CopyReachOptions,
): { readonly peer: PeerSettings; readonly keep: readonly string[] } {
  const { platform, env: environment } = process;
  const layers = configuredFileLayers({ platform, environment }, place);
  const values = peerValuesOf(options);
  return {
    peer: { ...settingsOf(PEER_OPTIONS, values), ...configuredWay(layers, values) },
    keep: keptPatterns(layers),
  };
}

/** How a copy is restored: as by `ecsync restore`. */
export interface CopyRestoreOptions extends ListeningOptions {
  /** Only these files and folders; default: everything. What is named must be there. */
  readonly paths?: readonly CopyPath[];
  /** A folder above all of `paths`, whose content goes into the target; default: the top. */
  readonly base?: CopyPath;
  /** Filter rules as rsync has them. Of one call, those of `filter` come first, then `include`, then `exclude`. */
  readonly filter?: string | readonly string[];
  readonly include?: string | readonly string[];
  readonly exclude?: string | readonly string[];
  /** Files with patterns to leave out, one a line. */
  readonly excludeFrom?: string | readonly string[];
  /** What happens to files that are there and differ. Default: they stay, and the restore counts as partial. */
  readonly overwrite?: Overwrite;
  /** Write nothing. Default: false. */
  readonly dryRun?: boolean;
  /** Permissions exactly as in the copy. Default: as far as the umask lets them. Nothing vouches for them. */
  readonly perms?: boolean;
  /** As `perms`, with set-id and sticky bits. Default: false. */
  readonly specialModes?: boolean;
  /** Default: true. */
  readonly owner?: boolean;
  /** Default: true. */
  readonly group?: boolean;
  /** Go by user and group numbers, not names. Default: false. */
  readonly numericIds?: boolean;
  /** Make devices. Default: they are left out and told; false: without a word. */
  readonly devices?: boolean;
  /** Make sockets and pipes. Default: true. */
  readonly specials?: boolean;
  /** Bring extended attributes back, on Linux. Default: false. */
  readonly xattrs?: boolean;
  /** Files with blocks of zeros that nothing authenticates are no damage. Default: false. */
  readonly allowHoles?: boolean;
  /** What was written for another place in the copy is restored, and told. Default: false. */
  readonly allowMoved?: boolean;
  /** Patterns for what is not of the copy and is left alone there. */
  readonly keep?: string | readonly string[];
  /** Receive no more than that a second: `'512K'`, or a timetable. */
  readonly bwlimit?: number | string;
  /** Compare with what the last push from here left. Default: true. */
  readonly lastPush?: boolean;
  readonly onItem?: (line: ItemLine) => void;
  readonly onProgress?: (progress: RestoreProgress) => void;
  /** Hears of each of the things that a warning counts. */
  readonly onDetail?: (detail: PushWarning) => void;
}

const { bwlimit, keep, dry_run, xattrs } = SHARED_PUSH_OPTIONS;
const RESTORE_TABLE = {
  ...FILTER_OPTIONS,
  ...ATTRIBUTE_OPTIONS,
  ...{ bwlimit, keep, dry_run, xattrs },
};

const RESTORE_KINDS: OptionKinds = {
  ...LISTENING_KINDS,
  onItem: 'listener',
  onProgress: 'listener',
  onDetail: 'listener',
  paths: 'any',
  base: 'any',
  overwrite: 'text',
  lastPush: 'flag',
  specialModes: 'flag',
  allowHoles: 'flag',
  allowMoved: 'flag',
};

/**
 * The settings that a program chooses.
 *
 * @param configured - patterns for what configuration says is to be kept
 * @param others - further options of the same call
 * @throws {UsageError} `option-invalid`, `option-unknown`, `path-outside`, and every code of `rulesOf`
 *
 * @internal
 */
export async function restoreSettingsOf(
  options: CopyRestoreOptions,
  configured: readonly string[],
  others: OptionKinds = {},
): Promise<Omit<RestoreSettings, 'from' | 'target' | keyof PeerSettings>> {
  const { paths = [], base, overwrite, lastPush = true } = options;
  const { specialModes, allowHoles, allowMoved } = options;
  const { values } = readOptions(RESTORE_TABLE, options, { ...RESTORE_KINDS, ...others });
  if (overwrite !== undefined) assertOverwrite(overwrite);
  const wanted = paths.map(pathInCopy);
  const top = base === undefined ? undefined : pathInCopy(base);
  return {
    ...restoringSettings({
      ...values,
      ...(specialModes !== undefined && { specialModes }),
      ...(allowHoles !== undefined && { allowHoles }),
      ...(allowMoved !== undefined && { allowMoved }),
    }),
    paths: wanted.some(isRootPath) ? [] : wanted,
    ...(top !== undefined && !isRootPath(top) && { base: top }),
    rules: await rulesOf(filterWordsOf(values)),
    ...(overwrite !== undefined && { overwrite }),
    ignoreLastPush: !lastPush,
    keep: [...(values.keep ?? []), ...configured],
  };
}

const OVERWRITES: readonly string[] = ['never', 'older', 'changed', 'always'];

function assertOverwrite(overwrite: Overwrite): void {
  if (OVERWRITES.includes(overwrite)) return;
  throw new UsageError('option-invalid', `the option 'overwrite' is '${overwrite}'`, {
    hint: `It must be one of: ${OVERWRITES.join(', ')}.`,
  });
}

/** How a copy is checked: as by `ecsync fsck`. */
export interface CopyFsckOptions extends ListeningOptions {
  /** Percent of the files whose content is read, more than 0. Default: all of them. */
  readonly sample?: number;
  /** Picks the same files again: `seed` of an earlier summary. */
  readonly seed?: string;
  /** Blocks of zeros that gocryptfs may have left are no damage. Default: false. */
  readonly allowHoles?: boolean;
  /** Look whether ecsync wrote each block, which takes longer. Default: false. */
  readonly nonces?: boolean;
  /** Patterns for what is not of the copy and is left alone there. */
  readonly keep?: readonly string[];
  /** Compare with what the last push from here left. Default: true. */
  readonly lastPush?: boolean;
  readonly onFinding?: (finding: FsckFinding) => void;
  readonly onProgress?: (progress: FsckProgress) => void;
}

/**
 * What a check is made of.
 *
 * @internal
 */
export interface FsckChoice {
  readonly sample: Sample | undefined;
  readonly allowHoles: boolean;
  readonly checksNonces: boolean;
  readonly keep: readonly string[];
  readonly comparesWithPush: boolean;
}

/**
 * The same as a check takes it.
 *
 * @param configured - patterns for what configuration says is to be kept
 * @throws {UsageError} `option-invalid`, `option-unknown`
 *
 * @internal
 */
export function fsckChoiceOf(options: CopyFsckOptions, configured: readonly string[]): FsckChoice {
  const { sample, seed, allowHoles = false, nonces = false, keep: kept = [] } = options;
  assertOptions(options, FSCK_KINDS);
  assertWithin('sample', sample, [Number.MIN_VALUE, 100]);
  return {
    sample: sample === undefined ? undefined : pickSample(sample / 100, seed),
    ...{ allowHoles, checksNonces: nonces },
    keep: [...kept, ...configured],
    comparesWithPush: options.lastPush ?? true,
  };
}

const FSCK_KINDS: OptionKinds = {
  ...LISTENING_KINDS,
  sample: 'number',
  seed: 'text',
  allowHoles: 'flag',
  nonces: 'flag',
  keep: 'any',
  lastPush: 'flag',
  onFinding: 'listener',
  onProgress: 'listener',
};

/** What everything takes that looks into a copy. */
export interface CopyBrowseOptions extends ListeningOptions {
  /**
   * Hears of each object that cannot be read, which is then left out. Absent: the first one is thrown
   * when everything else was given.
   */
  readonly onProblem?: (problem: EcsyncError) => void;
}

/** How a copy is listed. */
export interface CopyListOptions extends CopyBrowseOptions {
  /** Everything below, too. Default: false. */
  readonly recursive?: boolean;
}

/** What is looked for in a copy; everything that is given must hold. */
export interface CopyFindOptions extends CopyBrowseOptions {
  /** Look only below this folder. Default: the top. */
  readonly in?: CopyPath;
  /**
   * In rsync's language: with a slash in it, it must match the whole path from the top, otherwise the
   * name.
   */
  readonly pattern?: string | Uint8Array;
  /** Letters a to z of both cases are the same. Default: false. */
  readonly ignoreCase?: boolean;
  readonly kinds?: readonly ('file' | 'folder' | 'link' | 'special')[];
  /** Bytes of files, both included. */
  readonly minSize?: number;
  readonly maxSize?: number;
  /** Modified after this moment … */
  readonly newer?: Date;
  /** … and before this. */
  readonly older?: Date;
}

const BROWSE_KINDS: OptionKinds = { ...LISTENING_KINDS, onProblem: 'listener' };
const FIND_KINDS: OptionKinds = {
  ...BROWSE_KINDS,
  in: 'any',
  pattern: 'any',
  ignoreCase: 'flag',
  kinds: 'any',
  minSize: 'number',
  maxSize: 'number',
  newer: 'any',
  older: 'any',
};
const SIZES = [0, Number.MAX_SAFE_INTEGER] as const;
const KIND_LETTERS = { file: 'f', folder: 'd', link: 'l', special: 's' } as const;

/**
 * The same as tests.
 *
 * @throws {UsageError} `option-invalid`, `option-unknown`
 *
 * @internal
 */
export function findTestsOf(options: CopyFindOptions): FindTests {
  const { pattern, ignoreCase = false, kinds, minSize, maxSize, newer, older } = options;
  assertOptions(options, FIND_KINDS);
  for (const [name, size] of Object.entries({ minSize, maxSize })) assertWithin(name, size, SIZES);
  return {
    ...(pattern !== undefined && { pattern: bytesOf(pattern) }),
    ignoreCase,
    ...(kinds !== undefined && { kinds: kinds.map((kind) => KIND_LETTERS[kind]) }),
    ...(minSize !== undefined && { sizeMin: minSize }),
    ...(maxSize !== undefined && { sizeMax: maxSize }),
    ...(newer !== undefined && { newerThanMs: newer.getTime() }),
    ...(older !== undefined && { olderThanMs: older.getTime() }),
  };
}

/** Which part of a file is read. */
export interface CopyReadOptions extends ListeningOptions {
  /** The first byte. Default: 0. */
  readonly offset?: number;
  /** At most so many bytes. Default: up to the end. */
  readonly length?: number;
}

/**
 * The same as the range that is read, its end excluded.
 *
 * @throws {UsageError} `option-invalid`, `option-unknown`
 *
 * @internal
 */
export function rangeOf(options: CopyReadOptions): {
  readonly offset: number;
  readonly end: number;
} {
  const { offset = 0, length = Number.MAX_SAFE_INTEGER } = options;
  assertOptions(options, { ...LISTENING_KINDS, offset: 'number', length: 'number' });
  for (const [name, size] of Object.entries({ offset, length })) assertWithin(name, size, SIZES);
  return { offset, end: offset + length };
}

/**
 * @throws {UsageError} `option-unknown`
 *
 * @internal
 */
export function assertListOptions(options: CopyListOptions): void {
  assertOptions(options, { ...BROWSE_KINDS, recursive: 'flag' });
}
