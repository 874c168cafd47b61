/** Settings that pushes and restores share. The command line parses and validates them. */
import type { SettingsOf } from '../options/option-table.ts';
import type { ATTRIBUTE_OPTIONS, PEER_OPTIONS } from '../options/push-options.ts';

/**
 * Stands in for a vault or its keys when the destination holds a plain mirror, which needs no keys.
 */
export const NOT_ENCRYPTED = 'not encrypted';

/** How a peer is reached. */
export type PeerSettings = SettingsOf<typeof PEER_OPTIONS>;

/** Which attributes of an object are carried beside its content. */
export type CarriedAttributes = SettingsOf<typeof ATTRIBUTE_OPTIONS>;
