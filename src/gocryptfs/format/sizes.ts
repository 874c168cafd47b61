/**
 * The arithmetic of a cipher file: an 18-byte header, then blocks of 4096 plaintext bytes plus the
 * cipher's overhead, the last one shorter. Plain arithmetic throughout: offsets pass 2^31.
 */
import { BugError, IntegrityError } from '../../errors.ts';
import { FILE_HEADER_LENGTH, GCM_OVERHEAD, PLAIN_BLOCK_SIZE } from './limits.ts';

function assertSize(size: number, what: string): void {
  if (Number.isSafeInteger(size) && size >= 0) return;
  throw new BugError('invariant', `${what} is not a size: ${size}`);
}

/**
 * Number of blocks that `plainSize` bytes of plaintext fill.
 *
 * @throws {BugError} `invariant` — negative or unsafe integer
 */
export function blockCountOf(plainSize: number): number {
  assertSize(plainSize, 'plaintext size');
  return Math.ceil(plainSize / PLAIN_BLOCK_SIZE);
}

/** Offset in the cipher file at which block `blockNo` starts. */
export function cipherOffsetOfBlock(blockNo: number, overhead = GCM_OVERHEAD): number {
  return FILE_HEADER_LENGTH + blockNo * (PLAIN_BLOCK_SIZE + overhead);
}

/**
 * Number of the block that contains the byte at `cipherOffset`; the header counts as part of block
 * 0, because neither exists without the other.
 */
export function blockOfCipherOffset(cipherOffset: number, overhead = GCM_OVERHEAD): number {
  if (cipherOffset < FILE_HEADER_LENGTH) return 0;
  return Math.floor((cipherOffset - FILE_HEADER_LENGTH) / (PLAIN_BLOCK_SIZE + overhead));
}

/**
 * Size of the ciphertext of `plainSize` bytes: 0 for an empty file, otherwise the header, the
 * plaintext and `overhead` bytes for every started block.
 *
 * @param plainSize - bytes
 * @returns bytes, exact; inverse of {@link cipherSizeToPlainSize}
 * @throws {BugError} `invariant` — negative or unsafe integer
 * @see gocryptfs internal/contentenc/offsets.go PlainSizeToCipherSize (v2.6.1)
 */
export function plainSizeToCipherSize(plainSize: number, overhead = GCM_OVERHEAD): number {
  if (plainSize === 0) return 0;
  return FILE_HEADER_LENGTH + plainSize + blockCountOf(plainSize) * overhead;
}

/**
 * Size of the plaintext inside a cipher file of `cipherSize` bytes. Stricter than stock, which
 * shows a file of 1 … 17 bytes as empty, too, and a last block without content as one byte.
 *
 * @returns bytes; inverse of {@link plainSizeToCipherSize}. A header alone is an empty file to
 *   stock, and other programs write such; ecsync never does
 * @throws {IntegrityError} `cipher-size-illegal` — no plaintext has a ciphertext of this size
 * @throws {BugError} `invariant` — negative or unsafe integer
 */
export function cipherSizeToPlainSize(cipherSize: number, overhead = GCM_OVERHEAD): number {
  assertSize(cipherSize, 'ciphertext size');
  if (cipherSize === 0 || cipherSize === FILE_HEADER_LENGTH) return 0;
  const blocks = Math.ceil((cipherSize - FILE_HEADER_LENGTH) / (PLAIN_BLOCK_SIZE + overhead));
  const lastBlock = cipherSize - cipherOffsetOfBlock(blocks - 1, overhead);
  if (blocks < 1 || lastBlock <= overhead) {
    throw new IntegrityError('cipher-size-illegal', `no file has ${cipherSize} encrypted bytes`, {
      hint: 'The encrypted file was cut or damaged. Push it again from the source.',
      facts: { cipherSize },
    });
  }
  return cipherSize - FILE_HEADER_LENGTH - blocks * overhead;
}
