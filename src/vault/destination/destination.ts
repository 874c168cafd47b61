/** Parses destinations: ssh, rsync daemons and local folders. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../../errors.ts';
import {
  decodePercent,
  destinationError,
  encodePercent,
  splitAuthority,
  textOfHost,
} from './authority.ts';

/** Fields of every destination. */
interface AnyDestination {
  /** Canonical text, which parses to this destination. For messages and as a key. */
  readonly shown: string;
  /**
   * The remote that the user named: its settings apply, even if other remotes have the same
   * address.
   */
  readonly remote?: string;
}

/** A folder on a machine that ssh reaches. */
export interface SshDestination extends AnyDestination {
  readonly kind: 'ssh';
  readonly user?: string;
  /** Name from DNS or `~/.ssh/config`, IPv4 or IPv6 address; IPv6 without brackets. */
  readonly host: string;
  readonly port?: number;
  /** Absolute, or relative to the home folder there. Not empty, and without a leading `-`. */
  readonly path: string;
}

/** A folder of this machine. */
export interface LocalDestination extends AnyDestination {
  readonly kind: 'local';
  /** In the platform's form; relative only when the parser got no `folder`. */
  readonly path: string;
}

/** A module of an rsync daemon. */
export interface DaemonDestination extends AnyDestination {
  readonly kind: 'daemon';
  readonly user?: string;
  readonly host: string;
  readonly port?: number;
  readonly module: string;
  /** Path inside the module, without a leading slash; empty: the module itself. */
  readonly path: string;
}

/** Where an encrypted copy goes. */
export type Destination = SshDestination | LocalDestination | DaemonDestination;

/** What parsing a destination depends on besides its text. */
export interface DestinationContext {
  readonly platform: NodeJS.Platform;
  /** Absolute folder for relative local paths. Absent: they stay relative. */
  readonly folder?: string;
}

type Parts<T extends Destination> = T extends Destination ? Omit<T, keyof AnyDestination> : never;

/**
 * Whether a word can only be a destination, never the name of a remote: it contains a colon, or
 * starts with `/`, `./`, `../`, `\`, or is `.` or `..`.
 */
export function looksLikeDestination(text: string): boolean {
  return /^(?:[/\\]|\.{1,2}(?:[/\\]|$))|:/.test(text);
}

/**
 * Parses a destination as a person writes it:
 *
 * - `[user@]host:path`, `ssh://[user@]host[:port]/path`; a path after `/./` or `/~/` (or a relative
 *   one in the first form) is relative to the home folder there
 * - `[user@]host::module[/path]`, `rsync://[user@]host[:port]/module[/path]`
 * - `/abs`, `./rel`, `../rel`, `.`, on Windows also `E:\abs` and `\\server\share`, `file:///abs`
 *
 * A single letter before a colon is a Windows drive, on every platform. IPv6 addresses are in
 * brackets. `%XX` is decoded in URLs only. Inverse of {@link formatDestination}.
 *
 * @throws {UsageError} `destination-invalid`, `destination-password`
 */
export function parseDestination(text: string, context: DestinationContext): Destination {
  const parts = parseParts(text, context);
  return { ...parts, shown: formatDestination(parts) };
}

/**
 * The same for a word that can only be a destination.
 *
 * @throws {UsageError} as {@link parseDestination}
 */
export function parseAddress(text: string, context: DestinationContext): Destination {
  if (looksLikeDestination(text)) return parseDestination(text, context);
  throw new UsageError('destination-invalid', `'${text}' is not a destination`, {
    hint: 'Write user@host:path, or a local folder as ./folder or /folder.',
  });
}

function parseParts(text: string, context: DestinationContext): Parts<Destination> {
  if (text === '') throw destinationError(text, 'it is empty');
  assertNoLineBreaks(text, text);
  if (/[\uFFFD\p{Surrogate}]/u.test(text)) throw destinationError(text, 'it is not valid UTF-8');
  if (text.startsWith('-')) throw destinationError(text, 'it starts with a dash');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined) return parseUrl(text, scheme, context);
  if (/^[A-Za-z]:(?!:)/.test(text)) return parseDrive(text, context);
  if (isLocalPath(text, context.platform)) return localDestination(text, context);
  return parseScpForm(text);
}

function parseUrl(text: string, scheme: string, context: DestinationContext): Parts<Destination> {
  const rest = text.slice(scheme.length + 3);
  switch (scheme) {
    case 'ssh':
      return parseSshUrl(text, rest);
    case 'rsync':
      return parseRsyncUrl(text, rest);
    case 'file':
      return parseFileUrl(text, context);
    default:
      throw destinationError(text, `'${scheme}://' is not a scheme that ecsync supports`);
  }
}

function parseSshUrl(text: string, rest: string): Parts<SshDestination> {
  const slash = rest.indexOf('/');
  if (slash === -1) throw destinationError(text, 'it has no path', 'Add one: ssh://host/path.');
  const authority = splitAuthority(text, rest.slice(0, slash), 'url');
  const decoded = decodePercent(text, rest.slice(slash));
  const home = /^\/(?:\.|~)(?:\/+|$)/.exec(decoded);
  if (/^\/~[^/]/.test(decoded)) throw foreignHome(text);
  const remotePath = home ? decoded.slice(home[0].length) || '.' : squeezeStart(decoded);
  return { kind: 'ssh', ...authority, path: checkPath(text, remotePath) };
}

function parseRsyncUrl(text: string, rest: string): Parts<DaemonDestination> {
  const slash = rest.indexOf('/');
  const authority = splitAuthority(text, slash === -1 ? rest : rest.slice(0, slash), 'url');
  const modulePath = slash === -1 ? '' : decodePercent(text, rest.slice(slash + 1));
  return { kind: 'daemon', ...authority, ...splitModule(text, modulePath) };
}

function parseFileUrl(text: string, context: DestinationContext): Parts<LocalDestination> {
  const rest = text.slice('file://'.length);
  if (!/^(?:localhost)?\//i.test(rest)) {
    throw destinationError(text, 'file:// is for folders on this machine', 'Write file:///folder.');
  }
  if (/[?#]/.test(rest)) {
    throw destinationError(text, "'?' and '#' must be written as %3F and %23 in file://");
  }
  try {
    const decoded = fileURLToPath(text, { windows: context.platform === 'win32' });
    assertNoLineBreaks(text, decoded);
    return { kind: 'local', path: decoded };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw destinationError(text, 'its path is not valid on this machine');
  }
}

function parseDrive(text: string, context: DestinationContext): Parts<LocalDestination> {
  if (context.platform !== 'win32') {
    const letter = text.slice(0, 1);
    throw destinationError(
      text,
      'a single letter before a colon is a Windows drive',
      `If ${letter} is a host, write ssh://${letter}/path.`,
    );
  }
  if (!/^[A-Za-z]:[/\\]/.test(text)) {
    throw destinationError(
      text,
      'the path has no backslash after the drive',
      `Write ${text.slice(0, 2)}\\folder.`,
    );
  }
  return localDestination(text, context);
}

function isLocalPath(text: string, platform: NodeJS.Platform): boolean {
  if (/^(?:\/|\.{1,2}(?:\/|$))/.test(text)) return true;
  return platform === 'win32' && /^(?:\\|\.{1,2}(?:\\|$))/.test(text);
}

function localDestination(text: string, context: DestinationContext): Parts<LocalDestination> {
  if (context.folder === undefined) return { kind: 'local', path: text };
  const flavour = context.platform === 'win32' ? path.win32 : path.posix;
  return { kind: 'local', path: flavour.resolve(context.folder, text) };
}

function parseScpForm(text: string): Parts<SshDestination | DaemonDestination> {
  // The first colon outside brackets ends the host.
  const match = /^((?:[^:/[]*@)?(?:\[[^\]]*\]|[^:/[]*))(::?)(.*)$/s.exec(text);
  if (match === null) throw destinationError(text, 'it has neither a host nor a folder');
  const [, before = '', colons, after = ''] = match;
  const authority = splitAuthority(text, before, 'scp');
  if (colons === '::') return { kind: 'daemon', ...authority, ...splitModule(text, after) };
  if (/^~[^/]/.test(after)) throw foreignHome(text);
  const remotePath = after.replace(/^~\/*/, '') || (after.startsWith('~') ? '.' : '');
  return { kind: 'ssh', ...authority, path: checkPath(text, squeezeStart(remotePath)) };
}

function foreignHome(text: string): UsageError {
  return destinationError(
    text,
    "another person's home folder cannot be named with '~'",
    'Write the absolute path of that folder.',
  );
}

/** Reduces the start of an absolute path to exactly one slash, without `/./`. */
function squeezeStart(remotePath: string): string {
  return remotePath.replace(/^\/+(?:\.(?:\/+|$))*/, '/');
}

function splitModule(text: string, modulePath: string): { module: string; path: string } {
  const slash = modulePath.indexOf('/');
  const module = slash === -1 ? modulePath : modulePath.slice(0, slash);
  if (module === '') throw destinationError(text, 'it names no module', 'Write host::module/path.');
  if (module.startsWith('-')) throw destinationError(text, 'the module starts with a dash');
  return { module, path: slash === -1 ? '' : modulePath.slice(slash + 1).replace(/^\/+/, '') };
}

function checkPath(text: string, remotePath: string): string {
  if (remotePath === '') {
    throw destinationError(
      text,
      'the path is empty',
      'Write user@host:path; host:. is the home folder itself.',
    );
  }
  if (remotePath.startsWith('-')) {
    throw destinationError(text, 'the path starts with a dash', `Write ./${remotePath} instead.`);
  }
  return remotePath;
}

function assertNoLineBreaks(text: string, part: string): void {
  if (/[\r\n\0]/.test(part)) throw destinationError(text, 'it contains a line break or a NUL');
}

/**
 * Canonical text of a destination: the short `host:path` form if that is sufficient, otherwise a
 * URL. Inverse of {@link parseDestination}.
 */
export function formatDestination(destination: Parts<Destination>): string {
  if (destination.kind === 'local') return destination.path;
  const user = destination.user === undefined ? '' : `${destination.user}@`;
  const host = textOfHost(destination.host);
  if (destination.kind === 'daemon') {
    const inside = destination.path === '' ? '' : `/${encodePercent(destination.path)}`;
    const port = destination.port === undefined ? '' : `:${destination.port}`;
    return `rsync://${urlUser(user)}${textOfHost(destination.host, 'url')}${port}/${encodePercent(destination.module)}${inside}`;
  }
  const needsUrl =
    destination.port !== undefined ||
    /^[:~]/.test(destination.path) ||
    /^[A-Za-z]$/.test(user + host);
  if (!needsUrl) return `${user}${host}:${destination.path}`;
  const port = destination.port === undefined ? '' : `:${destination.port}`;
  const start = !destination.path.startsWith('/') ? '/./' : destination.path[1] === '~' ? '/' : '';
  return `ssh://${urlUser(user)}${textOfHost(destination.host, 'url')}${port}${start}${encodePercent(destination.path)}`;
}

/** A user with its `@` in the form of a URL. */
function urlUser(userAt: string): string {
  return userAt === '' ? '' : `${encodePercent(userAt.slice(0, -1))}@`;
}
