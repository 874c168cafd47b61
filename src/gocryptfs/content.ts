/** File content block by block, and symlink targets. */
import { createHmac, type KeyObject } from 'node:crypto';
import { FileError, IntegrityError } from '../errors.ts';
import type { ContentCipher } from './aead.ts';
import { isAllZero } from './file-header.ts';
import { replaceAllZero } from './identity.ts';
import { CIPHER_TARGET_LENGTH_MAX, FILE_ID_LENGTH, PLAIN_BLOCK_SIZE } from './limits.ts';
import { decodeBase64Url } from './names.ts';

const BLOCK_LABEL = Buffer.from('ecsync block nonce\0', 'latin1');
const TARGET_LABEL = Buffer.from('ecsync target nonce\0', 'latin1');

const TWO_POW_32 = 2 ** 32;

/** A symlink target has no block number but 0 and no file ID: BE64(0) alone. */
const TARGET_ASSOCIATED = Buffer.alloc(8);

/**
 * What a block is authenticated with besides its bytes.
 *
 *     1. block number, BE64   2. file ID[16]
 *
 * @see gocryptfs internal/contentenc/content.go concatAD (v2.6.1)
 */
function associatedData(blockNo: number, id: Uint8Array): Buffer {
  const associated = Buffer.allocUnsafe(8 + FILE_ID_LENGTH);
  writeAssociatedData(associated, blockNo, id);
  return associated;
}

function writeAssociatedData(associated: Buffer, blockNo: number, id: Uint8Array): void {
  associated.writeUInt32BE(Math.floor(blockNo / TWO_POW_32), 0); // 1.
  associated.writeUInt32BE(blockNo % TWO_POW_32, 4);
  associated.set(id, 8); // 2.
}

/**
 * Nonces that depend on everything they are used for: two different messages never share one
 * (short of a collision of HMAC-SHA-256 cut to the nonce's length), equal ones always do.
 *
 * The input, whose first four parts are kept in one buffer per kind of message:
 *
 *     1. label ‖ 00   2. block number, BE64   3. fileID or linkID[16]
 *     4. plaintext length, BE32   5. plaintext
 */
class SyntheticNonces {
  readonly #key: KeyObject;
  readonly #nonceLength: number;
  readonly #prefix: Buffer;
  /** Parts 2 and 3 of the input prepared last: a view of the prefix. */
  readonly associated: Buffer;

  constructor(key: KeyObject, nonceLength: number, label: Uint8Array) {
    this.#key = key;
    this.#nonceLength = nonceLength;
    this.#prefix = Buffer.alloc(label.length + 8 + FILE_ID_LENGTH + 4);
    this.#prefix.set(label, 0); // 1.
    this.associated = this.#prefix.subarray(label.length, label.length + 8 + FILE_ID_LENGTH);
  }

  /** The nonce for one message; sets {@link associated} to its parts 2 and 3. */
  nonce(blockNo: number, id: Uint8Array, plain: Uint8Array): Buffer {
    writeAssociatedData(this.associated, blockNo, id); // 2. 3.
    this.#prefix.writeUInt32BE(plain.length, this.#prefix.length - 4); // 4.
    const hmac = createHmac('sha256', this.#key).update(this.#prefix).update(plain); // 5.
    return replaceAllZero(hmac.digest().subarray(0, this.#nonceLength));
  }
}

/** Encrypts and decrypts the content of one filesystem, deterministically. */
export class ContentEncryption {
  readonly #cipher: ContentCipher;
  readonly #blockNonces: SyntheticNonces;
  readonly #targetNonces: SyntheticNonces;

  /** @param nonceKey - the sub-key `ecsyncNonces` */
  constructor(cipher: ContentCipher, nonceKey: KeyObject) {
    this.#cipher = cipher;
    this.#blockNonces = new SyntheticNonces(nonceKey, cipher.nonceLength, BLOCK_LABEL);
    this.#targetNonces = new SyntheticNonces(nonceKey, cipher.nonceLength, TARGET_LABEL);
  }

  /** Bytes that encryption adds to every block. */
  get overhead(): number {
    return this.#cipher.overhead;
  }

  /**
   * Encrypts consecutive blocks of one file.
   *
   * @param run.plain - whole blocks; only the last block of a file may be shorter. It must not
   *   change during the call: nonce and ciphertext are both made from it
   * @param out - receives the blocks from its start on; may not overlap `run.plain`
   * @returns bytes written: `plain.length` and `overhead` for every block
   */
  encryptBlocks(run: BlockRun, out: Uint8Array): number {
    const { firstBlock, fileID, plain } = run;
    let written = 0;
    for (let at = 0; at < plain.length; at += PLAIN_BLOCK_SIZE) {
      const block = plain.subarray(at, at + PLAIN_BLOCK_SIZE);
      const nonce = this.#blockNonces.nonce(firstBlock + at / PLAIN_BLOCK_SIZE, fileID, block);
      const { associated } = this.#blockNonces;
      this.#cipher.seal({ plain: block, nonce, associated }, out.subarray(written));
      written += block.length + this.#cipher.overhead;
    }
    return written;
  }

  /**
   * Decrypts one block. A full block of zeros is a hole and means zeros, unauthenticated; ecsync
   * writes none.
   *
   * @param sealed - 1 … 4096 bytes and the overhead
   * @returns a fresh array; inverse of {@link encryptBlocks}
   * @throws {IntegrityError} `block-size-illegal`; `nonce-zero`; `tag-mismatch`
   */
  decryptBlock(blockNo: number, fileID: Uint8Array, sealed: Uint8Array): Buffer {
    const plainLength = sealed.length - this.#cipher.overhead;
    if (plainLength < 1 || plainLength > PLAIN_BLOCK_SIZE) {
      throw damaged('block-size-illegal', `an encrypted block has ${sealed.length} bytes`);
    }
    if (isAllZero(sealed.subarray(0, this.#cipher.nonceLength))) {
      if (plainLength === PLAIN_BLOCK_SIZE && isAllZero(sealed)) return Buffer.alloc(plainLength);
      throw damaged('nonce-zero', 'an encrypted block has an all-zero nonce');
    }
    return this.#cipher.open(sealed, associatedData(blockNo, fileID));
  }

  /**
   * The target of a symlink as it is stored: one sealed message in base64url.
   *
   * @param linkID - 16 bytes: keeps equal targets in different places apart
   * @returns inverse of {@link decryptTarget}
   * @throws {FileError} `target-too-long` — more than 3039 bytes with GCM
   */
  encryptTarget(linkID: Uint8Array, target: Uint8Array): Buffer {
    const sealed = Buffer.allocUnsafe(target.length + this.#cipher.overhead);
    const text = Math.ceil((sealed.length * 4) / 3);
    if (text > CIPHER_TARGET_LENGTH_MAX) {
      throw new FileError('target-too-long', `a symlink target of ${target.length} bytes`, {
        hint: 'Encrypted it would be longer than a symlink can be. Shorten it.',
      });
    }
    const nonce = this.#targetNonces.nonce(0, linkID, target);
    this.#cipher.seal({ plain: target, nonce, associated: TARGET_ASSOCIATED }, sealed);
    return Buffer.from(sealed.toString('base64url'), 'latin1');
  }

  /**
   * Inverse of {@link encryptTarget}; the link ID is not needed.
   *
   * @throws {IntegrityError} `target-invalid` — not canonical base64url; `nonce-zero`;
   *   `tag-mismatch`
   */
  decryptTarget(cipherTarget: Uint8Array): Buffer {
    const sealed = decodeBase64Url(cipherTarget);
    if (sealed === undefined || cipherTarget.length > CIPHER_TARGET_LENGTH_MAX) {
      throw damaged('target-invalid', 'a symlink of the encrypted folder has a foreign target');
    }
    if (
      sealed.length >= this.#cipher.overhead &&
      isAllZero(sealed.subarray(0, this.#cipher.nonceLength))
    ) {
      throw damaged('nonce-zero', 'an encrypted symlink target has an all-zero nonce');
    }
    return this.#cipher.open(sealed, TARGET_ASSOCIATED);
  }
}

/** Consecutive blocks of one file. */
export interface BlockRun {
  readonly firstBlock: number;
  readonly fileID: Uint8Array;
  readonly plain: Uint8Array;
}

function damaged(code: string, message: string): IntegrityError {
  return new IntegrityError(code, message, {
    hint: 'The copy is damaged or was changed. Push the file again from the source.',
  });
}
