/** What pushes and restores are told alike, parsed and validated by the command line. */
import type { SettingsOf } from '../options/option-table.ts';
import type { ATTRIBUTE_OPTIONS, PEER_OPTIONS } from '../options/push-options.ts';

/** In place of a vault or its keys: the destination has a plain mirror, which needs none. */
export const NOT_ENCRYPTED = 'not encrypted';

/** How a peer is reached. */
export type PeerSettings = SettingsOf<typeof PEER_OPTIONS>;

/** What of an object is carried beside its content. */
export type CarriedAttributes = SettingsOf<typeof ATTRIBUTE_OPTIONS>;
