/** The job of a sender and its report. */
import type { EcsyncError } from '../../errors.ts';
import type { Entry, OpenFile, WholeFile } from '../../tree/entry.ts';
import type { ReceiverRule } from '../flist/filter-list.ts';
import type { ChecksumName } from '../wire/handshake.ts';
import type { IdNames } from '../flist/id-list.ts';
import type { TransferOptions } from '../wire/options.ts';
import type { DeletedCounts } from './requests.ts';

/** The basis that the receiver has for a requested file. */
export interface Basis {
  /** Bytes; 0 if it has no basis, or none that it can read. */
  readonly size: number;
  /** Whether the basis is outside the destination folder, such as in that of `--compare-dest`. */
  readonly isElsewhere: boolean;
}

/** What a sender sends, and the callbacks it reports to. Callbacks must not throw. */
export interface SendJob<E extends Entry> {
  /** The entries of the tree in the order of tree/walk.ts, the root first. */
  readonly entries: readonly E[];
  /**
   * Opens a regular file of `entries`.
   *
   * @param basisSize - bytes of the receiver's basis
   * @throws {VanishedError} `vanished`
   * @throws {FileError} `open-failed`
   */
  open(entry: E, basisSize: number): Promise<OpenFile>;
  /** Reads a small file if that is cheaper than opening it. Undefined if it is not, or fails. */
  openWhole?(entry: E): WholeFile | undefined;
  readonly options: TransferOptions;
  /** For the receiver's delete pass; sent only if there is one. */
  readonly rules?: readonly ReceiverRule[];
  /** Part of the source could not be listed: the receiver must delete nothing. */
  readonly scanIncomplete?: boolean;
  /** Names of users and groups; sent unless ids are numeric. */
  readonly names?: IdNames;
  /** Give up after this time without a byte in either direction. */
  readonly idleTimeoutMs?: number;
  /** Aborts cleanly: the server keeps or removes partial files as after a Ctrl-C. */
  readonly signal?: AbortSignal;
  /**
   * Called for each record when it arrives, before its answer; `entry` is undefined at the end of a
   * phase. It may throw to end the run.
   */
  onRequest?(entry: E | undefined, iflags: number): void;
  /** No file is opened for sending before this resolves; undefined: nothing to wait for. */
  hold?(): Promise<void> | undefined;
  /** True: do not send this requested file, and do not report it. */
  decline?(entry: E): boolean;
  /** Called at the file's turn. True: do not send it after all. */
  withhold?(entry: E, basis: Basis): boolean;
  /**
   * Called for each item record in order; `iflags` (`ITEM_*`) say what the server does with the
   * entry. `ndx` is its index in the sorted list.
   */
  onItem?(entry: E, iflags: number, xname: Uint8Array | undefined, ndx: number): void;
  /** A file was sent or measured: literal bytes, and bytes that the server takes from its basis. */
  onSent?(entry: E, literalBytes: number, matchedBytes: number): void;
  /** Bytes of the file handled so far; called from time to time within large files. */
  onProgress?(entry: E, bytes: number): void;
  /** Raw path below the destination, as the server reports it. */
  onDeleted?(path: Uint8Array, isDirectory: boolean): void;
  /** Raw text from the peer, maybe several lines. */
  onMessage?(level: 'info' | 'warning' | 'error', text: string): void;
  /** The server has stored everything and said goodbye; only its exit is still to come. */
  onGoodbye?(): void;
  /** Bytes of the stream including framing, when the conversation is over, however it ended. */
  onEnd?(bytesSent: number, bytesReceived: number): void;
  /** A file could not be opened or read, has vanished, or changed while it was read. */
  onProblem?(entry: E, error: EcsyncError): void;
}

/** The result of a complete run. */
export interface SendReport {
  readonly protocol: number;
  readonly checksumName: ChecksumName;
  readonly filesSent: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  /** Bytes of the stream, including framing. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** The server's own count, if it sends one. */
  readonly deleted?: DeletedCounts;
  /** The server reported failures; some servers exit 0 nevertheless. */
  readonly remoteErrors: boolean;
  /** IOERR_* bits of both sides. */
  readonly ioError: number;
}
