/** Parts of a push job that follow from one thing each. */
import { groupNames, userNames } from '../../tree/local/owner-names.ts';
import { ConfThere } from './guards/conf-there.ts';
import { deletionScope } from './job/deletion.ts';
import { KeptNames } from './job/kept-names.ts';
import type { OpenVault } from './opened-vault.ts';
import type { PushView } from './source/push-entry.ts';
import type { PushJob } from './job/push-job.ts';
import type { PushSettings } from './source/push-settings.ts';
import type { PushState } from './memory/push-state.ts';
import { rootNow, withRoot } from './guards/root-there.ts';
import { NOT_ENCRYPTED } from '../run-settings.ts';
import type { Selection } from './source/selection.ts';
import type { Snapshot } from './source/snapshot.ts';

/** Where no block size is asked for, that of one cipher block, so that one edit costs two blocks. */
export function withBlockSize(settings: PushSettings, view: PushView): PushSettings {
  const blockSize = settings.blockSize ?? view.cipherBlockLength;
  return blockSize === undefined ? settings : { ...settings, blockSize };
}

/** What only an encrypted copy has, and the names that owners are sent with. */
export function vaultParts(
  vault: OpenVault | typeof NOT_ENCRYPTED,
  numericIds: boolean,
): Pick<PushJob, 'confThere' | 'names'> {
  return {
    ...(vault !== NOT_ENCRYPTED && {
      confThere: new ConfThere(vault.masterkey),
    }),
    ...(!numericIds && { names: { users: userNames(), groups: groupNames() } }),
  };
}

/** What follows from the destination: what is listed of the root, and what is left alone there. */
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
