/** Derives the nonce of every sealed message. */
import { createHash, type KeyObject } from 'node:crypto';
import { BugError } from '../../errors.ts';
import type { CipherBackend } from '../cipher/cipher-backend.ts';
import { DEFAULT_BACKEND } from '../cipher/default-backend.ts';
import { replaceAllZero, type FileIdentity } from './identity.ts';
import { FILE_ID_LENGTH, SIV_NONCE_LENGTH } from '../format/limits.ts';

/** Prefix of the hash input for nonces of blocks. */
export const BLOCK_LABEL = Buffer.from('ecsync block nonce\0', 'latin1');
const AFTER_HOLE_LABEL = Buffer.from('ecsync after hole\0', 'latin1');
const TARGET_LABEL = Buffer.from('ecsync target nonce\0', 'latin1');
const XATTR_LABEL = Buffer.from('ecsync xattr nonce\0', 'latin1');

const TWO_POW_32 = 2 ** 32;

/** Chooses nonces; the same input always gives the same nonce, and none is all zero. */
export interface NonceSource {
  /** The nonce of one content block. */
  blockNonce(blockNo: number, identity: FileIdentity, plain: Uint8Array): Uint8Array;
  /**
   * The nonce of a content block right after a hole. It vouches for the hole, which nothing else
   * authenticates. Its first byte is 0. Absent where nonces do not depend on the content.
   */
  afterHoleNonce?(block: BlockAfterHole): Uint8Array;
  /** The nonce of one symlink target. */
  targetNonce(linkID: Uint8Array, target: Uint8Array): Uint8Array;
  /** The nonce of the value of one extended attribute. */
  xattrNonce(xattr: XattrSeat): Uint8Array;
}

/** A content block right after a hole. */
export interface BlockAfterHole {
  readonly blockNo: number;
  /** 16 bytes. */
  readonly fileID: Uint8Array;
  readonly plain: Uint8Array;
  /** Length of the hole: all blocks between this one and the last one with content. */
  readonly holes: number;
}

/** Everything that the nonce of an extended attribute's value can depend on. */
export interface XattrSeat {
  /** 16 bytes that identify the object with the attribute; in layout `reverse` the cipher path. */
  readonly object: Uint8Array;
  readonly name: Uint8Array;
  /** The name as it is stored. */
  readonly cipherName: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * What a block is authenticated with besides its bytes.
 *
 *     1. block number, BE64   2. file ID[16]
 *
 * @see gocryptfs internal/contentenc/content.go concatAD (v2.6.1)
 */
export function associatedData(blockNo: number, fileID: Uint8Array): Buffer {
  const associated = Buffer.allocUnsafe(8 + FILE_ID_LENGTH);
  writeAssociatedData(associated, 0, { blockNo, id: fileID });
  return associated;
}

function writeAssociatedData(
  out: Buffer,
  at: number,
  { blockNo, id }: { blockNo: number; id: Uint8Array },
): void {
  out.writeUInt32BE(Math.floor(blockNo / TWO_POW_32), at); // 1.
  out.writeUInt32BE(blockNo % TWO_POW_32, at + 4);
  out.set(id, at + 8); // 2.
}

/**
 * Nonces that depend on everything they are used for: two different messages never share one
 * (unless HMAC-SHA-256, cut to the nonce's length, collides), and equal messages always do.
 *
 * The input, whose first four parts are kept in one buffer per kind of message:
 *
 *     1. label ‖ 00   2. block number, BE64   3. fileID or linkID[16]
 *     4. plaintext length, BE32   5. plaintext
 *
 * For the value of an extended attribute, 2. is the length of its name, and 5. is the name followed
 * by the value. For a block after a hole, 5. starts with the number of the hole's blocks, BE64.
 */
export class SyntheticNonces implements NonceSource {
  readonly #hmac: (...parts: readonly Uint8Array[]) => Buffer;
  readonly #nonceLength: number;
  readonly #blockPrefix = prefixOf(BLOCK_LABEL);
  readonly #afterHolePrefix = prefixOf(AFTER_HOLE_LABEL);
  readonly #targetPrefix = prefixOf(TARGET_LABEL);
  readonly #xattrPrefix = prefixOf(XATTR_LABEL);

  /** @param key - the sub-key `ecsyncNonces` */
  constructor(key: KeyObject, nonceLength: number, backend: CipherBackend = DEFAULT_BACKEND) {
    this.#hmac = backend.hmacSha256(key);
    this.#nonceLength = nonceLength;
  }

  blockNonce(blockNo: number, { fileID }: FileIdentity, plain: Uint8Array): Buffer {
    return this.#nonce(this.#blockPrefix, { blockNo, id: fileID }, plain);
  }

  afterHoleNonce({ blockNo, fileID, plain, holes }: BlockAfterHole): Buffer {
    const prefix = this.#writePrefix(this.#afterHolePrefix, { blockNo, id: fileID }, plain);
    const length = Buffer.allocUnsafe(8);
    length.writeBigUInt64BE(BigInt(holes));
    const nonce = this.#hmac(prefix, length, plain).subarray(0, this.#nonceLength); // 5.
    nonce[0] = 0;
    return replaceAllZero(nonce);
  }

  targetNonce(linkID: Uint8Array, target: Uint8Array): Buffer {
    return this.#nonce(this.#targetPrefix, { blockNo: 0, id: linkID }, target);
  }

  /** @throws {BugError} `invariant` — `object` has not 16 bytes */
  xattrNonce({ object, name, value }: XattrSeat): Buffer {
    if (object.length !== FILE_ID_LENGTH) {
      throw new BugError('invariant', `identity of ${object.length} bytes`);
    }
    const prefix = this.#writePrefix(
      this.#xattrPrefix,
      { blockNo: name.length, id: object },
      value,
    );
    return this.#cut(this.#hmac(prefix, name, value)); // 5.
  }

  #nonce(prefix: Buffer, bound: { blockNo: number; id: Uint8Array }, plain: Uint8Array): Buffer {
    return this.#cut(this.#hmac(this.#writePrefix(prefix, bound, plain), plain)); // 5.
  }

  #writePrefix(
    prefix: Buffer,
    bound: { blockNo: number; id: Uint8Array },
    plain: Uint8Array,
  ): Buffer {
    writeAssociatedData(prefix, prefix.length - 4 - FILE_ID_LENGTH - 8, bound); // 2. 3.
    prefix.writeUInt32BE(plain.length, prefix.length - 4); // 4.
    return prefix;
  }

  #cut(digest: Buffer): Buffer {
    return replaceAllZero(digest.subarray(0, this.#nonceLength));
  }
}

function prefixOf(label: Uint8Array): Buffer {
  const prefix = Buffer.alloc(label.length + 8 + FILE_ID_LENGTH + 4);
  prefix.set(label, 0); // 1.
  return prefix;
}

/**
 * The nonces of `gocryptfs -reverse`: block 0 has the file's own, block n that plus n in its last 8
 * bytes (BE64, modulo 2^64); a symlink has its link ID. Only AES-SIV stays safe when another
 * plaintext gets the same nonce.
 *
 * @see gocryptfs internal/pathiv/pathiv.go BlockIV (v2.6.1)
 */
export class PathNonces implements NonceSource {
  blockNonce(blockNo: number, { block0Nonce }: FileIdentity): Buffer {
    if (block0Nonce === undefined) throw new BugError('invariant', 'identity without a nonce');
    const nonce = Buffer.from(block0Nonce);
    const counter = nonce.readBigUInt64BE(8) + BigInt(blockNo);
    nonce.writeBigUInt64BE(BigInt.asUintN(64, counter), 8);
    return nonce;
  }

  targetNonce(linkID: Uint8Array): Uint8Array {
    return linkID;
  }

  /** As stock does after 2.6.1; releases up to that show no attributes in reverse mode. */
  xattrNonce({ object, cipherName }: XattrSeat): Uint8Array {
    const digest = createHash('sha256').update(object).update('\0').update(cipherName);
    return replaceAllZero(digest.update('\0XATTRIV').digest().subarray(0, SIV_NONCE_LENGTH));
  }
}
