/** Options of every command that reaches a peer. */
import type { Command } from 'commander';
import { settingsOf, type OptionsOf } from '../../options/option-table.ts';
import { PEER_OPTIONS } from '../../options/push-options.ts';
import type { PeerSettings } from '../../sync/run-settings.ts';
import { addTableOptions } from './options.ts';

/** How a remote is reached, as commander parses it. */
export type PeerOptions = OptionsOf<typeof PEER_OPTIONS>;

/** Adds the options of {@link PeerOptions}. */
export function addPeerOptions(command: Command): Command {
  return addTableOptions(command, PEER_OPTIONS);
}

export function peerSettings(options: PeerOptions): PeerSettings {
  return settingsOf(PEER_OPTIONS, options);
}
