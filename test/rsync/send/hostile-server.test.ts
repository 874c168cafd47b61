// Goal: a server that breaks the rules, by malice or by accident, ends a push with an error that
// names what it did. It gets no byte of a file that it did not properly request, and costs neither
// time nor memory. Method: a scripted peer, one attack per case, at every applicable protocol.
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { writeVarint } from '../../../src/rsync/wire/integers.ts';
import { send } from '../../../src/rsync/send/sender.ts';
import type { SendReport } from '../../../src/rsync/send/send-job.ts';
import { bytesOf, FakePeer, frame, Generator, greeting, sumHead } from '../../support/fake-peer.ts';
import { MemoryTree } from '../../support/memory-tree.ts';
import { ARCHIVE, listAll } from '../../support/stock-rsync.ts';

const SECRET = Buffer.from('the content of a file that must stay here');
const MIB = 1024 * 1024;

/** Root, five files, a directory and a symlink: indexes 0 … 7. */
function makeTree(): MemoryTree {
  const tree = new MemoryTree();
  for (const name of ['f1', 'f2', 'f3', 'f4', 'f5']) tree.addFile(name, SECRET);
  tree.addDirectory('sub');
  tree.addSymlink('link', Buffer.from('f1'));
  return tree;
}
const FILE = 1;
const LINK = 6;
const DIRECTORY = 7;
const COUNT = 8;

interface Attack {
  readonly says: Uint8Array | ((generator: Generator) => Uint8Array[]);
  readonly code: string;
  /** Part of the hint. */
  readonly hint?: string;
  readonly protocol?: number;
  /** Content may be sent: the attack begins after a proper request. */
  readonly served?: boolean;
  readonly dryRun?: boolean;
}

async function run(
  attack: Omit<Attack, 'code'>,
): Promise<{ peer: FakePeer; end: SendReport | EcsyncError }> {
  const { protocol = 32, says } = attack;
  const tree = makeTree();
  const peer = new FakePeer();
  if (says instanceof Uint8Array) {
    peer.say(says);
  } else {
    peer.say(greeting(protocol));
    for (const part of says(new Generator(protocol))) peer.say(part);
  }
  peer.close();
  const options = { ...ARCHIVE, protocolMax: protocol, dryRun: attack.dryRun === true };
  try {
    const end = await send(peer, {
      entries: await listAll(tree),
      open: (entry) => tree.open(entry),
      options,
      idleTimeoutMs: 4000,
    });
    return { peer, end };
  } catch (error) {
    expect(error).toBeInstanceOf(EcsyncError);
    return { peer, end: error as EcsyncError };
  }
}

const data = (...parts: Uint8Array[]): Buffer => frame(0, Buffer.concat(parts));
const int32 = (...values: number[]): Buffer =>
  bytesOf((writer) => {
    for (const value of values) writer.int32(value);
  });
const item =
  (...make: ((generator: Generator) => Uint8Array)[]) =>
  (generator: Generator) => [data(...make.map((one) => one(generator)))];
const varints = (...values: number[]): Buffer =>
  bytesOf((writer) => {
    for (const value of values) writeVarint(writer, value);
  });

const BEFORE_THE_LIST: Record<string, Attack> = {
  'nothing at all': { says: Buffer.alloc(0), code: 'no-greeting' },
  'half a version': { says: Buffer.from([32, 0]), code: 'no-greeting' },
  'an account for sftp only': {
    says: Buffer.from('This service allows sftp connections only.\n'),
    code: 'shell-not-clean',
    hint: 'runs no commands',
  },
  'an account without a shell': {
    says: Buffer.from('This account is currently not available.\n'),
    code: 'shell-not-clean',
    hint: 'runs no commands',
  },
  'output of a login shell': {
    says: Buffer.from('Last login: yesterday\n'),
    code: 'shell-not-clean',
  },
  'a terminal escape': { says: Buffer.from('\x1b[2J\x1b]0;owned\x07'), code: 'shell-not-clean' },
  'version 0': { says: int32(0), code: 'shell-not-clean' },
  'version −1': { says: int32(-1), code: 'shell-not-clean' },
  'version 19': { says: int32(19), code: 'shell-not-clean' },
  'version 26': { says: int32(26), code: 'rsync-too-old' },
  'version 41': { says: int32(41), code: 'shell-not-clean' },
  'version 2^31−1': { says: int32(0x7fffffff), code: 'shell-not-clean' },
  'the end before the flags': { says: int32(32), code: 'connection-lost' },
  'flags that are not a number': {
    says: Buffer.concat([int32(32), Buffer.alloc(9, 0xff)]),
    code: 'varint-invalid',
  },
  'incremental recursion': { says: greeting(32, 0x1ff), code: 'inc-recurse-unasked' },
  'incremental recursion at 30': { says: greeting(30, 0x0f), code: 'inc-recurse-unasked' },
  'no common checksum': { says: greeting(32, 0x1be, 'md4 sha1 none'), code: 'no-common-checksum' },
  'an empty checksum list': { says: greeting(32, 0x1be, ''), code: 'no-common-checksum' },
  'an endless checksum list': {
    says: Buffer.concat([int32(32), Buffer.from('81beffff', 'hex'), Buffer.alloc(MIB, 0x61)]),
    code: 'string-too-long',
  },
  'a truncated checksum list': { says: greeting().subarray(0, 10), code: 'connection-lost' },
  'the end before the seed': { says: greeting().subarray(0, -1), code: 'connection-lost' },
  'the end after the seed': { says: greeting(), code: 'connection-lost' },
};

const FRAMES: Record<string, Attack> = {
  'a frame without a code': { says: () => [Buffer.from('00000000', 'hex')], code: 'frame-invalid' },
  'a frame of code −1': { says: () => [Buffer.from('01000006aa', 'hex')], code: 'frame-invalid' },
  'half a frame header': { says: () => [Buffer.from('0100', 'hex')], code: 'connection-lost' },
  'a data frame that ends early': {
    says: () => [Buffer.from('ffffff0701', 'hex')],
    code: 'connection-lost',
  },
  'a message that ends early': {
    says: () => [frame(2, Buffer.alloc(10)).subarray(0, 8)],
    code: 'connection-lost',
  },
  'a message of 2^24−1 bytes': {
    says: () => [Buffer.from('ffffff09', 'hex'), Buffer.alloc(MIB)],
    code: 'frame-too-long',
  },
  'an unknown message of 2^24−1 bytes': {
    says: () => [Buffer.from('ffffffff', 'hex')],
    code: 'frame-too-long',
  },
  'an IO_ERROR of 3 bytes': { says: () => [frame(22, Buffer.alloc(3))], code: 'message-invalid' },
  'an IO_TIMEOUT of 5 bytes': { says: () => [frame(33, Buffer.alloc(5))], code: 'message-invalid' },
  'an ERROR_EXIT of 1 byte': { says: () => [frame(86, Buffer.alloc(1))], code: 'message-invalid' },
  'an ERROR_EXIT without a code': { says: () => [frame(86, Buffer.alloc(0))], code: 'remote-exit' },
  'an ERROR_EXIT in the middle of a value': {
    says: (g) => [data(g.want(FILE).subarray(0, 5)), frame(86, int32(11))],
    code: 'remote-exit',
  },
};

const REQUESTS: Record<string, Attack> = {
  ...Object.fromEntries(
    [COUNT, COUNT + 1, 254, 65_535, 0x7fffffff, -2, -4, -5, -101, -102, -0x7fffffff].map((ndx) => [
      `a request for index ${ndx}`,
      { says: item((g) => g.ndx(ndx)), code: 'ndx-out-of-range' },
    ]),
  ),
  ...Object.fromEntries(
    [-3, -2, COUNT, -0x80000000].map((ndx) => [
      `a request for index ${ndx} at protocol 28`,
      { says: item((g) => g.ndx(ndx)), code: 'ndx-out-of-range', protocol: 28 },
    ]),
  ),
  'a keep-alive of protocol 29 with a request': {
    says: item((g) => g.want(COUNT)),
    code: 'ndx-out-of-range',
    protocol: 29,
  },
  'the content of a directory': { says: item((g) => g.want(DIRECTORY)), code: 'not-a-file' },
  'the content of a symlink': { says: item((g) => g.want(LINK)), code: 'not-a-file' },
  'the content of the root': { says: item((g) => g.want(0)), code: 'not-a-file' },
  'the content of a directory in a dry run': {
    says: item((g) => g.item(DIRECTORY, 0x8000)),
    code: 'not-a-file',
    dryRun: true,
  },
  'the content of a directory at protocol 27': {
    says: item((g) => g.ndx(DIRECTORY)),
    code: 'not-a-file',
    protocol: 27,
  },
  'a file twice': {
    says: item(
      (g) => g.want(FILE),
      (g) => g.want(FILE),
    ),
    code: 'asked-twice',
    served: true,
  },
  'a file 100,000 times': {
    says: (g) => [data(...Array.from({ length: 100_000 }, () => g.want(FILE)))],
    code: 'asked-twice',
    served: true,
  },
  'a file twice in the redo phase': {
    says: item(
      (g) => g.want(FILE),
      (g) => g.done(),
      (g) => g.want(FILE),
      (g) => g.want(FILE),
    ),
    code: 'asked-twice',
    served: true,
  },
  'a file after the redo phase': {
    says: item(
      (g) => g.done(),
      (g) => g.done(),
      (g) => g.want(FILE),
    ),
    code: 'asked-too-late',
  },
  'a file after the redo phase at protocol 29': {
    says: item(
      (g) => g.done(),
      (g) => g.done(),
      (g) => g.want(FILE),
    ),
    code: 'asked-too-late',
    protocol: 29,
  },
  'a file in the goodbye': {
    says: item(
      (g) => g.done(),
      (g) => g.done(),
      (g) => g.done(),
      (g) => g.want(FILE),
    ),
    code: 'ndx-out-of-range',
  },
  'a file in the second goodbye': {
    says: item(...Array.from({ length: 4 }, () => (g: Generator) => g.done()), (g) => g.want(FILE)),
    code: 'ndx-out-of-range',
  },
  'endless reports': {
    says: (g) => [data(...Array.from({ length: 50_000 }, () => g.item(DIRECTORY, 8)))],
    code: 'too-many-reports',
  },
  'endless deletion counts': {
    says: (g) => [
      data(
        ...Array.from({ length: 50_000 }, () => Buffer.concat([g.ndx(-3), varints(1, 1, 1, 1, 1)])),
      ),
    ],
    code: 'too-many-reports',
  },
  'a deletion count of −1': {
    says: item(
      (g) => g.ndx(-3),
      () => varints(0, -1, 0, 0, 0),
    ),
    code: 'del-stats-invalid',
  },
  'a deletion count of 2^31−1': {
    says: item(
      (g) => g.ndx(-3),
      () => varints(0x7fffffff, 0, 0, 0, 0),
    ),
    code: 'del-stats-invalid',
  },
  'deletion counts at protocol 30': {
    says: item(
      (g) => g.ndx(-3),
      () => varints(0, 0, 0, 0, 0),
    ),
    code: 'ndx-out-of-range',
    protocol: 30,
  },
  'an xname of 32767 bytes': {
    says: item((g) => g.item(FILE, 0xb000, Buffer.from('ffff', 'hex'), Buffer.alloc(32_767))),
    code: 'string-too-long',
  },
};

const heads: [string, [number, number, number, number], number?][] = [
  ['−1 blocks', [-1, 700, 2, 0]],
  ['−2^31 blocks', [-0x80000000, 700, 2, 0]],
  ['blocks of no length', [1, 0, 2, 0]],
  ['2^31−1 blocks of no length', [0x7fffffff, 0, 16, 0]],
  ['blocks of −1 bytes', [1, -1, 2, 0]],
  ['blocks of 131073 bytes', [1, 131_073, 2, 0]],
  ['blocks of 2^31−1 bytes', [1, 0x7fffffff, 2, 0]],
  ['blocks of 2^29+1 bytes at protocol 29', [1, 536_870_913, 2, 0], 29],
  ['strong sums of 17 bytes', [1, 700, 17, 0]],
  ['strong sums of 255 bytes', [1, 700, 255, 0]],
  ['strong sums of −1 bytes', [1, 700, -1, 0]],
  ['a remainder longer than a block', [1, 700, 2, 701]],
  ['a remainder of −1', [1, 700, 2, -1]],
  ['a remainder without blocks', [0, 0, 0, 1]],
];

const SUMS: Record<string, Attack> = {
  ...Object.fromEntries(
    heads.map(([what, head, protocol = 32]) => [
      what,
      { says: item((g) => g.want(FILE, sumHead(...head))), code: 'sum-head-invalid', protocol },
    ]),
  ),
  'half a sum head': {
    says: item(
      (g) => g.item(FILE, 0xa000),
      () => sumHead(1, 700, 2, 0).subarray(0, 9),
    ),
    code: 'connection-lost',
  },
  'sums that end early': {
    says: item((g) => g.want(FILE, sumHead(1000, 700, 2, 0), Buffer.alloc(500))),
    code: 'connection-lost',
  },
  '2^31−1 blocks whose sums never come': {
    says: item((g) => g.want(FILE, sumHead(0x7fffffff, 700, 16, 0), Buffer.alloc(MIB))),
    code: 'connection-lost',
  },
};

describe.each([
  ['before the list', BEFORE_THE_LIST],
  ['in frames', FRAMES],
  ['in requests', REQUESTS],
  ['in sums', SUMS],
])('a hostile server, %s', (_, attacks) => {
  it.each(Object.entries(attacks))('%s', async (_name, attack) => {
    const { peer, end } = await run(attack);
    expect(end).toBeInstanceOf(EcsyncError);
    expect((end as EcsyncError).code).toBe(attack.code);
    if (attack.hint !== undefined) expect((end as EcsyncError).hint).toContain(attack.hint);
    const heard = Buffer.concat(peer.heard);
    const copies = heard.toString('latin1').split(SECRET.toString('latin1')).length - 1;
    expect(copies).toBeLessThanOrEqual(attack.served === true ? 2 : 0);
  });
});

describe('a server that is merely unusual', () => {
  const rest = (g: Generator): Uint8Array =>
    Buffer.concat(Array.from({ length: 5 }, () => g.done()));

  it.each([
    ['keep-alives', (g: Generator) => [data(), data(), frame(42, Buffer.alloc(0)), data(rest(g))]],
    ['messages with future codes', (g: Generator) => [frame(200, Buffer.alloc(5)), data(rest(g))]],
    [
      'IO_TIMEOUT of −1, 0 and 2^31−1',
      (g: Generator) => [
        frame(33, int32(-1)),
        frame(33, int32(0)),
        frame(33, int32(0x7fffffff)),
        data(rest(g)),
      ],
    ],
    ['SUCCESS for files never sent', (g: Generator) => [frame(100, int32(99)), data(rest(g))]],
    ['an empty deleted name', (g: Generator) => [frame(101, Buffer.alloc(0)), data(rest(g))]],
    [
      'a million empty frames',
      (g: Generator) => [Buffer.alloc(4_000_000, Buffer.from('00000007', 'hex')), data(rest(g))],
    ],
    [
      'a frame for every byte',
      (g: Generator) => [...rest(g)].map((byte) => data(Buffer.from([byte]))),
    ],
    [
      'reports of every flag',
      (g: Generator) => [
        data(g.item(DIRECTORY, 0x7fff, Buffer.from('80', 'hex'), Buffer.from('0141', 'hex'))),
        data(rest(g)),
      ],
    ],
  ])('is served: %s', async (_, says) => {
    const { end } = await run({ says });
    expect(end).toMatchObject({ protocol: 32, filesSent: 0 });
  });

  it('gets the file whole if its sums are too many to keep, and they take no memory', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const count = 20_000_000;
    const piece = frame(0, Buffer.alloc(4 * MIB));
    const peer = new FakePeer();
    const generator = new Generator();
    const tree = makeTree();
    peer.say(greeting()).say(data(generator.want(FILE, sumHead(count, 700, 2, 0))));
    let left = count * 6;
    // Sent bit by bit, since a peer cannot send more than we read.
    const sayMore = (): void => {
      if (left > 0) {
        const part = Math.min(left, 4 * MIB);
        left -= part;
        peer.say(part === 4 * MIB ? piece : frame(0, Buffer.alloc(part)));
        setImmediate(sayMore);
      } else {
        peer.say(data(rest(generator))).close();
      }
    };
    sayMore();
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    }, 2);
    const report = await send(peer, {
      entries: await listAll(tree),
      open: (entry) => tree.open(entry),
      options: ARCHIVE,
    });
    clearInterval(watch);
    expect(report).toMatchObject({ filesSent: 1, literalBytes: SECRET.length });
    expect(most - before).toBeLessThan(64 * MIB);
  });

  it.each([
    [30, 0x00e, 'md5'],
    [30, 0x000, 'md5'],
    [31, 0x03e, 'md5'],
    [32, 0x1be, 'xxh128'],
  ])('is an older one: protocol %i with flags %i', async (protocol, flags, checksumName) => {
    const { peer, end } = await run({
      protocol,
      says: Buffer.concat([
        greeting(protocol, flags),
        ...((g: Generator) => [data(g.want(FILE), rest(g))])(new Generator(protocol)),
      ]),
    });
    expect(end).toMatchObject({ protocol, checksumName, filesSent: 1 });
    expect(Buffer.concat(peer.heard).includes(SECRET)).toBe(true);
  });

  it('can report why it gave up even after it stopped reading', async () => {
    const tree = new MemoryTree();
    tree.addFile('big', Buffer.alloc(3_000_000));
    const input = new PassThrough();
    const output = new PassThrough({ highWaterMark: 1000 });
    const generator = new Generator();
    input.write(greeting());
    input.write(data(generator.want(1)));
    const sending = send(
      { input, output },
      {
        entries: await listAll(tree),
        open: (entry) => tree.open(entry),
        options: ARCHIVE,
        onProgress: () => {
          output.destroy(new Error('EPIPE'));
          input.end(frame(86, int32(11)));
        },
      },
    );
    await expect(sending).rejects.toMatchObject({
      code: 'remote-exit',
      facts: { remoteExitCode: 11 },
    });
  });

  it('that requests nothing else gets nothing of the other files', async () => {
    const { peer, end } = await run({ says: (g) => [data(g.want(FILE), rest(g))] });
    expect(end).toMatchObject({ filesSent: 1, literalBytes: SECRET.length });
    const heard = Buffer.concat(peer.heard).toString('latin1');
    expect(heard.split(SECRET.toString('latin1'))).toHaveLength(2);
  });
});
