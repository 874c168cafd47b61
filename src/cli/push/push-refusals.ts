/** Refuses pushes that cannot work, before they begin. */
import { UsageError } from '../../errors.ts';
import type { PushSettings } from '../../sync/push/source/push-settings.ts';
import type { StoredVault } from '../../vault/vault.ts';
import type { PushOptions } from '../settings/push-options.ts';
import type { Host } from '../frame/host.ts';
import { vaultDirOf } from '../frame/place.ts';
import { inside } from '../../tree/local/overlap.ts';
import { realPath } from '../frame/vault-paths.ts';

/**
 * `-C` together with `--vault-dir` may be meant to push another folder with the vault's key, such
 * as a snapshot.
 *
 * @throws {UsageError} `source-differs`
 */
export function refuseOtherFolder(
  host: Host,
  { source, vaultDir }: StoredVault,
  options: PushOptions,
): void {
  if (options.C === undefined || vaultDirOf(host, options) === undefined) return;
  if (inside(realPath(source), realPath(host.folder)) !== undefined) return;
  throw new UsageError(
    'source-differs',
    `-C names ${host.folder}, but the vault in ${vaultDir} is that of ${source}`,
    { hint: `To push ${source}, leave -C out. A vault pushes the folder it was made for.` },
  );
}

/** Refuses what can be refused before a password is asked for. */
export async function refuseEarly(settings: PushSettings): Promise<void> {
  const { destination, source } = settings;
  if (destination.kind === 'daemon') {
    const { assertPlainPath } = await import('../../sync/reach/destination-daemon.ts');
    assertPlainPath(destination);
  }
  if (settings.xattrs) {
    const { assertXattrsSupported } = await import('../../sync/push/xattrs.ts');
    assertXattrsSupported(settings);
  }
  const { refuseOverlap } = await import('../../tree/local/overlap.ts');
  refuseOverlap(source, destination);
}
