// Goal: the output of a matcher rebuilds the file, it finds the existing blocks, and a hostile
// table of sums cannot make it work endlessly.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStrongSums, type StrongSums } from '../../../src/rsync/wire/checksums.ts';
import type { DeltaSink, Matcher } from '../../../src/rsync/delta/matcher.ts';
import { PositionalMatcher } from '../../../src/rsync/delta/positional-matcher.ts';
import { RollingMatcher } from '../../../src/rsync/delta/rolling-matcher.ts';
import { blockLengthAt, type SumHead } from '../../../src/rsync/wire/sum-head.ts';
import { SumTable } from '../../../src/rsync/delta/sum-table.ts';
import { weakSum } from '../../../src/rsync/wire/weak-sum.ts';

const session = { protocol: 31, compatFlags: 0x20, checksumName: 'xxh128', seed: 7 } as const;
const strong = await createStrongSums(session);

/** The sums of a basis as a generator computes them. */
function tableOf(basis: Uint8Array, blockLength: number, s2length = 16): SumTable {
  const count = Math.ceil(basis.length / blockLength);
  const head: SumHead = { count, blockLength, s2length, remainder: basis.length % blockLength };
  const bytes = Buffer.alloc(count * (4 + s2length));
  for (let i = 0; i < count; i++) {
    const block = basis.subarray(i * blockLength, i * blockLength + blockLengthAt(head, i));
    bytes.writeUInt32LE(weakSum(block), i * (4 + s2length));
    bytes.set(strong.block(block).subarray(0, s2length), i * (4 + s2length) + 4);
  }
  return new SumTable(head, bytes);
}

/** Rebuilds the file as a receiver does, and counts. */
class Rebuilder implements DeltaSink {
  readonly parts: Uint8Array[] = [];
  readonly blocks: number[] = [];
  literalBytes = 0;
  readonly #basis: Uint8Array;
  readonly #head: SumHead;

  constructor(basis: Uint8Array, head: SumHead) {
    this.#basis = basis;
    this.#head = head;
  }

  literal(data: Uint8Array): void {
    expect(data.length).toBeGreaterThan(0);
    this.parts.push(Uint8Array.from(data));
    this.literalBytes += data.length;
  }

  block(index: number, length: number): void {
    expect(length).toBe(blockLengthAt(this.#head, index));
    const start = index * this.#head.blockLength;
    this.parts.push(this.#basis.subarray(start, start + length));
    this.blocks.push(index);
  }
}

type Kind = new (table: SumTable, strong: StrongSums, sink: DeltaSink) => Matcher;

function match(Kind: Kind, file: Uint8Array, basis: Uint8Array, lengths: Lengths): Rebuilder {
  const table = tableOf(basis, lengths.block, lengths.s2 ?? 16);
  const rebuilt = new Rebuilder(basis, table.head);
  const matcher = new Kind(table, strong, rebuilt);
  for (let offset = 0; offset < file.length; offset += lengths.chunk) {
    matcher.push(file.subarray(offset, offset + lengths.chunk), false);
  }
  matcher.push(new Uint8Array(0), true);
  expect(Buffer.concat(rebuilt.parts).equals(file)).toBe(true);
  return rebuilt;
}

interface Lengths {
  block: number;
  chunk: number;
  s2?: number;
}

/** Two files with common parts: the second has pieces of the first, cut, repeated and mixed. */
const relatives = fc
  .tuple(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 8 }),
    fc.array(fc.nat(9), { maxLength: 20 }),
    fc.array(fc.nat(9), { maxLength: 20 }),
  )
  .map(([pieces, first, second]) => {
    const build = (order: number[]): Buffer =>
      Buffer.concat(order.map((i) => pieces[i % pieces.length] ?? new Uint8Array(0)));
    return { basis: build(first), file: build(second) };
  });

describe('RollingMatcher', () => {
  it('rebuilds the file, in chunks of any size', () => {
    const lengths = fc.record({
      block: fc.integer({ min: 1, max: 40 }),
      chunk: fc.integer({ min: 1, max: 300 }),
    });
    fc.assert(
      fc.property(relatives, lengths, ({ basis, file }, sizes) => {
        match(RollingMatcher, file, basis, sizes);
      }),
      { numRuns: 500 },
    );
  });

  it('finds every block of a file that was shifted', () => {
    const basis = noise(50_000);
    const file = Buffer.concat([Buffer.from('shift'), basis]);
    const found = match(RollingMatcher, file, basis, { block: 700, chunk: 4096 });
    expect(found.literalBytes).toBe(5);
    expect(found.blocks).toEqual(Array.from({ length: 72 }, (_, i) => i));
  });

  it('finds blocks that moved, and the short last one only at the end', () => {
    const basis = noise(10_000);
    const half = 7 * 700;
    const file = Buffer.concat([basis.subarray(half), basis.subarray(0, half)]);
    const found = match(RollingMatcher, file, basis, { block: 700, chunk: 999 });
    expect(found.literalBytes).toBe(10_000 % 700);
    const grown = match(RollingMatcher, Buffer.concat([Buffer.from('x'), basis]), basis, {
      block: 700,
      chunk: 10_001,
    });
    expect(grown.literalBytes).toBe(1);
  });

  it('prefers the next block if several blocks are equal', () => {
    const basis = Buffer.concat([Buffer.alloc(3000), noise(500), Buffer.alloc(2000)]);
    const found = match(RollingMatcher, basis, basis, { block: 500, chunk: 100_000 });
    expect(found.blocks).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('gives up on tables that are designed to cost time', () => {
    const file = Buffer.alloc(300_000);
    const count = 1_000_000;
    const head: SumHead = { count, blockLength: 131_072, s2length: 2, remainder: 0 };
    // All weak sums are those of zeros, all strong sums are wrong.
    const table = new SumTable(
      head,
      Buffer.alloc(count * 6)
        .fill(0, 0)
        .map((_, i) => (i % 6 < 4 ? 0 : 0xee)) as Buffer,
    );
    let hashed = 0;
    const counting: StrongSums = {
      ...strong,
      block: (data) => {
        hashed += data.length;
        return strong.block(data);
      },
    };
    const rebuilt = new Rebuilder(file, head);
    const matcher = new RollingMatcher(table, counting, rebuilt);
    matcher.push(file, true);
    expect(rebuilt.literalBytes).toBe(300_000);
    expect(hashed).toBeLessThan(70_000_000);
  });
});

describe('PositionalMatcher', () => {
  it('rebuilds the file and finds every block that stayed at its offset', () => {
    const sizes = fc.record({
      block: fc.integer({ min: 1, max: 40 }),
      blocksPerChunk: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(relatives, sizes, (pair, { block, blocksPerChunk }) => {
        // A block of zeros may come from another place.
        const [basis, file] = [pair.basis, pair.file].map((bytes) => bytes.map((b) => b || 1)) as [
          Buffer,
          Buffer,
        ];
        const found = match(PositionalMatcher, file, basis, {
          block,
          chunk: block * blocksPerChunk,
        });
        const stayed: number[] = [];
        for (let i = 0; i * block < basis.length; i++) {
          const part = basis.subarray(i * block, (i + 1) * block);
          if (part.equals(file.subarray(i * block, i * block + part.length))) stayed.push(i);
        }
        expect(found.blocks).toEqual(stayed);
      }),
      { numRuns: 300 },
    );
  });

  it('computes no strong sum if the weak one differs', () => {
    const basis = noise(7000, 1);
    const table = tableOf(basis, 700);
    let strongSums = 0;
    const counting: StrongSums = {
      ...strong,
      block: (data) => {
        strongSums++;
        return strong.block(data);
      },
    };
    new PositionalMatcher(table, counting, new Rebuilder(basis, table.head)).push(noise(7000, 2));
    expect(strongSums).toBe(0);
  });
});

function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
