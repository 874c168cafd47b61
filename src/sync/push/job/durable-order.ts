/** Has a server write to its disk what is needed to read a copy, before it removes what that replaces. */
import { RemoteError } from '../../../errors.ts';
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import type { Moves } from '../memory/moves.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushSettings } from '../source/push-settings.ts';
import { isFounded, type PushState } from '../memory/push-state.ts';
import type { RunOutcome } from './rsync-run.ts';

/** What of a push it depends on. */
interface DurableBasis {
  readonly settings: Pick<PushSettings, 'destination' | 'rsyncPath'>;
  /** Absent: not known yet, and no run that matters. */
  readonly moves?: Moves;
}

/** What the destination's rsync is asked for. */
interface Durable {
  readonly fsync?: true;
}

/**
 * For the run that sends content and then deletes what has moved away. Servers keep the order in which
 * names come and go, but write content later: after a power cut something that was moved could be in
 * neither place. Waiting costs a few milliseconds a file, so that only moves make a push wait:
 * what is deleted beside them is not replaced by what is sent.
 */
export function beforeDeletions(basis: DurableBasis, state: PushState, deleting: boolean): Durable {
  return deleting && isMoving(basis) ? asked(basis.settings, state) : {};
}

/** The same for runs that make folders and store the small files that names need. */
export function beforeLinks(
  basis: DurableBasis,
  state: PushState,
  fresh: readonly PushEntry[],
): Durable {
  // Without its conf nothing of a copy can be read.
  const replacesConf = isFounded(state) && fresh.some(({ virtual }) => virtual === 'conf');
  return replacesConf || isMoving(basis) ? asked(basis.settings, state) : {};
}

function isMoving({ moves }: DurableBasis): boolean {
  return moves !== undefined && (moves.left.size > 0 || moves.isSentAnew === true);
}

/** A local folder waits for its disk by itself. */
function asked(
  { destination, rsyncPath }: DurableBasis['settings'],
  { refusesFsync }: PushState,
): Durable {
  const isInProcess = destination.kind === 'local' && rsyncPath === undefined;
  return isInProcess || refusesFsync === true ? {} : { fsync: true };
}

/** How servers say that they do not know it, or may not take it; some do not say which option they mean. */
const FSYNC_REFUSED = /fsync/i;
const SOME_OPTION_REFUSED = /\boptions?\b/i;
const OTHER_REFUSED = /temp-dir|link-dest|receiver option|alternate-?dest/i;

function isRefusal({ error, protocol, saidText }: RunOutcome): boolean {
  if (!(error instanceof RemoteError) || protocol !== undefined) return false;
  const said = `${saidText}\n${error.message}`;
  if (FSYNC_REFUSED.test(said)) return true;
  return SOME_OPTION_REFUSED.test(said) && !OTHER_REFUSED.test(said);
}

/**
 * Does a run, and does it once more without `--fsync` where the server has refused that: rsync has it
 * since 3.2.4. It is remembered as long as the destination is.
 *
 * @param optionsNow - of the run, by what is known of the server
 */
export async function unlessFsyncRefused(
  state: PushState,
  optionsNow: () => TransferOptions,
  run: (options: TransferOptions) => Promise<RunOutcome>,
): Promise<RunOutcome> {
  const options = optionsNow();
  const outcome = await run(options);
  if (options.fsync !== true || !isRefusal(outcome)) return outcome;
  state.refusesFsync = true;
  const again = await run(optionsNow());
  // It was something else that the server refused.
  if (again.error instanceof RemoteError && again.protocol === undefined)
    state.refusesFsync = false;
  return again;
}
