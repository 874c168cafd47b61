/** Finds the spelling of the temporary directory that a server accepts. */
import { RemoteError } from '../../../errors.ts';
import { assertCopyThere } from '../guards/copy-presence.ts';
import type { PushJob } from '../job/push-job.ts';
import type { RunOutcome } from '../job/rsync-run.ts';
import { NO_TEMP_DIR, tempDirOf, type TempDirBasis } from '../job/run-options.ts';
import { tempDirSpellings } from '../job/staging.ts';
import type { PushState } from '../memory/push-state.ts';

/** Messages of servers that refuse our temporary directory. */
const TEMP_DIR_REFUSED = /temp-dir|receiver option|link-dest|unsafe arg|alternate-?dest/i;

export function isTempDirRefusal({
  error,
  saidText,
}: Pick<RunOutcome, 'error' | 'saidText'>): boolean {
  return error instanceof RemoteError && TEMP_DIR_REFUSED.test(saidText);
}

/**
 * Holds a run, and repeats it with the next spelling of the temporary directory as long as the
 * server refuses the directory; at last without one. Any other failure is the outcome.
 *
 * @param state - its choice is the spelling that is tried first, and becomes the accepted one
 * @param run - takes the spelling from {@link tempDirOf}
 * @throws {VaultError} `copy-gone` — and the directory with it
 */
export async function withTempDirSpelling(
  job: TempDirBasis & { readonly context: Pick<PushJob['context'], 'guard'> },
  state: Pick<PushState, 'tempDirChoice'>,
  run: () => Promise<RunOutcome>,
): Promise<RunOutcome> {
  const { length } = tempDirSpellings(job.context.destination);
  for (;;) {
    const hasTempDir = tempDirOf(job, state) !== undefined;
    const outcome = await run();
    if (!hasTempDir || !isTempDirRefusal(outcome)) return outcome;
    await assertCopyThere(job);
    const next = state.tempDirChoice + 1;
    state.tempDirChoice = next < length ? next : NO_TEMP_DIR;
  }
}
