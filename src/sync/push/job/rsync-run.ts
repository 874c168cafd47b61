/** One conversation of a push with one `rsync --server`. */
import { EcsyncError, InterruptedError, RemoteError } from '../../../errors.ts';
import type { ReceiverRule } from '../../../rsync/flist/filter-list.ts';
import type { IdNames } from '../../../rsync/flist/id-list.ts';
import { serverArgs, type TransferOptions } from '../../../rsync/wire/options.ts';
import { send } from '../../../rsync/send/sender.ts';
import type { Basis, SendJob, SendReport } from '../../../rsync/send/send-job.ts';
import { judge, type Outcome } from '../../../rsync/outcome/status.ts';
import { isServerBusy } from '../../../rsync/outcome/server-errors.ts';
import type { OpenFile } from '../../../tree/entry.ts';
import type { Connection, Remote } from '../../../transport/connection.ts';
import { InDoubt, type CopyGuard, type Watch } from './copy-guard.ts';
import type { PushEntry, PushView } from '../source/push-entry.ts';
import type { Ledger } from './ledger.ts';
import { interrupted, pause } from '../../../interruption.ts';
import { startUnlessAborted, statusAfter } from '../../reach/remote-command.ts';

/**
 * One conversation with one `rsync --server`: what to list, with which options, and the listeners.
 * Without listeners nothing of it is recorded.
 */
export interface RunPlan {
  readonly entries: readonly PushEntry[];
  readonly options: TransferOptions;
  /**
   * Folder at the server. Default: that of the copy, to which the following run goes in any case.
   */
  readonly destination?: string;
  /** Options of the following run, if one follows at once. Called at the end of this run. */
  next?(): TransferOptions | undefined;
  readonly rules?: readonly ReceiverRule[];
  decline?(entry: PushEntry): boolean;
  withhold?(entry: PushEntry, basis: Basis): boolean;
  /** Opens the content of a file. Default: from the view. */
  open?(entry: PushEntry, basisSize: number): Promise<OpenFile>;
  /** A file is about to be read. */
  onOpen?(entry: PushEntry): void;
  onItem?(entry: PushEntry, iflags: number, xname: Uint8Array | undefined, ndx: number): void;
  onSent?(entry: PushEntry, literalBytes: number, matchedBytes: number): void;
  onProgress?(entry: PushEntry, bytes: number): void;
  onDeleted?(path: Uint8Array, isDirectory: boolean): void;
  onMessage?(level: 'info' | 'warning' | 'error', text: string): void;
  onProblem?(entry: PushEntry, error: EcsyncError): void;
}

/** Listeners of a run, all of them there. */
export type RunListeners<Names extends keyof RunPlan> = Required<Pick<RunPlan, Names>>;

/** What a listener hears of an item record. */
export type ItemRecord = Parameters<RunListeners<'onItem'>['onItem']>;

/** How a run ended, with the server's messages on standard error. */
export interface RunOutcome extends Outcome {
  readonly stderrText: string;
  /** The same with warnings and errors of the stream, where protocols before 30 send them. */
  readonly saidText: string;
  /** Negotiated protocol. Absent if the conversation did not complete. */
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
  /** The names that owners are sent with. Absent: only their numbers. */
  readonly names?: IdNames;
  readonly timeoutSec: number;
  readonly signal: AbortSignal;
  /** Checks that an expected copy exists, as long as that is not known. */
  readonly guard?: RunGuard | undefined;
  /** A line of the server in plaintext, as an error quotes it. */
  readonly tell: (line: string) => string;
}

export interface RunGuard {
  readonly guard: CopyGuard;
  /**
   * Checks whether the copy exists, unless a run has shown it.
   *
   * @throws {NotNowError | VaultError} `copy-gone`
   */
  onDoubt(): Promise<unknown>;
}

/** How much text of a server's messages is kept. */
const MESSAGES_LENGTH_MAX = 65_536;

function isNoGreeting(result: SendReport | Error): boolean {
  return result instanceof EcsyncError && result.code === 'no-greeting';
}

/**
 * Starts the server, holds the conversation, and judges how it ended from the stream, standard
 * error and the exit status together. Servers take a moment to exit, in which the next one starts.
 *
 * @throws {InterruptedError} `interrupted` — the signal fired; the server was told to stop
 * @throws {LoginError | ConnectionError | RemoteError} the command could not be started
 * @returns the outcome, also if the server failed: the caller knows what that means for its run
 */
export async function runRsync(context: RunContext, plan: RunPlan): Promise<RunOutcome> {
  const { guard } = context;
  const watch = guard?.guard.watch(plan);
  if (guard === undefined || watch === undefined) return runOnce(context, plan);
  const outcome = await runOnce(context, watched(plan, watch), watch);
  if (outcome.protocol === undefined) guard.guard.heard(outcome.saidText);
  if (!guard.guard.isDoubtful && !guard.guard.isGone) return outcome;
  await guard.onDoubt();
  return runOnce(context, plan);
}

/** Adds the files that identify the copy to a run, and hides their records from its listeners. */
function watched(plan: RunPlan, { entries, isAdded }: Watch): RunPlan {
  return {
    ...plan,
    entries,
    decline: (entry) => isAdded(entry) || plan.decline?.(entry) === true,
    onItem: (entry, ...item) => {
      if (!isAdded(entry)) plan.onItem?.(entry, ...item);
    },
    onProblem: (entry, error) => {
      if (!(error instanceof InDoubt)) plan.onProblem?.(entry, error);
    },
  };
}

/**
 * A folder that one of our own runs has just left is free within moments, on a busy machine within
 * seconds.
 */
const BUSY_PAUSE_MS = 500;
const BUSY_TRIES = 12;

/**
 * Whether a run that was refused before its greeting may be tried again. A restricted shell that
 * allows one login at a time may still count the previous one.
 *
 * @param refusals - how many there were in a row
 */
async function mayTryAgain(
  connection: Connection,
  refusals: number,
  signal: AbortSignal,
): Promise<boolean> {
  if (connection.startedAhead === true) return true;
  if (!isServerBusy(connection.stderrText()) || refusals > BUSY_TRIES) return false;
  await pause(BUSY_PAUSE_MS, signal);
  return true;
}

/** How a run opens the files that it sends. */
function reading(
  view: PushView,
  plan: RunPlan,
): Required<Pick<SendJob<PushEntry>, 'open' | 'openWhole'>> {
  return {
    open: (entry, basisSize) => {
      plan.onOpen?.(entry);
      return plan.open?.(entry, basisSize) ?? view.open(entry);
    },
    openWhole: (entry) => {
      if (plan.open !== undefined) return undefined;
      const whole = 'openWhole' in view ? view.openWhole(entry) : undefined;
      if (whole !== undefined) plan.onOpen?.(entry);
      return whole;
    },
  };
}

async function runOnce(
  context: RunContext,
  plan: RunPlan,
  watch?: Watch,
  refusals = 0,
): Promise<RunOutcome> {
  const { ledger, view, signal } = context;
  if (signal.aborted) throw interrupted(signal.reason);
  const words = serverArgs(plan.options, plan.destination ?? context.destination);
  const starting = context.remote.start(context.rsyncPath, words);
  const connection = await startUnlessAborted(starting, signal);
  let result: SendReport | Error;
  let messages = '';
  try {
    result = await send<PushEntry>(connection, {
      ...plan,
      ...(context.names && { names: context.names }),
      ...(watch && {
        onRequest: (entry, iflags) => watch.onRequest(entry, iflags),
        hold: () => (watch.isWaiting() ? watch.settled : undefined),
      }),
      ...reading(view, plan),
      onMessage: (level, text) => {
        if (level !== 'info') messages = `${messages}\n${text}`.slice(-MESSAGES_LENGTH_MAX);
        plan.onMessage?.(level, text);
      },
      onGoodbye: () => {
        const next = plan.next?.();
        if (next !== undefined) {
          context.remote.startAhead?.(context.rsyncPath, serverArgs(next, context.destination));
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
  const status = await statusAfter(result, connection.exited, context).finally(() => {
    connection.destroy();
  });
  if (isNoGreeting(result) && (await mayTryAgain(connection, refusals, signal))) {
    return runOnce(context, plan, watch, refusals + 1);
  }
  ledger.runs++;
  const stderrText = connection.stderrText();
  const { failure } = connection;
  const outcome = {
    ...judge(result, status, stderrText, { showLine: context.tell }),
    // Messages of the stream were reported already.
    stderrText: connection.addErrorText === undefined ? stderrText : '',
    saidText: stderrText + messages,
    // What a server in this process says of itself explains the rest.
    ...(failure instanceof RemoteError && { exitCode: failure.exitCode, error: failure }),
  };
  if (failure instanceof RemoteError) return outcome;
  return result instanceof Error ? outcome : { ...outcome, protocol: result.protocol };
}
