/** Opens a destination of any kind as a remote. */
import { localCommands } from '../../transport/child.ts';
import type { Remote } from '../../transport/connection.ts';
import { reachSsh } from '../../transport/ssh/reach.ts';
import type { SshOptions } from '../../transport/ssh/options.ts';
import { systemSsh } from '../../transport/ssh/system-ssh.ts';
import type { Destination } from '../../vault/destination/destination.ts';
import { interrupted } from '../interruption.ts';
import { openDaemon, type DaemonReach } from './destination-daemon.ts';
import { LocalFolderRemote } from './local-folder.ts';

/** A destination made reachable: where to start `rsync --server`, and the folder to name there. */
export interface OpenDestination {
  readonly remote: Remote;
  /** The folder, ending in a slash, as the server's rsync is told. */
  readonly path: string;
}

export interface DestinationOptions {
  readonly rsh?: string;
  /** For a local folder: store through this rsync instead of doing it in-process. */
  readonly rsyncPath?: string;
  readonly ssh: SshOptions;
  /** For rsync daemons: the protocol is agreed on when they are reached. */
  readonly daemon: Pick<DaemonReach, 'protocolMax' | 'password' | 'onMotd'>;
  readonly interactive: boolean;
}

function asFolder(path: string): string {
  if (path === '') return './';
  return path.endsWith('/') ? path : `${path}/`;
}

/**
 * Reaches a destination: logs in over ssh or to a daemon, or prepares the local folder.
 *
 * @throws {UsageError} `destination-unsupported` — a path that a daemon would take as a pattern
 * @throws {LoginError | ConnectionError} from the login
 * @throws {RemoteError | ProtocolError} a daemon that refuses, or is none
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

/** A login that came when nobody waited for it any more is closed. */
export function closeLate({ remote }: OpenDestination): void {
  void remote.close();
}

/**
 * Gives up what needed a destination: a login that is still under way is not waited for, but closed
 * when it comes.
 *
 * @returns why: `error`, or that it was interrupted
 */
export function givenUp(
  opening: Promise<OpenDestination>,
  error: unknown,
  signal: AbortSignal,
): unknown {
  void opening.then(closeLate, () => undefined); // its own failure is what `error` already is
  return signal.aborted ? interrupted(error) : error;
}

/** A destination that several pushes use one after the other, so that only one login is needed. */
export function lent({ remote, path }: OpenDestination): OpenDestination {
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
