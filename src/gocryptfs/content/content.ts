/** Encrypts file content block by block, and symlink targets. */
import { areZeros } from '../../bytes/zeros.ts';
import { BugError, FileError, IntegrityError, type IntegrityCode } from '../../errors.ts';
import type { ContentCipher } from '../cipher/aead.ts';
import type { BlockDamage, BlockRun, QuickBlocks, SealedBlocks } from './block-runs.ts';
import { isAllZero } from '../format/file-header.ts';
import type { TextCodec } from '../format/base64url.ts';
import { CIPHER_TARGET_LENGTH_MAX, PLAIN_BLOCK_SIZE } from '../format/limits.ts';
import { associatedData, type BlockAfterHole, type NonceSource } from './nonces.ts';

/** Associated data of a symlink target: BE64 of block number 0, without a file ID. */
const TARGET_ASSOCIATED = Buffer.alloc(8);

/** Encrypts and decrypts the content of one filesystem, deterministically. */
export class ContentEncryption {
  readonly #cipher: ContentCipher;
  readonly #nonces: NonceSource;
  readonly #targetText: TextCodec | undefined;
  /** Called at the first run of blocks. */
  #openQuick: (() => QuickBlocks | undefined) | undefined;
  #quick: QuickBlocks | undefined;

  /**
   * @param options.targetText - encoding of sealed symlink targets; absent: targets are not sealed
   * @param options.openQuick - opens a quicker implementation with the same bytes, if there is one
   */
  constructor(cipher: ContentCipher, nonces: NonceSource, options: ContentOptions = {}) {
    this.#cipher = cipher;
    this.#nonces = nonces;
    this.#targetText = options.targetText;
    this.#openQuick = options.openQuick;
  }

  /** Bytes that encryption adds to every block. */
  get overhead(): number {
    return this.#cipher.overhead;
  }

  /**
   * Encrypts consecutive blocks of one file.
   *
   * @param run.plain - whole blocks; only the last block of a file may be shorter. It must not
   *   change during the call: nonce and ciphertext are both made from it (the quick way copies it)
   * @param out - receives the blocks from its start on; may not overlap `run.plain`
   * @returns bytes written: `plain.length` and `overhead` for every block
   */
  encryptBlocks(run: BlockRun, out: Uint8Array): number {
    const quick = this.#quickly();
    if (quick?.seal !== undefined) return quick.seal(run, out);
    const { firstBlock, identity, plain } = run;
    let written = 0;
    for (let at = 0; at < plain.length; at += PLAIN_BLOCK_SIZE) {
      const block = plain.subarray(at, at + PLAIN_BLOCK_SIZE);
      const blockNo = firstBlock + at / PLAIN_BLOCK_SIZE;
      const nonce = this.#nonces.blockNonce(blockNo, identity, block);
      const associated = associatedData(blockNo, identity.fileID);
      this.#cipher.seal({ plain: block, nonce, associated }, out.subarray(written));
      written += block.length + this.#cipher.overhead;
    }
    return written;
  }

  /** Whether blocks can vouch for the holes before them: only then does ecsync make holes. */
  get knowsHoles(): boolean {
    return this.#nonces.afterHoleNonce !== undefined;
  }

  /**
   * Encrypts a block that comes right after a hole.
   *
   * @param out - receives the block; may not overlap `block.plain`
   * @returns bytes written
   * @throws {BugError} `invariant` — no holes can be made here
   */
  encryptAfterHole(block: BlockAfterHole, out: Uint8Array): number {
    const nonce = this.#nonces.afterHoleNonce?.(block);
    if (nonce === undefined) throw new BugError('invariant', 'a hole that nothing vouches for');
    const { blockNo, fileID, plain } = block;
    this.#cipher.seal({ plain, nonce, associated: associatedData(blockNo, fileID) }, out);
    return plain.length + this.#cipher.overhead;
  }

  /**
   * Whether an authentic block was made to follow a hole of so many blocks; with 0, whether it was
   * made to follow any hole. Costs nothing for nearly all other blocks.
   *
   * @param sealed - the stored block
   */
  isAfterHole(block: BlockAfterHole, sealed: Uint8Array): boolean {
    if (sealed[0] !== 0 || this.#nonces.afterHoleNonce === undefined) return false;
    const { blockNo, fileID, plain, holes } = block;
    const nonce = sealed.subarray(0, this.#cipher.nonceLength);
    return holes === 0
      ? Buffer.compare(this.#nonces.blockNonce(blockNo, { fileID }, plain), nonce) !== 0
      : Buffer.compare(this.#nonces.afterHoleNonce(block), nonce) === 0;
  }

  /**
   * Decrypts consecutive blocks of one file. Inverse of {@link encryptBlocks}.
   *
   * @param out - as long as the plaintext; may start where `run.sealed` does
   * @returns number of plaintext bytes at the start of `out`, all authenticated (except holes); or
   *   the first damage, as from {@link decryptBlock}: then `out` starts with the plaintext of all
   *   blocks before it, and no plaintext of it or of later ones was written
   */
  decryptBlocks(run: SealedBlocks, out: Uint8Array): number | BlockDamage {
    const { fileID, sealed } = run;
    const quick = this.#quickly();
    const step = PLAIN_BLOCK_SIZE + this.#cipher.overhead;
    let blockNo = run.firstBlock;
    let written = 0;
    for (let at = 0; at < sealed.length;) {
      const rest = sealed.subarray(at);
      const room = out.subarray(written);
      if (areZeros(rest, 0, step)) {
        room.fill(0, 0, PLAIN_BLOCK_SIZE);
        written += PLAIN_BLOCK_SIZE;
        blockNo++;
        at += step;
        continue;
      }
      // Blocks that it does not open are tried one by one, which tells what is wrong with them.
      const opened = quick?.open({ firstBlock: blockNo, fileID, sealed: rest }, room) ?? 0;
      if (opened > 0) {
        const end = Math.min(at + opened * step, sealed.length);
        written += end - at - opened * this.#cipher.overhead;
        blockNo += opened;
        at = end;
        continue;
      }
      const plain = this.#decryptOrDamage(blockNo, run, rest.subarray(0, step));
      if (!(plain instanceof Uint8Array)) return plain;
      // The plaintext is shorter than its sealed form, so it does not reach the next block in one
      // buffer.
      room.set(plain);
      written += plain.length;
      blockNo++;
      at += step;
    }
    return written;
  }

  /**
   * Finds blocks with nonces that {@link encryptBlocks} would not have made: another program sealed
   * them.
   *
   * @param run.sealed - full sealed blocks that were opened, none of them a hole or right after one
   * @param plain - starts with their plaintext
   * @returns their numbers
   */
  foreignNonces(
    { firstBlock, identity, sealed }: Omit<SealedBlocks, 'fileID'> & Pick<BlockRun, 'identity'>,
    plain: Uint8Array,
  ): number[] {
    const { overhead, nonceLength } = this.#cipher;
    const foreign: number[] = [];
    let from = 0;
    let blockNo = firstBlock;
    for (let at = 0; at < sealed.length; at += PLAIN_BLOCK_SIZE + overhead) {
      const length = Math.min(PLAIN_BLOCK_SIZE, sealed.length - at - overhead);
      const block = plain.subarray(from, from + length);
      const nonce = this.#nonces.blockNonce(blockNo, identity, block);
      if (Buffer.compare(nonce, sealed.subarray(at, at + nonceLength)) !== 0) foreign.push(blockNo);
      from += length;
      blockNo++;
    }
    return foreign;
  }

  #decryptOrDamage(
    blockNo: number,
    { fileID }: SealedBlocks,
    sealed: Uint8Array,
  ): Buffer | BlockDamage {
    try {
      return this.decryptBlock(blockNo, fileID, sealed);
    } catch (error) {
      if (error instanceof IntegrityError) return { blockNo, error };
      throw error;
    }
  }

  #quickly(): QuickBlocks | undefined {
    if (this.#openQuick !== undefined) {
      this.#quick = this.#openQuick();
      this.#openQuick = undefined;
    }
    return this.#quick;
  }

  /**
   * Decrypts one block. A full block of zeros is a hole and means zeros, unauthenticated: see
   * {@link isAfterHole}.
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
   * The stored target of a symlink: one sealed message in base64url, or the target itself where
   * names are not encrypted.
   *
   * @param linkID - 16 bytes: makes equal targets in different places differ
   * @returns inverse of {@link decryptTarget}
   * @throws {FileError} `target-too-long` — more than 3039 bytes with GCM or SIV, 3031 with XChaCha
   */
  encryptTarget(linkID: Uint8Array, target: Uint8Array): Uint8Array {
    if (this.#targetText === undefined) return target;
    const sealed = Buffer.allocUnsafe(target.length + this.#cipher.overhead);
    if (this.#targetText.encodedLength(sealed.length) > CIPHER_TARGET_LENGTH_MAX) {
      throw new FileError('target-too-long', `a symlink target of ${target.length} bytes`, {
        hint: 'Encrypted it would be longer than a symlink can be. Shorten it.',
      });
    }
    const nonce = this.#nonces.targetNonce(linkID, target);
    this.#cipher.seal({ plain: target, nonce, associated: TARGET_ASSOCIATED }, sealed);
    return this.#targetText.encode(sealed);
  }

  /**
   * Inverse of {@link encryptTarget}; the link ID is not needed.
   *
   * @throws {IntegrityError} `target-invalid` — not canonical base64url; `nonce-zero`;
   *   `tag-mismatch`
   */
  decryptTarget(cipherTarget: Uint8Array): Uint8Array {
    if (this.#targetText === undefined) return cipherTarget;
    const sealed = this.#targetText.decode(cipherTarget);
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

/** Optional parts of a filesystem's content encryption, besides cipher and nonces. */
export interface ContentOptions {
  readonly targetText?: TextCodec | undefined;
  readonly openQuick?: (() => QuickBlocks | undefined) | undefined;
}

function damaged(code: IntegrityCode, message: string): IntegrityError {
  return new IntegrityError(code, message, {
    hint: 'The copy is damaged or was changed. Push the file again from the source.',
  });
}
