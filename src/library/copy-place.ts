/** Resolves which copy is meant, and whether the vault's keys or its own conf open it. */
import path from 'node:path';
import { UsageError } from '../errors.ts';
import type { RemoteConfig } from '../vault/config/config.ts';
import { noRemote } from '../vault/config/config-edit.ts';
import {
  looksLikeDestination,
  parseDestination,
  type Destination,
} from '../vault/destination/destination.ts';
import {
  destinationOfRemote,
  refuseRemoteAndPath,
  remotesAt,
} from '../vault/destination/remote-destination.ts';
import { pathKind } from '../vault/files/path-kind.ts';
import type { VaultFrame } from '../vault/vault.ts';
import { confOfFolder } from './conf-of-folder.ts';

/** Where a copy is, and whose keys open it. */
export interface CopyPlace {
  readonly destination: Destination;
  /** Set if the vault's keys open it. Otherwise its own conf or a master key does. */
  readonly vault?: VaultFrame;
  /** Name of the remote, if it is one. */
  readonly remote?: string;
  /** It is a plain mirror, which needs no key. */
  readonly isMirror?: boolean;
  /** The copy's own conf, if it was read already. That of a local folder is read when needed. */
  readonly confBytes?: Uint8Array;
}

/** The context in which a word that means a copy is resolved. */
export interface CopyWordContext {
  readonly vault: VaultFrame | undefined;
  /** Absolute folder that relative paths start from. */
  readonly folder: string;
  readonly platform: NodeJS.Platform;
}

/**
 * Resolves `[REMOTE|CIPHERDIR]`. A remote of the vault is opened with the vault's keys. A named
 * folder is too, unless it has a different conf of its own, or there is no vault here.
 *
 * @throws {UsageError} `no-remote`, `not-a-folder`, `destination-invalid`, `destination-password`,
 *   `remote-and-path`
 */
export function findCopyPlace(
  word: string | undefined,
  { vault, folder, platform }: CopyWordContext,
): CopyPlace {
  const remotes = vault?.config.remotes ?? [];
  const named = word === undefined ? remotes[0] : remotes.find(({ name }) => name === word);
  if (vault !== undefined && named !== undefined) {
    const destination = destinationOfRemote(named, vault, platform);
    return { destination, vault, remote: named.name, ...mirrorIf(named) };
  }
  if (word === undefined) {
    throw new UsageError('no-remote', 'this vault has no remote yet', {
      hint: 'Name the encrypted folder, or add a remote: ecsync remote add NAME user@host:path',
    });
  }
  if (!looksLikeDestination(word) && pathKind(path.resolve(folder, word)) !== 'folder') {
    if (vault !== undefined) throw noRemote(word, remotes);
    throw new UsageError('not-a-folder', `${path.resolve(folder, word)} is not a folder`, {
      hint: 'Name an encrypted folder, or a remote of the vault.',
    });
  }
  refuseRemoteAndPath(word, remotes);
  const text = looksLikeDestination(word) ? word : `./${word}`;
  const destination = parseDestination(text, { platform, folder });
  if (vault === undefined) return { destination };
  const [remote] = remotesAt(vault, destination.shown, platform);
  const isVaults = remote !== undefined || !hasOtherConf(destination, vault);
  return {
    destination,
    ...(isVaults ? { vault } : {}),
    ...(remote === undefined ? {} : { remote: remote.name, ...mirrorIf(remote) }),
  };
}

function mirrorIf({ encrypt }: RemoteConfig): Pick<CopyPlace, 'isMirror'> {
  return encrypt === false ? { isMirror: true } : {};
}

/** Whether a local folder has a conf that is not the vault's. */
export function hasOtherConf(destination: Destination, vault: VaultFrame): boolean {
  if (destination.kind !== 'local') return false;
  const bytes = confOfFolder(destination.path);
  if (typeof bytes === 'string' || vault.storedConf === undefined) return false;
  return Buffer.compare(bytes, vault.storedConf.bytes) !== 0;
}

/**
 * Refuses a plain mirror where an encrypted copy is needed.
 *
 * @throws {UsageError} `not-encrypted`
 */
export function assertEncrypted({ isMirror, remote, destination }: CopyPlace): void {
  if (isMirror !== true) return;
  const name = remote ?? destination.shown;
  throw new UsageError(
    'not-encrypted',
    `'${name}' is a plain mirror: there is nothing to decrypt`,
    {
      hint: 'Its files can be read there as they are. To get them back: ecsync restore, or any copy tool.',
    },
  );
}
