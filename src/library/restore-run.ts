/**
 * Assembles what a restore needs beside its settings: what opens the copy, and what is known of it.
 */
import { NOT_ENCRYPTED } from '../sync/run-settings.ts';
import type { LoginQuestions } from '../sync/reach/destination-options.ts';
import type { CopyKeys, UnlockCopy } from '../sync/push/memory/copy-keys.ts';
import { knownCopy } from '../sync/push/memory/known-copy.ts';
import { restore } from '../sync/restore/restore.ts';
import type {
  RestoreReporter,
  RestoreSettings,
  RestoreSummary,
} from '../sync/restore/restore-settings.ts';
import { besidePushes } from './concurrent-pushes.ts';
import type { Caller } from './caller.ts';
import type { UnlockPlace } from './copy-key.ts';
import type { CopyPlace } from './copy-place.ts';
import { isHostFirst } from './early-login.ts';
import type { RunEnd } from './failure.ts';
import { withRemoteHint } from './missing-path.ts';
import { recordRun } from './run-record.ts';

/** A restore from one copy. */
export interface RestoreRun {
  readonly place: CopyPlace;
  readonly settings: RestoreSettings;
  readonly questions: LoginQuestions;
  readonly unlock: UnlockPlace;
  readonly reporter: RestoreReporter;
}

/**
 * Restores from a copy. The key is overwritten at the end.
 *
 * @throws as `unlock` and `restore`
 */
export async function restoreCopy(caller: Caller, run: RestoreRun): Promise<RestoreSummary> {
  const { place, settings, questions, unlock, reporter } = run;
  const { signal } = caller;
  const made: Promise<Buffer>[] = [];
  const noting: UnlockPlace = async (from) => {
    const key = await unlock(from);
    made.push(Promise.resolve(key.masterkey));
    return key;
  };
  const keys =
    place.isMirror === true ? NOT_ENCRYPTED : await keysOf({ place, questions, unlock: noting });
  try {
    return await restore(settings, keys, { reporter, signal, questions });
  } catch (error) {
    throw withRemoteHint(error, place.vault?.config.remotes ?? []);
  } finally {
    for (const masterkey of made) {
      await masterkey.then(
        (key) => key.fill(0),
        () => undefined, // there is no key to overwrite
      );
    }
  }
}

/**
 * Runs a restore, records it in the history of the vault, if there is one, and reports concurrent
 * pushes.
 *
 * @throws as `recordRun`; what `work` throws
 */
export function restoreRecorded<End extends RunEnd>(
  caller: Caller,
  { place, settings }: Pick<RestoreRun, 'place' | 'settings'>,
  work: () => Promise<End>,
): Promise<End> {
  const { vault, destination } = place;
  const beside = (): Promise<End> => besidePushes(caller, { vault, destination }, work);
  if (vault === undefined || settings.dryRun) return beside();
  const isPart = settings.paths.length + settings.rules.length > 0;
  return recordRun(caller, { vault, command: 'restore', destination, isPart }, beside);
}

/**
 * What opens the copy. A password is asked for before the login if the conf is available, else as
 * soon as it was read.
 */
async function keysOf({
  place,
  questions,
  unlock,
}: Pick<RestoreRun, 'place' | 'questions' | 'unlock'>): Promise<CopyKeys | UnlockCopy> {
  const { vault, destination } = place;
  if (vault === undefined) {
    const foreign = async (from: CopyPlace): Promise<CopyKeys> => ({
      ...(await unlock(from)),
      isOnlyEcsync: false,
    });
    if (destination.kind === 'local') return foreign(place);
    return (confBytes) => foreign({ ...place, ...(confBytes && { confBytes }) });
  }
  const { identities, isOnlyEcsync, lastPush } = knownCopy(vault, destination);
  const { derivation } = vault;
  const known = { derivation, known: identities, isOnlyEcsync, lastPush };
  const opening = async (): Promise<CopyKeys> => ({ ...(await unlock(place)), ...known });
  return isHostFirst(questions, destination) ? opening : opening();
}
