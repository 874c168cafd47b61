/** The keys that HKDF derives from a master key, each with one use. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import type { CipherBackend } from './cipher-backend.ts';
import { DEFAULT_BACKEND } from './default-backend.ts';

/** The `info` of every HKDF sub-key: gocryptfs's own four, and ours, which no release uses. */
export const KeyInfo = {
  names: 'EME filename encryption',
  gcmContent: 'AES-GCM file content encryption',
  sivContent: 'AES-SIV file content encryption',
  xchachaContent: 'XChaCha20-Poly1305 file content encryption',
  ecsyncNonces: 'ecsync synthetic nonces v1',
  ecsyncIdentities: 'ecsync identities v1',
  ecsyncConfSeal: 'ecsync conf seal v1',
  ecsyncKeyCheck: 'ecsync key check',
} as const;
export type KeyInfo = (typeof KeyInfo)[keyof typeof KeyInfo];

/**
 * A sub-key of the master key.
 *
 * @param length - 32 bytes, 64 for AES-SIV
 * @see RFC 5869; no salt, SHA-256
 */
export function deriveSubKey(
  masterkey: Uint8Array,
  info: KeyInfo,
  length = 32,
  backend: CipherBackend = DEFAULT_BACKEND,
): KeyObject {
  return createSecretKey(backend.hkdfSha256(masterkey, { info, length }));
}
