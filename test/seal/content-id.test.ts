// Goal: the content id is that of header, nonces and tags, in whatever pieces the ciphertext comes.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ContentIdHash } from '../../src/seal/content-id.ts';

const GEOMETRY = { headerLength: 3, blockLength: 20, nonceLength: 4, tagLength: 5 };

/** By the definition. */
function expected(stored: Buffer): Buffer {
  const hash = createHash('sha256').update(stored.subarray(0, 3));
  for (let at = 3; at < stored.length; at += 20) {
    const block = stored.subarray(at, at + 20);
    hash.update(block.subarray(0, 4)).update(block.subarray(-5));
  }
  return hash.digest().subarray(0, 16);
}

it('is the same in any pieces', () => {
  // No last block is shorter than a nonce, a tag and a byte.
  const length = fc
    .integer({ min: 0, max: 90 })
    .filter((n) => n === 0 || (n > 3 && ((n - 3) % 20 === 0 || (n - 3) % 20 > 9)));
  fc.assert(
    fc.property(
      length,
      fc.array(fc.integer({ min: 1, max: 45 }), { minLength: 1 }),
      (size, cuts) => {
        const hint = size % 2 === 0 ? size : undefined;
        const stored = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7) % 256));
        const id = new ContentIdHash(GEOMETRY, hint);
        for (let at = 0, piece = 0; at < size; piece++) {
          const end = Math.min(size, at + (cuts[piece % cuts.length] ?? 1));
          id.update(Buffer.from(stored.subarray(at, end)));
          at = end;
        }
        expect(id.digest()).toEqual(expected(stored));
      },
    ),
    { numRuns: 500 },
  );
});

it('differs when one nonce, tag or the order of blocks differs', () => {
  const idOf = (stored: Buffer): string => {
    const id = new ContentIdHash(GEOMETRY);
    id.update(stored);
    return id.digest().toString('hex');
  };
  const stored = Buffer.from(Array.from({ length: 3 + 40 }, (_, i) => i));
  const ids = new Set([idOf(stored), idOf(stored.subarray(0, 23))]);
  for (const at of [0, 3, 22, 23, 42]) {
    const changed = Buffer.from(stored);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    ids.add(idOf(changed));
  }
  ids.add(
    idOf(Buffer.concat([stored.subarray(0, 3), stored.subarray(23), stored.subarray(3, 23)])),
  );
  expect(ids.size).toBe(8);
});
