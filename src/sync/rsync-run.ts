import { ConnectionError, EcsyncError, InterruptedError } from '../errors.ts';
import type { ReceiverRule } from '../rsync/filter-list.ts';
import { serverWords, type TransferOptions } from '../rsync/options.ts';
import { send, type SendReport } from '../rsync/sender.ts';
import { judge, type Outcome } from '../rsync/status.ts';
import type { ExitStatus, Remote } from '../transport/connection.ts';
import type { PushEntry, PushView } from './push-entry.ts';
import type { Ledger } from './ledger.ts';

/** One conversation with one `rsync --server`: what to list, with which options, and who listens. */
export interface RunPlan {
  readonly entries: readonly PushEntry[];
  readonly options: TransferOptions;
  /** Options of the run that follows at once, if one does; asked when this one has done its work. */
  next?(): TransferOptions | undefined;
  readonly rules?: readonly ReceiverRule[];
  readonly names?: { users: ReadonlyMap<number, string>; groups: ReadonlyMap<number, string> };
  decline?(entry: PushEntry): boolean;
  withhold?(entry: PushEntry): boolean;
  /** A file is about to be read. */
  onOpen?(entry: PushEntry): void;
  onItem(entry: PushEntry, iflags: number, xname: Uint8Array | undefined, ndx: number): void;
  onSent?(entry: PushEntry, literalBytes: number, matchedBytes: number): void;
  onProgress?(entry: PushEntry, bytes: number): void;
  onDeleted?(path: Uint8Array, isDirectory: boolean): void;
  onMessage?(level: 'info' | 'warning' | 'error', text: string): void;
  onProblem?(entry: PushEntry, error: EcsyncError): void;
}

/** How a run ended, with what the server had to say on standard error. */
export interface RunOutcome extends Outcome {
  readonly stderrText: string;
  /** That, and its warnings and errors on the stream, where protocols before 30 put all of it. */
  readonly saidText: string;
  /** Negotiated protocol; absent when the conversation did not reach its end. */
  readonly protocol?: number;
}

/** What all runs of one push share. */
export interface RunContext {
  readonly remote: Remote;
  readonly view: PushView;
  readonly ledger: Ledger;
  readonly rsyncPath: string;
  /** Destination folder as the server's rsync is told, ending in a slash. */
  readonly destination: string;
  readonly timeoutSec: number;
  readonly signal: AbortSignal;
}

/** How long a peer may take to end after the last byte of the conversation. */
const GOODBYE_MS = 10_000;
/** Text of a server's messages that is kept. */
const MESSAGES_LENGTH_MAX = 65_536;

/**
 * The status of a server whose conversation is over.
 *
 * @throws {ConnectionError} `timeout` — it does not end
 */
export async function statusWithin(exited: Promise<ExitStatus>, ms: number): Promise<ExitStatus> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const details = { hint: 'Run the push again; it continues from here.' };
      reject(new ConnectionError('timeout', 'the remote rsync does not end', details));
    }, ms);
  });
  try {
    return await Promise.race([exited, patience]);
  } finally {
    clearTimeout(timer);
  }
}

/** A dead peer's status may never come, and its absence must not hide why the run failed. */
export async function statusAfterFailure(exited: Promise<ExitStatus>): Promise<ExitStatus> {
  return statusWithin(exited, 2_000).catch(() => ({ code: null, signal: null }));
}

function isNoGreeting(result: SendReport | Error): boolean {
  return result instanceof EcsyncError && result.code === 'no-greeting';
}

/**
 * Starts the server, holds the conversation, and judges how it ended from the stream, standard
 * error and the exit status together. Servers take a moment to end, in which the next one starts.
 *
 * @throws {InterruptedError} `interrupted` — the signal fired; the server was told to stop
 * @throws {LoginError | ConnectionError | RemoteError} the command could not be started
 * @returns the outcome, also when the server failed: the caller knows what that means for its run
 */
export async function runRsync(context: RunContext, plan: RunPlan): Promise<RunOutcome> {
  const { ledger, view, signal } = context;
  if (signal.aborted) throw new InterruptedError('interrupted', 'interrupted');
  const words = serverWords(plan.options, context.destination);
  const connection = await context.remote.start(context.rsyncPath, words);
  let result: SendReport | Error;
  let messages = '';
  try {
    result = await send<PushEntry>(connection, {
      ...plan,
      open: (entry) => {
        plan.onOpen?.(entry);
        return view.open(entry);
      },
      openWhole: (entry) => {
        const whole = 'openWhole' in view ? view.openWhole(entry) : undefined;
        if (whole !== undefined) plan.onOpen?.(entry);
        return whole;
      },
      onMessage: (level, text) => {
        if (level !== 'info') messages = `${messages}\n${text}`.slice(-MESSAGES_LENGTH_MAX);
        plan.onMessage?.(level, text);
      },
      onGoodbye: () => {
        const next = plan.next?.();
        if (next !== undefined) {
          context.remote.startAhead?.(context.rsyncPath, serverWords(next, context.destination));
        }
      },
      onEnd: (bytesSent, bytesReceived) => {
        ledger.bytesSent += bytesSent;
        ledger.bytesReceived += bytesReceived;
      },
      signal,
      ...(context.timeoutSec > 0 && { idleTimeoutMs: context.timeoutSec * 1000 }),
    });
  } catch (error) {
    if (error instanceof InterruptedError || !(error instanceof Error)) {
      connection.destroy();
      throw error;
    }
    result = error;
  }
  if (connection.startedAhead === true && isNoGreeting(result)) {
    // A restricted shell that lets in one at a time may still have counted the one before.
    await statusAfterFailure(connection.exited);
    connection.destroy();
    return runRsync(context, plan);
  }
  ledger.runs++;
  const failed = result instanceof Error;
  const status = failed
    ? await statusAfterFailure(connection.exited)
    : await statusWithin(connection.exited, Math.max(GOODBYE_MS, context.timeoutSec * 1000));
  connection.destroy();
  const stderrText = connection.stderrText();
  const saidText = stderrText + messages;
  const outcome = {
    ...judge(result, status, stderrText),
    // What was heard in the stream has been told already.
    stderrText: connection.hearError === undefined ? stderrText : '',
    saidText,
  };
  return result instanceof Error ? outcome : { ...outcome, protocol: result.protocol };
}
