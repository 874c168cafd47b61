/** Options that pushes and restores share, as the engine is told them. */
import type { Command } from 'commander';
import { settingsOf, type OptionsOf } from '../../options/option-table.ts';
import { ATTRIBUTE_OPTIONS, PEER_OPTIONS } from '../../options/push-options.ts';
import type { CarriedAttributes, PeerSettings } from '../../sync/run-settings.ts';
import { addTableOptions } from './options.ts';

/** How a remote is reached, as commander gives it. */
export type PeerOptions = OptionsOf<typeof PEER_OPTIONS>;

/** What of an object is carried, as commander gives it. */
export type AttributeOptions = OptionsOf<typeof ATTRIBUTE_OPTIONS>;

/** Adds the options of {@link PeerOptions}. */
export function addPeerOptions(command: Command): Command {
  return addTableOptions(command, PEER_OPTIONS);
}

export function peerSettings(options: PeerOptions): PeerSettings {
  return settingsOf(PEER_OPTIONS, options);
}

export function carriedAttributes(options: AttributeOptions): CarriedAttributes {
  return settingsOf(ATTRIBUTE_OPTIONS, options);
}
