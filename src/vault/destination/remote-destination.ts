/** The destinations of a vault's configured remotes. */
import { UsageError } from '../../errors.ts';
import type { RemoteConfig } from '../config/config.ts';
import { parseDestination, type Destination } from './destination.ts';
import type { VaultFrame } from '../vault.ts';

/** The parts of a vault that its remotes depend on. */
export type RemotesOwner = Pick<VaultFrame, 'config' | 'source'>;

/**
 * The destination of one remote; a relative folder is relative to the source.
 *
 * @throws {UsageError} `destination-invalid`, `destination-password` — the message names the remote
 */
export function destinationOfRemote(
  { name, url }: RemoteConfig,
  { source }: Pick<RemotesOwner, 'source'>,
  platform: NodeJS.Platform,
): Destination {
  try {
    return { ...parseDestination(url, { platform, folder: source }), remote: name };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const { code, message, hint } = error;
    throw new UsageError(code, `remote '${name}': ${message}`, {
      ...(hint !== undefined && { hint }),
      cause: error,
    });
  }
}

/**
 * The canonical text of a remote's destination, or the error why it has none: so one invalid `url`
 * does not affect the other remotes.
 */
export function shownDestinationOf(
  remote: RemoteConfig,
  vault: Pick<RemotesOwner, 'source'>,
  platform: NodeJS.Platform,
): string | UsageError {
  const destination = destinationIfValid(remote, vault, platform);
  return destination instanceof UsageError ? destination : destination.shown;
}

function destinationIfValid(
  ...remote: Parameters<typeof destinationOfRemote>
): Destination | UsageError {
  try {
    return destinationOfRemote(...remote);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
}

/**
 * The remotes with this destination, in the order of the configuration.
 *
 * @param shownDestination - canonical text, as {@link Destination.shown}
 */
export function remotesAt(
  vault: RemotesOwner,
  shownDestination: string,
  platform: NodeJS.Platform,
): readonly RemoteConfig[] {
  return vault.config.remotes.filter(
    (remote) => shownDestinationOf(remote, vault, platform) === shownDestination,
  );
}

/**
 * Another remote with a folder inside that of a remote, or around it, as far as the addresses show
 * it.
 *
 * @returns the remote, and how the destination lies to it
 */
export function overlappingRemote(
  vault: RemotesOwner,
  { name, destination }: { readonly name: string; readonly destination: Destination },
  platform: NodeJS.Platform,
): { readonly name: string; readonly how: 'lies inside' | 'contains' } | undefined {
  const own = addressParts(destination);
  for (const remote of vault.config.remotes) {
    if (remote.name === name) continue;
    const valid = destinationIfValid(remote, vault, platform);
    if (valid instanceof UsageError) continue;
    const other = addressParts(valid);
    // The top of a restricted login is another folder for each key.
    if (isTop(own) || isTop(other)) continue;
    const isAbove = own.every((part, i) => other[i] === part);
    const isBelow = other.every((part, i) => own[i] === part);
    if (isAbove === isBelow) continue;
    return { name: remote.name, how: isBelow ? 'lies inside' : 'contains' };
  }
  return undefined;
}

function isTop(parts: readonly string[]): boolean {
  return parts.at(-1) === HOME;
}

const HOME = '~';

/** The machine and the names on the way to a folder. The same login may have several names. */
function addressParts(destination: Destination): string[] {
  const { kind, path } = destination;
  const machine = kind === 'local' ? [] : [destination.host, String(destination.port ?? '')];
  const module = kind === 'daemon' ? [destination.module] : [];
  const isAbsolute = kind !== 'ssh' || path.startsWith('/');
  const names = path.split(/[/\\]/).filter((name) => name !== '' && name !== '.');
  return [kind, ...machine, ...module, isAbsolute ? '/' : HOME, ...names];
}

/**
 * A vault's name for a destination, if it has one; the name that the user gave takes precedence.
 */
export function remoteNameOf(
  { platform }: { readonly platform: NodeJS.Platform },
  vault: RemotesOwner,
  { shown, remote }: Destination,
): string | undefined {
  return remote ?? remotesAt(vault, shown, platform)[0]?.name;
}

/**
 * Whether the configuration makes a destination a plain mirror. If several remotes have this
 * destination, all of them must say so.
 */
export function isMirror(
  { platform }: { readonly platform: NodeJS.Platform },
  vault: RemotesOwner,
  shownDestination: string,
): boolean {
  const remotes = remotesAt(vault, shownDestination, platform);
  return remotes.length > 0 && remotes.every(({ encrypt }) => encrypt === false);
}

/** A remote and a path in it, in the form of `rclone` and others. */
export interface RemoteAndPath {
  readonly remote: string;
  readonly path: string;
}

/**
 * The likely meaning of `NAME:PATH` where NAME is a remote: a part of that remote, unless a remote
 * is on a machine of that name.
 */
export function asRemoteAndPath(
  word: string,
  remotes: readonly RemoteConfig[],
): RemoteAndPath | undefined {
  const [, remote = '', path = ''] = /^([A-Za-z0-9._-]+):(?!:|\/\/)(.*)$/s.exec(word) ?? [];
  if (!remotes.some(({ name }) => name === remote)) return undefined;
  const isMachine = remotes.some(({ url }) => hostIn(url) === remote);
  return isMachine ? undefined : { remote, path };
}

/** The machine in an address, as far as its text shows it. */
function hostIn(url: string): string | undefined {
  return /^(?:[a-z]+:\/\/)?(?:[^@/]*@)?([A-Za-z0-9._-]+)[:/]/.exec(url)?.[1];
}

/**
 * Refuses `NAME:PATH` as a destination, where it would be a folder on a machine called NAME.
 *
 * @throws {UsageError} `remote-and-path`
 */
export function refuseRemoteAndPath(word: string, remotes: readonly RemoteConfig[]): void {
  const meant = asRemoteAndPath(word, remotes);
  if (meant === undefined) return;
  const { remote, path } = meant;
  throw new UsageError(
    'remote-and-path',
    `'${word}' would be a folder on a machine called ${remote}, but ${remote} is a remote here`,
    {
      hint: `Write the remote and the path as two words (ecsync push ${remote} ${path}; ecsync restore ${path} --from ${remote}). For a machine of that name: ssh://${remote}/./${path}`,
    },
  );
}
