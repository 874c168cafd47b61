/** Options of every command that reads a copy: how it is reached, and what opens it. */
import { Option, type Command } from 'commander';
import { addCommonOptions, addSecretOptions, typed } from '../frame/options.ts';
import { wholeNumber } from '../../options/option-values.ts';
import type { CommonOptions, SecretOptions } from '../frame/options.ts';
import type { FolderLayoutOptions } from '../../library/settings/layout-options.ts';
import { addPeerOptions, type PeerOptions } from '../frame/run-options.ts';

/** How a remote is reached. */
export interface ReachOptions extends PeerOptions {
  /** For tests: forces the protocol. */
  readonly via?: 'sftp' | 'rsync';
}

/** The options that {@link addCopyOptions} adds. */
export interface CopyOptions
  extends CommonOptions, SecretOptions, FolderLayoutOptions, ReachOptions {}

/** Adds these options, and those that every command has. */
export function addCopyOptions(command: Command): Command {
  command
    .addOption(
      new Option(
        '--layout <name>',
        'with --masterkey, without a conf: how it is encrypted',
      ).choices(['gcm', 'reverse', 'xchacha']),
    )
    .option('--no-hkdf', 'likewise: made before gocryptfs 1.3')
    .option('--no-raw64', 'likewise: names end in "="');
  addForeignConfOptions(command);
  addReachOptions(command);
  addSecretOptions(command, { masterkey: true });
  return addCommonOptions(command);
}

/** Adds the options of `ForeignConfOptions`. */
export function addForeignConfOptions(command: Command): Command {
  return command
    .option('--plaintextnames', "what the copy's conf may claim: names are not encrypted")
    .option('--deterministic-names', 'likewise: folders have no IV')
    .option('--longnamemax <n>', 'likewise: longer names are hashed', typed(wholeNumber(62, 255)))
    .option('--no-longnames', 'likewise: names are never hashed')
    .option(
      '--scryptn <n>',
      'likewise: a password costs up to 2^N (default: 16; above it you are asked)',
      typed(wholeNumber(10, 22)),
    );
}

/** Adds the options of {@link ReachOptions}. */
export function addReachOptions(command: Command): Command {
  return addPeerOptions(command).addOption(
    new Option('--via <how>').choices(['sftp', 'rsync']).hideHelp(),
  );
}
