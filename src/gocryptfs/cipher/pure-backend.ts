/**
 * The primitives in plain JavaScript, for a Node whose crypto lacks one of them, and for checking
 * the native ones. Each library is loaded by the first call that needs it, so importing this file
 * costs nothing.
 */
import type { KeyObject } from 'node:crypto';
import { createRequire } from 'node:module';
import type { CipherBackend, HkdfInput, KeyedAead, ScryptCost } from './cipher-backend.ts';
import { SCRYPT_KEY_LENGTH } from '../format/limits.ts';

const load = createRequire(import.meta.url);
const aes = () => load('@noble/ciphers/aes.js') as typeof import('@noble/ciphers/aes.js');
const chacha = () => load('@noble/ciphers/chacha.js') as typeof import('@noble/ciphers/chacha.js');
const sha2 = () => load('@noble/hashes/sha2.js') as typeof import('@noble/hashes/sha2.js');
const hmac = () => load('@noble/hashes/hmac.js') as typeof import('@noble/hashes/hmac.js');
const hkdf = () => load('@noble/hashes/hkdf.js') as typeof import('@noble/hashes/hkdf.js');
const scrypt = () => load('@noble/hashes/scrypt.js') as typeof import('@noble/hashes/scrypt.js');

const BLOCK = 16;
const WHOLE_BLOCKS = { disablePadding: true };

/** A copy: the libraries need word-aligned keys, and some wipe their input. */
function bytesOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export());
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * The library's objects encrypt only once, a safeguard for other modes, so each call makes a new
 * one.
 */
function aesEcb(key: KeyObject) {
  const { ecb } = aes();
  const bytes = bytesOf(key);
  return {
    encrypt: (blocks: Uint8Array) => asBuffer(ecb(bytes, WHOLE_BLOCKS).encrypt(blocks)),
    decrypt: (blocks: Uint8Array) => asBuffer(ecb(bytes, WHOLE_BLOCKS).decrypt(blocks)),
  };
}

function cbcMac(key: KeyObject) {
  const { cbc } = aes();
  const bytes = bytesOf(key);
  const zero = new Uint8Array(BLOCK);
  return (blocks: Uint8Array) => cbc(bytes, zero, WHOLE_BLOCKS).encrypt(blocks).slice(-BLOCK);
}

function aesCtr(key: KeyObject) {
  const { ctr } = aes();
  const bytes = bytesOf(key);
  return (counter: Uint8Array, data: Uint8Array) => ctr(bytes, counter).encrypt(data);
}

type OneMessage = (
  nonce: Uint8Array,
  associated: Uint8Array,
) => { encrypt(plain: Uint8Array): Uint8Array; decrypt(sealed: Uint8Array): Uint8Array };

function aead(forMessage: OneMessage): KeyedAead {
  return {
    seal({ plain, nonce, associated }, out) {
      out.set(forMessage(nonce, associated).encrypt(plain), 0);
    },
    open({ sealed, nonce, associated }) {
      const message = forMessage(nonce, associated);
      try {
        return asBuffer(message.decrypt(sealed));
      } catch {
        return undefined;
      }
    },
  };
}

function aesGcm(key: KeyObject): KeyedAead {
  const { gcm } = aes();
  const bytes = bytesOf(key);
  return aead((nonce, associated) => gcm(bytes, nonce, associated));
}

function xchacha20Poly1305(key: KeyObject): KeyedAead {
  const { xchacha20poly1305 } = chacha();
  const bytes = bytesOf(key);
  return aead((nonce, associated) => xchacha20poly1305(bytes, nonce, associated));
}

function hmacSha256(key: KeyObject) {
  const { hmac: create } = hmac();
  const { sha256 } = sha2();
  const bytes = bytesOf(key);
  return (...parts: readonly Uint8Array[]) => {
    const mac = create.create(sha256, bytes);
    for (const part of parts) mac.update(part);
    return asBuffer(mac.digest());
  };
}

function hkdfSha256(inputKey: Uint8Array, { info, salt, length }: HkdfInput): Buffer {
  const infoBytes = typeof info === 'string' ? Buffer.from(info) : info;
  return asBuffer(hkdf().hkdf(sha2().sha256, inputKey, salt, infoBytes, length));
}

async function runScrypt(password: Uint8Array, { salt, logN, r, p }: ScryptCost): Promise<Buffer> {
  const N = 2 ** logN;
  const maxmem = 128 * r * (N + p) + 1024 * 1024;
  const cost = { N, r, p, dkLen: SCRYPT_KEY_LENGTH, maxmem };
  return asBuffer(await scrypt().scryptAsync(password, salt, cost));
}

/** Everything in plain JavaScript, about twenty times slower. */
export const PURE_BACKEND: CipherBackend = {
  aesEcb,
  cbcMac,
  aesCtr,
  aesGcm,
  xchacha20Poly1305,
  hmacSha256,
  hkdfSha256,
  scrypt: runScrypt,
};
