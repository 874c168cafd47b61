/** What a pull is told, and what it reports. */
import type { EcsyncError } from '../../errors.ts';
import type { Entry, Xattr } from '../../tree/entry.ts';
import type { Store } from '../../tree/store.ts';
import type { LocalHabits } from './attribute-policy.ts';
import type { ReceiverRule, SenderRule } from '../flist/filter-list.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { ChecksumName } from '../wire/handshake.ts';
import type { TransferOptions } from '../wire/options.ts';
import type { DeletionCounts } from './record-writer.ts';

/**
 * What a pull is to fetch, where it goes, and who wants to hear about it. Callbacks must not throw.
 */
export interface PullPlan<E extends Entry> {
  /** The same that made the server's command line ({@link senderArgs}). */
  readonly options: TransferOptions;
  /** The same that the command line names: anything else in the list is refused. */
  readonly paths: readonly string[];
  /** Where everything is written, and what is there already. */
  readonly store: Store<E>;
  /** Users and groups of this machine; without them numbers stay as they are. */
  readonly habits?: LocalHabits;
  /** What the server does not list. */
  readonly senderRules?: readonly SenderRule[];
  /** What `deleteAfter` does not delete here. */
  readonly receiverRules?: readonly ReceiverRule[];
  /** Ask for whole files instead of differences. Default false. */
  readonly wholeFile?: boolean;
  /** The store was made for this pull. Default false. */
  readonly rootIsNew?: boolean;
  /** A root that was there keeps its mode and owner, whatever the list says. Default false. */
  readonly keepsRoot?: boolean;
  /**
   * Bytes by which a file may exceed twice its announced size. What exceeds them is not stored, and
   * the server counts as hostile when as many again follow. Default 1 GiB.
   */
  readonly growthMax?: number;
  /** Memory that the file list may take, in bytes, about. Default: by Node's heap. */
  readonly listWeightMax?: number;
  /** Give up when no byte came in or went out for so long. */
  readonly idleTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * The whole list, checked and in the order of the protocol, before anything is asked for or
   * written. What it throws ends the pull.
   */
  onList?(entries: readonly FlistEntry[]): Promise<void> | void;
  /**
   * Whether anything is done about an entry; asked more than once. Default: always. What is not
   * wanted is neither written, nor asked for, nor deleted. A wanted object needs its folder:
   * wanted, too, or there already.
   */
  wants?(entry: FlistEntry): boolean;
  /** What is done with an entry (`ITEM_*`), when it begins; once per entry. */
  onItem?(entry: FlistEntry, iflags: number, xname: Uint8Array | undefined): void;
  /**
   * With `-X`, at the end: the extended attributes of each wanted entry, as the server has them;
   * undefined when not all of them came. Not in a dry run.
   */
  onXattrs?(entry: FlistEntry, xattrs: readonly Xattr[] | undefined): void;
  /** So many bytes of a file's content are here; now and then within large files. */
  onProgress?(entry: FlistEntry, bytes: number): void;
  /** A file is complete: literal bytes, and bytes taken from what was there. */
  onStored?(entry: FlistEntry, literalBytes: number, matchedBytes: number): void;
  /** Path below the store's root. */
  onDeleted?(path: Uint8Array, isDirectory: boolean): void;
  /** Bytes of the stream, framing included, when the conversation is over, however it ended. */
  onEnd?(bytesSent: number, bytesReceived: number): void;
  /** Raw text from the server, maybe several lines. */
  onMessage?(level: 'info' | 'warning' | 'error', text: string): void;
  /**
   * One object could not be fetched or stored; the rest goes on. `entry` unless it is an extra one.
   */
  onProblem?(error: EcsyncError, entry: FlistEntry | undefined): void;
}

/** The server's own account at the end. */
export interface PullStatistics {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes of all files of the list. */
  readonly totalSize: number;
}

/** What came of it. */
export interface PullReport {
  readonly protocol: number;
  readonly checksumName: ChecksumName;
  /** Entries of the list. */
  readonly listed: number;
  readonly filesReceived: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  /** Bytes of the stream, framing included. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Absent when the list was empty: the server then leaves at once. */
  readonly statistics?: PullStatistics;
  readonly deleted: Readonly<DeletionCounts>;
  /** Something could not be deleted safely, since the server's list is incomplete. */
  readonly deletionSkipped: boolean;
  /** Problems that were told to `onProblem`. */
  readonly problems: number;
  /** The server reported failures (some servers exit 0 all the same). */
  readonly remoteErrors: boolean;
  /** IOERR_* bits of the server: what it could not list or read. */
  readonly ioError: number;
}
