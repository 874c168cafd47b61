// Goal: a chunk has one form, and whatever else is offered as one ends in a typed error.
import fc from 'fast-check';
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { IntegrityError } from '../../src/errors.ts';
import {
  ChunkWriter,
  digestOf,
  packChunk,
  readChunk,
  unpackChunk,
  type Chunk,
} from '../../src/seal/chunk.ts';
import { SealedListBuilder } from '../../src/seal/list-builder.ts';
import { anyList, manyFiles } from './sealed-lists.ts';

/** The bytes of the first chunk of each level. */
function chunksOf(objects: Parameters<SealedListBuilder['add']>[0][]): Buffer[] {
  const chunks: Buffer[] = [];
  const builder = new SealedListBuilder(({ bytes }, level) => (chunks[level] ??= bytes));
  for (const object of objects) builder.add(object);
  builder.finish();
  return chunks;
}

function encoded(chunk: Chunk): Buffer | undefined {
  const writer = new ChunkWriter(chunk.level);
  const members = 'objects' in chunk ? chunk.objects : chunk.children;
  let bytes: Buffer | undefined;
  for (const member of members) {
    bytes = ('path' in member ? writer.addObject(member) : writer.addChild(member))?.bytes;
  }
  return bytes ?? writer.finish()?.bytes;
}

/** Decodes it; what was taken must be in the one form. */
function attempt(bytes: Uint8Array): 'taken' | 'refused' {
  let chunk: Chunk;
  try {
    chunk = readChunk(bytes);
  } catch (error) {
    if (!(error instanceof IntegrityError) || error.code !== 'seal-invalid') throw error;
    return 'refused';
  }
  expect(encoded(chunk)).toEqual(Buffer.from(bytes));
  return 'taken';
}

describe('a chunk', () => {
  it('of any objects comes back as it was', () => {
    fc.assert(
      fc.property(anyList, (objects) => {
        for (const bytes of chunksOf(objects)) expect(attempt(bytes)).toBe('taken');
      }),
    );
    for (const bytes of chunksOf(manyFiles(2000))) expect(attempt(bytes)).toBe('taken');
  });

  it('that is cut anywhere, or longer, is refused', () => {
    for (const bytes of chunksOf(manyFiles(2000))) {
      for (let length = 0; length < bytes.length; length += bytes.length > 3000 ? 97 : 1) {
        expect(attempt(bytes.subarray(0, length)), `${length} bytes`).toBe('refused');
      }
      expect(attempt(Buffer.concat([bytes, Buffer.alloc(1)]))).toBe('refused');
    }
  });

  it('with changed bytes is refused, or in its one form', () => {
    const outcomes = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(anyList, fc.nat(), fc.integer({ min: 0, max: 255 }), (objects, at, value) => {
        for (const bytes of chunksOf(objects)) {
          const changed = Buffer.from(bytes);
          changed.writeUInt8(value, at % changed.length);
          outcomes[attempt(changed)]++;
        }
      }),
      { numRuns: 3000 },
    );
    expect(outcomes.taken).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  it('of any bytes ends in a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        attempt(bytes);
        attempt(Buffer.concat([Buffer.from([0, 2]), bytes]));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('a stored chunk', () => {
  const [bytes = Buffer.alloc(0)] = chunksOf(manyFiles(10));

  it('comes back as it was', () => {
    expect(unpackChunk(packChunk(bytes), digestOf(bytes))).toEqual(bytes);
  });

  it.each([
    ['another chunk', packChunk(Buffer.from('other'))],
    ['no compressed data', Buffer.from('other')],
    ['nothing', Buffer.alloc(0)],
    ['a part', packChunk(bytes).subarray(0, 20)],
    ['endless zeros', deflateSync(Buffer.alloc(100 * 1024 * 1024))],
  ])('%s in its place is refused', (_what, stored) => {
    expect(() => unpackChunk(stored, digestOf(bytes))).toThrow(IntegrityError);
  });
});
