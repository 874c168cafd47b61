/** The ciphers that content blocks and symlink targets can be sealed with. */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { BugError, IntegrityError } from '../errors.ts';
import { AEAD_TAG_LENGTH, GCM_NONCE_LENGTH, GCM_OVERHEAD } from './limits.ts';

/** An authenticated cipher that stores its nonce with the message, in the cipher's own layout. */
export interface ContentCipher {
  readonly nonceLength: number;
  /** Bytes a sealed message is longer than its plaintext: nonce and tag. */
  readonly overhead: number;
  /**
   * Seals one message into `out`.
   *
   * @param parts.nonce - never used before with another plaintext under this key
   * @param out - room for `plain.length + overhead` bytes from its start on
   * @throws {BugError} `invariant` — a nonce of another length
   */
  seal(parts: SealParts, out: Uint8Array): void;
  /**
   * Opens one sealed message. Inverse of {@link seal}.
   *
   * @throws {IntegrityError} `tag-mismatch` — too short, or not what the key wrote
   */
  open(sealed: Uint8Array, associated: Uint8Array): Buffer;
}

/** What one sealed message is made of. */
export interface SealParts {
  readonly plain: Uint8Array;
  readonly nonce: Uint8Array;
  /** Authenticated, not stored. */
  readonly associated: Uint8Array;
}

/** The error of every message that does not authenticate, whatever the cipher. */
function tagMismatch(cause?: unknown): IntegrityError {
  return new IntegrityError('tag-mismatch', 'encrypted bytes are damaged or were changed', {
    hint: 'Push the file again from the source, and check the disk that stores the copy.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * AES-256-GCM with a 16-byte nonce.
 *
 *     1. nonce[16]   2. ciphertext[n]   3. tag[16]
 */
export class GcmCipher implements ContentCipher {
  readonly nonceLength = GCM_NONCE_LENGTH;
  readonly overhead = GCM_OVERHEAD;
  readonly #key: KeyObject;

  constructor(key: KeyObject) {
    this.#key = key;
  }

  seal({ plain, nonce, associated }: SealParts, out: Uint8Array): void {
    if (nonce.length !== GCM_NONCE_LENGTH) {
      throw new BugError('invariant', `GCM nonce of ${nonce.length} bytes`);
    }
    const options = { authTagLength: AEAD_TAG_LENGTH };
    const gcm = createCipheriv('aes-256-gcm', this.#key, nonce, options);
    gcm.setAAD(associated);
    const cipher = gcm.update(plain);
    gcm.final();
    out.set(nonce, 0); // 1.
    out.set(cipher, GCM_NONCE_LENGTH); // 2.
    out.set(gcm.getAuthTag(), GCM_NONCE_LENGTH + plain.length); // 3.
  }

  open(sealed: Uint8Array, associated: Uint8Array): Buffer {
    const tagAt = sealed.length - AEAD_TAG_LENGTH;
    if (tagAt < GCM_NONCE_LENGTH) throw tagMismatch();
    const nonce = sealed.subarray(0, GCM_NONCE_LENGTH); // 1.
    const options = { authTagLength: AEAD_TAG_LENGTH };
    const gcm = createDecipheriv('aes-256-gcm', this.#key, nonce, options);
    gcm.setAAD(associated);
    gcm.setAuthTag(sealed.subarray(tagAt)); // 3.
    const plain = gcm.update(sealed.subarray(GCM_NONCE_LENGTH, tagAt)); // 2.
    try {
      gcm.final();
    } catch (cause) {
      throw tagMismatch(cause);
    }
    return plain;
  }
}
