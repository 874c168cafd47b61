/** gocryptfs.conf: how the master key is wrapped, and which layout the filesystem has. */
import { asFields, confError, confTooNew, confTooOld, parseConfJson } from './conf-json.ts';
import { parseFeatureFlags, type FeatureFlag } from './feature-flags.ts';
import {
  LONG_NAME_MAX_DEFAULT,
  LONG_NAME_MAX_READ_LEAST,
  ON_DISK_VERSION,
  SCRYPT_KEY_LENGTH,
  SCRYPT_LOG_N_MAX,
  SCRYPT_LOG_N_MIN,
  SCRYPT_P_MAX,
  SCRYPT_P_MIN,
  SCRYPT_R_MAX,
  SCRYPT_R_MIN,
  SCRYPT_SALT_LENGTH_MAX,
  SCRYPT_SALT_LENGTH_MIN,
  SCRYPT_WORK_MAX,
} from '../format/limits.ts';

/** How a password becomes a key; the derived key always has 32 bytes. */
export interface ScryptParameters {
  readonly salt: Uint8Array;
  /** N is 2 to this power. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** The token that unlocks the filesystem instead of a password. */
export interface Fido2Parameters {
  readonly credentialID: Uint8Array;
  readonly hmacSalt: Uint8Array;
  readonly assertOptions: readonly string[];
}

/** A valid gocryptfs.conf. */
export interface Conf {
  /** Free text that says which program wrote it. */
  readonly creator: string;
  /** The wrapped master key: 64 bytes with flag `HKDF`, 60 without. */
  readonly encryptedKey: Uint8Array;
  readonly scrypt: ScryptParameters;
  readonly flags: ReadonlySet<FeatureFlag>;
  /** Encrypted names longer than this are hashed: 1 … 255, made 62 … 255. */
  readonly longNameMax: number;
  /** Present exactly with flag `FIDO2`. */
  readonly fido2?: Fido2Parameters;
  /** Authenticates version, flags and LongNameMax; see `conf-seal.ts`. Stock writes none. */
  readonly seal?: Uint8Array;
}

/** The field with the seal. Stock gocryptfs ignores it, and drops it when it writes. */
const SEAL_FIELD = 'EcsyncSeal';
const SEAL_LENGTH = 32;

type Fields = ReadonlyMap<string, unknown>;

/**
 * Parses and validates a conf. Nothing in it is authenticated until its seal is verified, and it
 * may have none. Whoever can write it can choose flags, so a push must never obey a conf from a
 * server.
 *
 *
 * @param bytes - the whole file
 * @throws {VaultError} every code of `parseConfJson` and `parseFeatureFlags`, and
 *   `conf-version-unsupported`, `conf-field-invalid`, `conf-key-invalid`, `conf-scrypt-invalid`,
 *   `conf-scrypt-too-costly`, `conf-longnamemax-invalid`, `conf-fido2-invalid`,
 *   `conf-seal-invalid`
 * @see gocryptfs internal/configfile/config_file.go (v2.6.1)
 */
export function parseConf(bytes: Uint8Array): Conf {
  const fields = parseConfJson(bytes);
  const version = fields.get('version');
  if (version !== ON_DISK_VERSION) {
    const message = `version ${JSON.stringify(version ?? null)}; only version 2 is supported`;
    const isOld = version === 0 || version === 1;
    if (isOld) throw confTooOld('conf-version-unsupported', message);
    const isNew = typeof version === 'number' && version > ON_DISK_VERSION;
    if (isNew) throw confTooNew('conf-version-unsupported', message);
    throw confError('conf-version-unsupported', message);
  }
  const creator = fields.get('creator') ?? '';
  if (typeof creator !== 'string') {
    throw confError('conf-field-invalid', 'Creator is not a string');
  }
  const flags = parseFeatureFlags(fields.get('featureflags'));
  const fido2 = parseFido2(fields.get('fido2'), flags);
  const seal = parseSeal(fields.get(SEAL_FIELD.toLowerCase()));
  return {
    creator,
    encryptedKey: parseEncryptedKey(fields.get('encryptedkey'), flags),
    scrypt: parseScrypt(fields.get('scryptobject')),
    flags,
    longNameMax: parseLongNameMax(fields.get('longnamemax'), flags),
    ...(fido2 === undefined ? {} : { fido2 }),
    ...(seal === undefined ? {} : { seal }),
  };
}

/**
 * The bytes that stock would write: tabs, its field order, a final newline; plus the seal as the
 * last field. Inverse of {@link parseConf}, except for unknown fields.
 */
export function serialiseConf(conf: Conf): Buffer {
  const { scrypt, fido2 } = conf;
  const object = {
    Creator: conf.creator,
    EncryptedKey: base64(conf.encryptedKey),
    ScryptObject: {
      Salt: base64(scrypt.salt),
      N: 2 ** scrypt.logN,
      R: scrypt.r,
      P: scrypt.p,
      KeyLen: SCRYPT_KEY_LENGTH,
    },
    Version: ON_DISK_VERSION,
    FeatureFlags: [...conf.flags],
    ...(fido2 === undefined
      ? {}
      : {
          FIDO2: {
            CredentialID: base64(fido2.credentialID),
            HMACSalt: base64(fido2.hmacSalt),
            AssertOptions: fido2.assertOptions,
          },
        }),
    ...(conf.flags.has('LongNameMax') ? { LongNameMax: conf.longNameMax } : {}),
    ...(conf.seal === undefined ? {} : { [SEAL_FIELD]: base64(conf.seal) }),
  };
  return Buffer.from(`${JSON.stringify(object, undefined, '\t')}\n`, 'utf8');
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** Accepts only canonical base64: encoding the bytes again must give the same text. */
function decodeBase64(value: unknown): Buffer | undefined {
  if (typeof value !== 'string') return undefined;
  const bytes = Buffer.from(value, 'base64');
  return bytes.toString('base64') === value ? bytes : undefined;
}

function parseEncryptedKey(value: unknown, flags: ReadonlySet<FeatureFlag>): Uint8Array {
  const key = decodeBase64(value);
  if (key === undefined) throw confError('conf-key-invalid', 'EncryptedKey is not base64');
  const length = flags.has('HKDF') ? 64 : 60;
  if (key.length !== length) {
    throw confError(
      'conf-key-invalid',
      `EncryptedKey has ${key.length} bytes; these flags need ${length}`,
    );
  }
  return key;
}

function parseScrypt(value: unknown): ScryptParameters {
  const fields = asFields(value);
  if (fields === undefined) throw confError('conf-scrypt-invalid', 'ScryptObject is missing');
  const salt = decodeBase64(fields.get('salt'));
  if (
    salt === undefined ||
    salt.length < SCRYPT_SALT_LENGTH_MIN ||
    salt.length > SCRYPT_SALT_LENGTH_MAX
  ) {
    throw confError('conf-scrypt-invalid', 'Salt is not base64 of 32 bytes or more');
  }
  const n = integerIn(fields, 'N', [2 ** SCRYPT_LOG_N_MIN, 2 ** SCRYPT_LOG_N_MAX]);
  const logN = Math.log2(n);
  if (!Number.isInteger(logN)) {
    throw confError('conf-scrypt-invalid', `N is ${n}, which is no power of two`);
  }
  const r = integerIn(fields, 'R', [SCRYPT_R_MIN, SCRYPT_R_MAX]);
  const p = integerIn(fields, 'P', [SCRYPT_P_MIN, SCRYPT_P_MAX]);
  integerIn(fields, 'KeyLen', [SCRYPT_KEY_LENGTH, SCRYPT_KEY_LENGTH]);
  if (n * r * p > SCRYPT_WORK_MAX) {
    throw confError('conf-scrypt-too-costly', `N = ${n}, R = ${r} and P = ${p} cost too much`);
  }
  return { salt, logN, r, p };
}

function integerIn(fields: Fields, name: string, [min, max]: readonly [number, number]): number {
  const value = fields.get(name.toLowerCase());
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw confError('conf-scrypt-invalid', `ScryptObject.${name} is not a whole number`);
  }
  if (value < min) {
    throw confError('conf-scrypt-invalid', `ScryptObject.${name} is ${value}, less than ${min}`);
  }
  if (value > max) {
    throw confError('conf-scrypt-too-costly', `ScryptObject.${name} is ${value}, over ${max}`);
  }
  return value;
}

function parseSeal(value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  const seal = decodeBase64(value);
  if (seal?.length === SEAL_LENGTH) return seal;
  throw confError('conf-seal-invalid', `${SEAL_FIELD} is not base64 of ${SEAL_LENGTH} bytes`);
}

function parseLongNameMax(value: unknown, flags: ReadonlySet<FeatureFlag>): number {
  const max = value ?? 0;
  if (!flags.has('LongNameMax')) {
    if (max === 0) return LONG_NAME_MAX_DEFAULT;
    throw confError('conf-longnamemax-invalid', 'LongNameMax is given but its flag is not set');
  }
  if (
    typeof max !== 'number' ||
    !Number.isInteger(max) ||
    max < LONG_NAME_MAX_READ_LEAST ||
    max > LONG_NAME_MAX_DEFAULT
  ) {
    throw confError('conf-longnamemax-invalid', 'LongNameMax is not in 1 … 255');
  }
  return max;
}

function parseFido2(value: unknown, flags: ReadonlySet<FeatureFlag>): Fido2Parameters | undefined {
  if (!flags.has('FIDO2')) return undefined;
  const fields = asFields(value);
  const credentialID = decodeBase64(fields?.get('credentialid'));
  const hmacSalt = decodeBase64(fields?.get('hmacsalt'));
  const assertOptions: unknown = fields?.get('assertoptions') ?? [];
  if (
    credentialID === undefined ||
    hmacSalt === undefined ||
    !Array.isArray(assertOptions) ||
    !assertOptions.every((option) => typeof option === 'string')
  ) {
    throw confError('conf-fido2-invalid', 'the flag FIDO2 is set but its parameters are not valid');
  }
  return { credentialID, hmacSalt, assertOptions };
}
