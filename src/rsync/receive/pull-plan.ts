/** The plan of a pull and its report. */
import type { EcsyncError } from '../../errors.ts';
import type { Entry, Xattr } from '../../tree/entry.ts';
import type { Store } from '../../tree/store.ts';
import type { LocalDefaults } from './attribute-policy.ts';
import type { ReceiverRule, SenderRule } from '../flist/filter-list.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { ChecksumName } from '../wire/handshake.ts';
import type { TransferOptions } from '../wire/options.ts';
import type { DeletionCounts } from './record-writer.ts';

/**
 * What a pull fetches, where it stores it, and the callbacks it reports to. Callbacks must not
 * throw.
 */
export interface PullPlan<E extends Entry> {
  /** The options of the server's command line ({@link senderArgs}). */
  readonly options: TransferOptions;
  /** The paths of the command line: anything else in the list is refused. */
  readonly paths: readonly string[];
  /** Where objects are stored and existing ones are found. */
  readonly store: Store<E>;
  /** Users and groups of this machine; without them ids are not translated. */
  readonly localDefaults?: LocalDefaults;
  /** Rules for what the server leaves out of its list. */
  readonly senderRules?: readonly SenderRule[];
  /** Rules for what `deleteAfter` does not delete here. */
  readonly receiverRules?: readonly ReceiverRule[];
  /** Request whole files instead of deltas. Default: false. */
  readonly wholeFile?: boolean;
  /** The store's root was created for this pull. Default: false. */
  readonly rootIsNew?: boolean;
  /** An existing root keeps its mode and owner, whatever the list says. Default: false. */
  readonly keepsRoot?: boolean;
  /**
   * Bytes by which a file may exceed twice its announced size. A longer file is not stored. If as
   * many bytes again follow, the server counts as hostile. Default: 1 GiB.
   */
  readonly growthMax?: number;
  /** Approximate bytes of memory that the file list may take. Default: a part of Node's heap. */
  readonly listWeightMax?: number;
  /** Give up after this time without a byte in either direction. */
  readonly idleTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with the whole list, checked and in index order, before anything is requested or
   * written. An error that it throws ends the pull.
   */
  onList?(entries: readonly FlistEntry[]): Promise<void> | void;
  /**
   * Whether an entry is handled at all; called more than once per entry. Default: always. Other
   * entries are neither written, nor requested, nor deleted. The folder of a wanted object must be
   * wanted too, or exist.
   */
  wants?(entry: FlistEntry): boolean;
  /** Called once per entry, when work on it begins; `iflags` (`ITEM_*`) say what is done. */
  onItem?(entry: FlistEntry, iflags: number, xname: Uint8Array | undefined): void;
  /**
   * With `-X`, called at the end with the server's extended attributes of each wanted entry;
   * undefined if not all of them arrived. Not called in a dry run.
   */
  onXattrs?(entry: FlistEntry, xattrs: readonly Xattr[] | undefined): void;
  /** Bytes of a file received so far; called from time to time within large files. */
  onProgress?(entry: FlistEntry, bytes: number): void;
  /** A file is stored: literal bytes, and bytes taken from the basis. */
  onStored?(entry: FlistEntry, literalBytes: number, matchedBytes: number): void;
  /** Path below the store's root. */
  onDeleted?(path: Uint8Array, isDirectory: boolean): void;
  /** Bytes of the stream including framing, when the conversation is over, however it ended. */
  onEnd?(bytesSent: number, bytesReceived: number): void;
  /** Raw text from the server, maybe several lines. */
  onMessage?(level: 'info' | 'warning' | 'error', text: string): void;
  /**
   * One object could not be fetched or stored; the others continue. `entry` is undefined for an
   * object that is not in the list.
   */
  onProblem?(error: EcsyncError, entry: FlistEntry | undefined): void;
}

/** The server's own statistics at the end. */
export interface PullStatistics {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes of all files of the list. */
  readonly totalSize: number;
}

/** The result of a complete pull. */
export interface PullReport {
  readonly protocol: number;
  readonly checksumName: ChecksumName;
  /** Entries of the list. */
  readonly listed: number;
  readonly filesReceived: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  /** Bytes of the stream, including framing. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Absent if the list was empty: the server then exits at once. */
  readonly statistics?: PullStatistics;
  readonly deleted: Readonly<DeletionCounts>;
  /** Deletion was skipped, since the server's list is incomplete. */
  readonly deletionSkipped: boolean;
  /** Number of calls of `onProblem`. */
  readonly problems: number;
  /** The server reported failures; some servers exit 0 nevertheless. */
  readonly remoteErrors: boolean;
  /** IOERR_* bits of the server, which say that it could not list or read everything. */
  readonly ioError: number;
}
