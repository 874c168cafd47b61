/** AES-256-SIV with nonce and tag where gocryptfs stores them. */
import type { KeyObject } from 'node:crypto';
import { BugError } from '../../errors.ts';
import { tagMismatch, type ContentCipher } from './aead.ts';
import { AesSiv } from './aes-siv.ts';
import type { CipherBackend, SealParts } from './cipher-backend.ts';
import { DEFAULT_BACKEND } from './default-backend.ts';
import { SIV_NONCE_LENGTH, SIV_OVERHEAD } from '../format/limits.ts';

/**
 * AES-256-SIV over (associated data, nonce, plaintext). The tag comes before the ciphertext.
 *
 *     1. nonce[16]   2. V[16] and ciphertext[n]
 *
 * @see gocryptfs internal/siv_aead (v2.6.1)
 */
export class SivCipher implements ContentCipher {
  readonly nonceLength = SIV_NONCE_LENGTH;
  readonly overhead = SIV_OVERHEAD;
  readonly #siv: AesSiv;

  /** @param key - 64 bytes */
  constructor(key: KeyObject, backend: CipherBackend = DEFAULT_BACKEND) {
    this.#siv = new AesSiv(key, backend);
  }

  seal({ plain, nonce, associated }: SealParts, out: Uint8Array): void {
    if (nonce.length !== SIV_NONCE_LENGTH) {
      throw new BugError('invariant', `SIV nonce of ${nonce.length} bytes`);
    }
    out.set(nonce, 0); // 1.
    this.#siv.seal(plain, [associated, nonce], out.subarray(SIV_NONCE_LENGTH)); // 2.
  }

  open(sealed: Uint8Array, associated: Uint8Array): Buffer {
    const nonce = sealed.subarray(0, SIV_NONCE_LENGTH); // 1.
    const plain = this.#siv.open(sealed.subarray(SIV_NONCE_LENGTH), [associated, nonce]); // 2.
    if (plain === undefined) throw tagMismatch();
    return plain;
  }
}
