// Goal: file lists are transferred unchanged at every protocol, in rsync's own bytes and order, and
// a harmful list is refused.
import fc from 'fast-check';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/bytes/byte-reader.ts';
import { ByteWriter } from '../../../src/bytes/byte-writer.ts';
import { ChunkSource } from '../../../src/bytes/chunk-source.ts';
import { FlistDecoder, readFlist, type FlistEntry } from '../../../src/rsync/flist/decode.ts';
import { FlistEncoder } from '../../../src/rsync/flist/encode.ts';
import type { FlistFormat } from '../../../src/rsync/flist/format.ts';
import { compareFlist, sortFlist } from '../../../src/rsync/flist/sort.ts';
import { readIdLists, writeIdLists } from '../../../src/rsync/flist/id-list.ts';
import { MultiplexReader } from '../../../src/rsync/wire/multiplex.ts';
import { S_IFMT, S_IFREG, type Entry } from '../../../src/tree/entry.ts';

function format(protocol: number, changes: Partial<FlistFormat> = {}): FlistFormat {
  return {
    protocol,
    varintFlags: protocol >= 30,
    safeEnd: protocol >= 30,
    id0Names: protocol >= 30,
    links: true,
    owner: true,
    group: true,
    devices: true,
    specials: true,
    hardLinks: true,
    numericIds: true,
    checksumLength: 0,
    ...changes,
  };
}

const base = { size: 0, mtimeSec: 0x65937d25, mtimeNsec: 0, uid: 0, gid: 0 };
const entry = (path: string, mode: number, more: Partial<Entry> = {}): Entry => ({
  path: Buffer.from(path, 'latin1'),
  mode,
  ...base,
  ...more,
});

function encode(entries: readonly Entry[], how: FlistFormat, ioError = 0): Buffer {
  const writer = new ByteWriter();
  const encoder = new FlistEncoder(how);
  for (const one of entries) encoder.writeEntry(writer, one, Buffer.alloc(16, 0xcc));
  encoder.writeEnd(writer, ioError);
  return writer.copy();
}

function decode(bytes: Uint8Array, how: FlistFormat, chunkLength = bytes.length): FlistDecoder {
  const decoder = new FlistDecoder(how);
  const reader = new ByteReader();
  for (let offset = 0; ; offset += chunkLength) {
    for (;;) {
      const more = reader.attempt((r) => decoder.readEntry(r));
      if (more === undefined) break;
      if (more) continue;
      expect(reader.available + Math.max(0, bytes.length - offset)).toBe(0);
      return decoder;
    }
    expect(offset).toBeLessThan(bytes.length);
    reader.append(bytes.subarray(offset, offset + chunkLength));
  }
}

describe("rsync's own bytes", () => {
  const tree = [
    entry('.', 0o40755, { size: 4096 }),
    entry('ln', 0o120777, { size: 2, target: Buffer.from('hi') }),
    entry('hi', 0o100644, { size: 6 }),
    entry('sub', 0o40755, { size: 4096 }),
  ];

  it('at protocol 32', () => {
    const how = format(32, { owner: false, group: false });
    expect(encode(tree, how).toString('hex')).toBe(
      '19012e00001065257d93ed410000' +
        '8098026c6e000200ffa10000026869' +
        '8098026869000600a4810000' +
        '809803737562000010ed410000' +
        '0000',
    );
  });

  it('at protocol 29', () => {
    const how = format(29, { owner: false, group: false });
    expect(encode(tree, how).toString('hex')).toBe(
      '19012e00100000257d9365ed410000' +
        '98026c6e02000000ffa10000020000006869' +
        '9802686906000000a4810000' +
        '980373756200100000ed410000' +
        '00',
    );
  });

  it('with nanoseconds, ids, prefixes, links and devices', () => {
    const nsec = entry('q', 0o100644, { size: 1, mtimeNsec: 500_000_000, uid: 1234, gid: 4321 });
    expect(
      encode([{ ...base, path: Buffer.from('.'), mode: 0o40755 }, nsec], format(32)).toString(
        'hex',
      ),
    ).toContain('a080017100010' + '0f00065cd1da4810000' + '84d290e1');
    const links = [
      entry('b', 0o100644, { linkGroup: 9 }),
      entry('a', 0o100644, { linkGroup: 9 }),
      entry('c', 0o20644, { rdev: { major: 1, minor: 3 } }),
    ];
    const hex = encode(
      [entry('.', 0o40755), ...links],
      format(32, { owner: false, group: false }),
    ).toString('hex');
    expect(hex).toContain('92980162');
    expect(hex).toContain('829a016101');
    expect(hex).toContain('8098016300000' + '0a42100000103');
  });
});

const bytesOfName = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => {
  const name = Buffer.from(bytes).map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte));
  return name.every((byte) => byte === 0x2e) ? Buffer.from('dots') : Buffer.from(name);
});
const paths = fc
  .array(fc.oneof(bytesOfName, fc.constantFrom(Buffer.from('a'), Buffer.from('b'))), {
    minLength: 1,
    maxLength: 4,
  })
  .map((names) => Buffer.concat(names.flatMap((name) => [Buffer.from('/'), name])).subarray(1));

const EDGES = [0, 1, 255, 256, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40, 2 ** 53 - 1];
const entries = fc.record({
  path: paths,
  type: fc.constantFrom(0o100000, 0o40000, 0o120000, 0o20000, 0o60000, 0o10000, 0o140000),
  perms: fc.constantFrom(0o644, 0o755, 0o7777, 0),
  size: fc.oneof(fc.constantFrom(...EDGES), fc.nat(5000)),
  mtimeSec: fc.constantFrom(0, 1, -1, 0x65937d25, 2 ** 31 - 1, 2 ** 31, 2 ** 33, -(2 ** 33)),
  mtimeNsec: fc.constantFrom(0, 1, 999_999_999),
  uid: fc.constantFrom(0, 1000, 2 ** 31, 2 ** 32 - 2),
  gid: fc.constantFrom(0, 1000, 2 ** 32 - 2),
  target: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  major: fc.constantFrom(0, 1, 259, 4095),
  minor: fc.constantFrom(0, 3, 255, 256, 70_000),
  linkGroup: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  contentUnknown: fc.boolean(),
});

type Raw = typeof entries extends fc.Arbitrary<infer T> ? T : never;

/** An entry as from a tree: names of one link group are names of one inode. */
function toEntry(raw: Raw, groups: Map<number, Raw>): Entry {
  const directory = raw.type === 0o40000;
  const group = directory ? undefined : raw.linkGroup;
  const inode = group === undefined ? raw : (groups.get(group) ?? raw);
  if (group !== undefined) groups.set(group, inode);
  const { type, size, mtimeSec, mtimeNsec, uid, gid } = inode;
  const device = type === 0o20000 || type === 0o60000;
  const special = type === 0o10000 || type === 0o140000;
  return {
    path: raw.path,
    mode: type | inode.perms,
    size: device || special ? 0 : size,
    mtimeSec,
    mtimeNsec,
    uid,
    gid,
    ...(type === 0o120000 && { target: inode.target }),
    ...(device && { rdev: { major: inode.major, minor: inode.minor } }),
    ...(group !== undefined && { linkGroup: group }),
    ...(directory && raw.contentUnknown && { contentUnknown: true }),
  };
}

/** The fields of an entry that a protocol preserves. */
function expected(sent: Entry, how: FlistFormat): Partial<FlistEntry> {
  const old = how.protocol < 30;
  const regular = (sent.mode & S_IFMT) === S_IFREG;
  return {
    path: sent.path,
    mode: sent.mode,
    size: sent.size,
    mtimeSec: old ? Math.min(Math.max(sent.mtimeSec, 0), 2 ** 31 - 1) : sent.mtimeSec,
    mtimeNsec: how.protocol >= 31 ? sent.mtimeNsec : 0,
    uid: sent.uid,
    gid: sent.gid,
    topDir: false,
    ...(sent.target && { target: sent.target }),
    ...(sent.rdev && { rdev: sent.rdev }),
    ...(!old && sent.contentUnknown && { contentUnknown: true }),
    ...(how.checksumLength > 0 && regular && { checksum: Buffer.alloc(16, 0xcc) }),
  };
}

describe('FlistDecoder', () => {
  const formats = [27, 28, 29, 30, 31, 32].flatMap((protocol) => [
    format(protocol, { checksumLength: 16 }),
    format(protocol, { varintFlags: false, hardLinks: false }),
  ]);

  it('is the inverse of FlistEncoder at every protocol, in chunks of any size', () => {
    const property = fc.property(
      fc.array(entries, { maxLength: 12 }),
      fc.constantFrom(...formats),
      fc.integer({ min: 1, max: 600 }),
      (raws, how, chunkLength) => {
        const groups = new Map<number, Raw>();
        const sent = raws.map((raw) => toEntry(raw, groups));
        const { entries: got } = decode(encode(sent, how), how, chunkLength);
        expect(got.map(plain)).toEqual(sent.map((one) => plain(expected(one, how))));
        if (how.hardLinks) expectSameGroups(got, sent, how.protocol);
      },
    );
    fc.assert(property, { numRuns: 400 });
  });

  it('reads byte by byte as well as all at once', () => {
    const list = [entry('.', 0o40755), entry('x'.repeat(300), 0o100644, { size: 2 ** 33 })];
    for (const how of formats) {
      const bytes = encode(list, how);
      expect(decode(bytes, how, 1).entries).toEqual(decode(bytes, how).entries);
    }
  });

  it('reports an incomplete scan if the protocol can express it', () => {
    for (const how of [format(32), format(31, { varintFlags: false }), format(30)]) {
      expect(decode(encode([], how, 1), how).ioError).toBe(1);
    }
    const silent = format(30, { varintFlags: false, safeEnd: false });
    expect(decode(encode([], silent, 1), silent).ioError).toBe(0);
  });

  it.each([
    ['an absolute name', '/x'],
    ['a parent', '..'],
    ['a parent in front', '../x'],
    ['a parent inside', 'a/../x'],
    ['a parent at the end', 'a/..'],
    ['a dot component', 'a/./x'],
    ['an empty component', 'a//x'],
    ['a trailing slash', 'a/'],
    ['a zero byte', 'a\0b'],
    ['the root as a file', '.'],
  ])('refuses %s', (_, path) => {
    const how = format(32);
    expect(() => decode(encode([entry(path, 0o100644)], how), how)).toThrow(
      expect.objectContaining({ code: 'flist-invalid' }),
    );
  });

  it.each([
    ['an empty name', '18000000000000000000'],
    ['a name longer than a path', '5890ff' + '00'.repeat(12)],
    ['a prefix longer than the name before', '38050161' + '00'.repeat(12)],
    ['an unknown file type', '18016100000000000000a4f10000'],
    ['no file type', '18016100000000000000a4010000'],
    ['mode bits beyond the sixteenth', '18016100000000000000a4810100'],
    ['a link to nowhere', '82180161' + '05'],
    ['a billion nanoseconds', 'a01801610000000000000000f000ca9a3ba4810000'],
    ['a negative size', '180161fcffffffffffffffff' + '00000000a4810000'],
    ['a symlink without a target', '180161000000' + '00000000' + 'ffa10000' + '00'],
    ['a symlink with an endless target', '180161000000' + '00000000' + 'ffa10000' + '9000'],
  ])('refuses %s', (_, bytes) => {
    const how = format(32, { owner: false, group: false });
    expect(() => decode(Buffer.from(bytes, 'hex'), how)).toThrow(
      expect.objectContaining({ code: 'flist-invalid' }),
    );
  });

  it('treats the end of the connection as an error, never as the end of the list', async () => {
    const stream = new PassThrough();
    stream.end(encode([entry('.', 0o40755), entry('f', 0o100644)], format(32)).subarray(0, -1));
    const reader = new MultiplexReader(new ChunkSource(stream), () => undefined);
    await expect(readFlist(reader, format(32))).rejects.toMatchObject({ code: 'connection-lost' });
  });
});

/** Bytes as hex, for readable differences; groups are compared separately. */
function plain(value: object): Record<string, unknown> {
  const facts = Object.entries(value).filter(([key]) => key !== 'linkGroup');
  return Object.fromEntries(
    facts.map(([key, part]: [string, unknown]) => [
      key,
      part instanceof Uint8Array ? Buffer.from(part).toString('hex') : part,
    ]),
  );
}

function expectSameGroups(
  got: readonly FlistEntry[],
  sent: readonly Entry[],
  protocol: number,
): void {
  const regular = (one: Entry): boolean => (one.mode & S_IFMT) === S_IFREG;
  const partner = (list: readonly Entry[], i: number): number[] => {
    const group = list[i]?.linkGroup;
    return list.flatMap((one, j) => (group !== undefined && one.linkGroup === group ? [j] : []));
  };
  for (const [i, one] of sent.entries()) {
    // Protocol 27 links regular files only, and has no groups with a single name.
    if (protocol < 28 && !regular(one)) continue;
    const wanted = partner(sent, i);
    if (protocol < 28 && wanted.length < 2) continue;
    expect(partner(got, i)).toEqual(wanted);
  }
}

describe('the order of indexes', () => {
  it('is the order of the sort key, byte for byte', () => {
    const key = ({ path, mode }: Entry): Buffer => {
      const directory = (mode & S_IFMT) === 0o40000;
      const shown = Buffer.from(path).toString('latin1');
      if (shown === '.' && directory) return Buffer.from([0]);
      const parts = shown.split('/');
      const last = parts.pop() ?? '';
      const head = parts.map((part) => `\x01${part}/`).join('');
      return Buffer.from(head + (directory ? `\x01${last}/` : `\x00${last}`), 'latin1');
    };
    const short = fc.array(fc.constantFrom('a', 'b', 'a-', 'a.', 'ab', '.', '\x7f', '\xff', '+'), {
      minLength: 1,
      maxLength: 4,
    });
    const named = fc
      .tuple(short, fc.boolean())
      .map(([parts, directory]) => entry(parts.join('/'), directory ? 0o40755 : 0o100644));
    fc.assert(
      fc.property(named, named, (a, b) => {
        expect(Math.sign(compareFlist(a, b))).toBe(Buffer.compare(key(a), key(b)));
      }),
      { numRuns: 2000 },
    );
  });

  it('is the documented one', () => {
    const list = ['A/', 'a-b/', 'a-b/f', 'a/', 'a/b/', 'a/b/c', 'a/z', 'b', 'a.c', 'z', './'].map(
      (name) => entry(name.replace(/\/$/, ''), name.endsWith('/') ? 0o40755 : 0o100644),
    );
    const names = (protocol: number): string =>
      sortFlist(list, protocol)
        .map(({ path }) => Buffer.from(path).toString())
        .join(' ');
    expect(names(29)).toBe('. a.c b z A a-b a-b/f a a/z a/b a/b/c');
    expect(names(28)).toBe('. A a a-b a-b/f a.c a/b a/b/c a/z b z');
  });
});

describe('id lists', () => {
  it.each([27, 29, 30, 32])('are transferred unchanged at protocol %i', async (protocol) => {
    const how = format(protocol, { numericIds: false, id0Names: protocol >= 32 });
    const users = new Map([
      [1234, 'probe'],
      [2 ** 32 - 2, 'nobody'],
    ]);
    const groups = new Map([[100, 'ürsel']]);
    if (how.id0Names) users.set(0, 'root');
    const writer = new ByteWriter();
    writeIdLists(writer, how, { users, groups });
    const stream = new PassThrough();
    stream.end(writer.copy());
    const reader = new MultiplexReader(new ChunkSource(stream), () => undefined);
    expect(await readIdLists(reader, how)).toEqual({ users, groups });
    expect(reader.stream.available).toBe(0);
  });

  it("are rsync's own bytes", () => {
    const writer = new ByteWriter();
    writeIdLists(writer, format(32, { numericIds: false }), {
      users: new Map([
        [1234, 'probe'],
        [0, 'root'],
      ]),
      groups: new Map([[0, 'root']]),
    });
    expect(writer.written().toString('hex')).toBe('84d20570726f62650004726f6f740004726f6f74');
  });
});
