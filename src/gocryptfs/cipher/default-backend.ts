/** Chooses the default implementation of each primitive. */
import { getCipherInfo, getFips } from 'node:crypto';
import type { CipherBackend } from './cipher-backend.ts';
import { NATIVE_BACKEND } from './native-backend.ts';
import { PURE_BACKEND } from './pure-backend.ts';

type Primitive = keyof CipherBackend;

/**
 * The ciphers that node:crypto needs for each primitive; every build has HMAC and HKDF with
 * SHA-256.
 */
const NATIVE_CIPHERS: readonly (readonly [Primitive, string])[] = [
  ['aesEcb', 'aes-256-ecb'],
  ['cbcMac', 'aes-256-cbc'],
  ['aesCtr', 'aes-256-ctr'],
  ['aesGcm', 'aes-256-gcm'],
  ['xchacha20Poly1305', 'chacha20-poly1305'],
];

/** The primitives this Node's crypto lacks: a FIPS build has no ChaCha20 and no scrypt. */
export function lackingPrimitives(): ReadonlySet<Primitive> {
  const lacking = NATIVE_CIPHERS.filter(([, cipher]) => getCipherInfo(cipher) === undefined);
  const primitives = new Set(lacking.map(([primitive]) => primitive));
  if (getFips() === 1) primitives.add('scrypt');
  return primitives;
}

/** node:crypto for everything but `lacking`, which comes in plain JavaScript. */
export function nativeExcept(lacking: ReadonlySet<Primitive>): CipherBackend {
  const from = (primitive: Primitive) => (lacking.has(primitive) ? PURE_BACKEND : NATIVE_BACKEND);
  return {
    aesEcb: from('aesEcb').aesEcb,
    cbcMac: from('cbcMac').cbcMac,
    aesCtr: from('aesCtr').aesCtr,
    aesGcm: from('aesGcm').aesGcm,
    xchacha20Poly1305: from('xchacha20Poly1305').xchacha20Poly1305,
    hmacSha256: from('hmacSha256').hmacSha256,
    hkdfSha256: from('hkdfSha256').hkdfSha256,
    scrypt: from('scrypt').scrypt,
  };
}

/** node:crypto, and plain JavaScript only for what it lacks. */
export const DEFAULT_BACKEND = nativeExcept(lackingPrimitives());
