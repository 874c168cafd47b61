// Goal: the decoders of small records invert their encoders, frames carry any stream in any chunks,
// and both roles of the handshake understand each other at every protocol.
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/bytes/byte-reader.ts';
import { ByteWriter } from '../../../src/bytes/byte-writer.ts';
import { ChunkSink } from '../../../src/bytes/chunk-sink.ts';
import { ChunkSource } from '../../../src/bytes/chunk-source.ts';
import {
  readFilterList,
  writeFilterList,
  type ReceiverRule,
} from '../../../src/rsync/flist/filter-list.ts';
import { greetClient, greetServer } from '../../../src/rsync/wire/handshake.ts';
import { readItemAttributes, writeItemAttributes } from '../../../src/rsync/wire/item-record.ts';
import { MultiplexReader, MultiplexWriter } from '../../../src/rsync/wire/multiplex.ts';
import { blockLengthAt, readSumHead, writeSumHead } from '../../../src/rsync/wire/sum-head.ts';
import {
  readToken,
  writeBlockMatch,
  writeLiteral,
  writeTokensEnd,
} from '../../../src/rsync/wire/tokens.ts';

function roundTrip<T>(write: (writer: ByteWriter) => void, read: (reader: ByteReader) => T): T {
  const writer = new ByteWriter();
  write(writer);
  const reader = new ByteReader(writer.copy());
  const value = reader.attempt(read);
  expect(reader.available).toBe(0);
  return value ?? expect.fail('too few bytes');
}

describe('item records', () => {
  const attributes = fc
    .record({
      iflags: fc.nat(0xffff),
      basisType: fc.nat(255),
      xname: fc.uint8Array({ maxLength: 4095 }).map((bytes) => Buffer.from(bytes)),
    })
    .map(({ iflags, basisType, xname }) => ({
      iflags,
      ...(iflags & 0x0800 && { basisType }),
      ...(iflags & 0x1000 && { xname }),
    }));

  it('are inverse', () => {
    fc.assert(
      fc.property(attributes, (item) => {
        const back = roundTrip(
          (writer) => writeItemAttributes(writer, item, 32),
          (reader) => readItemAttributes(reader, 32),
        );
        expect(back).toEqual(item);
      }),
    );
  });

  it('are transfers without a byte below protocol 29', () => {
    expect(
      roundTrip(
        (writer) => writeItemAttributes(writer, { iflags: 0x8000 }, 28),
        (reader) => readItemAttributes(reader, 28),
      ),
    ).toEqual({ iflags: 0x8000 });
  });
});

describe('sum heads', () => {
  it('are inverse, and their blocks cover the basis', () => {
    const heads = fc
      .record({
        count: fc.nat(0x7fffffff),
        blockLength: fc.integer({ min: 1, max: 131_072 }),
        s2length: fc.nat(16),
        remainder: fc.nat(131_072),
      })
      .map((head) => ({ ...head, remainder: head.remainder % head.blockLength }));
    fc.assert(
      fc.property(heads, (head) => {
        const back = roundTrip(
          (writer) => writeSumHead(writer, head),
          (reader) => readSumHead(reader, 32),
        );
        expect(back).toEqual(head);
        if (head.count === 0) return;
        const last = blockLengthAt(head, head.count - 1);
        expect(last).toBe(head.remainder === 0 ? head.blockLength : head.remainder);
      }),
    );
  });
});

describe('tokens', () => {
  it('are inverse, and no literal run is longer than 32 KiB', () => {
    const parts = fc.array(
      fc.oneof(
        fc.nat(100_000),
        fc.nat(0x7ffffffe).map((i) => -i - 1),
      ),
    );
    fc.assert(
      fc.property(parts, (list) => {
        const writer = new ByteWriter();
        for (const part of list) {
          if (part >= 0) writeLiteral(writer, Buffer.alloc(part));
          else writeBlockMatch(writer, -part - 1);
        }
        writeTokensEnd(writer);
        const reader = new ByteReader(writer.copy());
        const back: number[] = [];
        let full = false;
        for (;;) {
          const token = reader.attempt((r) => readToken(r, 0x7fffffff)) ?? expect.fail();
          if (token.kind === 'end') break;
          if (token.kind === 'block') back.push(-token.index - 1);
          else {
            expect(token.length).toBeLessThanOrEqual(32_768);
            reader.attempt((r) => r.bytes(token.length));
            if (full) back.push((back.pop() ?? 0) + token.length);
            else back.push(token.length);
          }
          full = token.kind === 'literal' && token.length === 32_768;
        }
        const merged: number[] = [];
        for (const part of list) {
          const before = merged.at(-1) ?? -1;
          if (part === 0) continue;
          if (part > 0 && before > 0 && before % 32_768 === 0) merged.splice(-1, 1, before + part);
          else merged.push(part);
        }
        expect(back).toEqual(merged);
        expect(reader.available).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('refer only to existing blocks', () => {
    expect(() =>
      roundTrip(
        (w) => writeBlockMatch(w, 5),
        (r) => readToken(r, 5),
      ),
    ).toThrow(expect.objectContaining({ code: 'block-out-of-range' }));
  });
});

/** Two ends of one direction. */
function direction(): { writer: MultiplexWriter; reader: MultiplexReader; messages: string[] } {
  const stream = new PassThrough();
  const messages: string[] = [];
  const reader = new MultiplexReader(new ChunkSource(stream), (code, payload) => {
    messages.push(`${code} ${payload.toString()}`);
  });
  return { writer: new MultiplexWriter(new ChunkSink(stream)), reader, messages };
}

describe('filter lists', () => {
  const rules: fc.Arbitrary<ReceiverRule[]> = fc.array(
    fc.record({
      action: fc.constantFrom('protect' as const, 'risk' as const),
      pattern: fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    }),
    { maxLength: 10 },
  );

  it('are inverse at every protocol', async () => {
    await fc.assert(
      fc.asyncProperty(rules, fc.constantFrom(27, 28, 29, 32), async (list, protocol) => {
        const { writer, reader } = direction();
        writeFilterList(writer, list, protocol);
        writer.flush();
        expect(await readFilterList(reader, protocol)).toEqual(list);
      }),
      { numRuns: 50 },
    );
  });

  it("are rsync's own bytes", () => {
    const writer = new ByteWriter();
    const rule = { action: 'protect', pattern: Buffer.from('keepme') } as const;
    writeFilterList(writer, [rule, { action: 'risk', pattern: Buffer.from('y') }], 32);
    const text = '\x09\0\0\0-r keepme\x04\0\0\0+r y\0\0\0\0';
    expect(writer.written().toString('latin1')).toBe(text);
  });

  it.each([
    ['a rule that is too long', Buffer.from('00140000', 'hex')],
    ['a rule of negative length', Buffer.from('ffffffff', 'hex')],
    ['a rule for a sender only', Buffer.from('\x04\0\0\0-s x')],
    ['a merge file', Buffer.from('\x04\0\0\0: .x')],
    ['a rule without a pattern', Buffer.from('\x03\0\0\0-r ')],
  ])('refuse %s', async (_, bytes) => {
    const { writer, reader } = direction();
    writer.bytes(bytes);
    writer.flush();
    await expect(readFilterList(reader, 32)).rejects.toMatchObject({ code: 'filter-rule-invalid' });
  });
});

describe('frames', () => {
  it('carry a stream and messages in between, whatever the chunks', async () => {
    const pieces = fc.array(
      fc.oneof(
        fc.record({ data: fc.uint8Array({ maxLength: 200_000, size: 'max' }) }),
        fc.record({ message: fc.string({ maxLength: 20 }) }),
      ),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(pieces, async (list) => {
        const { writer, reader, messages } = direction();
        writer.startMultiplex();
        reader.startMultiplex();
        for (const piece of list) {
          if ('data' in piece) writer.bytes(piece.data);
          else writer.message(2, Buffer.from(piece.message));
        }
        writer.int32(0x12345678);
        writer.flush();
        const data = list.flatMap((piece) => ('data' in piece ? [piece.data] : []));
        const length = data.reduce((sum, bytes) => sum + bytes.length, 0);
        const got = await reader.read((r) => [r.bytes(length), r.int32()] as const);
        expect(got[0].equals(Buffer.concat(data))).toBe(true);
        expect(got[1]).toBe(0x12345678);
        expect(messages).toEqual(
          list.flatMap((piece) => ('message' in piece ? [`2 ${piece.message}`] : [])),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('are coalesced into few writes', () => {
    const stream = new PassThrough({ highWaterMark: 10_000_000 });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const writer = new MultiplexWriter(new ChunkSink(stream));
    writer.startMultiplex();
    for (let i = 0; i < 100_000; i++) writer.int32(i);
    writer.flush();
    expect(chunks.length).toBeLessThan(10);
  });
});

describe('the handshake', () => {
  it.each([27, 28, 29, 30, 31, 32])(
    'at protocol %i is understood by both roles',
    async (protocol) => {
      const up = direction();
      const down = direction();
      const seed = -5;
      const [client, server] = await Promise.all([
        greetServer(down.reader, up.writer, protocol),
        greetClient(up.reader, down.writer, { protocolMax: 32, seed }),
      ]);
      expect(client).toEqual(server);
      expect(client).toMatchObject({
        protocol,
        seed,
        checksumName: protocol < 30 ? 'md4' : 'xxh128',
      });
      up.writer.int32(1);
      up.writer.flush();
      down.writer.message(2, Buffer.from('hello'));
      down.writer.int32(2);
      down.writer.flush();
      expect(await up.reader.read((r) => r.int32())).toBe(1);
      expect(await down.reader.read((r) => r.int32())).toBe(2);
      expect(down.messages).toEqual(['2 hello']);
    },
  );
});
