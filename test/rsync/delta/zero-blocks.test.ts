// Holes in deltas: a block of zeros is copied from another one of the basis, but only from one that
// a receiver that overwrites its basis still has, or has again.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createStrongSums } from '../../../src/rsync/wire/checksums.ts';
import { PositionalMatcher } from '../../../src/rsync/delta/positional-matcher.ts';
import { SumTable } from '../../../src/rsync/delta/sum-table.ts';
import { weakSum } from '../../../src/rsync/wire/weak-sum.ts';

const BLOCK = 700;
const strong = await createStrongSums({
  protocol: 31,
  checksumName: 'md5',
  seed: 77,
  compatFlags: 0,
});

/** A digit is a block of content, a dot is one of zeros; the last block is shorter. */
function bytesOf(blocks: string, cut: number): Buffer {
  const parts = blocks.split('').map((kind) => Buffer.alloc(BLOCK, kind === '.' ? 0 : kind));
  const all = Buffer.concat(parts);
  return all.subarray(0, Math.max(0, all.length - cut));
}

function tableOf(basis: Buffer): SumTable {
  const count = Math.ceil(basis.length / BLOCK);
  const bytes = Buffer.alloc(count * 20);
  for (let i = 0; i < count; i++) {
    const block = basis.subarray(i * BLOCK, (i + 1) * BLOCK);
    bytes.writeUInt32LE(weakSum(block, 0, block.length), i * 20);
    bytes.set(strong.block(block), i * 20 + 4);
  }
  const head = { count, blockLength: BLOCK, s2length: 16, remainder: basis.length % BLOCK };
  return new SumTable(head, bytes);
}

const anyBlocks = fc
  .array(fc.constantFrom('.', '..', '1', '2'), { maxLength: 12 })
  .map((parts) => parts.join(''));

test('a rebuild in place gives the new file', () => {
  fc.assert(
    fc.property(
      fc.tuple(anyBlocks, fc.integer({ min: 0, max: BLOCK - 1 })),
      fc.tuple(anyBlocks, fc.integer({ min: 0, max: BLOCK - 1 })),
      fc.integer({ min: 1, max: 5 }),
      ([old, oldCut], [now, nowCut], piece) => {
        const basis = bytesOf(old, oldCut);
        const file = bytesOf(now, nowCut);
        // As a server with --inplace does: it reads the current bytes of its basis.
        const place = Buffer.alloc(Math.max(basis.length, file.length) + BLOCK);
        basis.copy(place);
        let at = 0;
        const sink = {
          literal: (data: Uint8Array) => {
            place.set(data, at);
            at += data.length;
          },
          block: (index: number, length: number) => {
            place.copyWithin(at, index * BLOCK, index * BLOCK + length);
            at += length;
          },
        };
        const matcher = new PositionalMatcher(tableOf(basis), strong, sink);
        for (let from = 0; from < file.length; from += piece * BLOCK) {
          matcher.push(file.subarray(from, from + piece * BLOCK));
        }
        expect(at).toBe(file.length);
        expect(place.subarray(0, at).equals(file)).toBe(true);
      },
    ),
  );
});

test('after a hole that both files have, no hole is sent', () => {
  let literal = 0;
  const sink = {
    literal: (data: Uint8Array) => void (literal += data.length),
    block: () => undefined,
  };
  const matcher = new PositionalMatcher(tableOf(bytesOf('1.', 0)), strong, sink);
  matcher.push(bytesOf(`1..2${'.'.repeat(1000)}3`, 0));
  expect(literal).toBe(2 * BLOCK);
});
