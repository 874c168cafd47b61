// Goal: extended attributes are transferred as by rsync: in known bytes, stored by a stock server
// at every protocol that supports them, and without requests that a server must not make.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chownSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/bytes/byte-reader.ts';
import { ByteWriter } from '../../../src/bytes/byte-writer.ts';
import { EcsyncError } from '../../../src/errors.ts';
import { createMd5Sum } from '../../../src/rsync/wire/checksums.ts';
import { CF_AVOID_XATTR_OPTIM } from '../../../src/rsync/wire/constants.ts';
import { writeVarint } from '../../../src/rsync/wire/integers.ts';
import { serverArgs } from '../../../src/rsync/wire/options.ts';
import { send } from '../../../src/rsync/send/sender.ts';
import type { SendReport } from '../../../src/rsync/send/send-job.ts';
import { XattrListReader, type ListedXattr } from '../../../src/rsync/flist/xattr-list.ts';
import {
  readXattrRequest,
  writeXattrAnswer,
  XattrListWriter,
  xattrRequestRule,
} from '../../../src/rsync/flist/xattrs.ts';
import type { Xattr } from '../../../src/tree/entry.ts';
import { bytesOf, FakePeer, frame, Generator, greeting, sumHead } from '../../support/fake-peer.ts';
import { MemoryTree } from '../../support/memory-tree.ts';
import {
  ARCHIVE,
  listAll,
  pushTree,
  scratchFolder,
  startStockServer,
} from '../../support/stock-rsync.ts';

const xattr = (name: string, value: string | Uint8Array): Xattr => ({
  name: Buffer.from(name),
  value: Buffer.from(value),
});
const BIG = xattr('user.big', 'Z'.repeat(40));
const SMALL = xattr('user.small', 'v1');
const varints = (...values: number[]): Buffer =>
  bytesOf((writer) => {
    for (const value of values) writeVarint(writer, value);
  });

describe('attributes in the file list', () => {
  it('are the bytes that stock rsync sends', async () => {
    const writer = new ByteWriter();
    const list = new XattrListWriter(await createMd5Sum());
    const set = [BIG, SMALL];
    list.write(writer);
    list.write(writer, set);
    list.write(writer, []);
    list.write(writer, set);
    const md5 = createHash('md5').update('Z'.repeat(40)).digest('hex');
    const names = [Buffer.from('user.big\0'), Buffer.from('user.small\0')] as const;
    const expected =
      `0000 0002 0928${names[0].toString('hex')}${md5}` +
      `0b02${names[1].toString('hex')}${Buffer.from('v1').toString('hex')} 01 02`;
    expect(md5).toMatch(/^fe917b22.*ed$/);
    expect(writer.copy().toString('hex')).toBe(expected.replaceAll(' ', ''));
  });
});

describe('requests', () => {
  it('are read and answered as in the capture', () => {
    expect(readXattrRequest(new ByteReader(Buffer.from('0100', 'hex')), [BIG])).toEqual([0]);
    const answer = bytesOf((writer) => writeXattrAnswer(writer, [BIG], [0]));
    expect(answer.toString('hex')).toBe(`0128${'5a'.repeat(40)}00`);
  });

  it('are the same in pieces of any length', () => {
    const xattrs = Array.from({ length: 400 }, () => BIG);
    const positions = fc.uniqueArray(fc.nat(399)).map((all) => all.sort((a, b) => a - b));
    fc.assert(
      fc.property(positions, fc.integer({ min: 1, max: 9 }), (wanted, step) => {
        const bytes = varints(...wanted.map((at, i) => at - (wanted[i - 1] ?? -1)), 0);
        const reader = new ByteReader();
        let result: number[] | undefined;
        for (let i = 0; i < bytes.length; i += step) {
          expect(result).toBeUndefined();
          reader.append(bytes.subarray(i, i + step));
          result = reader.attempt((ready) => readXattrRequest(ready, xattrs));
        }
        expect(result).toEqual(wanted);
      }),
    );
  });

  it('are not part of hard link reports if the server uses the xattr shortcut', () => {
    const ask = (protocol: number, compatFlags: number, dryRun = false) =>
      xattrRequestRule({ protocol, compatFlags }, { xattrs: true, dryRun });
    for (const [rule, linked] of [
      [ask(32, CF_AVOID_XATTR_OPTIM), true],
      [ask(31, 0), false],
      [ask(30, 0), true],
    ] as const) {
      expect([rule?.(0x0100), rule?.(0xa100), rule?.(0x4100), rule?.(0xa000)]).toEqual([
        true,
        true,
        true,
        false,
      ]);
      expect(rule?.(0x5100)).toBe(linked);
    }
    expect(ask(32, 0, true)).toBeUndefined();
  });
});

const sets = fc.array(
  fc.uniqueArray(
    fc.record({
      name: fc.uint8Array({ minLength: 1, maxLength: 12, min: 1 }),
      value: fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ minLength: 33, size: '+1' }),
      ),
    }),
    { maxLength: 5, selector: ({ name }) => Buffer.from(name).toString('hex') },
  ),
  { maxLength: 6 },
);

describe('attributes of a received list', () => {
  it('equal the written ones, whole and in pieces of any length', async () => {
    const md5 = await createMd5Sum();
    fc.assert(
      fc.property(sets, fc.integer({ min: 1, max: 50 }), (some, step) => {
        // The second time each set is only a number.
        const written = [...some, ...some];
        const list = new XattrListWriter(md5);
        const bytes = bytesOf((writer) => {
          for (const set of written) list.write(writer, set);
        });
        const reader = new ByteReader();
        const read = new XattrListReader();
        const arrived: (readonly ListedXattr[])[] = [];
        for (let i = 0; i < bytes.length; i += step) {
          reader.append(bytes.subarray(i, i + step));
          for (;;) {
            const next = reader.attempt((ready) => read.read(ready));
            if (next === undefined) break;
            arrived.push(next.set);
            if (arrived.length === written.length) break;
          }
        }
        const expected = written.map((set) =>
          set.map(({ name, value }) => ({
            name: Buffer.from(name),
            length: value.length,
            ...(value.length <= 32 && { value: Buffer.from(value) }),
          })),
        );
        expect(arrived).toEqual(expected);
        expect(reader.available).toBe(0);
      }),
    );
  });

  it.each([
    ['a set that was not sent', varints(2)],
    ['a negative set', varints(-1)],
    ['a negative count', varints(0, -1)],
    ['an empty name', varints(0, 1, 1, 0)],
    ['a long name', varints(0, 1, 65_537, 0)],
    ['a negative length', varints(0, 1, 7, -1)],
    ['a NUL in a name', Buffer.concat([varints(0, 1, 4, 0), Buffer.from('a\0b\0')])],
    ['an unterminated name', Buffer.concat([varints(0, 1, 4, 0), Buffer.from('abcd')])],
    [
      'endless names',
      Buffer.concat([
        varints(0, 1_000_000),
        ...Array.from({ length: 80 }, () =>
          Buffer.concat([varints(1000, 0), Buffer.alloc(999, 'n'), Buffer.alloc(1)]),
        ),
      ]),
    ],
  ])('are refused with %s', (_what, bytes) => {
    const read = new XattrListReader();
    const reader = new ByteReader(bytes);
    expect(() => reader.attempt((ready) => read.read(ready))).toThrow(
      expect.objectContaining({ code: 'xattrs-invalid' }) as Error,
    );
  });
});

/** Root, a file with three attributes, a folder with one. */
function makeTree(): MemoryTree {
  const tree = new MemoryTree();
  const file = tree.addFile('file', Buffer.from('content'));
  file.xattrs = [xattr('user.a', 'A'.repeat(100)), SMALL, xattr('user.z', 'Z'.repeat(33))];
  tree.addDirectory('folder').xattrs = [BIG];
  return tree;
}
const FILE = 1;
const FOLDER = 2;

async function serve(
  says: (generator: Generator) => Uint8Array[],
  greets = 32,
): Promise<{ heard: Buffer; end: SendReport | EcsyncError }> {
  const generator = new Generator();
  const peer = new FakePeer().say(greeting(greets));
  peer.say(frame(0, Buffer.concat(says(generator)))).close();
  const tree = makeTree();
  const job = {
    entries: await listAll(tree),
    open: (entry: Parameters<typeof tree.open>[0]) => tree.open(entry),
    options: { ...ARCHIVE, protocolMax: 32, xattrs: true },
    idleTimeoutMs: 4000,
  };
  const end = await send(peer, job).catch((error: unknown) => {
    expect(error).toBeInstanceOf(EcsyncError);
    return error as EcsyncError;
  });
  return { heard: Buffer.concat(peer.heard), end };
}

const dones = (generator: Generator): Buffer[] => Array.from({ length: 5 }, () => generator.done());

describe('a server that requests attributes', () => {
  it('gets what it may request, in records of every kind', async () => {
    const { heard, end } = await serve((generator) => [
      generator.item(FOLDER, 0x6100, varints(1, 0)),
      generator.item(FILE, 0xa100, varints(1, 2, 0), sumHead(0, 0, 0, 0)),
      ...dones(generator),
    ]);
    expect(end).not.toBeInstanceOf(EcsyncError);
    const folder = `0061${varints(1, 40).toString('hex')}${'5a'.repeat(40)}00`;
    const file = `00a1${varints(1, 100).toString('hex')}${'41'.repeat(100)}${varints(2, 33).toString('hex')}${'5a'.repeat(33)}00${'00'.repeat(16)}`;
    expect(heard.toString('hex')).toContain(folder);
    expect(heard.toString('hex')).toContain(file);
  });

  const request =
    (...steps: number[]) =>
    (generator: Generator) => [generator.item(FILE, 0x0100, varints(...steps))];
  it.each([
    ['an attribute after the last one', request(4, 0), 'xattr-request-invalid'],
    ['a number far beyond the last one', request(0x7fffffff, 0), 'xattr-request-invalid'],
    ['one before the first', request(-1, 0), 'xattr-request-invalid'],
    ['one twice', request(3, -2, 0), 'xattr-request-invalid'],
    ['one whose value was in the list', request(2, 0), 'xattr-request-invalid'],
    [
      'for the attributes of an entry without any',
      (generator: Generator) => [generator.item(0, 0x0100, varints(1, 0))],
      'xattr-request-invalid',
    ],
    [
      'with an invalid number',
      (generator: Generator) => [generator.item(FILE, 0x0100, Buffer.alloc(9, 0xff))],
      'varint-invalid',
    ],
    [
      'and closes',
      (generator: Generator) => [generator.item(FILE, 0x0100, varints(1))],
      'connection-lost',
    ],
    [
      'for the same five times',
      (generator: Generator) =>
        Array.from({ length: 5 }, () => generator.item(FILE, 0x0100, varints(1, 0))),
      'asked-twice',
    ],
  ])('%s is refused', async (_, says, code) => {
    const { end } = await serve(says);
    expect(end).toMatchObject({ code });
  });

  it('is refused at a protocol without attributes', async () => {
    const { heard, end } = await serve(() => [], 29);
    expect(end).toMatchObject({ code: 'xattrs-unsupported', exitCode: 5 });
    expect(heard.length).toBe(4);
  });
});

/** `name=value` of an object, values as hex. */
function stored(path: string): string[] {
  const words = ['-d', '-m', '-', '-e', 'hex', '--absolute-names', path];
  const lines = execFileSync('getfattr', words, { encoding: 'latin1' }).split('\n');
  return lines.filter((line) => line.includes('=')).map((line) => line.replaceAll('0x', ''));
}
const shown = (xattrs: readonly Xattr[]): string[] =>
  xattrs.map(({ name, value }) => `${text(name)}=${Buffer.from(value).toString('hex')}`);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

describe.each([30, 31, 32])('a stock server at protocol %i', (protocolMax) => {
  const options = { ...ARCHIVE, protocolMax, xattrs: true, hardLinks: true };

  it('stores attributes of new, linked and unchanged objects, and requests none twice', async () => {
    const tree = makeTree();
    const shared = [xattr('user.shared', 'S'.repeat(50))];
    for (const name of ['one', 'two', 'three']) {
      const link = tree.addFile(name, Buffer.from('same'));
      Object.assign(link, { linkGroup: 1, xattrs: shared });
    }
    const destination = join(scratchFolder(), 'new');
    const first = await pushTree(tree, destination, { options });
    expect(first).toMatchObject({ code: 0, stderr: '', messages: [], problems: [] });
    const entries = await listAll(tree);
    for (const { path, xattrs = [] } of entries) {
      expect(stored(join(destination, text(path)))).toEqual(shown(xattrs));
    }
    const second = await pushTree(tree, destination, { options });
    expect(second).toMatchObject({ code: 0, items: [], sent: [] });

    for (const entry of entries) if (entry.linkGroup === 1) entry.xattrs = [BIG];
    for (const root of entries.slice(0, 1)) root.xattrs = [SMALL];
    const third = await pushTree(tree, destination, { options });
    expect(third).toMatchObject({ code: 0, sent: [] });
    expect(stored(join(destination, 'two'))).toEqual(shown([BIG]));
    expect(stored(destination)).toEqual(shown([SMALL]));
  });

  it('stores forty attributes of one file', async () => {
    const tree = new MemoryTree();
    const names = Array.from({ length: 40 }, (_, i) => `user.${String(i).padStart(3, '0')}`);
    tree.addFile('many', Buffer.from('x')).xattrs = names.map((name, i) =>
      xattr(name, Buffer.alloc(i, i)),
    );
    const destination = scratchFolder();
    await pushTree(tree, destination, { options });
    const [, many] = await listAll(tree);
    expect(stored(join(destination, 'many'))).toEqual(shown(many?.xattrs ?? []));
  });
});

describe('the names that a stock server accepts', () => {
  const NAMES = ['security.s', 'system.posix_acl_access', 'trusted.t', 'user.u'];
  // An ACL of user:rw-, user 1234:r--, group:r--, mask:r--, other:r--.
  const ACL =
    '0200000001000600ffffffff02000400d204000004000400ffffffff10000400ffffffff20000400ffffffff';

  /** Pushes twice; returns what is stored and the items of the second push. */
  async function pushNames(asUser: boolean): Promise<{ names: string[]; items: string[] }> {
    const tree = new MemoryTree();
    const value = (name: string): Buffer =>
      Buffer.from(name.startsWith('system') ? ACL : '00', 'hex');
    tree.addFile('f', Buffer.from('x')).xattrs = NAMES.map((name) => xattr(name, value(name)));
    const destination = scratchFolder();
    if (asUser) chownSync(destination, 65_534, 65_534);
    const options = { ...ARCHIVE, xattrs: true, owner: false, group: false };
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups', 'rsync'];
    let items: string[] = [];
    for (let i = 0; i < 2; i++) {
      items = [];
      const words = serverArgs(options, destination);
      const server = asUser
        ? startStockServer([...user, ...words], 'setpriv')
        : startStockServer(words);
      await send(server, {
        entries: await listAll(tree),
        open: (entry) => tree.open(entry),
        options,
        onItem: (entry, iflags) => items.push(`${iflags.toString(16)} ${text(entry.path)}`),
      });
      server.output.end();
      expect(await server.ended).toMatchObject({ code: 0, stderr: '' });
    }
    const names = stored(join(destination, 'f')).map((line) => line.split('=')[0] ?? '');
    return { names, items };
  }

  it('as root: all, but it never finds a stored ACL, and requests it again', async () => {
    expect(await pushNames(false)).toEqual({ names: NAMES, items: ['100 f'] });
  });

  it('as another user: only the namespace user', async () => {
    expect(await pushNames(true)).toEqual({ names: ['user.u'], items: [] });
  });
});
