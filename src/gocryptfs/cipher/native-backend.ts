/** The primitives of node:crypto. */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  scrypt,
  type CipherGCM,
  type CipherGCMTypes,
  type CipherKey,
  type DecipherGCM,
  type KeyObject,
} from 'node:crypto';
import type {
  CipherBackend,
  HkdfInput,
  KeyedAead,
  OpenParts,
  ScryptCost,
} from './cipher-backend.ts';
import { hchacha20 } from './hchacha.ts';
import { AEAD_TAG_LENGTH, HCHACHA_NONCE_LENGTH, SCRYPT_KEY_LENGTH } from '../format/limits.ts';

const BLOCK = 16;
const TAG_OPTIONS = { authTagLength: AEAD_TAG_LENGTH };

/** Key length in bits, which is part of node:crypto's algorithm names. */
function bitsOf(key: KeyObject): number {
  return 8 * (key.symmetricKeySize ?? 0);
}

/** Keeps one cipher object and never finishes it: a new object costs more than AES itself. */
function aesEcb(key: KeyObject) {
  const algorithm = `aes-${bitsOf(key)}-ecb`;
  const encryption = createCipheriv(algorithm, key, null).setAutoPadding(false);
  const decryption = createDecipheriv(algorithm, key, null).setAutoPadding(false);
  return {
    encrypt: (blocks: Uint8Array) => encryption.update(blocks),
    decrypt: (blocks: Uint8Array) => decryption.update(blocks),
  };
}

/**
 * CBC-MAC with one endless CBC encryption. CBC adds its last output to the next block; adding the
 * same output beforehand cancels that, as if the IV were zero again.
 */
function cbcMac(key: KeyObject) {
  const zero = Buffer.alloc(BLOCK);
  const cbc = createCipheriv(`aes-${bitsOf(key)}-cbc`, key, zero).setAutoPadding(false);
  let last: Uint8Array = zero;
  return (blocks: Uint8Array) => {
    for (let i = 0; i < BLOCK; i++) blocks[i] = (blocks[i] ?? 0) ^ (last[i] ?? 0);
    // A copy: a view would keep the whole output alive.
    last = new Uint8Array(cbc.update(blocks).subarray(-BLOCK));
    return last;
  };
}

function aesCtr(key: KeyObject) {
  const algorithm = `aes-${bitsOf(key)}-ctr`;
  return (counter: Uint8Array, bytes: Uint8Array) =>
    createCipheriv(algorithm, key, counter).update(bytes);
}

function aesGcm(key: KeyObject): KeyedAead {
  const algorithm = `aes-${bitsOf(key)}-gcm` as CipherGCMTypes;
  return aead({
    encryption: (nonce) => createCipheriv(algorithm, key, nonce, TAG_OPTIONS),
    decryption: (nonce) => createDecipheriv(algorithm, key, nonce, TAG_OPTIONS),
  });
}

/** ChaCha20-Poly1305 under the sub-key of the nonce's start; the rest follows four zero bytes. */
function xchacha20Poly1305(key: KeyObject): KeyedAead {
  const keyBytes = key.export();
  const derive = (nonce: Uint8Array): [CipherKey, Uint8Array] => {
    const bytes = Buffer.from(nonce.buffer, nonce.byteOffset, nonce.length);
    const iv = Buffer.alloc(12);
    iv.set(bytes.subarray(HCHACHA_NONCE_LENGTH), 4);
    return [hchacha20(keyBytes, bytes), iv];
  };
  return aead({
    encryption: (nonce) => createCipheriv('chacha20-poly1305', ...derive(nonce), TAG_OPTIONS),
    decryption: (nonce) => createDecipheriv('chacha20-poly1305', ...derive(nonce), TAG_OPTIONS),
  });
}

/** Makes the two cipher objects of node:crypto for one message. */
interface AeadObjects {
  readonly encryption: (nonce: Uint8Array) => CipherGCM;
  readonly decryption: (nonce: Uint8Array) => DecipherGCM;
}

function aead({ encryption, decryption }: AeadObjects): KeyedAead {
  return {
    seal({ plain, nonce, associated }, out) {
      const cipher = encryption(nonce);
      cipher.setAAD(associated);
      out.set(cipher.update(plain), 0);
      cipher.final();
      out.set(cipher.getAuthTag(), plain.length);
    },
    open({ sealed, nonce, associated }: OpenParts) {
      const decipher = decryption(nonce);
      decipher.setAAD(associated);
      const tagAt = sealed.length - AEAD_TAG_LENGTH;
      decipher.setAuthTag(sealed.subarray(tagAt));
      const plain = decipher.update(sealed.subarray(0, tagAt));
      try {
        decipher.final();
      } catch {
        return undefined;
      }
      return plain;
    },
  };
}

function hmacSha256(key: KeyObject) {
  return (...parts: readonly Uint8Array[]) => {
    const hmac = createHmac('sha256', key);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  };
}

function hkdfSha256(inputKey: Uint8Array, { info, salt, length }: HkdfInput): Buffer {
  return Buffer.from(hkdfSync('sha256', inputKey, salt ?? '', info, length));
}

function runScrypt(password: Uint8Array, { salt, logN, r, p }: ScryptCost): Promise<Buffer> {
  // Node counts 128·N·r for the big table, 128·r·p for the rest, and wants room above both.
  const maxmem = 128 * r * (2 ** logN + p) + 1024 * 1024;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, SCRYPT_KEY_LENGTH, { N: 2 ** logN, r, p, maxmem }, (cause, kek) => {
      if (cause === null) resolve(kek);
      else reject(cause);
    });
  });
}

/** Everything from node:crypto; HChaCha20, which it lacks, is our own. */
export const NATIVE_BACKEND: CipherBackend = {
  aesEcb,
  cbcMac,
  aesCtr,
  aesGcm,
  xchacha20Poly1305,
  hmacSha256,
  hkdfSha256,
  scrypt: runScrypt,
};
