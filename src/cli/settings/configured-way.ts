/** How configuration says that a remote is reached, for commands that read it. */
import type { PeerSettings } from '../../sync/run-settings.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import type { VaultFrame } from '../../vault/vault.ts';
import type { Host } from '../frame/host.ts';
import { pushLayers, textsOf } from './push-config.ts';
import { remoteNameOf } from '../frame/recorded-run.ts';
import type { PeerOptions } from '../frame/run-options.ts';

interface ConfiguredPlace {
  readonly vault?: VaultFrame | undefined;
  readonly destination: Destination;
}

/**
 * `rsh` and `rsync_path`, as a push to the same place has them: of the command line, or else of the environment
 * and the configuration, where there is a vault.
 *
 * @throws {UsageError} every code of `pushLayers`
 */
export function configuredWay(
  host: Host,
  { vault, destination }: ConfiguredPlace,
  options: Pick<PeerOptions, 'rsh' | 'rsyncPath'>,
): Pick<PeerSettings, 'rsh' | 'rsyncPath'> {
  if (vault === undefined) return {};
  const layers = pushLayers(host, vault, remoteNameOf(host, vault, destination));
  const told = (key: 'rsh' | 'rsync_path'): string | undefined => {
    const value = layers.find(({ values }) => values[key] !== undefined)?.values[key];
    return typeof value === 'string' ? value : undefined;
  };
  const rsh = options.rsh ?? told('rsh');
  const rsyncPath = options.rsyncPath ?? told('rsync_path');
  return { ...(rsh !== undefined && { rsh }), ...(rsyncPath !== undefined && { rsyncPath }) };
}

/**
 * What is left alone in a copy beside what is of it: `--keep`, and `keep` as a push to the same place has it.
 *
 * @throws {UsageError} every code of `pushLayers`
 */
export function keptPatterns(
  host: Host,
  { vault, destination }: ConfiguredPlace,
  told: readonly string[] = [],
): readonly string[] {
  if (vault === undefined) return told;
  const layers = pushLayers(host, vault, remoteNameOf(host, vault, destination));
  const configured = layers.find(({ values }) => values.keep !== undefined)?.values.keep;
  return [...told, ...textsOf(configured)];
}
