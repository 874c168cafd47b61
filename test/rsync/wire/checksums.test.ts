// Goal: weak and strong sums equal rsync's for every algorithm and seed that we can agree on.
import { describe, expect, it } from 'vitest';
import { createStrongSums } from '../../../src/rsync/wire/checksums.ts';
import { CF_CHKSUM_SEED_FIX } from '../../../src/rsync/wire/constants.ts';
import type { Session } from '../../../src/rsync/wire/handshake.ts';
import { weakSum } from '../../../src/rsync/wire/weak-sum.ts';

const HELLO = Buffer.from('Hello\n');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const session = (
  checksumName: Session['checksumName'],
  seed: number,
  compatFlags = CF_CHKSUM_SEED_FIX,
): Session => ({ protocol: checksumName === 'md4' ? 29 : 31, compatFlags, checksumName, seed });

describe('strong sums', () => {
  it.each([
    [session('md5', 1), '09f7e02f1290be211da707a266f153b3', '54ce3cdd1926165254d00862a4b36b4d'],
    [session('md5', 1, 0), '09f7e02f1290be211da707a266f153b3', '05baf3feaaf66d418ebcda06df3c6425'],
    [session('md4', 1), '5dd8128d89b1a7e23d051aca645bbcd8', '264a4dd3c5f0f1cc41023e7e3113ffa3'],
    [session('xxh128', 1), '6aaa290cd2d929a66c94af5a8f6c66a7', 'f058c1f25e8db05a2570757d669ef8c4'],
  ])('of %j', async (agreed, file, block) => {
    const sums = await createStrongSums(agreed);
    for (let round = 0; round < 2; round++) {
      sums.file.update(HELLO.subarray(0, 2));
      sums.file.update(HELLO.subarray(2));
      expect(hex(sums.file.digest())).toBe(file);
      expect(hex(sums.block(HELLO))).toBe(block);
    }
  });

  it('of the list are never seeded', async () => {
    const sums = await createStrongSums(session('md4', 1));
    const list = await sums.createListSum();
    list.update(HELLO);
    expect(hex(list.digest())).toBe('d18bb2849c2441ba51d168e05864b9d3');
  });

  it('without a seed have no seed bytes', async () => {
    const sums = await createStrongSums(session('md4', 0));
    sums.file.update(HELLO);
    expect(hex(sums.file.digest())).toBe('d18bb2849c2441ba51d168e05864b9d3');
    expect(hex(sums.block(HELLO))).toBe('d18bb2849c2441ba51d168e05864b9d3');
  });
});

describe('weakSum()', () => {
  it.each([
    [HELLO, 0x078501fe],
    [Buffer.from('fffe01', 'hex'), 0xfffafffe],
    [Buffer.from(Array.from({ length: 256 }, (_, i) => i)), 0x6a80ff80],
    [Buffer.alloc(700, 0x80), 0xcd00a200],
    [Buffer.alloc(700, 'A'), 0x57e6b1bc],
  ])('of %j', (bytes, sum) => {
    expect(weakSum(bytes)).toBe(sum);
    expect(weakSum(Buffer.concat([HELLO, bytes, HELLO]), 6, 6 + bytes.length)).toBe(sum);
  });
});
