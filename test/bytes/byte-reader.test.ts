// Goal: values decode the same however their bytes arrive, and an attempt with too few bytes
// changes nothing.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../src/bytes/byte-reader.ts';
import { ByteWriter } from '../../src/bytes/byte-writer.ts';

type Value =
  { kind: 'byte' | 'uint16' | 'int32'; value: number } | { kind: 'bytes'; value: Uint8Array };

const values = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('byte' as const), value: fc.integer({ min: 0, max: 255 }) }),
    fc.record({ kind: fc.constant('uint16' as const), value: fc.integer({ min: 0, max: 65535 }) }),
    fc.record({ kind: fc.constant('int32' as const), value: fc.integer() }),
    fc.record({ kind: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 9000 }) }),
  ),
  { maxLength: 30 },
);

function write(list: Value[]): Buffer {
  const writer = new ByteWriter(1);
  for (const item of list) {
    if (item.kind === 'bytes') writer.bytes(item.value);
    else writer[item.kind](item.value);
  }
  return writer.copy();
}

function read(reader: ByteReader, item: Value): unknown {
  return item.kind === 'bytes'
    ? new Uint8Array(reader.copy(item.value.length))
    : reader[item.kind]();
}

describe('ByteReader', () => {
  it('reads the output of ByteWriter, in chunks of any size', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 5000 }), (list, chunkLength) => {
        const bytes = write(list);
        const reader = new ByteReader();
        let fed = 0;
        for (const item of list) {
          let value = reader.attempt((r) => read(r, item));
          while (value === undefined) {
            expect(fed).toBeLessThan(bytes.length);
            reader.append(bytes.subarray(fed, fed + chunkLength));
            fed += chunkLength;
            value = reader.attempt((r) => read(r, item));
          }
          expect(value).toEqual(item.value);
        }
        expect(reader.available + Math.max(0, bytes.length - fed)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('decodes a record of several values again from its first byte', () => {
    const reader = new ByteReader();
    const record = (r: ByteReader): number[] => [r.byte(), r.uint16(), r.int32(), r.byte()];
    const bytes = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]);
    for (let i = 0; i < bytes.length; i++) {
      expect(reader.attempt(record)).toBeUndefined();
      reader.append(bytes.subarray(i, i + 1));
    }
    expect(reader.attempt(record)).toEqual([1, 0x0302, 0x07060504, 8]);
    expect(reader.available).toBe(0);
  });

  it('returns bulk data without joining chunks', () => {
    const reader = new ByteReader(Buffer.from('abc'));
    reader.append(Buffer.from('defg'));
    expect(reader.some(10).toString()).toBe('abc');
    expect(reader.some(2).toString()).toBe('de');
    expect(reader.rest().toString()).toBe('fg');
  });

  it('rethrows errors of the decoder', () => {
    const reader = new ByteReader(Buffer.from('abc'));
    expect(() =>
      reader.attempt(() => {
        throw new RangeError('mine');
      }),
    ).toThrow('mine');
  });
});
