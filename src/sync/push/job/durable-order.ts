/** Makes a server write new data to its disk before it removes the data that this replaces. */
import { RemoteError } from '../../../errors.ts';
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import type { Moves } from '../memory/moves.ts';
import type { PushEntry } from '../source/push-entry.ts';
import type { PushSettings } from '../source/push-settings.ts';
import { isFounded, type PushState } from '../memory/push-state.ts';
import { isOwnServer } from './push-job.ts';
import type { RunOutcome } from './rsync-run.ts';

/** The parts of a push that it depends on. */
interface DurableBasis {
  readonly settings: Pick<PushSettings, 'destination' | 'rsyncPath'>;
  /** Absent: not known yet, and no run that matters. */
  readonly moves?: Moves;
}

/** The fsync option of a run. */
interface Durable {
  readonly fsync?: true;
}

/**
 * The option for the run that sends content and then deletes old names of moved files. Servers keep
 * the order of creating and deleting names, but write content later. After a power cut a moved file
 * could be lost under both names. Waiting for the disk costs a few milliseconds per file, so only
 * moves require it: other deletions are not replaced by new content.
 */
export function beforeDeletions(basis: DurableBasis, state: PushState, deleting: boolean): Durable {
  return deleting && isMoving(basis) ? fsyncOption(basis.settings, state) : {};
}

/** The same for runs that make folders and store diriv, `.name` and conf files. */
export function beforeLinks(
  basis: DurableBasis,
  state: PushState,
  fresh: readonly PushEntry[],
): Durable {
  // Without its conf nothing in a copy can be read.
  const replacesConf = isFounded(state) && fresh.some(({ virtual }) => virtual === 'conf');
  return replacesConf || isMoving(basis) ? fsyncOption(basis.settings, state) : {};
}

function isMoving({ moves }: DurableBasis): boolean {
  return moves !== undefined && (moves.left.size > 0 || moves.isSentAnew === true);
}

/** A local folder always waits for its disk. */
function fsyncOption(settings: DurableBasis['settings'], { refusesFsync }: PushState): Durable {
  return isOwnServer({ settings }) || refusesFsync === true ? {} : { fsync: true };
}

/** Messages of servers that do not know or allow `--fsync`. Some do not name the option. */
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
 * Holds a run, and repeats it without `--fsync` if the server refused that option, which rsync has
 * since 3.2.4. The refusal is remembered with the destination's state.
 *
 * @param optionsNow - the options of the run, by what is known of the server
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
  // The server refused something else.
  if (again.error instanceof RemoteError && again.protocol === undefined)
    state.refusesFsync = false;
  return again;
}
