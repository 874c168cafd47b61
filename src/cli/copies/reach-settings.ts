/** Derives how a copy is reached from the options of a command and the configuration. */
import type { CopyPlace } from '../../library/copy-place.ts';
import type { ReachSettings } from '../../sync/browse/open-remote-tree.ts';
import { configuredLayers, configuredPeer } from '../../library/settings/configured-peer.ts';
import type { Host } from '../frame/host.ts';
import { peerSettings } from '../frame/run-options.ts';
import type { ReachOptions } from './copy-options.ts';

/** @throws {UsageError} every code of `configuredLayers` */
export function reachSettings(
  host: Host,
  place: Pick<CopyPlace, 'destination' | 'vault'>,
  options: ReachOptions,
): ReachSettings {
  const { via } = options;
  const { destination } = place;
  const way = configuredPeer(configuredLayers(host, place), options);
  return { destination, ...peerSettings(options), ...way, ...(via !== undefined && { via }) };
}
