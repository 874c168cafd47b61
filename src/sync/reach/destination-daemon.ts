/** Reaches a module of an rsync daemon as a destination. */
import { UsageError } from '../../errors.ts';
import { connectDaemon, type DaemonOptions } from '../../transport/daemon/daemon.ts';
import type { Remote } from '../../transport/connection.ts';
import { systemSsh } from '../../transport/ssh/system-ssh.ts';
import type { DaemonDestination } from '../../vault/destination/destination.ts';

/** How a module of an rsync daemon is reached. */
export interface DaemonReach extends Omit<DaemonOptions, 'dial'> {
  /** With a remote shell, each run starts a daemon there instead of using one that listens. */
  readonly rsh?: string | undefined;
  /** The rsync that the remote shell starts. */
  readonly rsyncPath?: string | undefined;
  readonly interactive: boolean;
}

/** A daemon expands these characters anywhere in a path. */
const PATTERN = /[*?[\\]/;

/** A remote shell may prompt on the terminal, and we cannot see that it waits. */
const ASKING_TIMEOUT_MS = 600_000;

/** Arguments that start a daemon on standard input and output. */
const DAEMON_ARGUMENTS = ['--server', '--daemon', '.'];

/** @throws {UsageError} `destination-unsupported` — a daemon would expand the path as a pattern */
export function assertPlainPath({ module, path, shown }: DaemonDestination): void {
  if (!PATTERN.test(`${module}/${path}`)) return;
  throw new UsageError(
    'destination-unsupported',
    `${shown}: an rsync daemon takes * ? [ and \\ in a path as a pattern`,
    { hint: 'Choose a folder without them, or push over ssh.' },
  );
}

/**
 * Logs in to a module, at the daemon's port or through a remote shell.
 *
 * @throws {UsageError} `destination-unsupported` — a daemon would expand the path as a pattern
 * @throws as {@link connectDaemon} and {@link systemSsh}
 */
export async function openDaemon(
  destination: DaemonDestination,
  reach: DaemonReach,
): Promise<Remote> {
  assertPlainPath(destination);
  const { host, port, user, module } = destination;
  const where = {
    host,
    ...(port !== undefined && { port }),
    ...(user !== undefined && { user }),
  };
  const { rsh, rsyncPath = 'rsync', interactive, ...options } = reach;
  if (rsh === undefined) return connectDaemon({ ...where, module }, options);
  const shell = systemSsh(rsh, where, { interactive });
  const dial = (): ReturnType<Remote['start']> => shell.start(rsyncPath, DAEMON_ARGUMENTS);
  try {
    const connectTimeoutMs = interactive ? ASKING_TIMEOUT_MS : options.connectTimeoutMs;
    const how = { ...options, connectTimeoutMs, dial };
    const remote = await connectDaemon({ ...where, module }, how);
    return closingBoth(remote, shell);
  } catch (error) {
    await shell.close();
    throw error;
  }
}

function closingBoth(remote: Remote, shell: Remote): Remote {
  return {
    shownName: remote.shownName,
    start: (program, words) => remote.start(program, words),
    close: async () => {
      await remote.close();
      await shell.close();
    },
  };
}
