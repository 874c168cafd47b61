/**
 * Identities make equal content in different places differ. Ecsync's own depend only on the master
 * key, the plaintext path at which an object was born, and a birth counter; so a lost index costs
 * only time. Those of layout `reverse` are stock's: unkeyed, from the cipher path.
 */
import { createHash, type KeyObject } from 'node:crypto';
import type { CipherBackend } from '../cipher/cipher-backend.ts';
import { DEFAULT_BACKEND } from '../cipher/default-backend.ts';
import { isAllZero } from '../format/file-header.ts';
import { DIR_IV_LENGTH } from '../format/limits.ts';
import { splitPath } from '../../bytes/paths.ts';

/** The purpose of each derivation; a final NUL keeps one label from being a prefix of another. */
const LABELS = {
  fileID: Buffer.from('ecsync fileID\0', 'latin1'),
  dirIV: Buffer.from('ecsync dirIV\0', 'latin1'),
  linkID: Buffer.from('ecsync linkID\0', 'latin1'),
};

/** Where an object was created, and as which generation. */
export interface Birth {
  /** Components joined by `/`; the root directory is the empty path. */
  readonly path: Uint8Array;
  /** 0; the next number when an earlier birth at the same path is still in use elsewhere. */
  readonly counter: number;
}

/** Replaces the one value that stock refuses (16 zero bytes) by another fixed value. */
export function replaceAllZero(bytes: Buffer): Buffer {
  if (isAllZero(bytes)) bytes[bytes.length - 1] = 1;
  return bytes;
}

/** What the ciphertext of one regular file depends on besides its content. */
export interface FileIdentity {
  /** 16 bytes, stored in the file's header. */
  readonly fileID: Uint8Array;
  /** 16 bytes: nonce of block 0, from which later blocks count up. Only in layout `reverse`. */
  readonly block0Nonce?: Uint8Array;
}

/** Derives the identities of one filesystem; none of them is ever all zero. */
export interface Identities {
  /**
   * Which path of an object its {@link Birth} names. A cipher path is the stored path, including
   * hashed names; then every rename requires new encryption.
   */
  readonly derivedFrom: 'plaintext path' | 'cipher path';
  /** Identity of a regular file. */
  file(birth: Birth): FileIdentity;
  /** The 16 bytes of a directory's `gocryptfs.diriv`. */
  dirIV(birth: Birth): Buffer;
  /** 16 bytes that serve a symlink as the file ID serves a file; stored nowhere. */
  linkID(birth: Birth): Buffer;
}

/** Ecsync's own identities. */
export class KeyedIdentities implements Identities {
  readonly derivedFrom = 'plaintext path';
  readonly #hmac: (...parts: readonly Uint8Array[]) => Buffer;

  /** @param key - the sub-key `ecsyncIdentities` */
  constructor(key: KeyObject, backend: CipherBackend = DEFAULT_BACKEND) {
    this.#hmac = backend.hmacSha256(key);
  }

  file(birth: Birth): FileIdentity {
    return { fileID: this.#derive(LABELS.fileID, birth) };
  }

  dirIV(birth: Birth): Buffer {
    return this.#derive(LABELS.dirIV, birth);
  }

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
    const digest = this.#hmac(label, counterBytes, path);
    return replaceAllZero(Buffer.from(digest.subarray(0, DIR_IV_LENGTH)));
  }
}

/**
 * The identities that `gocryptfs -reverse` gives: the first 16 bytes of SHA-256 over
 *
 *     1. cipher path   2. 00   3. purpose, ASCII, to the end
 *
 * A symlink's purpose is `SYMLINKIV`, and its path has the last component twice: a quirk of the
 * releases from 2.0 to 2.6.1. Those before had it once; their links are sent anew after an
 * adoption.
 *
 * @see gocryptfs internal/pathiv/pathiv.go and internal/fusefrontend_reverse (v2.6.1)
 */
export class ReverseIdentities implements Identities {
  readonly derivedFrom = 'cipher path';

  file({ path }: Birth): FileIdentity {
    return {
      fileID: derivePathIV(path, 'FILEID'),
      block0Nonce: derivePathIV(path, 'BLOCK0IV'),
    };
  }

  dirIV({ path }: Birth): Buffer {
    return derivePathIV(path, 'DIRIV');
  }

  linkID({ path }: Birth): Buffer {
    const name = splitPath(path).name;
    return derivePathIV(Buffer.concat([path, Buffer.from('/'), name]), 'SYMLINKIV');
  }
}

function derivePathIV(path: Uint8Array, purpose: string): Buffer {
  const digest = createHash('sha256').update(path).update(`\0${purpose}`).digest();
  return replaceAllZero(Buffer.from(digest.subarray(0, DIR_IV_LENGTH)));
}
