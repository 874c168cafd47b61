/** Reads known_hosts files and compares host keys with them. */
import { createHash, createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { LoginError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { reasonOf } from '../../system-errors.ts';
import { matchesPatternList } from './config/pattern.ts';

/** Larger files are not read: a list of so many hosts is a mistake. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

/** One usable line of a known_hosts file. */
export interface KnownHost {
  readonly marker: 'none' | 'revoked' | 'cert-authority';
  /** First field: patterns between commas, or one hashed name. */
  readonly hosts: string;
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, … as stored in the key itself. */
  readonly keyType: string;
  /** The public key in wire format (RFC 4253 §6.6). */
  readonly key: Buffer;
  /** The file of the line, for messages. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** What the files say about the key that a server presents. */
export type HostKeyVerdict =
  | { readonly kind: 'known' }
  | { readonly kind: 'unknown'; readonly certAuthority: KnownHost | undefined }
  | { readonly kind: 'changed'; readonly known: KnownHost }
  | { readonly kind: 'revoked'; readonly known: KnownHost };

/**
 * Reads known_hosts files, the user's first. A missing file counts as empty.
 *
 * @throws {LoginError} `known-hosts-unreadable`, `known-hosts-too-large` — without the list no
 *   server can be trusted, and a changed key could be recorded as new
 */
export async function readKnownHosts(files: readonly string[]): Promise<KnownHost[]> {
  const entries: KnownHost[] = [];
  for (const file of files) {
    const bytes = await readIfThere(file);
    if (bytes === undefined) continue;
    if (bytes.length > FILE_BYTES_MAX) {
      throw new LoginError('known-hosts-too-large', `${file} is larger than 64 MiB`, {
        hint: 'Is it a list of known hosts? Without one no server can be trusted.',
      });
    }
    entries.push(...parseKnownHosts(bytes.toString('latin1'), file));
  }
  return entries;
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new LoginError('known-hosts-unreadable', `${file} cannot be read: ${reasonOf(error)}`, {
      hint: 'Make the list of known hosts readable; without it no server can be trusted.',
      cause: error,
    });
  }
}

/**
 * Parses a known_hosts file as OpenSSH does: comments, blank lines and invalid lines are skipped.
 * The form of a line is `[@marker] hosts type base64 [comment]`.
 *
 * @see sshd(8) SSH_KNOWN_HOSTS FILE FORMAT; OpenSSH hostfile.c hostkeys_foreach_file() (9.2)
 */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
  const entries: KnownHost[] = [];
  text.split('\n').forEach((line, index) => {
    const entry = parseLine(line.trim());
    if (entry !== undefined) entries.push({ ...entry, file, line: index + 1 });
  });
  return entries;
}

function parseLine(line: string): Omit<KnownHost, 'file' | 'line'> | undefined {
  if (line === '' || line.startsWith('#')) return undefined;
  const fields = line.split(/[ \t]+/);
  let marker: KnownHost['marker'] = 'none';
  if (line.startsWith('@')) {
    const word = fields.shift();
    if (word === '@revoked') marker = 'revoked';
    else if (word === '@cert-authority') marker = 'cert-authority';
    else return undefined;
  }
  const [hosts, keyType, base64] = fields;
  if (hosts === undefined || keyType === undefined || base64 === undefined) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0) return undefined;
  const key = Buffer.from(base64, 'base64');
  if (publicKeyType(key) !== keyType || !isWhole(key, keyType)) return undefined;
  return { marker, hosts, keyType, key };
}

/** The type in the first field of a public key; undefined if this is not a key. */
export function publicKeyType(key: Buffer): string | undefined {
  if (key.length < 8) return undefined;
  const length = key.readUInt32BE(0);
  if (length === 0 || length > 64 || length + 4 >= key.length) return undefined;
  return key.toString('latin1', 4, 4 + length);
}

/**
 * True if a key is a sequence of complete strings (RFC 4251 §5); ed25519 keys must have 32 bytes.
 */
function isWhole(key: Buffer, keyType: string): boolean {
  let offset = 0;
  let fields = 0;
  while (offset + 4 <= key.length) {
    offset += 4 + key.readUInt32BE(offset);
    fields++;
  }
  if (offset !== key.length || fields < 2) return false;
  return keyType !== 'ssh-ed25519' || key.length === 4 + keyType.length + 4 + 32;
}

/** `SHA256:…` as ssh prints it. */
export function fingerprint(key: Buffer): string {
  const digest = createHash('sha256').update(key).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

/** A server's name in known_hosts: `host`, or `[host]:port` if the port is not 22. */
export function knownHostName(host: string, port: number): string {
  const lower = host.toLowerCase();
  return port === 22 ? lower : `[${lower}]:${port}`;
}

/**
 * Compares a presented key with the files by OpenSSH's rules. A key that differs from all keys
 * known for the name counts as changed, whatever its type. A revoked key is refused even if another
 * line has it.
 *
 * @param name - {@link knownHostName}
 */
export function judgeHostKey(
  entries: readonly KnownHost[],
  name: string,
  key: Buffer,
): HostKeyVerdict {
  const matching = entries.filter((entry) => namesHost(entry.hosts, name));
  const revoked = matching.find((entry) => entry.marker === 'revoked' && entry.key.equals(key));
  if (revoked !== undefined) return { kind: 'revoked', known: revoked };
  const plain = matching.filter((entry) => entry.marker === 'none');
  if (plain.some((entry) => entry.key.equals(key))) return { kind: 'known' };
  const type = publicKeyType(key);
  const other = plain.find((entry) => entry.keyType === type) ?? plain[0];
  if (other !== undefined) return { kind: 'changed', known: other };
  const certAuthority = matching.find((entry) => entry.marker === 'cert-authority');
  return { kind: 'unknown', certAuthority };
}

/** The types of the keys known for a name, so that a server with several presents one of these. */
export function knownKeyTypes(entries: readonly KnownHost[], name: string): Set<string> {
  const plain = entries.filter((entry) => entry.marker === 'none' && namesHost(entry.hosts, name));
  return new Set(plain.map((entry) => entry.keyType));
}

/** True if the files have a certificate authority for a name. */
export function namesCertAuthority(entries: readonly KnownHost[], name: string): boolean {
  return entries.some(({ marker, hosts }) => marker === 'cert-authority' && namesHost(hosts, name));
}

/**
 * One line of a known_hosts file, with its line end.
 *
 * @param salt - 20 random bytes to hash the name with (HashKnownHosts); absent for a plain name
 */
export function knownHostLine(name: string, key: Buffer, salt?: Buffer): string {
  const hosts = salt === undefined ? name : hashedName(name, salt);
  return `${hosts} ${publicKeyType(key) ?? ''} ${key.toString('base64')}\n`;
}

/** Whether the first field of a line matches a name from {@link knownHostName}. */
export function namesHost(hosts: string, name: string): boolean {
  if (!hosts.startsWith('|')) return matchesPatternList(name, hosts.toLowerCase().split(','));
  const [, version, salt = ''] = hosts.split('|');
  return version === '1' && hashedName(name, Buffer.from(salt, 'base64')) === hosts;
}

/** `|1|base64(salt)|base64(HMAC-SHA-1(salt, name))` */
function hashedName(name: string, salt: Buffer): string {
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}
