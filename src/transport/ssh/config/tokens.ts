/** Expands the tokens and variables of ssh_config. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import path from 'node:path';
import { invalidConfig } from './file.ts';

/** The values of the `%` tokens. */
export interface Tokens {
  /** After HostName. */
  readonly host: string;
  /** As the user wrote it. */
  readonly original: string;
  readonly port: number;
  readonly user: string;
  readonly localUser: string;
  readonly homeDir: string;
  readonly hostKeyAlias: string | undefined;
}

/**
 * Replaces `${VARIABLE}` and the `%` tokens of ssh_config(5).
 *
 * @throws {UsageError} `ssh-config-invalid` — a variable that is not set, or an unknown token
 */
export function expandTokens(text: string, tokens: Tokens): string {
  const { host, original, port, user, localUser, homeDir, hostKeyAlias } = tokens;
  const values: Readonly<Record<string, () => string>> = {
    '%': () => '%',
    C: () => createHash('sha1').update(`${hostname()}${host}${port}${user}`).digest('hex'),
    d: () => homeDir,
    h: () => host,
    i: () => `${process.getuid?.() ?? 0}`,
    k: () => hostKeyAlias ?? original,
    L: () => hostname().split('.')[0] ?? '',
    l: hostname,
    n: () => original,
    p: () => `${port}`,
    r: () => user,
    u: () => localUser,
  };
  return text
    .replace(/\$\{([^}]*)\}/g, (_, name: string) => {
      const value = process.env[name];
      if (value === undefined) throw invalidConfig(`the variable ${name} in ${text} is not set`);
      return value;
    })
    .replace(/%(.?)/gs, (_, letter: string) => {
      const value = values[letter];
      if (value === undefined) throw invalidConfig(`the token %${letter} in ${text} is unknown`);
      return value();
    });
}

/** A file name as an absolute path, with its tokens and a leading `~` replaced. */
export function expandFile(text: string, tokens: Tokens): string {
  const expanded = expandTokens(text, tokens);
  if (/^~(?=[/\\]|$)/.test(expanded)) return path.join(tokens.homeDir, expanded.slice(1));
  return path.resolve(expanded);
}
