// The chunks of a file add up to the file, whichever way it is read. A chunk stays valid until the
// next one is requested, although that one is already being read.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileChunks, type ChunkLength } from '../../../src/rsync/send/file-chunks.ts';
import type { OpenFile } from '../../../src/tree/entry.ts';

/** Keeps its arrays valid only as long as the interface requires, then overwrites them. */
function openFile(content: Buffer, runLength?: number): OpenFile {
  const given: Uint8Array[] = [];
  const give = (bytes: Uint8Array, kept: number): Promise<Uint8Array> => {
    const fresh = Uint8Array.from(bytes);
    given.push(fresh);
    while (given.length > kept) given.shift()?.fill(0xee);
    return Promise.resolve(fresh);
  };
  return {
    size: content.length,
    positional: false,
    read: (offset, length) => give(content.subarray(offset, offset + length), 1),
    ...(runLength !== undefined && {
      readRun: (offset: number) => {
        const end = (Math.floor(offset / runLength) + 1) * runLength;
        return give(content.subarray(offset, end), 2);
      },
    }),
    close: () => Promise.resolve('unchanged'),
  };
}

async function all(file: OpenFile, length: ChunkLength): Promise<Buffer[]> {
  const chunks = new FileChunks(file, length);
  const contents: Buffer[] = [];
  for (let chunk = await chunks.next(); chunk !== undefined; chunk = await chunks.next()) {
    await Promise.resolve();
    contents.push(Buffer.from(chunk));
  }
  await chunks.settled();
  return contents;
}

describe('FileChunks', () => {
  it('returns the bytes of the file, in chunks or in its own runs', async () => {
    const content = fc.uint8Array({ maxLength: 200 });
    const length = fc.integer({ min: 1, max: 60 });
    await fc.assert(
      fc.asyncProperty(content, length, length, fc.boolean(), async (bytes, a, run, isFree) => {
        const whole = Buffer.from(bytes);
        for (const file of [openFile(whole), openFile(whole, run)]) {
          const chunks = await all(file, { length: a, isFree });
          expect(Buffer.concat(chunks).equals(whole)).toBe(true);
          const step = isFree && file.readRun !== undefined ? run : a;
          expect(chunks.slice(0, -1).every((chunk) => chunk.length === step)).toBe(true);
        }
      }),
    );
  });

  it('ends where the file actually ends', async () => {
    const file = openFile(Buffer.alloc(100, 1), 30);
    const longer = { ...file, size: 1000 };
    for (const isFree of [true, false]) {
      const chunks = await all(longer, { length: 30, isFree });
      expect(Buffer.concat(chunks)).toEqual(Buffer.alloc(100, 1));
    }
  });

  it.each([true, false])('throws a failure at its turn (own runs: %s)', async (isFree) => {
    const file = openFile(Buffer.alloc(100, 1), 30);
    const failing = (offset: number): Promise<Uint8Array> =>
      offset < 60 ? file.read(offset, 30) : Promise.reject(new Error('broken disk'));
    const chunks = new FileChunks(
      { ...file, read: failing, readRun: failing },
      { length: 30, isFree },
    );
    expect(await chunks.next()).toHaveLength(30);
    expect(await chunks.next()).toHaveLength(30);
    await expect(chunks.next()).rejects.toThrow('broken disk');
    await chunks.settled();
  });
});
