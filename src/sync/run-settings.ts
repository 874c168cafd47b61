/** What pushes and restores are told alike, parsed and validated by the command line. */

/** In place of a vault or its keys: the destination has a plain mirror, which needs none. */
export const NOT_ENCRYPTED = 'not encrypted';

/** How a peer is reached. */
export interface PeerSettings {
  /** Seconds without a byte from or to the peer; 0: no limit. */
  readonly timeoutSec: number;
  /** `-e/--rsh`: a shell command used instead of the built-in ssh. */
  readonly rsh?: string;
  /**
   * `--rsync-path`. Absent: `rsync` over ssh, and for a local folder no program at all. Given with
   * a local folder: that local rsync works there.
   */
  readonly rsyncPath?: string;
  /** `--accept-new-host-key`: trust and record a host seen for the first time. */
  readonly acceptNewHostKey: boolean;
  /** `--protocol`: the newest rsync protocol to offer, 27 or 29 … 32. */
  readonly protocolMax: number;
}

/** What of an object is carried beside its content. */
export interface CarriedAttributes {
  readonly numericIds: boolean;
  readonly owner: boolean;
  readonly group: boolean;
  readonly perms: boolean;
  readonly devices: boolean;
  readonly specials: boolean;
}

/** Seconds without a byte after which a peer is given up, unless something else is asked for. */
export const TIMEOUT_SEC_DEFAULT = 600;
/** The newest rsync protocol that is offered, unless something else is asked for. */
export const PROTOCOL_DEFAULT = 32;
