/**
 * The cryptographic primitives, as an interface with two implementations: node:crypto and plain
 * JavaScript. Both give the same bytes.
 */
import type { KeyObject } from 'node:crypto';

/** The parts of a message to seal. */
export interface SealParts {
  readonly plain: Uint8Array;
  readonly nonce: Uint8Array;
  /** Authenticated, not stored. */
  readonly associated: Uint8Array;
}

/** The parts of a message to open. */
export interface OpenParts {
  /** Ciphertext and 16 bytes of tag. */
  readonly sealed: Uint8Array;
  readonly nonce: Uint8Array;
  readonly associated: Uint8Array;
}

/** An authenticated cipher under one key; a message is its ciphertext and then 16 bytes of tag. */
export interface KeyedAead {
  /** Writes `plain.length + 16` bytes to `out` from its start on. */
  seal(parts: SealParts, out: Uint8Array): void;
  /**
   * Inverse of {@link seal}; undefined when the tag does not fit. `sealed` has 16 bytes or more.
   */
  open(parts: OpenParts): Buffer | undefined;
}

/** AES on whole blocks of 16 bytes, each on its own. */
export interface AesEcb {
  readonly encrypt: (blocks: Uint8Array) => Buffer;
  /** Inverse of {@link encrypt}. */
  readonly decrypt: (blocks: Uint8Array) => Buffer;
}

/** Parameters of scrypt; the derived key has 32 bytes. */
export interface ScryptCost {
  readonly salt: Uint8Array;
  /** N is 2 to this power. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** Input of HKDF; no salt means 32 zero bytes. */
export interface HkdfInput {
  readonly info: Uint8Array | string;
  readonly salt?: Uint8Array;
  /** Bytes of the result. */
  readonly length: number;
}

/**
 * One implementation of every primitive. AES keys have 16, 24 or 32 bytes; gocryptfs uses 32, the
 * vectors of the RFCs 16.
 */
export interface CipherBackend {
  readonly aesEcb: (key: KeyObject) => AesEcb;
  /**
   * CBC-MAC with a zero IV: the last block of the encryption. The returned function takes whole
   * blocks, at least one, and may change them.
   */
  readonly cbcMac: (key: KeyObject) => (blocks: Uint8Array) => Uint8Array;
  /** The returned function adds the key stream that starts at a counter block of 16 bytes. */
  readonly aesCtr: (key: KeyObject) => (counter: Uint8Array, bytes: Uint8Array) => Uint8Array;
  /** AES-GCM with nonces of any length from 8 bytes on; 16 in content, 12 in an old wrapped key. */
  readonly aesGcm: (key: KeyObject) => KeyedAead;
  /** XChaCha20-Poly1305: key of 32 bytes, nonces of 24. */
  readonly xchacha20Poly1305: (key: KeyObject) => KeyedAead;
  /** HMAC-SHA-256 over the parts in a row: 32 fresh bytes. */
  readonly hmacSha256: (key: KeyObject) => (...parts: readonly Uint8Array[]) => Buffer;
  /** HKDF-SHA-256. */
  readonly hkdfSha256: (inputKey: Uint8Array, input: HkdfInput) => Buffer;
  /** Rejects with whatever the implementation throws, for example when memory is short. */
  readonly scrypt: (password: Uint8Array, cost: ScryptCost) => Promise<Buffer>;
}
