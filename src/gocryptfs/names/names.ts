/** File names: padded to AES blocks, EME under the directory's IV, base64; long ones hashed. */
import { createHash } from 'node:crypto';
import { FileError, IntegrityError } from '../../errors.ts';
import { RAW64, type TextCodec } from '../format/base64url.ts';
import type { Eme } from './eme.ts';
import {
  LONG_NAME_MAX_DEFAULT,
  NAME_FILE_LENGTH_MAX,
  PLAIN_NAME_LENGTH_MAX,
} from '../format/limits.ts';

/** The conf, in the root directory only. */
export const CONF_NAME = 'gocryptfs.conf';
export const CONF_NAME_BYTES = Buffer.from(CONF_NAME);
/** Where `gocryptfs -reverse` keeps the conf: in the root of the plaintext. */
export const REVERSE_CONF_NAME = '.gocryptfs.reverse.conf';
/** The 16-byte IV of a directory, inside it. */
export const DIR_IV_NAME = 'gocryptfs.diriv';
export const DIR_IV_NAME_BYTES = Buffer.from(DIR_IV_NAME);
/** Prefix of every hashed name. */
export const LONG_NAME_PREFIX = 'gocryptfs.longname.';
/** Suffix that turns a hashed name into that of the file with the full name. */
export const NAME_FILE_SUFFIX = '.name';
/**
 * The folder in the cipher root in which a push keeps unfinished files: every stock release with
 * HKDF skips entries with such a name when it lists a directory or checks the filesystem.
 */
export const TEMPORARY_DIRECTORY = 'gocryptfs.longname.ecsync-tmp.name';
/** Prefix of names in the cipher root for files that are exchanging names, for the same reason. */
export const STEP_PREFIX = 'gocryptfs.longname.ecsync-moved-';

const AES_BLOCK = 16;
const SLASH = 0x2f;
const DOT = 0x2e;

/** The kind of an entry in a cipher directory, by its name alone. */
export type CipherNameKind = 'conf' | 'diriv' | 'name-file' | 'long' | 'direct';

/** `conf` has its meaning only in the root directory; elsewhere such a name is foreign. */
export function kindOfCipherName(name: Uint8Array): CipherNameKind {
  const text = Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
  if (text === CONF_NAME) return 'conf';
  if (text === DIR_IV_NAME) return 'diriv';
  if (!text.startsWith(LONG_NAME_PREFIX)) return 'direct';
  return text.endsWith(NAME_FILE_SUFFIX) ? 'name-file' : 'long';
}

/** A stored name. */
export interface CipherName {
  readonly name: Uint8Array;
  /** Set for a hashed name: the content of its `.name` file, the full encrypted name. */
  readonly fullName?: Uint8Array;
}

/**
 * Appends the PKCS#7 padding: always 1 … 16 bytes, each of them the count. Inverse of
 * {@link unpadName}.
 */
export function padName(name: Uint8Array): Buffer {
  const padded = Buffer.allocUnsafe(paddedLength(name));
  padded.set(name, 0);
  return padded.fill(padded.length - name.length, name.length);
}

function paddedLength(name: Uint8Array): number {
  return name.length + AES_BLOCK - (name.length % AES_BLOCK);
}

/** The name without its padding, or undefined when the padding is invalid. */
export function unpadName(padded: Uint8Array): Uint8Array | undefined {
  const padding = padded.at(-1) ?? 0;
  const length = padded.length - padding;
  if (padding < 1 || padding > AES_BLOCK || length < 1) return undefined;
  for (let i = length; i < padded.length; i++) if (padded[i] !== padding) return undefined;
  return padded.subarray(0, length);
}

/**
 * Whether a file system can hold an object of this name: checked before encryption and after
 * decryption.
 */
export function isPlainName(name: Uint8Array): boolean {
  if (name.length === 0 || name.length > PLAIN_NAME_LENGTH_MAX) return false;
  if (name.includes(0) || name.includes(SLASH)) return false;
  return !(name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT)));
}

/** `gocryptfs.longname.` and the base64url SHA-256 of the full encrypted name. */
export function hashLongName(fullName: Uint8Array, text: TextCodec = RAW64): Buffer {
  const hash = text.encode(createHash('sha256').update(fullName).digest());
  return Buffer.concat([Buffer.from(LONG_NAME_PREFIX), hash]);
}

/** How the names of one filesystem are stored. */
export interface NameScheme {
  /** Names and symlink targets are not encrypted; only the conf is virtual. */
  readonly isPlain: boolean;
  /** Every directory has an IV of its own, stored in it as `gocryptfs.diriv`. */
  readonly hasDirIVs: boolean;
  /**
   * The kind of an entry in a directory, by its name alone; `conf` is meaningful in the root only.
   */
  kindOf(cipherName: Uint8Array): CipherNameKind;
  /**
   * @param plainName - 1 … 255 bytes
   * @param dirIV - 16 bytes, of the directory that holds the name; zeros without DirIVs
   * @returns inverse: {@link decryptName}, or {@link decryptLongName} when `fullName` is set
   * @throws {FileError} `name-unsupported` — empty, over 255 bytes, `.`, `..`, or with NUL or `/`
   */
  encryptName(plainName: Uint8Array, dirIV: Uint8Array): CipherName;
  /**
   * Like {@link encryptName}, for many names of one directory, in a third of the time.
   *
   * @returns as many results in the same order; undefined for each name that `encryptName` refuses
   */
  encryptNames(plainNames: readonly Uint8Array[], dirIV: Uint8Array): (CipherName | undefined)[];
  /**
   * @param cipherName - a full encrypted name, not a hashed one
   * @throws {IntegrityError} `name-invalid` — foreign, damaged, or of another directory
   */
  decryptName(cipherName: Uint8Array, dirIV: Uint8Array): Uint8Array;
  /**
   * The plaintext of a hashed name. Stricter than stock, which does not check the hash.
   *
   * @param hashedName - the object's own name
   * @param fullName - the whole content of its `.name` file
   * @throws {IntegrityError} `name-file-invalid` — the two do not belong together;
   *   `name-invalid` — as for {@link decryptName}
   */
  decryptLongName(hashedName: Uint8Array, fullName: Uint8Array, dirIV: Uint8Array): Uint8Array;
}

function assertPlainName(plainName: Uint8Array): void {
  if (isPlainName(plainName)) return;
  const what = `a name of ${plainName.length} bytes cannot be encrypted`;
  throw new FileError('name-unsupported', what, {
    hint: 'Rename it: at most 255 bytes, no slash and no NUL, neither "." nor "..".',
  });
}

function nameInvalid(): IntegrityError {
  return new IntegrityError('name-invalid', 'a name in the encrypted folder cannot be decrypted', {
    hint: 'It is not part of this copy, or it was damaged. Remove it, or push again.',
  });
}

/** Names that are not encrypted: flag `PlaintextNames`. */
export class PlainNames implements NameScheme {
  readonly isPlain = true;
  readonly hasDirIVs = false;

  kindOf(cipherName: Uint8Array): CipherNameKind {
    return kindOfCipherName(cipherName) === 'conf' ? 'conf' : 'direct';
  }

  encryptName(plainName: Uint8Array): CipherName {
    assertPlainName(plainName);
    return { name: plainName };
  }

  encryptNames(plainNames: readonly Uint8Array[]): (CipherName | undefined)[] {
    return plainNames.map((name) => (isPlainName(name) ? { name } : undefined));
  }

  decryptName(cipherName: Uint8Array): Uint8Array {
    if (!isPlainName(cipherName)) throw nameInvalid();
    return cipherName;
  }

  decryptLongName(): Uint8Array {
    throw nameInvalid();
  }
}

/** What the flags of a filesystem determine about its encrypted names. */
export interface NameOptions {
  /** Encrypted names of more characters are hashed. */
  readonly longNameMax?: number;
  /** Flag `Raw64`, or the padding before it. */
  readonly text?: TextCodec;
  /** Flag `DirIV`. */
  readonly hasDirIVs?: boolean;
}

/** Encrypted names: EME under the directory's IV. */
export class NameCipher implements NameScheme {
  readonly isPlain = false;
  readonly hasDirIVs: boolean;
  readonly #eme: Eme;
  readonly #longNameMax: number;
  readonly #text: TextCodec;

  constructor(eme: Eme, options: NameOptions = {}) {
    this.#eme = eme;
    this.#longNameMax = options.longNameMax ?? LONG_NAME_MAX_DEFAULT;
    this.#text = options.text ?? RAW64;
    this.hasDirIVs = options.hasDirIVs ?? true;
  }

  kindOf(cipherName: Uint8Array): CipherNameKind {
    return kindOfCipherName(cipherName);
  }

  encryptName(plainName: Uint8Array, dirIV: Uint8Array): CipherName {
    assertPlainName(plainName);
    return this.#stored(this.#eme.encrypt(dirIV, padName(plainName)));
  }

  encryptNames(plainNames: readonly Uint8Array[], dirIV: Uint8Array): (CipherName | undefined)[] {
    const padded: Buffer[] = [];
    const ends: number[] = [];
    let end = 0;
    for (const name of plainNames) {
      if (!isPlainName(name)) continue;
      padded.push(padName(name));
      ends.push((end += paddedLength(name)));
    }
    const encrypted = this.#eme.encryptAll(dirIV, Buffer.concat(padded, end), ends);
    let start = 0;
    return plainNames.map((name) => {
      if (!isPlainName(name)) return undefined;
      return this.#stored(encrypted.subarray(start, (start += paddedLength(name))));
    });
  }

  decryptName(cipherName: Uint8Array, dirIV: Uint8Array): Uint8Array {
    const plainName = this.#tryDecrypt(cipherName, dirIV);
    if (plainName === undefined) throw nameInvalid();
    return plainName;
  }

  decryptLongName(hashedName: Uint8Array, fullName: Uint8Array, dirIV: Uint8Array): Uint8Array {
    const fits =
      fullName.length > this.#longNameMax &&
      fullName.length <= NAME_FILE_LENGTH_MAX &&
      hashLongName(fullName, this.#text).equals(hashedName);
    if (fits) return this.decryptName(fullName, dirIV);
    throw new IntegrityError('name-file-invalid', 'a .name file belongs to another name', {
      hint: 'The encrypted folder was damaged or changed. Push again from the source.',
    });
  }

  #stored(encrypted: Buffer): CipherName {
    const name = this.#text.encode(encrypted);
    if (name.length <= this.#longNameMax) return { name };
    return { name: hashLongName(name, this.#text), fullName: name };
  }

  #tryDecrypt(cipherName: Uint8Array, dirIV: Uint8Array): Uint8Array | undefined {
    if (cipherName.length > NAME_FILE_LENGTH_MAX) return undefined;
    const encrypted = this.#text.decode(cipherName);
    if (encrypted === undefined || encrypted.length === 0) return undefined;
    if (encrypted.length % AES_BLOCK !== 0) return undefined;
    const plainName = unpadName(this.#eme.decrypt(dirIV, encrypted));
    return plainName !== undefined && isPlainName(plainName) ? plainName : undefined;
  }
}
