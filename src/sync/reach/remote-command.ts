/** Starts a command at a remote and waits for its end, each with a time limit. */
import { ConnectionError, EcsyncError } from '../../errors.ts';
import type { Connection, ExitStatus } from '../../transport/connection.ts';
import { unlessAborted } from '../../interruption.ts';

/**
 * How long a peer may take to exit after the last byte of the conversation, without `--timeout`.
 */
const GOODBYE_MS = 10_000;
/** The same limit after a conversation that failed. */
const FAREWELL_MS = 2000;
const UNKNOWN_STATUS: ExitStatus = { code: null, signal: null };

/**
 * Starts `Remote.start` or a subsystem unless the signal comes first. A connection that opens after
 * the signal is closed.
 *
 * @throws {InterruptedError} `interrupted`; what starting throws
 */
export function startUnlessAborted(
  start: Promise<Connection>,
  signal: AbortSignal,
): Promise<Connection> {
  return unlessAborted(start, signal, (late) => {
    late.destroy();
  });
}

/**
 * Waits for the exit status of a server after the conversation.
 *
 * @param result - the result of the conversation
 * @returns an unknown status if the conversation failed and the peer does not exit in time
 * @throws {ConnectionError} `timeout` — the conversation succeeded, but the peer does not exit
 * @throws {InterruptedError} `interrupted`
 */
export async function statusAfter(
  result: unknown,
  exited: Promise<ExitStatus>,
  { timeoutSec, signal }: { readonly timeoutSec: number; readonly signal: AbortSignal },
): Promise<ExitStatus> {
  if (!(result instanceof Error)) {
    return statusWithin(exited, timeoutSec > 0 ? timeoutSec * 1000 : GOODBYE_MS, signal);
  }
  // After a timeout no status will come.
  if (result instanceof EcsyncError && result.code === 'timeout') return UNKNOWN_STATUS;
  return statusWithin(exited, FAREWELL_MS, signal).catch((error: unknown) => {
    if (signal.aborted) throw error;
    return UNKNOWN_STATUS;
  });
}

async function statusWithin(
  exited: Promise<ExitStatus>,
  limitMs: number,
  signal: AbortSignal,
): Promise<ExitStatus> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const details = { hint: 'Run the same command again; it continues from here.' };
      reject(new ConnectionError('timeout', 'the remote rsync does not exit', details));
    }, limitMs);
  });
  try {
    return await unlessAborted(Promise.race([exited, patience]), signal);
  } finally {
    clearTimeout(timer);
  }
}
