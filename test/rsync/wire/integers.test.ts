// Goal: the integer encodings give rsync's own bytes, and each decoder inverts its encoder at every
// boundary.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/bytes/byte-reader.ts';
import type { ByteSink } from '../../../src/bytes/byte-sink.ts';
import { ByteWriter } from '../../../src/bytes/byte-writer.ts';
import {
  readLongint,
  readVarint,
  readVarlong,
  readVstring,
  writeLongint,
  writeVarint,
  writeVarlong,
  writeVstring,
} from '../../../src/rsync/wire/integers.ts';
import { NdxReader, NdxWriter } from '../../../src/rsync/wire/ndx.ts';

function hex(write: (sink: ByteSink) => void): string {
  const writer = new ByteWriter();
  write(writer);
  return writer.written().toString('hex');
}

function decode<T>(bytes: string, read: (reader: ByteReader) => T): T | undefined {
  const reader = new ByteReader(Buffer.from(bytes, 'hex'));
  const value = reader.attempt(read);
  if (value !== undefined) expect(reader.available).toBe(0);
  return value;
}

const EDGES = [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40, 2 ** 53 - 1].flatMap((edge) => [
  edge,
  -edge,
]);
const safeIntegers = fc.oneof(fc.maxSafeInteger(), fc.constantFrom(...EDGES), fc.nat(70000));

describe('varint', () => {
  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8080'],
    [0x1fe, '81fe'],
    [0x1298, '9298'],
    [16383, 'bfff'],
    [16384, 'c00040'],
    [0x1fffff, 'dfffff'],
    [0x200000, 'e0000020'],
    [0x0fffffff, 'efffffff'],
    [0x10000000, 'f000000010'],
    [-1, 'f0ffffffff'],
  ])('encodes %i as %s', (value, bytes) => {
    expect(hex((sink) => writeVarint(sink, value))).toBe(bytes);
    expect(decode(bytes, readVarint)).toBe(value);
  });

  it('is inverse for every int32', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        expect(
          decode(
            hex((sink) => writeVarint(sink, value)),
            readVarint,
          ),
        ).toBe(value);
      }),
    );
  });

  it('refuses a prefix that claims 5 or 6 more bytes', () => {
    for (const first of ['f8', 'fb', 'fc', 'ff']) {
      expect(() => decode(`${first}00000000000000`, readVarint)).toThrow(
        expect.objectContaining({ code: 'varint-invalid' }),
      );
    }
  });
});

describe('varlong', () => {
  it.each([
    [0, 3, '000000'],
    [0, 4, '00000000'],
    [4096, 3, '000010'],
    [4096, 4, '00001000'],
    [0x7fffff, 3, '7fffff'],
    [0x7fffff, 4, '00ffff7f'],
    [0x800000, 3, '80000080'],
    [0x800000, 4, '00000080'],
    [0x65937d25, 4, '65257d93'],
    [2 ** 31, 3, 'c000000080'],
    [2 ** 31, 4, '8000000080'],
    [2 ** 32, 3, 'c100000000'],
    [2 ** 32, 4, '8100000000'],
    [2 ** 40, 3, 'e10000000000'],
    [2 ** 40, 4, 'c10000000000'],
    [-1, 3, 'fcffffffffffffffff'],
    [-1, 4, 'f8ffffffffffffffff'],
  ] as const)('codes %i with at least %i bytes as %s', (value, minBytes, bytes) => {
    expect(hex((sink) => writeVarlong(sink, value, minBytes))).toBe(bytes);
    expect(decode(bytes, (reader) => readVarlong(reader, minBytes))).toBe(value);
  });

  it('is inverse for every safe integer', () => {
    fc.assert(
      fc.property(safeIntegers, fc.constantFrom(3 as const, 4 as const), (value, minBytes) => {
        const bytes = hex((sink) => writeVarlong(sink, value, minBytes));
        expect(decode(bytes, (reader) => readVarlong(reader, minBytes))).toBe(value);
      }),
    );
  });

  it('refuses numbers beyond 2^53 or longer than 9 bytes', () => {
    expect(() => decode('fcffffffffffffff7f', (r) => readVarlong(r, 3))).toThrow(
      expect.objectContaining({ code: 'number-too-large' }),
    );
    expect(() => decode('fc' + '00'.repeat(9), (r) => readVarlong(r, 4))).toThrow(
      expect.objectContaining({ code: 'varlong-invalid' }),
    );
    expect(() => hex((sink) => writeVarlong(sink, 2 ** 53, 3))).toThrow(
      expect.objectContaining({ code: 'unsafe-integer' }),
    );
  });
});

describe('longint', () => {
  it('is inverse for every safe integer', () => {
    fc.assert(
      fc.property(safeIntegers, (value) => {
        expect(
          decode(
            hex((sink) => writeLongint(sink, value)),
            readLongint,
          ),
        ).toBe(value);
      }),
    );
  });

  it('takes 4 bytes up to 2^31−1 and 12 from there on', () => {
    expect(hex((sink) => writeLongint(sink, 0x7fffffff))).toBe('ffffff7f');
    expect(hex((sink) => writeLongint(sink, 0x80000000))).toBe('ffffffff0000008000000000');
    expect(() => decode('ffffffff' + 'ff'.repeat(7) + '7f', readLongint)).toThrow(
      expect.objectContaining({ code: 'number-too-large' }),
    );
  });
});

describe('vstring', () => {
  it('is inverse up to 32767 bytes', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 32767]) {
      const value = Buffer.alloc(length, 0x61);
      const bytes = hex((sink) => writeVstring(sink, value));
      expect(bytes.length / 2).toBe(length + (length > 127 ? 2 : 1));
      expect(decode(bytes, (reader) => readVstring(reader, 32767, 'it'))).toEqual(value);
    }
  });

  it('refuses a length over the limit before reading', () => {
    expect(() => decode('ffff', (reader) => readVstring(reader, 4095, 'an xname'))).toThrow(
      'an xname of 32767 bytes; at most 4095 are allowed',
    );
  });
});

describe('ndx', () => {
  it.each([
    [
      [0, 1, 2, 255, 256, 600, 50000, 3, -1, 4],
      ['01', '01', '01', 'fd', '01', 'fe0158', 'fe8050c300', 'fe80030000', '00', '01'],
    ],
    [
      [-101, -102, -2, -3],
      ['ff64', 'ff01', 'fffe80020000', 'ff01'],
    ],
    [[-3], ['ff02']],
    [[-2], ['ff01']],
  ])('encodes %j', (sequence, expected) => {
    const writer = new NdxWriter(32);
    expect(sequence.map((ndx) => hex((sink) => writer.write(sink, ndx)))).toEqual(expected);
    const reader = new NdxReader(32);
    expect(expected.map((bytes) => decode(bytes, (r) => reader.read(r)))).toEqual(sequence);
  });

  it('is inverse for any sequence, also byte by byte', () => {
    const index = fc.oneof(
      fc.integer({ min: -400, max: 70000 }),
      fc.integer({ min: -(2 ** 31) + 1 }),
    );
    fc.assert(
      fc.property(fc.array(index), fc.constantFrom(27, 29, 30, 32), (sequence, protocol) => {
        const writer = new NdxWriter(protocol);
        const bytes = new ByteWriter();
        for (const ndx of sequence) writer.write(bytes, ndx);
        const ndxReader = new NdxReader(protocol);
        const reader = new ByteReader();
        const decoded: number[] = [];
        for (const byte of bytes.copy()) {
          reader.append(Buffer.from([byte]));
          const ndx = reader.attempt((r) => ndxReader.read(r));
          if (ndx !== undefined) decoded.push(ndx);
        }
        expect(decoded).toEqual(sequence);
      }),
    );
  });
});
