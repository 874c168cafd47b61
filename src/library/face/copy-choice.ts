/** Options of a program for everything that reads a copy. */
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
import { configuredFileLayers, configuredPeer, keptPatterns } from '../settings/configured-peer.ts';
import type { CopyPlace } from '../copy-place.ts';
import { rulesOf } from '../settings/filter-entries.ts';
import { restoringSettings } from '../settings/restore-choice.ts';
import { pathInCopy, type CopyPath } from './copy-paths.ts';
import { assertOptions, type OptionKinds } from './given-kinds.ts';
import { filterEntriesOf, kindsOf, readOptions, type GivenOptions } from './given-options.ts';
import { LISTENING_KINDS, type ListeningOptions } from './listening.ts';

const PEER_TABLE = tableWithout(PEER_OPTIONS, ['password_file']);

/**
 * The kinds of {@link CopyReachOptions}, which {@link peerOf} parses.
 *
 * @internal
 */
export const PEER_KINDS = kindsOf(PEER_TABLE);

/** How a peer is reached: the options of that name of every command. */
export type CopyReachOptions = GivenOptions<typeof PEER_TABLE>;

/**
 * Derives how the peer is reached from options.
 *
 * @internal
 */
export function peerOf(options: CopyReachOptions): PeerSettings {
  return settingsOf(PEER_OPTIONS, peerValuesOf(options));
}

function peerValuesOf(options: CopyReachOptions) {
  const given = Object.entries(options).filter(([name]) => Object.hasOwn(PEER_KINDS, name));
  const picked = Object.fromEntries(given);
  return readOptions(PEER_TABLE, picked).values;
}

/**
 * Derives from options and configuration how the copy of a vault is reached, and which foreign
 * objects are kept in it.
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
    peer: { ...settingsOf(PEER_OPTIONS, values), ...configuredPeer(layers, values) },
    keep: keptPatterns(layers),
  };
}

/** How a copy is restored: as by `ecsync restore`. */
export interface CopyRestoreOptions extends ListeningOptions {
  /** Only these files and folders. Default: everything. Each must exist in the copy. */
  readonly paths?: readonly CopyPath[];
  /** A folder above all of `paths` whose content goes into the target. Default: the root. */
  readonly base?: CopyPath;
  /** Filter rules as in rsync. Those of `filter` come first, then `include`, then `exclude`. */
  readonly filter?: string | readonly string[];
  readonly include?: string | readonly string[];
  readonly exclude?: string | readonly string[];
  /** Files with patterns to leave out, one a line. */
  readonly excludeFrom?: string | readonly string[];
  /** What to do with existing files that differ. Default: keep them and end as partial. */
  readonly overwrite?: Overwrite;
  /** Write nothing. Default: false. */
  readonly dryRun?: boolean;
  /**
   * Set permissions exactly as in the copy. Default: masked by the umask. Nothing authenticates
   * them.
   */
  readonly perms?: boolean;
  /** As `perms`, with set-id and sticky bits. Default: false. */
  readonly specialModes?: boolean;
  /** Default: true. */
  readonly owner?: boolean;
  /** Default: true. */
  readonly group?: boolean;
  /** Use user and group numbers, not names. Default: false. */
  readonly numericIds?: boolean;
  /** Make devices. Default: leave them out with a warning. false: leave them out silently. */
  readonly devices?: boolean;
  /** Make sockets and pipes. Default: true. */
  readonly specials?: boolean;
  /** Restore extended attributes, on Linux. Default: false. */
  readonly xattrs?: boolean;
  /** Accept files with blocks of zeros that nothing authenticates. Default: false. */
  readonly allowHoles?: boolean;
  /**
   * Restore objects that were written for another place in the copy, with a warning. Default:
   * false.
   */
  readonly allowMoved?: boolean;
  /** Patterns for foreign objects that are kept in the copy. */
  readonly keep?: string | readonly string[];
  /** Maximum receiving rate per second: `'512K'`, or a timetable. */
  readonly bwlimit?: number | string;
  /** Compare with what the last push from here left. Default: true. */
  readonly lastPush?: boolean;
  readonly onItem?: (line: ItemLine) => void;
  readonly onProgress?: (progress: RestoreProgress) => void;
  /** Receives each of the details that a warning counts. */
  readonly onDetail?: (detail: PushWarning) => void;
}

const { bwlimit, keep, dry_run, xattrs } = SHARED_PUSH_OPTIONS;
const RESTORE_TABLE = {
  ...FILTER_OPTIONS,
  ...ATTRIBUTE_OPTIONS,
  ...{ bwlimit, keep, dry_run, xattrs },
};

/** The kinds of {@link CopyRestoreOptions}. @internal */
export const RESTORE_KINDS: OptionKinds = {
  ...kindsOf(RESTORE_TABLE),
  ...LISTENING_KINDS,
  onItem: 'listener',
  onProgress: 'listener',
  onDetail: 'listener',
  paths: 'paths',
  base: 'path',
  overwrite: 'text',
  lastPush: 'flag',
  specialModes: 'flag',
  allowHoles: 'flag',
  allowMoved: 'flag',
};

/**
 * Derives the settings of a restore from options.
 *
 * @param configured - patterns of kept objects from the configuration
 * @throws {UsageError} `option-invalid`, `path-outside`, and every code of `rulesOf`
 *
 * @internal
 */
export async function restoreSettingsOf(
  options: CopyRestoreOptions,
  configured: readonly string[],
): Promise<Omit<RestoreSettings, 'from' | 'target' | keyof PeerSettings>> {
  const { paths = [], base, overwrite, lastPush = true } = options;
  const { specialModes, allowHoles, allowMoved } = options;
  const { values } = readOptions(RESTORE_TABLE, options);
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
    rules: await rulesOf(filterEntriesOf(values)),
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
  /** Percentage of the files whose content is read, more than 0. Default: all of them. */
  readonly sample?: number;
  /** Picks the same files again: `seed` of an earlier summary. */
  readonly seed?: string;
  /** Accept blocks of zeros that gocryptfs may have left. Default: false. */
  readonly allowHoles?: boolean;
  /** Verify that ecsync wrote each block, which takes longer. Default: false. */
  readonly nonces?: boolean;
  /** Patterns for foreign objects that are kept in the copy. */
  readonly keep?: string | readonly string[];
  /** Compare with what the last push from here left. Default: true. */
  readonly lastPush?: boolean;
  readonly onFinding?: (finding: FsckFinding) => void;
  readonly onProgress?: (progress: FsckProgress) => void;
}

/**
 * The settings of a check.
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
 * Derives the settings of a check from options.
 *
 * @param configured - patterns of kept objects from the configuration
 *
 * @internal
 */
export function fsckChoiceOf(options: CopyFsckOptions, configured: readonly string[]): FsckChoice {
  const { sample, seed, allowHoles = false, nonces = false, keep: kept = [] } = options;
  return {
    sample: sample === undefined ? undefined : pickSample(sample / 100, seed),
    ...{ allowHoles, checksNonces: nonces },
    keep: [kept, configured].flat(),
    comparesWithPush: options.lastPush ?? true,
  };
}

/** The kinds of {@link CopyFsckOptions}. @internal */
export const FSCK_KINDS: OptionKinds = {
  ...LISTENING_KINDS,
  sample: 'percentage',
  seed: 'text',
  allowHoles: 'flag',
  nonces: 'flag',
  keep: 'texts',
  lastPush: 'flag',
  onFinding: 'listener',
  onProgress: 'listener',
};

/** Options of everything that browses a copy. */
export interface CopyBrowseOptions extends ListeningOptions {
  /**
   * Receives each unreadable object, which is then left out. Absent: the first problem is thrown
   * after everything else.
   */
  readonly onProblem?: (problem: EcsyncError) => void;
}

/** How a copy is listed. */
export interface CopyListOptions extends CopyBrowseOptions {
  /** List everything below, too. Default: false. */
  readonly recursive?: boolean;
}

/** Tests for objects of a copy. An object must pass all given tests. */
export interface CopyFindOptions extends CopyBrowseOptions {
  /** Search only below this folder. Default: the root. */
  readonly in?: CopyPath;
  /**
   * In rsync's pattern language. A pattern with a slash must match the whole path from the root,
   * any other the name.
   */
  readonly pattern?: string | Uint8Array;
  /** Ignore the case of the letters a to z. Default: false. */
  readonly ignoreCase?: boolean;
  readonly kinds?: readonly ('file' | 'folder' | 'link' | 'special')[];
  /** Bytes of files. Both limits are inclusive. */
  readonly minSize?: number;
  readonly maxSize?: number;
  /** Modified after this time. */
  readonly newer?: Date;
  /** Modified before this time. */
  readonly older?: Date;
}

const BROWSE_KINDS: OptionKinds = { ...LISTENING_KINDS, onProblem: 'listener' };
const FIND_KINDS: OptionKinds = {
  ...BROWSE_KINDS,
  in: 'path',
  pattern: 'path',
  ignoreCase: 'flag',
  kinds: 'objectKinds',
  minSize: 'size',
  maxSize: 'size',
  newer: 'date',
  older: 'date',
};
const KIND_LETTERS = { file: 'f', folder: 'd', link: 'l', special: 's' } as const;

/**
 * Derives the tests from options.
 *
 * @throws {UsageError} `option-invalid`, `option-unknown`
 *
 * @internal
 */
export function findTestsOf(options: CopyFindOptions): FindTests {
  assertOptions(options, FIND_KINDS);
  const { pattern, ignoreCase = false, kinds, minSize, maxSize, newer, older } = options;
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
  /** Maximum number of bytes. Default: up to the end. */
  readonly length?: number;
}

/**
 * Derives the range to read, its end excluded.
 *
 * @throws {UsageError} `option-invalid`, `option-unknown`
 *
 * @internal
 */
export function rangeOf(options: CopyReadOptions): {
  readonly offset: number;
  readonly end: number;
} {
  assertOptions(options, { ...LISTENING_KINDS, offset: 'size', length: 'size' });
  const { offset = 0, length = Number.MAX_SAFE_INTEGER } = options;
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
