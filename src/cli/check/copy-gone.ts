/** Checks that the copy in a local folder still exists, for commands without a key. */
import { decodeState, isFounded } from '../../sync/push/memory/push-state.ts';
import { pushMemory } from '../../sync/push/memory/vault-memory.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Host } from '../frame/host.ts';
import { isMirror } from '../../vault/destination/remote-destination.ts';

/**
 * Refuses a local folder as a push does if an earlier push made a copy there that is gone.
 *
 * @throws {NotNowError} `copy-gone`
 */
export async function refuseGoneCopy(
  host: Host,
  vault: VaultFrame,
  destination: Destination,
): Promise<void> {
  if (destination.kind !== 'local') return;
  const form = isMirror(host, vault, destination.shown) ? 'mirror' : 'encrypted';
  if (!isFounded(decodeState(pushMemory(vault, destination, form).store.read()))) return;
  const { hasRootFile } = await import('../../sync/copy/root-file-names.ts');
  if (hasRootFile(destination.path)) return;
  const { copyGone } = await import('../../sync/push/job/copy-guard.ts');
  throw copyGone(destination);
}
