/** Reads private and public key files. */
import { readFile } from 'node:fs/promises';
import ssh2, { type ParsedKey } from 'ssh2';
import { LoginError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { reasonOf } from '../../system-errors.ts';
import type { LoginMemory } from './memory.ts';

const { utils } = ssh2;

/** Private keys have a few KiB; a larger file is not a key. */
export const KEY_FILE_BYTES_MAX = 262_144;

const PASSPHRASE_ATTEMPTS = 3;

export type Hash = 'sha1' | 'sha256' | 'sha512';
export type AskPassphrase = (keyFile: string) => Promise<string | undefined>;
export type Note = (text: string) => void;
export type Sign = (bytes: Buffer, hash: Hash | undefined) => Promise<Buffer>;

/** A key file: usable, or only the public half of a key that an agent may hold. */
export interface KeyFile {
  readonly file: string;
  readonly publicKey: ParsedKey;
  readonly sign: Sign | undefined;
}

/** Parses a key by ssh2; undefined for types that it does not support. */
export function parsedKey(key: unknown): ParsedKey | undefined {
  const parsed = parseKey(key as ParsedKey);
  return parsed instanceof Error ? undefined : parsed;
}

/**
 * Wraps ssh2's parser. That returns nothing for a file without a key and an array for a file with
 * several (OpenSSH takes the first), and throws for some invalid files.
 */
function parseKey(key: ParsedKey | Buffer, passphrase?: string): ParsedKey | Error {
  try {
    const parsed: unknown = utils.parseKey(key, passphrase);
    const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
    const isKey = typeof first === 'object' && first !== null;
    return isKey
      ? (first as ParsedKey | Error)
      : new Error('Malformed OpenSSH private key: it holds no key');
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** The options for reading key files. */
export interface KeyReading {
  readonly askPassphrase: AskPassphrase | undefined;
  readonly memory: LoginMemory;
  readonly note: Note;
}

/**
 * Reads a private key file, or the public half of a key that is encrypted or only in an agent.
 * Never fails: a problem becomes a note.
 *
 * @param named - the configuration names the file, so a missing file is worth a note
 */
export async function readKeyFile(
  file: string,
  named: boolean,
  reading: KeyReading,
): Promise<KeyFile | undefined> {
  const { note } = reading;
  const publicHalf = await readPublicHalf(`${file}.pub`);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const missing = errnoOf(error) === 'ENOENT';
    if (missing && publicHalf !== undefined)
      return { file, publicKey: publicHalf, sign: undefined };
    if (named || !missing) note(`${file}: ${reasonOf(error)}`);
    return undefined;
  }
  if (bytes.length > KEY_FILE_BYTES_MAX) {
    note(`${file}: not a key`);
    return undefined;
  }
  const key = parseKey(bytes);
  if (!(key instanceof Error)) {
    const sign: Sign = (data, hash) => signWithKey(key, data, hash);
    return { file, publicKey: key, sign: key.isPrivateKey() ? sign : undefined };
  }
  if (!isEncrypted(key)) {
    note(`${file}: ${key.message}`);
    return undefined;
  }
  return encryptedKeyFile({ file, bytes, publicHalf, ...reading });
}

async function readPublicHalf(file: string): Promise<ParsedKey | undefined> {
  try {
    const bytes = await readFile(file);
    return bytes.length > KEY_FILE_BYTES_MAX ? undefined : parsedKey(bytes);
  } catch {
    return undefined; // usually it does not exist, and it is not required
  }
}

/** ssh2 distinguishes an encrypted key from a broken one only by the text of its error. */
function isEncrypted(error: Error): boolean {
  return /no passphrase given/i.test(error.message);
}

async function encryptedKeyFile(
  from: KeyReading & {
    readonly file: string;
    readonly bytes: Buffer;
    readonly publicHalf: ParsedKey | undefined;
  },
): Promise<KeyFile | undefined> {
  const { file, bytes, askPassphrase, note, memory } = from;
  const inside = publicBlobInside(bytes);
  const publicKey = (inside === undefined ? undefined : parsedKey(inside)) ?? from.publicHalf;
  const unlocked = memory.unlockedKeys.get(file);
  if (askPassphrase === undefined && unlocked === undefined) {
    note(`${file}: needs a passphrase, and nobody can be asked`);
    // An agent may hold the key.
    return publicKey === undefined ? undefined : { file, publicKey, sign: undefined };
  }
  const unlock = async (): Promise<ParsedKey> => {
    const known = memory.unlockedKeys.get(file);
    if (known !== undefined) return known;
    const key = await unlockKey(file, bytes, askPassphrase);
    memory.unlockedKeys.set(file, key);
    return key;
  };
  const sign: Sign = async (data, hash) => signWithKey(await unlock(), data, hash);
  if (publicKey !== undefined) return { file, publicKey, sign };
  try {
    return { file, publicKey: await unlock(), sign }; // an old format that encrypts the public half too
  } catch (error) {
    note(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function unlockKey(
  file: string,
  bytes: Buffer,
  askPassphrase: AskPassphrase | undefined,
): Promise<ParsedKey> {
  for (let attempt = 0; attempt < PASSPHRASE_ATTEMPTS; attempt++) {
    const passphrase = await askPassphrase?.(file);
    if (passphrase === undefined)
      throw new LoginError('passphrase-missing', 'no passphrase was given');
    const key = parseKey(bytes, passphrase);
    if (!(key instanceof Error)) return key;
  }
  throw new LoginError('passphrase-wrong', 'wrong passphrase');
}

/**
 * The public half of an `openssh-key-v1` file, which is not encrypted, in wire format.
 *
 * ```text "openssh-key-v1\0" | string cipher | string kdf | string kdf options | uint32 1 | string
 * public key | … ```
 *
 * @see OpenSSH PROTOCOL.key
 */
export function publicBlobInside(file: Buffer): Buffer | undefined {
  const armor = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----END/.exec(file.toString('latin1'));
  if (armor?.[1] === undefined) return undefined;
  const bytes = Buffer.from(armor[1], 'base64');
  const magic = 'openssh-key-v1\0';
  if (bytes.toString('latin1', 0, magic.length) !== magic) return undefined;
  let offset = magic.length;
  const uint32 = (): number => {
    if (offset + 4 > bytes.length) return 0;
    offset += 4;
    return bytes.readUInt32BE(offset - 4);
  };
  for (let i = 0; i < 3; i++) {
    const length = uint32();
    offset += length;
  }
  if (uint32() !== 1) return undefined;
  const length = uint32();
  return bytes.subarray(offset, offset + length);
}

/** Signs. A parsed key may have numbers that OpenSSL refuses, by a returned or a thrown error. */
function signWithKey(key: ParsedKey, bytes: Buffer, hash: Hash | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const signature: Buffer | Error = key.sign(bytes, hash);
    if (signature instanceof Error) reject(signature);
    else resolve(signature);
  });
}
