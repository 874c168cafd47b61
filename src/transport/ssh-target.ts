/** The host, port and user of an ssh login or a daemon, with their validation. */
import { UsageError } from '../errors.ts';

/** Where to log in, as the user gave it; `~/.ssh/config` supplies the rest. */
export interface SshTarget {
  readonly host: string;
  readonly port?: number;
  readonly user?: string;
}

const CONTROL_OR_SPACE = /[\p{Cc}\p{Surrogate}\s]/u;

/**
 * Refuses a host or user that could be taken for an option, or add a word or a line, wherever it is
 * used.
 *
 * @throws {UsageError} `host-invalid`, `user-invalid`, `port-invalid`
 */
export function assertTarget(target: SshTarget): void {
  const { host, user, port } = target;
  if (host === '' || host.startsWith('-') || CONTROL_OR_SPACE.test(host)) {
    throw new UsageError('host-invalid', `not a host name: ${JSON.stringify(host)}`);
  }
  if (user !== undefined && (user === '' || user.startsWith('-') || CONTROL_OR_SPACE.test(user))) {
    throw new UsageError('user-invalid', `not a user name: ${JSON.stringify(user)}`);
  }
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
    throw new UsageError('port-invalid', `not a port number: ${port}`, {
      hint: 'Give a port between 1 and 65535.',
    });
  }
}

/** `host:port` for messages; an IPv6 address in brackets. */
export function shownAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** An address for messages, behind the name by which the user knows the machine, if there is one. */
export function withAlias(alias: string | undefined, address: string): string {
  return alias === undefined ? address : `${alias} (${address})`;
}
