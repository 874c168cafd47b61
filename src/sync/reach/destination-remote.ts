/** Opens a destination of any kind as a remote. */
import { localCommands } from '../../transport/child.ts';
import type { Remote } from '../../transport/connection.ts';
import { reachSsh } from '../../transport/ssh/reach.ts';
import type { SshOptions } from '../../transport/ssh/options.ts';
import { systemSsh } from '../../transport/ssh/system-ssh.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import { interrupted } from '../../interruption.ts';
import { openDaemon, type DaemonReach } from './destination-daemon.ts';
import { LocalFolderRemote } from './local-folder.ts';

/** A reached destination: where to start `rsync --server`, and the folder to name there. */
export interface OpenDestination {
  readonly remote: Remote;
  /** The folder as the remote rsync is told, with a slash at its end. */
  readonly path: string;
}

export interface DestinationOptions {
  readonly rsh?: string;
  /** For a local folder: store through this rsync instead of in this process. */
  readonly rsyncPath?: string;
  readonly ssh: SshOptions;
  /** For rsync daemons: the protocol version is agreed on when the daemon is reached. */
  readonly daemon: Pick<DaemonReach, 'protocolMax' | 'password' | 'onMotd' | 'signal'>;
  readonly interactive: boolean;
}

function asFolder(path: string): string {
  if (path === '') return './';
  return path.endsWith('/') ? path : `${path}/`;
}

/**
 * Reaches a destination: logs in over ssh or to a daemon, or prepares the local folder.
 *
 * @throws {UsageError} `destination-unsupported` — a path that a daemon would expand as a pattern
 * @throws {LoginError | ConnectionError} from the login
 * @throws {RemoteError | ProtocolError} the daemon refuses, or is no daemon
 */
export async function openDestination(
  destination: Destination,
  options: DestinationOptions,
): Promise<OpenDestination> {
  switch (destination.kind) {
    case 'local':
      return {
        remote: options.rsyncPath === undefined ? new LocalFolderRemote() : localCommands(),
        path: asFolder(destination.path),
      };
    case 'ssh': {
      const { host, port, user } = destination;
      const target = {
        host,
        ...(port !== undefined && { port }),
        ...(user !== undefined && { user }),
      };
      const remote =
        options.rsh === undefined
          ? await reachSsh(target, { ...options.ssh, interactive: options.interactive })
          : systemSsh(options.rsh, target, { interactive: options.interactive });
      return { remote, path: asFolder(destination.path) };
    }
    case 'daemon': {
      const { rsh, rsyncPath, interactive, daemon, ssh } = options;
      const { connectTimeoutMs } = ssh;
      const reach = { ...daemon, rsh, rsyncPath, interactive, connectTimeoutMs };
      return {
        remote: await openDaemon(destination, reach),
        path: asFolder(`${destination.module}/${destination.path}`),
      };
    }
  }
}

/** Closes a login that completes after its caller has given up. */
export function closeLate({ remote }: OpenDestination): void {
  void remote.close();
}

/**
 * Abandons a destination whose login may still be under way. Does not wait for the login, but
 * closes it when it completes.
 *
 * @returns the error to throw: `error`, or that the push was interrupted
 */
export function abandonLogin(
  opening: Promise<OpenDestination>,
  error: unknown,
  signal: AbortSignal,
): unknown {
  void opening.then(closeLate, () => undefined); // if the login fails, `error` is that failure already
  return signal.aborted ? interrupted(error) : error;
}

/**
 * A handle on a destination that several pushes use in turn over one login. Its `close` does
 * nothing.
 */
export function shareDestination({ remote, path }: OpenDestination): OpenDestination {
  const borrowed: Remote = {
    shownName: remote.shownName,
    start: (program, words) => remote.start(program, words),
    ...(remote.startAhead && {
      startAhead: (program, words) => remote.startAhead?.(program, words),
    }),
    close: () => Promise.resolve(),
  };
  return { remote: borrowed, path };
}
