import { UsageError } from '../errors.ts';
import { localCommands } from '../transport/child.ts';
import type { Remote } from '../transport/connection.ts';
import { connectSsh, type SshOptions } from '../transport/ssh.ts';
import { systemSsh } from '../transport/system-ssh.ts';
import type { Destination } from '../vault/destination.ts';
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
  readonly interactive: boolean;
}

function asFolder(path: string): string {
  if (path === '') return './';
  return path.endsWith('/') ? path : `${path}/`;
}

/**
 * Reaches a destination: logs in over ssh, or prepares the local folder.
 *
 * @throws {UsageError} `destination-unsupported` — a form this release cannot push to
 * @throws {LoginError | ConnectionError} from the login
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
          ? await connectSsh(target, options.ssh)
          : systemSsh(options.rsh, target, { interactive: options.interactive });
      return { remote, path: asFolder(destination.path) };
    }
    case 'daemon':
      throw new UsageError(
        'destination-unsupported',
        `${destination.shown}: rsync daemons are not supported by this release`,
        { hint: 'Use a destination over ssh (user@host:path) or a local folder.' },
      );
  }
}
