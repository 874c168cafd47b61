/** What a restore is told, and what it reports. */
import type { FilterRule } from '../../tree/filter/filter.ts';
import type { RatePlan } from '../../transport/throttle.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import type { ItemLine, PushWarning } from '../push/source/push-settings.ts';
import type { CarriedAttributes, PeerSettings } from '../run-settings.ts';

/**
 * What happens to a file that is there and differs. Absent: it stays, and the restore counts as
 * partial; `never`: it stays, and that is right.
 */
export type Overwrite = 'never' | 'older' | 'changed' | 'always';

/** Everything a restore needs to be told, parsed and validated by the command line. */
export interface RestoreSettings extends PeerSettings, CarriedAttributes {
  /**
   * `perms`: permissions are exactly those of the copy, also of what is there. Without: what is there
   * keeps its own, and what is new gets those of the copy as far as the umask lets it. Nothing
   * vouches for permissions in a copy.
   */
  readonly perms: boolean;
  /** With `perms`: set-id and sticky bits as well. Default false. */
  readonly specialModes?: boolean;
  /** Somebody said that devices are left out: that is then no shortfall. Default false. */
  readonly withoutDevices?: boolean;
  /** `-X`: extended attributes come back, too. Default false. */
  readonly xattrs?: boolean;
  /** `--bwlimit`: what comes from the peer. */
  readonly bandwidth?: RatePlan;
  /** Where the copy is. */
  readonly from: Destination;
  /** Absolute path of the folder to restore into; made when only its last component is missing. */
  readonly target: string;
  /** Absolute path of a folder that is never touched, wherever in the target it is. */
  readonly vaultDir?: string;
  /** Plaintext paths in the copy, `/`-separated, as text or bytes; empty: everything. */
  readonly paths: readonly (string | Uint8Array)[];
  /** A folder above all of `paths`, whose content goes into the target; default: the top. */
  readonly base?: string | Uint8Array;
  /** `--exclude`, `--include`, `--filter`, in the order given; plaintext paths. */
  readonly rules: readonly FilterRule[];
  readonly overwrite?: Overwrite;
  /** Files with blocks of zeros that nothing authenticates are restored without a complaint. */
  readonly allowHoles?: boolean;
  /** What has the identity of another place is restored, and only told. */
  readonly allowMoved?: boolean;
  /** `--keep`: patterns for what is not of the copy and was said to be kept there. */
  readonly keep?: readonly string[];
  /** Do not compare the copy with what the last push left. */
  readonly ignoreLastPush?: boolean;
  /** Leave the folder of unfinished files, empty: whoever asked for this goes on. Default false. */
  readonly keepsWorkplace?: boolean;
  readonly dryRun: boolean;
  /** What names the target can hold; default: found out. */
  readonly names?: 'any' | 'windows';
}

/** Where a restore stands. Totals are known once the copy is listed. */
export interface RestoreProgress {
  readonly stage: 'list' | 'fetch';
  readonly filesDone: number;
  readonly filesTotal: number;
  /** Ciphertext bytes. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly current?: Uint8Array;
}

/** Receives what happens during a restore, synchronously; must not throw. */
export interface RestoreReporter {
  item(line: ItemLine): void;
  warning(warning: PushWarning): void;
  /** Something that a warning will count. */
  detail(warning: PushWarning): void;
  progress(progress: RestoreProgress): void;
}

/** What a restore did; also the numbers of the JSON summary. */
export interface RestoreSummary {
  /** 0, 23, 24 or 26; every other end is an exception. */
  readonly exitCode: 0 | 23 | 24 | 26;
  /** Plaintext objects that were asked for (files, folders, links, specials). */
  readonly filesTotal: number;
  /** Files whose content was fetched. */
  readonly filesRestored: number;
  /** Objects that are there, differ, and stay. */
  readonly filesKept: number;
  /** Objects that are not what the key wrote. */
  readonly damaged: number;
  /** Objects that are not as the last push left them, or not where they belong. */
  readonly misplaced: number;
  /** Objects that have another name in the target than in the copy. */
  readonly renamed: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly elapsedMs: number;
  /** Plaintext bytes of all files asked for. */
  readonly totalBytes: number;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}
