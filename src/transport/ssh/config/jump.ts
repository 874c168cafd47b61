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
  const place = placeOf(part.slice(at + 1));
  if (place === undefined || at === 0) return undefined;
  return { ...place, ...(at > 0 && { user: part.slice(0, at) }) };
}

/** `host`, `host:port`, `[address]`, `[address]:port`, or an IPv6 address. */
function placeOf(text: string): Pick<SshTarget, 'host' | 'port'> | undefined {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text);
  if (bracketed !== null) return withPort(bracketed[1], bracketed[2]);
  if (/[[\]]/.test(text)) return undefined;
  const [host, port, ...more] = text.split(':');
  if (more.length > 0) return { host: text };
  if (port !== undefined && !/^\d{1,5}$/.test(port)) return undefined;
  return withPort(host, port);
}

function withPort(
  host: string | undefined,
  port: string | undefined,
): Pick<SshTarget, 'host' | 'port'> | undefined {
  if (host === undefined || host === '') return undefined;
  if (port === undefined) return { host };
  const number = Number(port);
  return number === 0 || number > 65_535 ? undefined : { host, port: number };
}
