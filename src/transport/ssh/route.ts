/** Resolves the jump hosts on the way to an ssh server. */
import { invalidConfig } from './config/file.ts';
import { resolveSshHost, type SshConfigSource, type SshHostConfig } from './config/config.ts';
import type { SshTarget } from '../ssh-target.ts';

/** One machine of a route. */
export interface SshHop {
  readonly config: SshHostConfig;
  /** `user@host` as the user wrote it, for messages. */
  readonly shownName: string;
}

/** The machines of a connection in the order they are reached; the last is the target. */
export type SshRoute = readonly [SshHop, ...SshHop[]];

/** A longer chain is taken for a loop. */
const HOPS_MAX = 16;

/**
 * The route to a machine by its ProxyJump. As with ssh, each jump host is looked up in the same
 * configuration, and the first host of a list may have its own ProxyJump.
 *
 * @throws {UsageError} `ssh-config-invalid` (also for a loop), `host-invalid`, `user-invalid`,
 *   `port-invalid`
 */
export function resolveRoute(target: SshTarget, source: SshConfigSource): Promise<SshRoute> {
  return routeTo(target, undefined, source, 1);
}

/** @param jumps - jump hosts that override the configuration of the machine itself */
async function routeTo(
  target: SshTarget,
  jumps: readonly SshTarget[] | undefined,
  source: SshConfigSource,
  length: number,
): Promise<SshRoute> {
  if (length > HOPS_MAX) {
    throw invalidConfig(`ProxyJump leads to ${target.host} through ${target.host} in a loop`);
  }
  const own = await resolveSshHost(target, source);
  // A jump host that is reached through others does not use its own ProxyCommand.
  const config =
    jumps === undefined
      ? own
      : {
          ...own,
          jumps,
          unsupported: own.unsupported.filter((option) => option !== 'ProxyCommand'),
        };
  const hop: SshHop = { config, shownName: `${config.user}@${target.host}` };
  const nearest = config.jumps.at(-1);
  if (nearest === undefined) return [hop];
  const before = config.jumps.length > 1 ? config.jumps.slice(0, -1) : undefined;
  return [...(await routeTo(nearest, before, source, length + 1)), hop];
}
