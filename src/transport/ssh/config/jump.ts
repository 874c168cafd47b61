/** Parses the value of ProxyJump. */
import { invalidConfig } from './file.ts';
import type { SshTarget } from '../../ssh-target.ts';

/**
 * Parses the jump hosts of a ProxyJump in their order: a comma-separated list of
 * `[user@]host[:port]` or `ssh://[user@]host[:port]`. `none` gives an empty list.
 *
 * @throws {UsageError} `ssh-config-invalid`
 * @see ssh_config(5) ProxyJump; OpenSSH readconf.c parse_jump() (9.2)
 */
export function parseProxyJump(text: string): SshTarget[] {
  const list = text.replace(/#.*$/s, '').trim();
  if (list.toLowerCase() === 'none') return [];
  return list.split(',').map((part) => {
    const target = parseJump(
      part
        .trim()
        .replace(/^ssh:\/\//i, '')
        .replace(/\/$/, ''),
    );
    if (target === undefined) throw invalidConfig(`ProxyJump ${text}`);
    return target;
  });
}

function parseJump(part: string): SshTarget | undefined {
  const at = part.lastIndexOf('@');
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+|[^[\]]*:[^[\]]*:[^[\]]*))(?::(\d{1,5}))?$/.exec(
    part.slice(at + 1),
  );
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (host === undefined || at === 0 || port === 0 || (port ?? 0) > 65_535) return undefined;
  return {
    host,
    ...(at > 0 && { user: part.slice(0, at) }),
    ...(port !== undefined && { port }),
  };
}
