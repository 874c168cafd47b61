/**
 * ecsync's own derivations: identities that depend only on the master key, the plaintext path an
 * object was born with and a birth counter, so that a lost index costs time and nothing else.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import { isAllZero } from './file-header.ts';
import { DIR_IV_LENGTH } from './limits.ts';

/** What each derivation is for; a NUL after it keeps one label from being the start of another. */
const LABELS = {
  fileID: Buffer.from('ecsync fileID\0', 'latin1'),
  dirIV: Buffer.from('ecsync dirIV\0', 'latin1'),
  linkID: Buffer.from('ecsync linkID\0', 'latin1'),
};

/** Where and as which generation an object came into being. */
export interface Birth {
  /** Plaintext path, components joined by `/`; the root directory is the empty path. */
  readonly path: Uint8Array;
  /** 0; the next number when an earlier birth at the same path is still in use elsewhere. */
  readonly counter: number;
}

/** Changes the one value that stock refuses (16 zero bytes) into another, always the same. */
export function replaceAllZero(bytes: Buffer): Buffer {
  if (isAllZero(bytes)) bytes[bytes.length - 1] = 1;
  return bytes;
}

/** Derives the 16-byte identities of one filesystem. */
export class Identities {
  readonly #key: KeyObject;

  /** @param key - the sub-key `ecsyncIdentities` */
  constructor(key: KeyObject) {
    this.#key = key;
  }

  /** The file ID in the header of a regular file; never all zero. */
  fileID(birth: Birth): Buffer {
    return this.#derive(LABELS.fileID, birth);
  }

  /** The content of a directory's `gocryptfs.diriv`; never all zero. */
  dirIV(birth: Birth): Buffer {
    return this.#derive(LABELS.dirIV, birth);
  }

  /** Stands for a symlink where a file has its ID; goes into the nonce and is stored nowhere. */
  linkID(birth: Birth): Buffer {
    return this.#derive(LABELS.linkID, birth);
  }

  /**
   * HMAC-SHA-256, first 16 bytes, over
   *
   *     1. label ‖ 00   2. birth counter, BE64   3. path, to the end
   */
  #derive(label: Uint8Array, { path, counter }: Birth): Buffer {
    const counterBytes = Buffer.allocUnsafe(8);
    counterBytes.writeBigUInt64BE(BigInt(counter));
    const hmac = createHmac('sha256', this.#key).update(label).update(counterBytes).update(path);
    return replaceAllZero(Buffer.from(hmac.digest().subarray(0, DIR_IV_LENGTH)));
  }
}
