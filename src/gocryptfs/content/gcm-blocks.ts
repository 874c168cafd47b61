/** AES-256-GCM with 16-byte nonces for many blocks at once, at about half the cost. */
import { hash, type KeyObject } from 'node:crypto';
import { BugError } from '../../errors.ts';
import type { BlockRun, QuickBlocks, SealedBlocks } from './block-runs.ts';
import type { AesEcb, CipherBackend } from '../cipher/cipher-backend.ts';
import { isAllZero } from '../format/file-header.ts';
import {
  KERNEL_BLOCKS,
  startKernel,
  webAssemblyHere,
  type GcmKernel,
  type WebAssemblyHere,
} from './gcm-kernel.ts';
import { KERNEL_PLACES } from './gcm-kernel-code.ts';
import { BlockNonces, BLOCK_SLOT_LENGTH, type OneShotHash } from './gcm-nonces.ts';
import {
  FILE_ID_LENGTH,
  GCM_NONCE_LENGTH,
  GCM_OVERHEAD,
  PLAIN_BLOCK_SIZE,
} from '../format/limits.ts';
import { NATIVE_BACKEND } from '../cipher/native-backend.ts';

const { hashKey: HASH_KEY, fileID: FILE_ID, plain: PLAIN, stream: STREAM } = KERNEL_PLACES;
const { sealed: SEALED } = KERNEL_PLACES;
const SEALED_BLOCK = PLAIN_BLOCK_SIZE + GCM_OVERHEAD;
const AES_BLOCK = 16;
const TWO_POW_32 = 2 ** 32;

/** What the quick implementation needs from this process. */
export interface Platform {
  readonly hash: OneShotHash | undefined;
  readonly wasm: WebAssemblyHere | undefined;
}

/** The keys of one filesystem's content; without `nonces` nothing can be sealed. */
export interface GcmKeys {
  /** 32 bytes. */
  readonly cipher: KeyObject;
  readonly nonces: KeyObject | undefined;
}

/**
 * The quick implementation for a filesystem with AES-256-GCM and synthetic nonces. It creates its
 * tables here, so call it when there is something to encrypt or decrypt.
 *
 * @returns undefined where node:crypto lacks a primitive, or the engine lacks WebAssembly with SIMD
 */
export function openGcmBlocks(
  { cipher, nonces }: GcmKeys,
  backend: CipherBackend,
  platform: Platform = { hash, wasm: webAssemblyHere() },
): QuickBlocks | undefined {
  const isNative =
    backend.aesEcb === NATIVE_BACKEND.aesEcb &&
    backend.aesGcm === NATIVE_BACKEND.aesGcm &&
    backend.hmacSha256 === NATIVE_BACKEND.hmacSha256;
  const { wasm, hash: oneShot } = platform;
  if (!isNative || cipher.symmetricKeySize !== 32 || wasm === undefined || oneShot === undefined) {
    return undefined;
  }
  let kernel: GcmKernel;
  try {
    kernel = startKernel(wasm);
  } catch {
    return undefined; // no SIMD, or no address space: use the block-by-block implementation
  }
  const written = nonces === undefined ? undefined : new BlockNonces(nonces, kernel, oneShot);
  return new GcmBlocks(backend.aesEcb(cipher), kernel, written);
}

/**
 * Blocks go through the kernel's memory in jobs of up to eight: AES makes the key stream of all of
 * them at once, as ECB of counter blocks. The plaintext is copied there first, and nonce and
 * ciphertext are made from that copy, so changes of the source in the meantime do no harm.
 *
 * Plaintext and key stream stay in that memory until the next job, as in other buffers of the
 * process: wiping them would protect nothing that is not elsewhere, too. Only plaintext that turned
 * out not to be authentic is wiped at once.
 */
class GcmBlocks implements QuickBlocks {
  readonly seal: ((run: BlockRun, out: Uint8Array) => number) | undefined;
  readonly #aes: AesEcb;
  readonly #kernel: GcmKernel;
  readonly #memory: Buffer;

  constructor(aes: AesEcb, kernel: GcmKernel, nonces: BlockNonces | undefined) {
    this.#aes = aes;
    this.#kernel = kernel;
    this.#memory = kernel.memory;
    this.#memory.set(aes.encrypt(Buffer.alloc(AES_BLOCK)), HASH_KEY);
    kernel.prepare();
    if (nonces !== undefined) this.seal = (run, out) => this.#seal(nonces, run, out);
  }

  #seal(nonces: BlockNonces, { firstBlock, identity, plain }: BlockRun, out: Uint8Array): number {
    let written = 0;
    for (let at = 0; at < plain.length;) {
      const left = plain.length - at;
      const count = Math.min(KERNEL_BLOCKS, Math.ceil(left / PLAIN_BLOCK_SIZE));
      const last = Math.min(left - (count - 1) * PLAIN_BLOCK_SIZE, PLAIN_BLOCK_SIZE);
      this.#begin(firstBlock + at / PLAIN_BLOCK_SIZE, identity.fileID);
      for (let slot = 0; slot < count; slot++, at += PLAIN_BLOCK_SIZE) {
        this.#memory.set(
          plain.subarray(at, at + PLAIN_BLOCK_SIZE),
          PLAIN + slot * BLOCK_SLOT_LENGTH,
        );
      }
      this.#kernel.address(count, last);
      for (let slot = 0; slot < count; slot++) {
        const length = slot === count - 1 ? last : PLAIN_BLOCK_SIZE;
        nonces.write(slot, length, SEALED + slot * SEALED_BLOCK);
      }
      this.#makeStream(count, last);
      this.#kernel.seal(count, last);
      const length = (count - 1) * SEALED_BLOCK + last + GCM_OVERHEAD;
      out.set(this.#memory.subarray(SEALED, SEALED + length), written);
      written += length;
    }
    return written;
  }

  open({ firstBlock, fileID, sealed }: SealedBlocks, out: Uint8Array): number {
    const whole = Math.min(KERNEL_BLOCKS, Math.ceil(sealed.length / SEALED_BLOCK));
    const staged = sealed.subarray(0, whole * SEALED_BLOCK);
    this.#memory.set(staged, SEALED);
    let last = staged.length - (whole - 1) * SEALED_BLOCK - GCM_OVERHEAD;
    const count = this.#sealedBlocks(last < 1 ? whole - 1 : whole);
    if (count === 0) return 0;
    if (count < whole) last = PLAIN_BLOCK_SIZE;
    this.#begin(firstBlock, fileID);
    this.#makeStream(count, last);
    const opened = this.#kernel.open(count, last);
    const length = Math.min(opened * PLAIN_BLOCK_SIZE, (count - 1) * PLAIN_BLOCK_SIZE + last);
    out.set(this.#memory.subarray(STREAM, STREAM + length));
    if (opened < count) this.#memory.fill(0, STREAM, SEALED);
    return opened;
  }

  /** Number of staged blocks before the first one without a nonce, which is a hole or damaged. */
  #sealedBlocks(count: number): number {
    for (let index = 0; index < count; index++) {
      const at = SEALED + index * SEALED_BLOCK;
      // The first byte of a real nonce is nearly always different from zero.
      if (this.#memory[at] !== 0) continue;
      if (isAllZero(this.#memory.subarray(at, at + GCM_NONCE_LENGTH))) return index;
    }
    return count;
  }

  #begin(firstBlock: number, fileID: Uint8Array): void {
    if (fileID.length !== FILE_ID_LENGTH) {
      throw new BugError('invariant', `file ID of ${fileID.length} bytes`);
    }
    this.#memory.set(fileID, FILE_ID);
    this.#kernel.begin(firstBlock % TWO_POW_32, Math.floor(firstBlock / TWO_POW_32));
  }

  #makeStream(count: number, last: number): void {
    const length = this.#kernel.counters(count, last);
    this.#memory.set(this.#aes.encrypt(this.#memory.subarray(STREAM, STREAM + length)), STREAM);
  }
}
