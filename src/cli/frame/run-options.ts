/** Options that pushes and restores share, as the engine is told them. */
import { Option, type Command } from 'commander';
import { PROTOCOL_DEFAULT, TIMEOUT_SEC_DEFAULT } from '../../sync/run-settings.ts';
import type { CarriedAttributes, PeerSettings } from '../../sync/run-settings.ts';
import { wholeNumber } from './options.ts';
import { parseProtocol, TIMEOUT_SEC_MAX } from './push-values.ts';

/** How a remote is reached, as commander gives it. */
export interface PeerOptions {
  /** Seconds. */
  readonly timeout: number;
  readonly rsh?: string;
  readonly rsyncPath?: string;
  readonly passwordFile?: string;
  readonly acceptNewHostKey?: boolean;
  readonly protocol: number;
}

/** What of an object is carried, as commander gives it. */
export interface AttributeOptions {
  readonly numericIds?: boolean;
  readonly owner: boolean;
  readonly group: boolean;
  readonly perms: boolean;
  readonly devices: boolean;
  readonly specials: boolean;
}

/** Adds the options of {@link PeerOptions}. */
export function addPeerOptions(command: Command): Command {
  return command
    .option(
      '--timeout <seconds>',
      'give up after so long without a byte, or five times that with keep-alives only; 0: never',
      wholeNumber(0, TIMEOUT_SEC_MAX),
      TIMEOUT_SEC_DEFAULT,
    )
    .option('-e, --rsh <command>', 'use this remote shell instead of the built-in ssh')
    .option('--rsync-path <program>', 'the rsync to run on the other side')
    .option('--password-file <file>', 'the password of an rsync daemon is the first line of FILE')
    .option('--accept-new-host-key', 'trust and record the key of a host seen for the first time')
    .addOption(
      new Option('--protocol <n>', 'newest rsync protocol to use: 27, or 29 to 32')
        .argParser(parseProtocol)
        .default(PROTOCOL_DEFAULT),
    );
}

export function peerSettings(options: PeerOptions): PeerSettings {
  const { timeout, rsh, rsyncPath, acceptNewHostKey, protocol } = options;
  return {
    timeoutSec: timeout,
    ...(rsh !== undefined && { rsh }),
    ...(rsyncPath !== undefined && { rsyncPath }),
    acceptNewHostKey: acceptNewHostKey === true,
    protocolMax: protocol,
  };
}

export function carriedAttributes(options: AttributeOptions): CarriedAttributes {
  const { numericIds, owner, group, perms, devices, specials } = options;
  return { numericIds: numericIds === true, owner, group, perms, devices, specials };
}
