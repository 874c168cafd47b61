/** Holds one conversation with a sending server, for everything that reads a copy. */
import { FileError, ProtocolError, VanishedError, type EcsyncError } from '../../errors.ts';
import type { SenderRule } from '../../rsync/flist/filter-list.ts';
import { LISTING, senderArgs, type TransferOptions } from '../../rsync/wire/options.ts';
import type { PullReport } from '../../rsync/receive/pull-plan.ts';
import { judge } from '../../rsync/outcome/status.ts';
import type { Connection, Remote } from '../../transport/connection.ts';
import { interrupted } from '../../interruption.ts';
import { startUnlessAborted, statusAfter } from '../reach/remote-command.ts';

/** A folder that a remote rsync reads for us, and the parameters of its runs. */
export interface RemoteSource {
  /** Owned and closed by the caller. */
  readonly remote: Remote;
  /** The folder as the remote rsync is told, with a slash at its end. */
  readonly path: string;
  readonly rsyncPath: string;
  /** Seconds without a byte from or to the peer; 0: no limit. */
  readonly timeoutSec: number;
  /** Newest rsync protocol to offer. */
  readonly protocolMax: number;
  readonly signal: AbortSignal;
  /** For runs that list everything: excludes unreadable objects that do not belong to the copy. */
  readonly rules?: readonly SenderRule[];
}

/** Bytes of the streams of all runs so far. */
export interface RemoteTraffic {
  bytesSent: number;
  bytesReceived: number;
}

export function addTraffic(traffic: RemoteTraffic, report: Readonly<RemoteTraffic>): void {
  traffic.bytesSent += report.bytesSent;
  traffic.bytesReceived += report.bytesReceived;
}

/** Options that list all attributes, including hard links. */
export function listingOptions({ protocolMax, timeoutSec }: RemoteSource): TransferOptions {
  const timed = timeoutSec > 0 ? { timeoutSec } : {};
  return { ...LISTING, protocolMax, hardLinks: true, ...timed };
}

/**
 * Holds one conversation with a sending server, and judges how it ended.
 *
 * @param options - the same that the conversation uses
 * @returns why the server could not read everything; undefined if it could
 * @throws {InterruptedError} `interrupted`
 * @throws {LoginError | ConnectionError | RemoteError | ProtocolError} from the peer; what
 *   `converse` threw
 */
export async function runPull(
  source: RemoteSource,
  converse: (connection: Connection) => Promise<PullReport>,
  options = listingOptions(source),
): Promise<EcsyncError | undefined> {
  const { remote, rsyncPath, path, signal } = source;
  const isAborted = (): boolean => signal.aborted;
  if (isAborted()) throw interrupted(signal.reason);
  const words = senderArgs(options, [path]);
  const connection = await startUnlessAborted(remote.start(rsyncPath, words), signal);
  try {
    const result = await converse(connection).catch((error: unknown) => error);
    if (isAborted()) throw interrupted(result);
    const failed = result instanceof Error;
    const status = await statusAfter(result, connection.exited, source);
    // A violation by the untrusted server says more than the exit code that it caused.
    if (connection.failure instanceof ProtocolError) throw connection.failure;
    const { error } = judge(result, status, connection.stderrText(), { direction: 'pull' });
    const isPartial = error instanceof FileError || error instanceof VanishedError;
    if (error !== undefined && (failed || !isPartial)) throw error;
    return error;
  } finally {
    connection.destroy();
  }
}
