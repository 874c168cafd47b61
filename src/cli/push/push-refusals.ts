/** What a push refuses by its words alone. */
import { UsageError } from '../../errors.ts';
import type { PushSettings } from '../../sync/push/source/push-settings.ts';
import type { StoredVault } from '../../vault/vault.ts';
import type { PushOptions } from '../settings/push-options.ts';
import type { Host } from '../frame/host.ts';
import { vaultDirOf } from '../frame/place.ts';
import { inside } from '../../tree/local/overlap.ts';
import { realPath } from '../frame/vault-paths.ts';

/**
 * `-C` beside `--vault-dir` may be meant to push another folder, a snapshot say, under the vault's key.
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

/** What can be refused before anybody is asked for a password. */
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
