/** Parts of a push job, each derived from one input. */
import { groupNames, userNames } from '../../tree/local/owner-names.ts';
import { ConfThere } from './guards/conf-there.ts';
import { deletionScope } from './job/deletion.ts';
import { KeptNames } from './job/kept-names.ts';
import type { OpenVault } from './opened-vault.ts';
import type { PushView } from './source/push-entry.ts';
import type { PushJob } from './job/push-job.ts';
import type { RunContext } from './job/rsync-run.ts';
import type { PushSettings } from './source/push-settings.ts';
import type { PushState } from './memory/push-state.ts';
import { rootNow, withRoot } from './guards/root-there.ts';
import { NOT_ENCRYPTED } from '../run-settings.ts';
import type { Selection } from './source/selection.ts';
import type { Snapshot } from './source/snapshot.ts';

/**
 * Sets the block size to that of one cipher block unless one was given, so that one edit costs two
 * blocks.
 */
export function withBlockSize(settings: PushSettings, view: PushView): PushSettings {
  const blockSize = settings.blockSize ?? view.cipherBlockLength;
  return blockSize === undefined ? settings : { ...settings, blockSize };
}

/** The part that only an encrypted copy has. */
export function vaultParts(vault: OpenVault | typeof NOT_ENCRYPTED): Pick<PushJob, 'confThere'> {
  return vault === NOT_ENCRYPTED ? {} : { confThere: new ConfThere(vault.masterkey) };
}

/** What the settings say about each run. */
export function contextParts({
  timeoutSec,
  numericIds,
}: PushSettings): Pick<RunContext, 'timeoutSec' | 'names'> {
  if (numericIds) return { timeoutSec };
  return { timeoutSec, names: { users: userNames(), groups: groupNames() } };
}

/**
 * The parts that depend on the destination: the listed root, and what must not be touched there.
 */
export function destinationParts(
  { destination, keep, deleteExcluded }: PushSettings,
  source: {
    readonly snapshot: Snapshot;
    readonly state: PushState | undefined;
    readonly selection: Selection;
    readonly view: PushView;
    /** Keys of lost mount points. */
    readonly lost: readonly string[];
  },
): Pick<PushJob, 'snapshot' | 'root' | 'kept' | 'scope'> {
  const { snapshot, state, selection, view, lost } = source;
  const root = rootNow(destination, state?.root);
  const kept = new KeptNames(keep);
  const protecting = deletionScope(selection, view, lost, kept.rules);
  const scope = deleteExcluded ? { ...protecting, excluded: [] } : protecting;
  return { root, snapshot: withRoot(snapshot, root), kept, scope };
}
