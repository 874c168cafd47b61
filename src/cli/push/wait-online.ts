/** Repeats an attempt until the destination can be reached, for `--wait-online`. */
import { ConnectionError, NotNowError, type ConnectionCode } from '../../errors.ts';
import { pause } from '../../interruption.ts';
import { shownDuration } from '../../library/figures.ts';
import type { Output } from '../terminal/output.ts';

/** How a connection fails if the destination cannot be reached, with any transport. */
const UNREACHED: ReadonlySet<ConnectionCode> = new Set(['connect-failed', 'connect-timeout']);
const FIRST_DELAY_MS = 1000;
const DELAY_MAX_MS = 15_000;

/**
 * `--wait-online`: makes an attempt, and repeats it while the destination cannot be reached.
 *
 * @param waitSec - how long new attempts are started; absent: there is only one attempt
 * @throws {NotNowError} `offline` — it was not reached in time; and what else `attempt` throws
 * @throws {InterruptedError} `interrupted`
 */
export async function onceOnline<T>(
  { out, signal }: { readonly out: Pick<Output, 'detail'>; readonly signal: AbortSignal },
  waitSec: number | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  if (waitSec === undefined) return attempt();
  const untilMs = Date.now() + waitSec * 1000;
  for (let waitMs = FIRST_DELAY_MS; ; waitMs = Math.min(2 * waitMs, DELAY_MAX_MS)) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ConnectionError) || !UNREACHED.has(error.code)) throw error;
      const leftMs = untilMs - Date.now();
      if (leftMs <= 0) throw offline(error, waitSec);
      out.detail(`${error.message}; waiting`);
      await pause(Math.min(waitMs, leftMs), signal);
    }
  }
}

function offline(cause: ConnectionError, waitSec: number): NotNowError {
  const message = `${cause.message}, also after ${shownDuration(waitSec)}; nothing was pushed`;
  return new NotNowError('offline', message, {
    hint: 'Is this machine, or the destination, off the network? The next push makes up for it.',
    cause,
  });
}
