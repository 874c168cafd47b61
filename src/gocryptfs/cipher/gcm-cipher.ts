/** AES-256-GCM with nonce and tag where gocryptfs stores them. */
import type { KeyObject } from 'node:crypto';
import { BugError } from '../../errors.ts';
import { tagMismatch, type ContentCipher } from './aead.ts';
import type { CipherBackend, KeyedAead, SealParts } from './cipher-backend.ts';
import { DEFAULT_BACKEND } from './default-backend.ts';
import { GCM_NONCE_LENGTH, GCM_OVERHEAD } from '../format/limits.ts';

/**
 * AES-256-GCM with a 16-byte nonce.
 *
 *     1. nonce[16]   2. ciphertext[n]   3. tag[16]
 */
export class GcmCipher implements ContentCipher {
  readonly nonceLength = GCM_NONCE_LENGTH;
  readonly overhead = GCM_OVERHEAD;
  readonly #aead: KeyedAead;

  /** @param key - 32 bytes */
  constructor(key: KeyObject, backend: CipherBackend = DEFAULT_BACKEND) {
    this.#aead = backend.aesGcm(key);
  }

  seal(parts: SealParts, out: Uint8Array): void {
    if (parts.nonce.length !== GCM_NONCE_LENGTH) {
      throw new BugError('invariant', `GCM nonce of ${parts.nonce.length} bytes`);
    }
    out.set(parts.nonce, 0); // 1.
    this.#aead.seal(parts, out.subarray(GCM_NONCE_LENGTH)); // 2. 3.
  }

  open(sealed: Uint8Array, associated: Uint8Array): Buffer {
    if (sealed.length < GCM_OVERHEAD) throw tagMismatch();
    const nonce = sealed.subarray(0, GCM_NONCE_LENGTH); // 1.
    const rest = sealed.subarray(GCM_NONCE_LENGTH); // 2. 3.
    const plain = this.#aead.open({ sealed: rest, nonce, associated });
    if (plain === undefined) throw tagMismatch();
    return plain;
  }
}
