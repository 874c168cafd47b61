/** Finds the socket or pipe of the ssh agent. */
import { readdir } from 'node:fs/promises';
import { isWindows } from '../../../platform.ts';

const WINDOWS_PIPES = '\\\\.\\pipe\\';

/** The pipe of the agent that comes with Windows. */
const WINDOWS_AGENT = `${WINDOWS_PIPES}openssh-ssh-agent`;

/**
 * The socket or pipe for a value of IdentityAgent.
 *
 * @param agent - `none`, `SSH_AUTH_SOCK`, `$VARIABLE`, or a path
 * @param expand - replaces tokens and `~` of a path
 * @returns undefined for no agent
 */
export function agentSocket(agent: string, expand: (text: string) => string): string | undefined {
  if (agent.toLowerCase() === 'none') return undefined;
  if (agent === 'SSH_AUTH_SOCK') {
    const socket = process.env['SSH_AUTH_SOCK'];
    if (socket !== undefined && socket !== '') return socket;
    return isWindows ? WINDOWS_AGENT : undefined;
  }
  if (/^\$[A-Za-z_]/.test(agent)) return process.env[agent.slice(1)] || undefined;
  return agent.startsWith(WINDOWS_PIPES) ? agent : expand(agent);
}

/**
 * All agents to ask, given the configured one. PuTTY's Pageant (0.77 and later) listens on a pipe
 * with an unpublished name, so we search for it where Windows' own agent would be used.
 */
export async function agentSockets(socket: string | undefined): Promise<string[]> {
  if (socket === undefined) return [];
  if (socket !== WINDOWS_AGENT) return [socket];
  const names: readonly string[] = await readdir(WINDOWS_PIPES).catch(() => []);
  const pageants = pageantPipes(names, process.env['USERNAME'] ?? '');
  const hasOwn = pageants.length === 0 || names.includes('openssh-ssh-agent');
  return hasOwn ? [socket, ...pageants] : pageants;
}

/** A user's Pageant pipes among the names of all pipes: `pageant.USER.HASH`. */
export function pageantPipes(names: readonly string[], user: string): string[] {
  const prefix = `pageant.${user}.`.toLowerCase();
  return names
    .filter((name) => name.toLowerCase().startsWith(prefix))
    .map((name) => `${WINDOWS_PIPES}${name}`);
}
