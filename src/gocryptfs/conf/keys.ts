/** The chain of keys: password → KEK → master key → sub-keys. */
import { createSecretKey, randomBytes } from 'node:crypto';
import { PasswordError, UsageError, VaultError } from '../../errors.ts';
import type { CipherBackend } from '../cipher/cipher-backend.ts';
import { assertSeal, sealConf } from './conf-seal.ts';
import type { Conf, ScryptParameters } from './config.ts';
import { DEFAULT_BACKEND } from '../cipher/default-backend.ts';
import { flagsOfLayout, type LayoutChoice } from './feature-flags.ts';
import {
  AEAD_TAG_LENGTH,
  LONG_NAME_MAX_DEFAULT,
  MASTERKEY_LENGTH,
  PASSWORD_LENGTH_MAX,
  SCRYPT_LOG_N_DEFAULT,
  SCRYPT_LOG_N_MAX,
  SCRYPT_LOG_N_MIN,
  SCRYPT_SALT_LENGTH_MIN,
} from '../format/limits.ts';
import { deriveSubKey, KeyInfo } from '../cipher/sub-keys.ts';

/** Associated data of the wrapped key: BE64 of block number 0 without a file ID. */
const WRAP_ASSOCIATED = Buffer.alloc(8);

/**
 * The key-encryption key of a password.
 *
 * @param password - raw bytes, 1 … 2048, without the newline of the file they came from
 * @throws {PasswordError} `empty-password`, `password-too-long`
 * @throws {VaultError} `scrypt-failed` — this machine lacks the memory that the conf requires
 * @see RFC 7914
 */
export async function deriveKek(
  password: Uint8Array,
  parameters: ScryptParameters,
  backend: CipherBackend = DEFAULT_BACKEND,
): Promise<Buffer> {
  if (password.length === 0) {
    throw new PasswordError('empty-password', 'the password is empty', {
      hint: 'Choose one of at least one byte.',
    });
  }
  if (password.length > PASSWORD_LENGTH_MAX) {
    throw new PasswordError('password-too-long', 'the password has more than 2048 bytes', {
      hint: 'gocryptfs takes no longer one.',
    });
  }
  try {
    return await backend.scrypt(password, parameters);
  } catch (cause) {
    throw new VaultError('scrypt-failed', 'the password could not be turned into a key', {
      cause,
      hint: 'Free memory on this machine and try again.',
    });
  }
}

/** How a master key is wrapped. */
export interface WrapOptions {
  /** With HKDF the KEK is not used directly, and the nonce has 16 instead of 12 bytes. */
  readonly hkdf?: boolean;
  readonly backend?: CipherBackend;
}

function wrapCipher(kek: Uint8Array, { hkdf = true, backend = DEFAULT_BACKEND }: WrapOptions) {
  const key = hkdf ? deriveSubKey(kek, KeyInfo.gcmContent, 32, backend) : createSecretKey(kek);
  return { gcm: backend.aesGcm(key), nonceLength: hkdf ? 16 : 12 };
}

/**
 * The master key, sealed for gocryptfs.conf. Inverse of {@link unwrapMasterkey}.
 *
 *     1. nonce[16, without HKDF 12]   2. AES-256-GCM of the master key[32]   3. tag[16]
 */
export function wrapMasterkey(
  masterkey: Uint8Array,
  kek: Uint8Array,
  options: WrapOptions = {},
): Buffer {
  const { gcm, nonceLength } = wrapCipher(kek, options);
  const nonce = randomBytes(nonceLength);
  const wrapped = Buffer.alloc(nonceLength + masterkey.length + AEAD_TAG_LENGTH);
  wrapped.set(nonce, 0); // 1.
  const parts = { plain: masterkey, nonce, associated: WRAP_ASSOCIATED };
  gcm.seal(parts, wrapped.subarray(nonceLength)); // 2. 3.
  return wrapped;
}

/**
 * Unwraps the master key in `encryptedKey`. Inverse of {@link wrapMasterkey}.
 *
 * @throws {PasswordError} `wrong-password` — the tag does not match; a damaged conf looks the same
 */
export function unwrapMasterkey(
  encryptedKey: Uint8Array,
  kek: Uint8Array,
  options: WrapOptions = {},
): Buffer {
  const { gcm, nonceLength } = wrapCipher(kek, options);
  const nonce = encryptedKey.subarray(0, nonceLength); // 1.
  const sealed = encryptedKey.subarray(nonceLength); // 2. 3.
  const masterkey =
    sealed.length < AEAD_TAG_LENGTH
      ? undefined
      : gcm.open({ sealed, nonce, associated: WRAP_ASSOCIATED });
  if (masterkey !== undefined) return masterkey;
  throw new PasswordError('wrong-password', 'the password is wrong', {
    hint: 'Check the keyboard layout and Caps Lock. A damaged gocryptfs.conf looks the same.',
  });
}

/**
 * The master key of a filesystem; if the conf has a seal, verifies it.
 *
 * @throws {PasswordError} `wrong-password`, `empty-password`, `password-too-long`
 * @throws {IntegrityError} `conf-seal-wrong`
 * @throws {VaultError} `fido2-unsupported` — a token unlocks it, not a password; `scrypt-failed`
 */
export async function unlockMasterkey(
  conf: Conf,
  password: Uint8Array,
  backend: CipherBackend = DEFAULT_BACKEND,
): Promise<Buffer> {
  if (conf.fido2 !== undefined) {
    throw new VaultError('fido2-unsupported', 'a FIDO2 token unlocks this filesystem', {
      hint: 'Give the master key from the recovery sheet instead of a password.',
    });
  }
  const kek = await deriveKek(password, conf.scrypt, backend);
  try {
    const hkdf = conf.flags.has('HKDF');
    const masterkey = unwrapMasterkey(conf.encryptedKey, kek, { hkdf, backend });
    assertSeal(conf, masterkey);
    return masterkey;
  } finally {
    kek.fill(0);
  }
}

/** The two Unicode forms of accented letters; macOS types the second. */
export type UnicodeForm = 'NFC' | 'NFD';

/**
 * Like {@link unlockMasterkey}, but tries a wrong password again in the equivalent Unicode forms,
 * since systems and keyboards differ in the form that they produce.
 *
 * @returns the key, and the form that was right if it was another one
 * @throws as {@link unlockMasterkey}
 */
export async function unlockInAnyForm(
  conf: Conf,
  password: Uint8Array,
): Promise<{ readonly masterkey: Buffer; readonly form?: UnicodeForm }> {
  try {
    return { masterkey: await unlockMasterkey(conf, password) };
  } catch (error) {
    if (!(error instanceof PasswordError) || error.code !== 'wrong-password') throw error;
    for (const [form, bytes] of otherForms(password)) {
      const masterkey = await unlockMasterkey(conf, bytes).catch(() => undefined);
      bytes.fill(0);
      if (masterkey !== undefined) return { masterkey, form };
    }
    throw error;
  }
}

function otherForms(password: Uint8Array): [UnicodeForm, Buffer][] {
  const bytes = Buffer.from(password.buffer, password.byteOffset, password.length);
  const text = bytes.toString();
  if (!Buffer.from(text).equals(bytes)) return []; // no text
  const forms = (['NFC', 'NFD'] as const).map((form) => [form, text.normalize(form)] as const);
  return forms
    .filter(([, other]) => other !== text)
    .map(([form, other]) => [form, Buffer.from(other)]);
}

/** Options of {@link createConf} and {@link changePassword}. */
export interface PasswordSettings {
  /** Raw bytes without a newline, because stock reads a password only up to the first one. */
  readonly password: Uint8Array;
  /** Cost of scrypt as a power of two: 10 … 22, default 16 (64 MiB). */
  readonly scryptLogN?: number;
}

/**
 * A new filesystem with a random master key, its conf sealed.
 *
 * @throws {PasswordError} `empty-password`, `password-too-long`, `password-newline`
 * @throws {UsageError} `scryptn-out-of-range`
 * @throws {VaultError} `scrypt-failed`
 */
export async function createConf(
  settings: PasswordSettings & { readonly creator: string; readonly layout?: LayoutChoice },
): Promise<{ conf: Conf; masterkey: Buffer }> {
  const masterkey = randomBytes(MASTERKEY_LENGTH);
  const layout = settings.layout ?? { layout: 'gcm' };
  const conf: Conf = {
    creator: settings.creator,
    flags: new Set(flagsOfLayout(layout)),
    longNameMax: layout.longNameMax ?? LONG_NAME_MAX_DEFAULT,
    ...(await wrapUnderPassword(masterkey, settings, true)),
  };
  return { conf: sealConf(conf, masterkey), masterkey };
}

/**
 * The same filesystem under another password, its conf sealed; a FIDO2 token no longer unlocks it.
 *
 * @throws {PasswordError} `empty-password`, `password-too-long`, `password-newline`
 * @throws {UsageError} `scryptn-out-of-range`
 * @throws {VaultError} `scrypt-failed`
 */
export async function changePassword(
  conf: Conf,
  masterkey: Uint8Array,
  settings: PasswordSettings,
): Promise<Conf> {
  const changed: Conf = {
    creator: conf.creator,
    flags: new Set([...conf.flags].filter((flag) => flag !== 'FIDO2')),
    longNameMax: conf.longNameMax,
    ...(await wrapUnderPassword(masterkey, settings, conf.flags.has('HKDF'))),
  };
  return sealConf(changed, masterkey);
}

async function wrapUnderPassword(
  masterkey: Uint8Array,
  { password, scryptLogN = SCRYPT_LOG_N_DEFAULT }: PasswordSettings,
  hkdf: boolean,
): Promise<Pick<Conf, 'encryptedKey' | 'scrypt'>> {
  if (password.includes(0x0a)) {
    throw new PasswordError('password-newline', 'the password has more than one line', {
      hint: 'Choose a password of one line: gocryptfs reads only the first.',
    });
  }
  if (
    !Number.isInteger(scryptLogN) ||
    scryptLogN < SCRYPT_LOG_N_MIN ||
    scryptLogN > SCRYPT_LOG_N_MAX
  ) {
    throw new UsageError('scryptn-out-of-range', `scryptn ${scryptLogN} is not in 10 … 22`, {
      hint: 'Give a whole number from 10 to 22; the default is 16.',
    });
  }
  const scrypt = { salt: randomBytes(SCRYPT_SALT_LENGTH_MIN), logN: scryptLogN, r: 8, p: 1 };
  const kek = await deriveKek(password, scrypt);
  const encryptedKey = wrapMasterkey(masterkey, kek, { hkdf });
  kek.fill(0);
  return { encryptedKey, scrypt };
}

/**
 * The form of a master key for people: eight groups of eight hex digits joined by `-`. Inverse of
 * {@link parseMasterkey}.
 */
export function formatMasterkey(masterkey: Uint8Array): string {
  const hex = Buffer.from(masterkey).toString('hex');
  return (hex.match(/.{8}/g) ?? []).join('-');
}

/**
 * Parses a master key that a person typed. Dashes, spaces and line ends may be anywhere, as on the
 * sheet that stock prints. Inverse of {@link formatMasterkey}.
 *
 * @throws {PasswordError} `masterkey-invalid` — not 64 hex digits
 */
export function parseMasterkey(text: string): Buffer {
  const digits = text.replace(/[-\s]/g, '');
  if (!/^[0-9a-fA-F]{64}$/.test(digits)) {
    const message = `a master key has 64 hex digits; this has ${digits.length} characters`;
    throw new PasswordError('masterkey-invalid', message, {
      hint: 'Type it as on the recovery sheet: eight groups of eight digits, joined by "-".',
    });
  }
  return Buffer.from(digits, 'hex');
}
