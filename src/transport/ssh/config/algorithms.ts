/** The ssh algorithms to offer, and how a configuration changes them. */
import type { CipherAlgorithm, KexAlgorithm, MacAlgorithm, ServerHostKeyAlgorithm } from 'ssh2';
import { matchesPattern, matchesPatternList } from './pattern.ts';

/** The algorithms of one kind: our defaults, and others of ssh2 that a configuration can name. */
interface Choice<Name extends string> {
  readonly usual: readonly Name[];
  readonly onRequest: readonly Name[];
}

/**
 * The defaults are sound algorithms only: no SHA-1, no CBC, no short groups. AES-GCM comes first:
 * with processor support it is by far the fastest. Algorithms for old servers must be named in the
 * ssh configuration, as for ssh itself.
 */
export const KEX: Choice<KexAlgorithm> = {
  usual: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group-exchange-sha256',
  ],
  onRequest: [
    'diffie-hellman-group14-sha1',
    'diffie-hellman-group-exchange-sha1',
    'diffie-hellman-group1-sha1',
  ],
};

export const CIPHERS: Choice<CipherAlgorithm> = {
  usual: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes256-ctr',
    'chacha20-poly1305@openssh.com',
  ],
  onRequest: ['aes192-ctr', 'aes128-cbc', 'aes192-cbc', 'aes256-cbc', '3des-cbc'],
};

export const MACS: Choice<MacAlgorithm> = {
  usual: [
    'hmac-sha2-256-etm@openssh.com',
    'hmac-sha2-512-etm@openssh.com',
    'hmac-sha2-256',
    'hmac-sha2-512',
  ],
  onRequest: ['hmac-sha1-etm@openssh.com', 'hmac-sha1'],
};

/** Host key algorithms, best first. */
export const HOST_KEYS: Choice<ServerHostKeyAlgorithm> = {
  usual: [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ],
  onRequest: ['ssh-rsa'],
};

/** Signature algorithms of login keys; `ssh-rsa` is the one with SHA-1. */
export const LOGIN_KEYS: Choice<ServerHostKeyAlgorithm> = HOST_KEYS;

/**
 * The algorithms to offer for a list of the configuration: comma-separated patterns in order of
 * preference. With `+` they are added to the defaults, with `-` removed, with `^` put first.
 *
 * @returns an empty list if the built-in ssh has none of them
 * @see ssh_config(5) Ciphers; OpenSSH kex-names.c kex_assemble_names() (9.2)
 */
export function assembleAlgorithms<Name extends string>(
  choice: Choice<Name>,
  list: string | undefined,
): Name[] {
  const { usual, onRequest } = choice;
  if (list === undefined) return [...usual];
  const sign = /^[-+^]/.test(list) ? list.charAt(0) : '';
  const patterns = list.slice(sign.length).split(',');
  if (sign === '-') return usual.filter((name) => !matchesPatternList(name, patterns));
  const all = [...usual, ...onRequest];
  const named = patterns.flatMap((pattern) => all.filter((name) => matchesPattern(name, pattern)));
  const order = sign === '+' ? [...usual, ...named] : sign === '^' ? [...named, ...usual] : named;
  return [...new Set(order)];
}

/** Key exchanges that resist quantum computers; the built-in ssh has none of them. */
const POST_QUANTUM = /^(?:sntrup|mlkem)/;

/**
 * True if a list puts a post-quantum key exchange first, by itself or with `^`: that is a
 * deliberate choice.
 *
 * @param list - the value of KexAlgorithms
 */
export function prefersPostQuantum(list: string | undefined): boolean {
  if (list === undefined || /^[-+]/.test(list)) return false;
  return POST_QUANTUM.test(list.replace(/^\^/, ''));
}
