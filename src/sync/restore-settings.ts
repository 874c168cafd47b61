import type { Conf } from '../gocryptfs/config.ts';
import type { Derivation } from '../gocryptfs/layout.ts';
import type { FilterRule } from '../tree/filter.ts';
import type { Destination } from '../vault/destination.ts';
import type { ItemLine, PushWarning } from './push-settings.ts';
import type { CarriedAttributes, PeerSettings } from './run-settings.ts';

/**
 * What happens to a file that is there and differs. Absent: it stays, and the restore counts as
 * partial; `never`: it stays, and that is right.
 */
export type Overwrite = 'never' | 'older' | 'changed' | 'always';

/** Everything a restore needs to be told, parsed and validated by the command line. */
export interface RestoreSettings extends PeerSettings, CarriedAttributes {
  /** Where the copy is. */
  readonly from: Destination;
  /** Absolute path of the folder to restore into; made when only its last component is missing. */
  readonly target: string;
  /** Absolute path of a folder that is never touched, wherever in the target it is. */
  readonly vaultDir?: string;
  /** Plaintext paths in the copy, `/`-separated; empty: everything. */
  readonly paths: readonly string[];
  /** `--exclude`, `--include`, `--filter`, in the order given; plaintext paths. */
  readonly rules: readonly FilterRule[];
  readonly overwrite?: Overwrite;
  /** Leave the folder of unfinished files, empty: whoever asked for this goes on. Default false. */
  readonly keepsWorkplace?: boolean;
  readonly dryRun: boolean;
  /** What names the target can hold; default: found out. */
  readonly names?: 'any' | 'windows';
}

/** What opens a copy. */
export interface CopyKeys {
  readonly conf: Pick<Conf, 'flags' | 'longNameMax'>;
  /** 32 bytes; may still be on its way, while the login already begins. Not kept. */
  readonly masterkey: Uint8Array | Promise<Uint8Array>;
  /** Where the identities of the copy's files come from, as far as that is known. */
  readonly derivation: Derivation;
  /** Full blocks of zeros are damage: right for copies that only ecsync has written. */
  readonly holes: 'allowed' | 'refused';
}

/** Opens a copy by the conf that lies in it, if one does. */
export type UnlockCopy = (confBytes: Uint8Array | undefined) => Promise<CopyKeys>;

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
