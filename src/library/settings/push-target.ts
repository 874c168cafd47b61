/** Resolves the destination of a push from a word. */
import { UsageError } from '../../errors.ts';
import type { RemoteConfig } from '../../vault/config/config.ts';
import {
  looksLikeDestination,
  parseDestination,
  type Destination,
} from '../../vault/destination/destination.ts';
import {
  destinationOfRemote,
  refuseRemoteAndPath,
} from '../../vault/destination/remote-destination.ts';

/** The context in which the word is resolved. */
export interface PushTargetContext {
  readonly remotes: readonly RemoteConfig[];
  /** Absolute folder that relative paths start from. */
  readonly folder: string;
  /** Absolute source folder of the vault. */
  readonly source: string;
  readonly platform: NodeJS.Platform;
}

/**
 * Resolves a word into a destination: the name of a remote, or an address. Without a word: the
 * first remote.
 *
 * @returns undefined if it is neither
 * @throws {UsageError} `no-remote`, `destination-invalid`, `destination-password`,
 *   `remote-and-path`
 */
export function pushTarget(
  word: string | undefined,
  { remotes, folder, source, platform }: PushTargetContext,
): Destination | undefined {
  const named = word === undefined ? remotes[0] : remotes.find(({ name }) => name === word);
  if (named !== undefined) return destinationOfRemote(named, { source }, platform);
  if (word === undefined) {
    throw new UsageError('no-remote', 'this vault has no remote yet', {
      hint: 'Add one: ecsync remote add NAME user@host:path',
    });
  }
  if (!looksLikeDestination(word)) return undefined;
  refuseRemoteAndPath(word, remotes);
  return parseDestination(word, { platform, folder });
}
