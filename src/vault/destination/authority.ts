/** Parses the part of a destination before its path: user, host and port. */
import { UsageError } from '../../errors.ts';

/** The part of a destination before its path. */
export interface Authority {
  readonly user?: string;
  readonly host: string;
  readonly port?: number;
}

const FORMS =
  'Write user@host:path, ssh://user@host:port/path, rsync://host/module/path, or a local folder as ./folder or /folder.';

/**
 * The error for a text that is not a destination. A possible password before an `@` is left out of
 * the message.
 */
export function destinationError(text: string, reason: string, hint = FORMS): UsageError {
  const shownText = text.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^@]*:.*@/is, '$1…@');
  return new UsageError('destination-invalid', `'${shownText}' is not a destination: ${reason}`, {
    hint,
  });
}

/**
 * Splits `[user@]host[:port]`. In a URL the user and the host may be percent-encoded, and a port
 * may follow; before a colon path (`scp`) neither is possible. The last `@` ends the user, so that
 * `name@domain@host` works.
 *
 * @param text - the whole destination, for messages
 * @throws {UsageError} `destination-invalid`, `destination-password`
 */
export function splitAuthority(text: string, authority: string, form: 'url' | 'scp'): Authority {
  const at = authority.lastIndexOf('@');
  const userText = at === -1 ? undefined : authority.slice(0, at);
  const user = userText === undefined || form === 'scp' ? userText : decodeUrlUser(text, userText);
  if (user !== undefined) checkUser(text, user);
  const { host, port } = splitHostPort(text, authority.slice(at + 1), form);
  checkHost(text, host);
  return {
    ...(user === undefined ? {} : { user }),
    host,
    ...(port === undefined ? {} : { port }),
  };
}

function decodeUrlUser(text: string, userText: string): string {
  if (userText.includes(':')) {
    // The message does not contain the text, which holds the secret.
    throw new UsageError('destination-password', 'a destination must not contain a password', {
      hint: 'Leave it out; use an ssh key, an agent, or let ssh ask.',
    });
  }
  return decodePercent(text, userText);
}

function splitHostPort(
  text: string,
  hostPort: string,
  form: 'url' | 'scp',
): { host: string; port?: number } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(hostPort);
  const plain = /^([^:]*)(?::(.*))?$/.exec(hostPort);
  const match = bracketed ?? plain;
  if (match === null) {
    throw destinationError(text, 'an IPv6 address must be in brackets', 'Write [::1] for ::1.');
  }
  const [, hostText = '', portText] = match;
  const host = form === 'url' ? decodePercent(text, hostText) : hostText;
  if (bracketed !== null && !isIpv6(host)) {
    throw destinationError(text, 'only an IPv6 address may be in brackets');
  }
  if (portText === undefined) return { host };
  const port = /^[0-9]{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65535) {
    throw destinationError(text, 'the port must be a number from 1 to 65535');
  }
  return { host, port };
}

function isIpv6(host: string): boolean {
  return host.includes(':') && /^[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?$/.test(host);
}

function checkHost(text: string, host: string): void {
  if (host === '') throw destinationError(text, 'the host is empty');
  if (host.startsWith('-')) throw destinationError(text, 'the host starts with a dash');
  // ssh itself refuses shell characters in a host name; only names and addresses remain.
  if (!isIpv6(host) && !/^[\p{L}\p{N}_][\p{L}\p{N}._-]*$/u.test(host)) {
    throw destinationError(text, 'the host contains a character that no host name has');
  }
}

/**
 * @throws {UsageError} `destination-invalid` — a user that ssh itself would refuse: empty, with a
 *   leading dash, or with characters that are special in a shell
 */
function checkUser(text: string, user: string): void {
  if (user === '') throw destinationError(text, 'the user is empty');
  if (user.startsWith('-')) throw destinationError(text, 'the user starts with a dash');
  if (/[\s'"`;&<>|(){}$:/[\]\p{Cc}]|\\$/u.test(user)) {
    throw destinationError(text, 'the user contains a character that no user name has');
  }
}

/** A host as text: IPv6 in brackets, the zone's `%` encoded in a URL. */
export function textOfHost(host: string, form: 'url' | 'scp' = 'scp'): string {
  const text = form === 'url' ? encodePercent(host).replaceAll('%3A', ':') : host;
  return host.includes(':') ? `[${text}]` : text;
}

/**
 * Decodes `%XX` in a part of a URL. The result must be valid UTF-8 without line breaks and NULs.
 *
 * @throws {UsageError} `destination-invalid`
 */
export function decodePercent(text: string, part: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(part);
  } catch {
    // It throws only URIError: for a `%` without two hex digits, or bytes that are not UTF-8.
    throw destinationError(
      text,
      "a '%' in it is not followed by a valid code",
      "Write '%' itself as %25, or use the form user@host:path.",
    );
  }
  if (/[\r\n\0]/.test(decoded)) throw destinationError(text, 'it contains a line break or a NUL');
  return decoded;
}

/** Encodes a part of a URL, except slashes. Inverse of {@link decodePercent}. */
export function encodePercent(part: string): string {
  return encodeURIComponent(part).replaceAll('%2F', '/');
}
