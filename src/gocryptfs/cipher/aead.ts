/** The interface of the ciphers that seal content blocks and symlink targets. */
import { IntegrityError } from '../../errors.ts';
import type { SealParts } from './cipher-backend.ts';

/** An authenticated cipher that stores its nonce with the message, in the cipher's own layout. */
export interface ContentCipher {
  readonly nonceLength: number;
  /** Nonce and tag: how many bytes a sealed message is longer than its plaintext. */
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

/** The error of every message that does not authenticate, whatever the cipher. */
export function tagMismatch(): IntegrityError {
  return new IntegrityError('tag-mismatch', 'encrypted bytes are damaged or were changed', {
    hint: 'Push the file again from the source, and check the disk that stores the copy.',
  });
}
