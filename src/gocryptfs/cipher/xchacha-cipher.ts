/** XChaCha20-Poly1305 with nonce and tag where gocryptfs stores them. */
import type { KeyObject } from 'node:crypto';
import { BugError } from '../../errors.ts';
import { tagMismatch, type ContentCipher } from './aead.ts';
import type { CipherBackend, KeyedAead, SealParts } from './cipher-backend.ts';
import { DEFAULT_BACKEND } from './default-backend.ts';
import { XCHACHA_NONCE_LENGTH, XCHACHA_OVERHEAD } from '../format/limits.ts';

/**
 * XChaCha20-Poly1305.
 *
 *     1. nonce[24]   2. ciphertext[n]   3. tag[16]
 *
 * @see draft-irtf-cfrg-xchacha-03
 */
export class XChaChaCipher implements ContentCipher {
  readonly nonceLength = XCHACHA_NONCE_LENGTH;
  readonly overhead = XCHACHA_OVERHEAD;
  readonly #aead: KeyedAead;

  /** @param key - 32 bytes */
  constructor(key: KeyObject, backend: CipherBackend = DEFAULT_BACKEND) {
    this.#aead = backend.xchacha20Poly1305(key);
  }

  seal(parts: SealParts, out: Uint8Array): void {
    if (parts.nonce.length !== XCHACHA_NONCE_LENGTH) {
      throw new BugError('invariant', `XChaCha nonce of ${parts.nonce.length} bytes`);
    }
    out.set(parts.nonce, 0); // 1.
    this.#aead.seal(parts, out.subarray(XCHACHA_NONCE_LENGTH)); // 2. 3.
  }

  open(sealed: Uint8Array, associated: Uint8Array): Buffer {
    if (sealed.length < XCHACHA_OVERHEAD) throw tagMismatch();
    const nonce = sealed.subarray(0, XCHACHA_NONCE_LENGTH); // 1.
    const rest = sealed.subarray(XCHACHA_NONCE_LENGTH); // 2. 3.
    const plain = this.#aead.open({ sealed: rest, nonce, associated });
    if (plain === undefined) throw tagMismatch();
    return plain;
  }
}
