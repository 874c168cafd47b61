/** Settings, callbacks and result of a push. */
import type { FilterRule } from '../../../tree/filter/filter.ts';
import type { SourceLimitOptions } from '../../../tree/local/source-limits.ts';
import { settingsOf, type SettingsOf } from '../../../options/option-table.ts';
import { PUSH_OPTIONS } from '../../../options/push-options.ts';
import type { Destination } from '../../../vault/destination/destination.ts';

/** A frozen state of the source, such as a snapshot, which is read in its place. */
export interface FrozenSource {
  /** Absolute path of the folder that replaces the source. */
  readonly folder: string;
  /** The path of the vault directory inside it, if there is one. It is never part of the view. */
  readonly vaultDir?: string;
  /** A time before the state was made, in milliseconds since 1970. */
  readonly takenMs: number;
}

/**
 * Everything a push needs: the options of the table, and the rest. The command line parses and
 * validates it.
 */
export interface PushSettings extends SettingsOf<typeof PUSH_OPTIONS> {
  /** Absolute path of the source folder (the vault's root). */
  readonly source: string;
  /** Absent: the source itself is read. */
  readonly frozen?: FrozenSource;
  /** Absolute path of `.ecsync/` or of the `--vault-dir` folder. It is never part of the view. */
  readonly vaultDir: string;
  readonly destination: Destination;
  /** Paths relative to the source, as bytes if they are no valid text; empty: everything. */
  readonly paths: readonly (string | Uint8Array)[];
  /** `--exclude`, `--include`, `--exclude-from`, `--filter`, in the order given. */
  readonly rules: readonly FilterRule[];
  /** Other rules that leave out parts of the source. These parts are not deleted from the copy. */
  readonly limits?: SourceLimitOptions;
  /** Time resolution of the destination in seconds, as an earlier push has found. */
  readonly modifyWindowSec?: number;
}

/**
 * Settings of a push of everything without deletions, as the command line has them without options.
 */
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
  /** False if the name could not be decrypted and `path` is the cipher path. */
  readonly plain: boolean;
}

/** An object that was not stored unchanged, or another message. */
export interface PushWarning {
  /** Stable, kebab-case: `unreadable`, `vanished`, `changed-while-read`, `remote-message`, … */
  readonly code: string;
  /**
   * One lower-case line. Paths in it are quoted for display already (unescaped foreign bytes
   * possible).
   */
  readonly message: string;
}

/** The progress of a push. Totals are known once the scan is done. */
export interface PushProgress {
  readonly stage: 'scan' | 'connect' | 'compare' | 'send' | 'delete' | 'finish';
  readonly filesDone: number;
  readonly filesTotal: number;
  /** Ciphertext bytes of files handled so far and of all files in the tree. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** Plaintext path of the file being sent. */
  readonly current?: Uint8Array;
}

/** Receives the events of a push, synchronously. Must not throw. */
export interface PushReporter {
  item(line: ItemLine): void;
  warning(warning: PushWarning): void;
  progress(progress: PushProgress): void;
  /** An error ends the push. Receives the figures up to then. */
  cutOff?(figures: PushFigures): void;
}

/** How much of one file was sent. */
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
  /** Objects that an append-only copy keeps in an older version. */
  readonly filesKept: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  /** rsync stream bytes to and from the server, over all runs of the push. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly elapsedMs: number;
  /** Plaintext bytes of all files in the tree. */
  readonly totalBytes: number;
  /** Number of rsync runs. */
  readonly runs: number;
}

/** The result of a push. */
export interface PushSummary extends PushFigures {
  /** 0, 23, 24, 25 or 75. Every other end is an exception. */
  readonly exitCode: 0 | 23 | 24 | 25 | 75;
  /** The largest uploads, largest first, as many as were requested. */
  readonly largest: readonly Upload[];
  /** The reason in one line, if exitCode is not 0. */
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** What a push would do. `filesSent` and `filesDeleted` count what it would send and delete. */
export interface PlanSummary extends PushSummary {
  readonly filesNew: number;
  readonly foldersNew: number;
  /**
   * Encrypted bytes of all files that would be sent in whole or in part. The push sends no more.
   */
  readonly contentBytesMax: number;
  /** Whether the server measured `literalBytes` and `matchedBytes`. Otherwise they are 0. */
  readonly exact: boolean;
}
