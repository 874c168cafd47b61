/** The sum head, which says how a basis is divided into blocks, and its codec. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { ByteSink } from '../../bytes/byte-sink.ts';
import { ProtocolError } from '../../errors.ts';
import { BLOCK_LENGTH_MAX, BLOCK_LENGTH_MAX_PRE30, SUM_LENGTH_MAX } from './limits.ts';

/**
 * How a basis is divided into blocks, as four int32:
 *
 *   1  count        blocks; 0 means no basis
 *   2  blockLength  bytes of each block but the last
 *   3  s2length     bytes sent of each strong sum
 *   4  remainder    bytes of the last block; 0 means a full block
 *
 * The sums follow: per block uint32 weak sum and `s2length` bytes. The sender's answer repeats the
 * head without the sums.
 *
 * @see rsync io.c read_sum_head, write_sum_head (3.5.0)
 */
export interface SumHead {
  readonly count: number;
  readonly blockLength: number;
  readonly s2length: number;
  readonly remainder: number;
}

/** Bytes of the basis that a head describes. */
export function basisSize({ count, blockLength, remainder }: SumHead): number {
  return count === 0 ? 0 : (count - 1) * blockLength + (remainder === 0 ? blockLength : remainder);
}

export const NO_BASIS: SumHead = { count: 0, blockLength: 0, s2length: 0, remainder: 0 };

export function writeSumHead(sink: ByteSink, head: SumHead): void {
  sink.int32(head.count); // 1
  sink.int32(head.blockLength); // 2
  sink.int32(head.s2length); // 3
  sink.int32(head.remainder); // 4
}

/**
 * Inverse of {@link writeSumHead}.
 *
 * @throws {ProtocolError} `sum-head-invalid`
 */
export function readSumHead(reader: ByteReader, protocol: number): SumHead {
  const count = reader.int32(); // 1
  const blockLength = reader.int32(); // 2
  const s2length = reader.int32(); // 3
  const remainder = reader.int32(); // 4
  const blockLengthMax = protocol >= 30 ? BLOCK_LENGTH_MAX : BLOCK_LENGTH_MAX_PRE30;
  assertRange('count', count, 0, 0x7fffffff);
  // CVE-2026-53792: a block length of 0 makes the match arithmetic negative.
  assertRange('block length', blockLength, count > 0 ? 1 : 0, blockLengthMax);
  // CVE-2024-12084: a strong sum longer than the digest.
  assertRange('strong sum length', s2length, 0, SUM_LENGTH_MAX);
  assertRange('remainder', remainder, 0, blockLength);
  return { count, blockLength, s2length, remainder };
}

function assertRange(what: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return;
  throw new ProtocolError(
    'sum-head-invalid',
    `a sum head has ${what} ${value}; ${min} to ${max} is allowed`,
  );
}

/** Bytes of block `index`. */
export function blockLengthAt(head: SumHead, index: number): number {
  return index === head.count - 1 && head.remainder !== 0 ? head.remainder : head.blockLength;
}
