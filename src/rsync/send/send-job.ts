/** What a sender is told, and what it reports. */
import type { EcsyncError } from '../../errors.ts';
import type { Entry, OpenFile, WholeFile } from '../../tree/entry.ts';
import type { ReceiverRule } from '../flist/filter-list.ts';
import type { ChecksumName } from '../wire/handshake.ts';
import type { IdNames } from '../flist/id-list.ts';
import type { TransferOptions } from '../wire/options.ts';
import type { DeletedCounts } from './requests.ts';

/** What the receiver has of a file that it asks for. */
export interface Basis {
  /** Bytes; 0: nothing, or nothing it can read. */
  readonly size: number;
  /** Whether the file is in another folder than the one that receives, such as that of `--compare-dest`. */
  readonly isElsewhere: boolean;
}

/** What a sender is to send, and who wants to hear about it. Callbacks must not throw. */
export interface SendJob<E extends Entry> {
  /** The tree in the order of tree/walk.ts, the root first. */
  readonly entries: readonly E[];
  /**
   * Opens a regular file of `entries`.
   *
   * @param basisSize - bytes that the receiver has to go on from
   * @throws {VanishedError} `vanished`
   * @throws {FileError} `open-failed`
   */
  open(entry: E, basisSize: number): Promise<OpenFile>;
  /** Reads one that is small, when that costs less than opening it: undefined if it does not, or fails. */
  openWhole?(entry: E): WholeFile | undefined;
  readonly options: TransferOptions;
  /** For the receiver's delete pass; travels only when there is one. */
  readonly rules?: readonly ReceiverRule[];
  /** Something of the source could not be listed: the receiver deletes nothing. */
  readonly scanIncomplete?: boolean;
  /** Names of users and groups; travel unless ids are numeric. */
  readonly names?: IdNames;
  /** Give up when no byte came in or went out for so long. */
  readonly idleTimeoutMs?: number;
  /** Aborts cleanly: the server keeps or removes partial files as it would after a Ctrl-C. */
  readonly signal?: AbortSignal;
  /** Every record as it comes, ahead of its answer; undefined at the end of a phase. It may throw to end the run. */
  onRequest?(entry: E | undefined, iflags: number): void;
  /** No file is opened to be sent before this settles; undefined: there is nothing to wait for. */
  hold?(): Promise<void> | undefined;
  /** True: leave this requested file unsent, without any report. */
  decline?(entry: E): boolean;
  /** True: leave it unsent after all, now that it is this file's turn. */
  withhold?(entry: E, basis: Basis): boolean;
  /** Every item record, in order: what the server does with the entry (`ITEM_*`). `ndx` is its place in the sorted list. */
  onItem?(entry: E, iflags: number, xname: Uint8Array | undefined, ndx: number): void;
  /** A file was sent, or measured: literal bytes, and bytes the server took from its basis. */
  onSent?(entry: E, literalBytes: number, matchedBytes: number): void;
  /** Bytes of the file handled so far; now and then within large files. */
  onProgress?(entry: E, bytes: number): void;
  /** Raw path below the destination, as the server named it. */
  onDeleted?(path: Uint8Array, isDirectory: boolean): void;
  /** Raw text from the peer, maybe several lines. */
  onMessage?(level: 'info' | 'warning' | 'error', text: string): void;
  /** The server has stored everything and said goodbye; only its end is still waited for. */
  onGoodbye?(): void;
  /** Bytes of the stream, framing included, when the conversation is over, however it ended. */
  onEnd?(bytesSent: number, bytesReceived: number): void;
  /** A file could not be opened or read, has vanished, or changed while it was read. */
  onProblem?(entry: E, error: EcsyncError): void;
}

/** What came of it. */
export interface SendReport {
  readonly protocol: number;
  readonly checksumName: ChecksumName;
  readonly filesSent: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  /** Bytes of the stream, framing included. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** The server's own count, when it gives one. */
  readonly deleted?: DeletedCounts;
  /** The server reported failures (some servers exit 0 all the same). */
  readonly remoteErrors: boolean;
  /** IOERR_* bits of our own side and of the server. */
  readonly ioError: number;
}
