/** Starting a command of a remote and learning how it ended, with a limit to both. */
import { ConnectionError, EcsyncError } from '../../errors.ts';
import type { Connection, ExitStatus } from '../../transport/connection.ts';
import { unlessAborted } from '../interruption.ts';

/** How long a peer may take to end after the last byte of the conversation, without `--timeout`. */
const GOODBYE_MS = 10_000;
/** The same after a conversation that failed. */
const FAREWELL_MS = 2000;
const UNKNOWN_STATUS: ExitStatus = { code: null, signal: null };

/**
 * `Remote.start`, or a subsystem, until the signal comes; what starts after that is ended.
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
 * The status of a server whose conversation is over.
 *
 * @param result - what the conversation came to
 * @returns nothing is known of a peer that does not tell after a failure
 * @throws {ConnectionError} `timeout` — it does not end after a conversation that went well
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
  // Nothing came for so long that nothing will.
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
      reject(new ConnectionError('timeout', 'the remote rsync does not end', details));
    }, limitMs);
  });
  try {
    return await unlessAborted(Promise.race([exited, patience]), signal);
  } finally {
    clearTimeout(timer);
  }
}
