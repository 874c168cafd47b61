/** Options of every command that reads a copy: how it is reached, and what opens it. */
import { Option, type Command } from 'commander';
import { addCommonOptions, addSecretOptions, wholeNumber } from '../options.ts';
import type { CommonOptions, SecretOptions } from '../options.ts';
import type { LayoutOptions } from './layout-option.ts';
import { PROTOCOL_DEFAULT, protocolOption, TIMEOUT_SEC_DEFAULT } from './push-options.ts';

const TIMEOUT_SEC_MAX = 86_400;

/** Options that say how a folder without a usable conf is encrypted. */
export interface FolderLayoutOptions extends LayoutOptions {
  /** False for `--no-hkdf`. */
  readonly hkdf: boolean;
  /** False for `--no-raw64`. */
  readonly raw64: boolean;
}

/** How a remote is reached. */
export interface ReachOptions {
  readonly timeout: number;
  readonly rsh?: string;
  readonly rsyncPath?: string;
  readonly passwordFile?: string;
  readonly acceptNewHostKey?: boolean;
  readonly protocol: number;
  /** For tests: how a remote is read, whatever would be best. */
  readonly via?: 'sftp' | 'rsync';
}

/** What {@link addCopyOptions} gives a command. */
export interface CopyOptions
  extends CommonOptions, SecretOptions, FolderLayoutOptions, ReachOptions {}

/** Adds all of them, and those that every command has. */
export function addCopyOptions(command: Command): Command {
  command
    .addOption(
      new Option(
        '--layout <name>',
        'with --masterkey, without a conf: how it is encrypted',
      ).choices(['gcm', 'reverse', 'xchacha']),
    )
    .option('--plaintextnames', 'likewise: names are not encrypted')
    .option('--deterministic-names', 'likewise: folders have no IV')
    .option('--longnamemax <n>', 'likewise: longer names are hashed', wholeNumber(62, 255))
    .option('--no-hkdf', 'likewise: made before gocryptfs 1.3')
    .option('--no-raw64', 'likewise: names end in "="');
  addReachOptions(command);
  addSecretOptions(command, { masterkey: true });
  return addCommonOptions(command);
}

/** Adds the options of {@link ReachOptions}. */
export function addReachOptions(command: Command): Command {
  return command
    .option(
      '--timeout <seconds>',
      'give up after so long without a byte; 0: never',
      wholeNumber(0, TIMEOUT_SEC_MAX),
      TIMEOUT_SEC_DEFAULT,
    )
    .option('-e, --rsh <command>', 'use this remote shell instead of the built-in ssh')
    .option('--rsync-path <program>', 'the rsync to run on the other side')
    .option('--password-file <file>', 'the password of an rsync daemon is the first line of FILE')
    .option('--accept-new-host-key', 'trust and record the key of a host seen for the first time')
    .addOption(protocolOption().default(PROTOCOL_DEFAULT))
    .addOption(new Option('--via <how>').choices(['sftp', 'rsync']).hideHelp());
}
