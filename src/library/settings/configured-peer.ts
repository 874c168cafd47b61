/** Derives from configuration how a remote is reached, for runs that read it. */
import type { PeerSettings } from '../../sync/run-settings.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import {
  fileLayers,
  pushLayers,
  textsOf,
  type ConfigurationPlace,
  type PushLayer,
  type PushValues,
} from './push-config.ts';
import { remoteNameOf } from '../../vault/destination/remote-destination.ts';

interface ConfiguredPlace {
  readonly vault?: VaultFrame | undefined;
  readonly destination: Destination;
}

/**
 * The environment's and the configuration's settings of a push to the same destination, if there is
 * a vault.
 *
 * @throws {UsageError} every code of `pushLayers`
 */
export function configuredLayers(
  host: ConfigurationPlace & { readonly folder: string },
  { vault, destination }: ConfiguredPlace,
): readonly PushLayer[] {
  return vault === undefined ? [] : pushLayers(host, vault, remoteNameOf(host, vault, destination));
}

/**
 * The same from files alone.
 *
 * @throws {UsageError} every code of `fileLayers`
 */
export function configuredFileLayers(
  place: ConfigurationPlace,
  { vault, destination }: ConfiguredPlace,
): readonly PushLayer[] {
  return vault === undefined
    ? []
    : fileLayers(place, vault, remoteNameOf(place, vault, destination));
}

/** `rsh` and `rsync_path`, from the command line or else as for a push to the same destination. */
export function configuredPeer(
  layers: readonly PushLayer[],
  options: Pick<PushValues, 'rsh' | 'rsyncPath'>,
): Pick<PeerSettings, 'rsh' | 'rsyncPath'> {
  const told = (key: 'rsh' | 'rsync_path'): string | undefined => {
    const value = layers.find(({ values }) => values[key] !== undefined)?.values[key];
    return typeof value === 'string' ? value : undefined;
  };
  const rsh = options.rsh ?? told('rsh');
  const rsyncPath = options.rsyncPath ?? told('rsync_path');
  return { ...(rsh !== undefined && { rsh }), ...(rsyncPath !== undefined && { rsyncPath }) };
}

/** Patterns of kept foreign objects: `--keep`, and `keep` as for a push to the same destination. */
export function keptPatterns(
  layers: readonly PushLayer[],
  told: readonly string[] = [],
): readonly string[] {
  const configured = layers.find(({ values }) => values.keep !== undefined)?.values.keep;
  return [...told, ...textsOf(configured)];
}
