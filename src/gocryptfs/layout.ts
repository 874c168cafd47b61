/** An open filesystem: all parts that encrypt it, made from conf and master key. */
import { createHash, createSecretKey, type KeyObject } from 'node:crypto';
import { BugError, VaultError } from '../errors.ts';
import type { ContentCipher } from './cipher/aead.ts';
import { PADDED64, RAW64 } from './format/base64url.ts';
import type { CipherBackend } from './cipher/cipher-backend.ts';
import type { Conf } from './conf/config.ts';
import { isConstantTimeRequired } from './cipher/constant-time.ts';
import { ContentEncryption } from './content/content.ts';
import { DEFAULT_BACKEND } from './cipher/default-backend.ts';
import { Eme } from './names/eme.ts';
import { openGcmBlocks } from './content/gcm-blocks.ts';
import { GcmCipher } from './cipher/gcm-cipher.ts';
import { KeyedIdentities, ReverseIdentities, type Identities } from './content/identity.ts';
import { MASTERKEY_LENGTH } from './format/limits.ts';
import { NameCipher, PlainNames, type NameScheme } from './names/names.ts';
import { PathNonces, SyntheticNonces, type NonceSource } from './content/nonces.ts';
import { SivCipher } from './cipher/siv-cipher.ts';
import { deriveSubKey, KeyInfo } from './cipher/sub-keys.ts';
import { XChaChaCipher } from './cipher/xchacha-cipher.ts';
import { XattrEncryption } from './names/xattrs.ts';

/** The parts of a layout. */
export interface Layout {
  readonly names: NameScheme;
  readonly content: ContentEncryption;
  /** The keys of `content`. */
  readonly contentKeys: ContentKeys;
  readonly identities: Identities;
  readonly xattrs: XattrEncryption;
}

/**
 * Where identities and nonces come from: ecsync's own keys (layouts `gcm`, `xchacha`, and any other
 * filesystem), or the cipher path as in `gocryptfs -reverse` (layout `reverse`).
 */
export type Derivation = 'keyed' | 'reverse';

/**
 * All that encrypting content needs. It can be posted to another thread, which gets no master key.
 */
export interface ContentKeys {
  readonly flags: Conf['flags'];
  /** Of the content cipher. */
  readonly cipher: KeyObject;
  /** Of synthetic nonces; undefined: they follow from the paths, as in layout `reverse`. */
  readonly nonces: KeyObject | undefined;
  /** Whether others must be unable to learn the keys from caches. */
  readonly isConstantTime: boolean;
}

/** The source of all keys of a filesystem. */
export interface KeySource {
  readonly flags: Conf['flags'];
  readonly masterkey: Uint8Array;
  readonly backend: CipherBackend;
}

/**
 * Opens a filesystem for encryption and decryption.
 *
 * @param masterkey - 32 bytes; not kept
 * @param backend - source of the primitives
 * @throws {VaultError} `layout-unsupported` — derivation `reverse` without AES-SIV, where every
 *   edit would break the cipher
 * @throws {BugError} `invariant` — a master key of another length
 */
export function openLayout(
  conf: Pick<Conf, 'flags' | 'longNameMax'>,
  masterkey: Uint8Array,
  derivation: Derivation = 'keyed',
  backend: CipherBackend = DEFAULT_BACKEND,
): Layout {
  if (masterkey.length !== MASTERKEY_LENGTH) {
    throw new BugError('invariant', `master key of ${masterkey.length} bytes`);
  }
  const { flags } = conf;
  if (derivation === 'reverse' && !flags.has('AESSIV')) {
    const shown = [...flags].join(' ');
    throw new VaultError('layout-unsupported', `layout reverse with the flags ${shown}`, {
      hint: 'Layout reverse needs the flag AESSIV. Make the vault with another layout.',
    });
  }
  const source: KeySource = { flags, masterkey, backend };
  const keys = contentKeys(source, derivation);
  const { cipher, nonces } = openSealing(keys, backend);
  const eme = new Eme(contentKey(source, KeyInfo.names), backend);
  const text = flags.has('Raw64') ? RAW64 : PADDED64;
  return {
    names: openNames(conf, eme),
    content: openContent(keys, backend),
    contentKeys: keys,
    identities: openIdentities(source, derivation),
    xattrs: new XattrEncryption({ eme, cipher, nonces, text }),
  };
}

/** The common name of the cipher that the flags of a filesystem select. */
export function cipherOf(flags: Conf['flags']): 'AES-GCM' | 'AES-SIV' | 'XChaCha20-Poly1305' {
  if (flags.has('XChaCha20Poly1305')) return 'XChaCha20-Poly1305';
  return flags.has('AESSIV') ? 'AES-SIV' : 'AES-GCM';
}

/** The cipher of blocks, symlink targets and attributes' values, under its own key. */
export function openCipher(source: KeySource): ContentCipher {
  return cipherUnder(cipherKey(source), source.flags, source.backend);
}

/** The content of a filesystem from its given keys; equal to that of {@link openLayout}. */
export function openContent(
  keys: ContentKeys,
  backend: CipherBackend = DEFAULT_BACKEND,
): ContentEncryption {
  const { cipher, nonces } = openSealing(keys, backend);
  const { flags } = keys;
  const text = flags.has('Raw64') ? RAW64 : PADDED64;
  const isQuick = cipherOf(flags) === 'AES-GCM' && !keys.isConstantTime;
  return new ContentEncryption(cipher, nonces, {
    targetText: flags.has('PlaintextNames') ? undefined : text,
    openQuick: isQuick ? () => openGcmBlocks(keys, backend) : undefined,
  });
}

function openSealing(
  { flags, cipher: key, nonces }: ContentKeys,
  backend: CipherBackend,
): { readonly cipher: ContentCipher; readonly nonces: NonceSource } {
  const cipher = cipherUnder(key, flags, backend);
  if (nonces === undefined) return { cipher, nonces: new PathNonces() };
  return { cipher, nonces: new SyntheticNonces(nonces, cipher.nonceLength, backend) };
}

function cipherUnder(key: KeyObject, flags: Conf['flags'], backend: CipherBackend): ContentCipher {
  switch (cipherOf(flags)) {
    case 'AES-SIV':
      return new SivCipher(key, backend);
    case 'XChaCha20-Poly1305':
      return new XChaChaCipher(key, backend);
    case 'AES-GCM':
      return new GcmCipher(key, backend);
  }
}

function cipherKey(source: KeySource): KeyObject {
  switch (cipherOf(source.flags)) {
    case 'AES-SIV':
      return contentKey(source, KeyInfo.sivContent, 64);
    case 'XChaCha20-Poly1305':
      return contentKey(source, KeyInfo.xchachaContent);
    case 'AES-GCM':
      return contentKey(source, KeyInfo.gcmContent);
  }
}

/**
 * Before HKDF the master key was used directly for everything, stretched to 64 bytes for AES-SIV.
 */
function contentKey(source: KeySource, info: KeyInfo, length: 32 | 64 = 32): KeyObject {
  const { flags, masterkey, backend } = source;
  if (flags.has('HKDF')) return deriveSubKey(masterkey, info, length, backend);
  if (length === 32) return createSecretKey(masterkey);
  return createSecretKey(createHash('sha512').update(masterkey).digest());
}

/** Ecsync's own keys always come from HKDF, since no release shares them. */
function contentKeys(source: KeySource, derivation: Derivation): ContentKeys {
  const { flags, masterkey, backend } = source;
  const isKeyed = derivation !== 'reverse';
  return {
    flags,
    cipher: cipherKey(source),
    nonces: isKeyed ? deriveSubKey(masterkey, KeyInfo.ecsyncNonces, 32, backend) : undefined,
    isConstantTime: isConstantTimeRequired(),
  };
}

function openIdentities({ masterkey, backend }: KeySource, derivation: Derivation): Identities {
  if (derivation === 'reverse') return new ReverseIdentities();
  const key = deriveSubKey(masterkey, KeyInfo.ecsyncIdentities, 32, backend);
  return new KeyedIdentities(key, backend);
}

function openNames(
  { flags, longNameMax }: Pick<Conf, 'flags' | 'longNameMax'>,
  eme: Eme,
): NameScheme {
  if (flags.has('PlaintextNames')) return new PlainNames();
  return new NameCipher(eme, {
    longNameMax,
    text: flags.has('Raw64') ? RAW64 : PADDED64,
    hasDirIVs: flags.has('DirIV'),
  });
}
