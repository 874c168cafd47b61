/** A filesystem that is open: everything that encrypts it, put together from conf and master key. */
import { createHash, createSecretKey, type KeyObject } from 'node:crypto';
import { BugError, VaultError } from '../errors.ts';
import type { ContentCipher } from './aead.ts';
import { PADDED64, RAW64 } from './base64url.ts';
import type { Conf } from './config.ts';
import { ContentEncryption } from './content.ts';
import { Eme } from './eme.ts';
import { GcmCipher } from './gcm-cipher.ts';
import { KeyedIdentities, ReverseIdentities, type Identities } from './identity.ts';
import { deriveSubKey, KeyInfo } from './keys.ts';
import { MASTERKEY_LENGTH } from './limits.ts';
import { NameCipher, PlainNames, type NameScheme } from './names.ts';
import { PathNonces, SyntheticNonces, type NonceSource } from './nonces.ts';
import { SivCipher } from './siv-cipher.ts';
import { XChaChaCipher } from './xchacha-cipher.ts';

/** The three parts of a layout. */
export interface Layout {
  readonly names: NameScheme;
  readonly content: ContentEncryption;
  readonly identities: Identities;
}

/**
 * Where identities and nonces come from: from ecsync's own keys (layouts `gcm`, `xchacha`, and any
 * other filesystem), or from the cipher path as `gocryptfs -reverse` has it (layout `reverse`).
 */
export type Derivation = 'keyed' | 'reverse';

/**
 * Opens a filesystem for encryption and decryption.
 *
 * @param masterkey - 32 bytes; not kept
 * @throws {VaultError} `layout-unsupported` — derivation `reverse` without AES-SIV, where every
 *   edit would break the cipher
 * @throws {BugError} `invariant` — a master key of another length
 */
export function openLayout(
  conf: Pick<Conf, 'flags' | 'longNameMax'>,
  masterkey: Uint8Array,
  derivation: Derivation = 'keyed',
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
  const cipher = openCipher(flags, masterkey);
  const text = flags.has('Raw64') ? RAW64 : PADDED64;
  const nonces: NonceSource =
    derivation === 'reverse'
      ? new PathNonces()
      : new SyntheticNonces(deriveSubKey(masterkey, KeyInfo.ecsyncNonces), cipher.nonceLength);
  return {
    names: openNames(conf, masterkey),
    content: new ContentEncryption(cipher, nonces, flags.has('PlaintextNames') ? undefined : text),
    identities:
      derivation === 'reverse'
        ? new ReverseIdentities()
        : new KeyedIdentities(deriveSubKey(masterkey, KeyInfo.ecsyncIdentities)),
  };
}

/** The cipher that the flags of a filesystem name, as people call it. */
export function cipherOf(flags: Conf['flags']): 'AES-GCM' | 'AES-SIV' | 'XChaCha20-Poly1305' {
  if (flags.has('XChaCha20Poly1305')) return 'XChaCha20-Poly1305';
  return flags.has('AESSIV') ? 'AES-SIV' : 'AES-GCM';
}

/** The cipher of blocks and symlink targets, under its own key. */
function openCipher(flags: Conf['flags'], masterkey: Uint8Array): ContentCipher {
  if (flags.has('AESSIV')) {
    return new SivCipher(contentKey(flags, masterkey, KeyInfo.sivContent, 64));
  }
  if (flags.has('XChaCha20Poly1305')) {
    return new XChaChaCipher(contentKey(flags, masterkey, KeyInfo.xchachaContent));
  }
  return new GcmCipher(contentKey(flags, masterkey, KeyInfo.gcmContent));
}

/** Before HKDF the master key did everything itself; AES-SIV got it stretched to 64 bytes. */
function contentKey(
  flags: Conf['flags'],
  masterkey: Uint8Array,
  info: KeyInfo,
  length: 32 | 64 = 32,
): KeyObject {
  if (flags.has('HKDF')) return deriveSubKey(masterkey, info, length);
  if (length === 32) return createSecretKey(masterkey);
  return createSecretKey(createHash('sha512').update(masterkey).digest());
}

function openNames(
  { flags, longNameMax }: Pick<Conf, 'flags' | 'longNameMax'>,
  masterkey: Uint8Array,
): NameScheme {
  if (flags.has('PlaintextNames')) return new PlainNames();
  const eme = new Eme(contentKey(flags, masterkey, KeyInfo.names));
  return new NameCipher(eme, {
    longNameMax,
    text: flags.has('Raw64') ? RAW64 : PADDED64,
    hasDirIVs: flags.has('DirIV'),
  });
}
