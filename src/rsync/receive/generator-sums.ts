/** Divides a basis into blocks and sends their sums. */
import { FileError } from '../../errors.ts';
import type { Entry, OpenFile } from '../../tree/entry.ts';
import { BLOCK_LENGTH_MAX, SUM_LENGTH_MAX } from '../wire/limits.ts';
import type { ReceiveJob } from './receive-job.ts';
import { blockLengthAt, NO_BASIS, type SumHead } from '../wire/sum-head.ts';
import { weakSum } from '../wire/weak-sum.ts';

/** The shortest block, and the largest basis that it is used for. */
const BLOCK_LENGTH_MIN = 700;
const SMALL_BASIS = BLOCK_LENGTH_MIN * BLOCK_LENGTH_MIN;
const S2LENGTH_MIN = 2;
/** Extra bits against accidental matches, and the bits of the weak sum. */
const SAFETY_BITS = 10;
const WEAK_SUM_BITS = 32;
/** Bytes of the basis read at once. */
const READ_LENGTH = 256 * 1024;

/** The options that decide how a basis is divided. */
export interface SumChoice {
  /** `-B`. */
  readonly blockSize?: number | undefined;
  /** Use full strong sums, after short ones matched unequal blocks. */
  readonly redo?: boolean;
}

/**
 * Chooses the block length and the length of the strong sums. There are about as many blocks as
 * each has bytes, and strong sums are just long enough to make a false match unlikely.
 *
 * @param size - bytes of the basis
 * @see rsync generator.c sum_sizes_sqroot (3.5.0)
 */
export function chooseSumHead(size: number, choice: SumChoice): SumHead {
  if (size === 0) return NO_BASIS;
  const blockLength = chooseBlockLength(size, choice);
  return {
    count: Math.ceil(size / blockLength),
    blockLength,
    s2length: choice.redo === true ? SUM_LENGTH_MAX : chooseS2Length(size, blockLength),
    remainder: size % blockLength,
  };
}

/** The square root of the size, rounded down to a multiple of eight, within bounds. */
function chooseBlockLength(size: number, { blockSize }: SumChoice): number {
  if (blockSize !== undefined && blockSize > 0) return Math.min(blockSize, BLOCK_LENGTH_MAX);
  if (size <= SMALL_BASIS) return BLOCK_LENGTH_MIN;
  const root = Math.floor(Math.sqrt(size) / 8) * 8;
  return Math.min(BLOCK_LENGTH_MAX, Math.max(BLOCK_LENGTH_MIN, root));
}

function chooseS2Length(size: number, blockLength: number): number {
  const bits =
    SAFETY_BITS + 2 * bitLength(Math.floor(size / 2)) - bitLength(Math.floor(blockLength / 2));
  const bytes = Math.ceil((Math.max(bits, 0) + 1 - WEAK_SUM_BITS) / 8);
  return Math.min(SUM_LENGTH_MAX, Math.max(S2LENGTH_MIN, bytes));
}

/** Number of bits without leading zeros; 0 for 0. */
function bitLength(value: number): number {
  return value === 0 ? 0 : value.toString(2).length;
}

type BlockSumsJob = Pick<ReceiveJob<Entry>, 'writer' | 'sums' | 'busy' | 'assertAlive'>;

/**
 * Writes the sums of all blocks. If the basis cannot be read to the end, the remaining blocks get
 * sums that match nothing, since the sum head has announced the number of blocks.
 */
export async function writeBlockSums(
  { writer, sums, busy, assertAlive }: BlockSumsJob,
  head: SumHead,
  basis: OpenFile,
): Promise<void> {
  const blocksPerRead = Math.max(1, Math.floor(READ_LENGTH / head.blockLength));
  const nothing = Buffer.alloc(head.s2length);
  for (let first = 0; first < head.count; first += blocksPerRead) {
    const blocks = Math.min(blocksPerRead, head.count - first);
    const bytes = await readOrNothing(basis, first * head.blockLength, blocks * head.blockLength);
    for (let block = 0; block < blocks; block++) {
      const start = block * head.blockLength;
      const end = start + blockLengthAt(head, first + block);
      if (end > bytes.length) {
        writer.int32(0);
        writer.bytes(nothing);
        continue;
      }
      writer.int32(weakSum(bytes, start, end));
      writer.bytes(sums.block(bytes.subarray(start, end)).subarray(0, head.s2length));
    }
    if (writer.blocked) await writer.drained();
    else busy();
    assertAlive();
  }
}

async function readOrNothing(file: OpenFile, offset: number, length: number): Promise<Uint8Array> {
  try {
    return await file.read(offset, length);
  } catch (error) {
    if (error instanceof FileError) return new Uint8Array(0);
    throw error;
  }
}
