/** Settings, callbacks and result of a restore. */
import type { FilterRule } from '../../tree/filter/filter.ts';
import type { RatePlan } from '../../transport/throttle.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import type { ItemLine, PushWarning } from '../push/source/push-settings.ts';
import type { CarriedAttributes, PeerSettings } from '../run-settings.ts';

/**
 * What to do with an existing file that differs. Absent: keep it and end as partial. `never`: keep
 * it and succeed.
 */
export type Overwrite = 'never' | 'older' | 'changed' | 'always';

/** Everything a restore needs. The command line parses and validates it. */
export interface RestoreSettings extends PeerSettings, CarriedAttributes {
  /**
   * `perms`: set the permissions of the copy, on existing objects too. Without it, existing objects
   * keep their permissions, and new ones get those of the copy masked by the umask. Nothing
   * authenticates permissions in a copy.
   */
  readonly perms: boolean;
  /** With `perms`: also set-id and sticky bits. Default false. */
  readonly specialModes?: boolean;
  /** Leaving devices out is intended and no failure. Default false. */
  readonly withoutDevices?: boolean;
  /** `-X`: also restore extended attributes. Default false. */
  readonly xattrs?: boolean;
  /** `--bwlimit`: limits what is received. */
  readonly bandwidth?: RatePlan;
  /** Where the copy is. */
  readonly from: Destination;
  /** Absolute path of the target folder. Its last component is made if it is missing. */
  readonly target: string;
  /** Absolute path of a folder that is never touched, wherever it is in the target. */
  readonly vaultDir?: string;
  /** Plaintext paths in the copy, `/`-separated, as text or bytes; empty: everything. */
  readonly paths: readonly (string | Uint8Array)[];
  /** A folder above all of `paths` whose content goes into the target. Default: the root. */
  readonly base?: string | Uint8Array;
  /** `--exclude`, `--include`, `--filter`, in the order given, for plaintext paths. */
  readonly rules: readonly FilterRule[];
  readonly overwrite?: Overwrite;
  /** Restore files with blocks of zeros that nothing authenticates without an error. */
  readonly allowHoles?: boolean;
  /** Restore objects with the identity of another place, and only report them. */
  readonly allowMoved?: boolean;
  /** `--keep`: patterns for foreign objects that are kept in the copy on purpose. */
  readonly keep?: readonly string[];
  /** Do not compare the copy with what the last push left. */
  readonly ignoreLastPush?: boolean;
  /** Keep the empty folder of unfinished files, because the caller continues. Default false. */
  readonly keepsWorkplace?: boolean;
  readonly dryRun: boolean;
  /** Which names the target can hold. Default: detected. */
  readonly names?: 'any' | 'windows';
}

/** The progress of a restore. Totals are known once the copy is listed. */
export interface RestoreProgress {
  readonly stage: 'list' | 'fetch';
  readonly filesDone: number;
  readonly filesTotal: number;
  /** Ciphertext bytes. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly current?: Uint8Array;
}

/** Receives the events of a restore, synchronously. Must not throw. */
export interface RestoreReporter {
  item(line: ItemLine): void;
  warning(warning: PushWarning): void;
  /** A detail that a warning will count. */
  detail(warning: PushWarning): void;
  progress(progress: RestoreProgress): void;
}

/** The result of a restore. Its numbers are those of the JSON summary. */
export interface RestoreSummary {
  /** 0, 23, 24 or 26. Every other end is an exception. */
  readonly exitCode: 0 | 23 | 24 | 26;
  /** Selected plaintext objects (files, folders, links, specials). */
  readonly filesTotal: number;
  /** Files whose content was fetched. */
  readonly filesRestored: number;
  /** Existing objects that differ and stay. */
  readonly filesKept: number;
  /** Objects that are not authentic. */
  readonly damaged: number;
  /** Objects that are not as the last push left them, or not in their place. */
  readonly misplaced: number;
  /** Objects that have another name in the target than in the copy. */
  readonly renamed: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly elapsedMs: number;
  /** Plaintext bytes of all selected files. */
  readonly totalBytes: number;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}
