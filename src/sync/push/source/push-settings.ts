/** What a push is told, and what it reports. */
import type { FilterRule } from '../../../tree/filter/filter.ts';
import type { SourceLimitOptions } from '../../../tree/local/source-limits.ts';
import { settingsOf, type SettingsOf } from '../../../options/option-table.ts';
import { PUSH_OPTIONS } from '../../../options/push-options.ts';
import type { Destination } from '../../../vault/destination/destination.ts';

/** A state of the source at one moment, which is read in its place. */
export interface FrozenSource {
  /** Absolute path of the folder that stands for the source. */
  readonly folder: string;
  /** Where the vault directory is in it, if it is; never part of the view either. */
  readonly vaultDir?: string;
  /** A moment before the state was made, milliseconds since 1970. */
  readonly takenMs: number;
}

/**
 * Everything a push needs to be told, parsed and validated by the command line: what options of the table
 * say, and the rest.
 */
export interface PushSettings extends SettingsOf<typeof PUSH_OPTIONS> {
  /** Absolute path of the source folder (the vault's root). */
  readonly source: string;
  /** Absent: the source itself is read. */
  readonly frozen?: FrozenSource;
  /** Absolute path of `.ecsync/` or of what `--vault-dir` names instead; never part of the view. */
  readonly vaultDir: string;
  readonly destination: Destination;
  /** Paths inside the source, relative to it; bytes where they are no text; empty: everything. */
  readonly paths: readonly (string | Uint8Array)[];
  /** `--exclude`, `--include`, `--exclude-from`, `--filter`, in the order given. */
  readonly rules: readonly FilterRule[];
  /** What else is left out of the source; what it leaves out is not deleted there either. */
  readonly limits?: SourceLimitOptions;
  /** The destination keeps times no more exactly than this, as an earlier push has found out. */
  readonly modifyWindowSec?: number;
}

/** The settings of a push of everything that deletes nothing: what the command line does without options. */
export function defaultPushSettings(
  { source, vaultDir }: Pick<PushSettings, 'source' | 'vaultDir'>,
  destination: Destination,
): PushSettings {
  return {
    ...settingsOf(PUSH_OPTIONS, {}),
    source,
    vaultDir,
    destination,
    paths: [],
    rules: [],
  };
}

/** One line of `-i`. */
export interface ItemLine {
  /** rsync's eleven characters, or `*deleting  `. */
  readonly change: string;
  /** Plaintext path (bytes); directories end in `/`. */
  readonly path: Uint8Array;
  /** Target of a symlink (` -> `), or the name a hard link points to (` => `). */
  readonly target?: { readonly arrow: '->' | '=>'; readonly bytes: Uint8Array };
  /** False when the name could not be decrypted and `path` is the cipher path. */
  readonly plain: boolean;
}

/** A file or folder that was not stored as it is, or anything else worth a line. */
export interface PushWarning {
  /** Stable, kebab-case: `unreadable`, `vanished`, `changed-while-read`, `remote-message`, … */
  readonly code: string;
  /** One line, lower-case, with the path in it already shown (unescaped foreign bytes possible). */
  readonly message: string;
}

/** Where a push stands. Totals are known once the scan is done. */
export interface PushProgress {
  readonly stage: 'scan' | 'connect' | 'compare' | 'send' | 'delete' | 'finish';
  readonly filesDone: number;
  readonly filesTotal: number;
  /** Ciphertext bytes of files handled so far and of all files in the tree. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** Plaintext path being sent. */
  readonly current?: Uint8Array;
}

/** Receives what happens during a push, synchronously; must not throw. */
export interface PushReporter {
  item(line: ItemLine): void;
  warning(warning: PushWarning): void;
  progress(progress: PushProgress): void;
  /** The push is cut off by an error: what it came to until then. */
  cutOff?(figures: PushFigures): void;
}

/** The content of one file as it was sent. */
export interface Upload {
  /** Plaintext path. */
  readonly path: Uint8Array;
  /** Bytes that the destination did not have. */
  readonly bytes: number;
}

/** The numbers of the JSON summary. */
export interface PushFigures {
  /** Plaintext objects in the view (files, folders, links, specials). */
  readonly filesTotal: number;
  readonly filesSent: number;
  readonly filesDeleted: number;
  /** Objects that the copy does not take as they are now, because it only grows. */
  readonly filesKept: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  /** rsync stream bytes to and from the server, over all runs of the push. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly elapsedMs: number;
  /** Plaintext bytes of all files in the tree. */
  readonly totalBytes: number;
  /** How many rsync runs the push took. */
  readonly runs: number;
}

/** What a push did. */
export interface PushSummary extends PushFigures {
  /** 0, 23, 24, 25 or 75; every other end is an exception. */
  readonly exitCode: 0 | 23 | 24 | 25 | 75;
  /** The largest first, as many as were asked for. */
  readonly largest: readonly Upload[];
  /** Set when exitCode is not 0: the reason in one line. */
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** What a push would do. `filesSent` and `filesDeleted` count what it would send and delete. */
export interface PlanSummary extends PushSummary {
  readonly filesNew: number;
  readonly foldersNew: number;
  /** Encrypted bytes of all files that would be sent in whole or in part: the push sends no more. */
  readonly contentBytesMax: number;
  /** Whether `literalBytes` and `matchedBytes` were asked of the server; 0 when they were not. */
  readonly exact: boolean;
}
