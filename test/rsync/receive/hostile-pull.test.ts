// Goal: a server that breaks the rules, by malice or by accident, ends a pull with an error that
// names what it did. Nothing is written outside the folder, the server gets none of our files, and
// it costs neither time nor memory. Method: a scripted server per attack; a folder next to the
// destination must be untouched afterwards, and buffers are counted during the attack.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { writeVarint, writeVarlong } from '../../../src/rsync/wire/integers.ts';
import { pull } from '../../../src/rsync/receive/pull.ts';
import type { PullPlan, PullReport } from '../../../src/rsync/receive/pull-plan.ts';
import { writeItemAttributes } from '../../../src/rsync/wire/item-record.ts';
import { NO_BASIS, writeSumHead } from '../../../src/rsync/wire/sum-head.ts';
import { duplexPair } from '../../../src/transport/pair.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { LocalStore } from '../../../src/tree/target/local-store.ts';
import { FakeSender, type RawEntry } from './fake-sender.ts';
import { snapshot } from './support.ts';
import { bytesOf, FakePeer, frame, greeting } from '../../support/fake-peer.ts';
import { ARCHIVE, scratchFolder } from '../../support/stock-rsync.ts';

const MIB = 1024 * 1024;
/** Longer than any attack takes, shorter than a person waits. */
const TIME_MAX_MS = 10_000;
const PLAIN = { ...ARCHIVE, owner: false, group: false };

let ours: string;
let outside: string;
beforeEach(() => {
  const root = scratchFolder();
  ours = join(root, 'ours');
  outside = join(root, 'outside');
  fs.mkdirSync(ours);
  fs.mkdirSync(outside);
  fs.writeFileSync(join(outside, 'precious'), 'precious');
});

const BUFFERS_MAX = 64 * MIB;
// As `prepareHeap` sets it: collected memory is released at once.
setFlagsFromString('--no-concurrent-array-buffer-sweeping');
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let buffersBefore = 0;
let buffersMost = 0;
let watch: NodeJS.Timeout | undefined;
const buffersNow = (): number => process.memoryUsage().arrayBuffers - buffersBefore;
beforeEach(() => {
  buffersBefore = process.memoryUsage().arrayBuffers;
  buffersMost = 0;
  watch = setInterval(() => {
    // V8 tolerates 64 MiB of garbage: only memory that is still referenced counts.
    if (buffersNow() >= BUFFERS_MAX) collectGarbage();
    buffersMost = Math.max(buffersMost, buffersNow());
  }, 2);
});
afterEach(() => {
  clearInterval(watch);
  expect(buffersMost).toBeLessThan(BUFFERS_MAX);
});

type End = PullReport | EcsyncError;
type Changes = Partial<PullPlan<LocalEntry>>;

/** Pulls from `peer`, and checks what must hold after every attack. */
async function pullFrom(
  peer: Parameters<typeof pull>[0],
  changes: Changes = {},
): Promise<{ end: End; problems: string[] }> {
  const before = await snapshot(outside);
  const store = new LocalStore(ours, { durable: false });
  const problems: string[] = [];
  let end: End;
  try {
    end = await pull<LocalEntry>(peer, {
      options: PLAIN,
      paths: ['src/'],
      store,
      idleTimeoutMs: 3000,
      onProblem: (error) => problems.push(error.code),
      ...changes,
    });
  } catch (error) {
    expect(error).toBeInstanceOf(EcsyncError);
    end = error as EcsyncError;
  } finally {
    store.close();
  }
  expect(await snapshot(outside)).toEqual(before);
  for (const facts of Object.values(await snapshot(ours))) {
    expect(facts).toMatch(/^(40|100|120)\d{3} /);
  }
  expect(fs.readdirSync(ours).filter((name) => name.startsWith('.'))).toEqual([]);
  return { end, problems };
}

/** Plays a script of protocol 32. */
async function attack(
  script: (sender: FakeSender) => Promise<void> | void,
  changes: Changes = {},
): Promise<{ end: End; problems: string[] }> {
  const [near, far] = duplexPair();
  const sender = new FakeSender(far);
  const playing = (async () => {
    await sender.greetAsServer();
    await script(sender);
    sender.flush();
    far.output.end();
  })();
  const result = await pullFrom(near, changes);
  for (const stream of [near.output, near.input]) stream.destroy();
  await playing.catch(() => undefined); // a script may fail because its peer left early
  return result;
}

const codeOf = (end: End): string => (end instanceof EcsyncError ? end.code : 'no error');

const int32 = (...values: number[]): Buffer =>
  bytesOf((writer) => {
    for (const value of values) writer.int32(value);
  });

describe('bytes before the list', () => {
  const cases: Record<string, [Uint8Array, string]> = {
    nothing: [Buffer.alloc(0), 'no-greeting'],
    'half a version': [Buffer.from([32, 0]), 'no-greeting'],
    'output of a login shell': [Buffer.from('Last login: yesterday\n'), 'shell-not-clean'],
    'a terminal escape': [Buffer.from('\x1b[2J\x1b]0;owned\x07'), 'shell-not-clean'],
    'version 0': [int32(0), 'shell-not-clean'],
    'version −1': [int32(-1), 'shell-not-clean'],
    'version 26': [int32(26), 'rsync-too-old'],
    'version 41': [int32(41), 'shell-not-clean'],
    'the end before the flags': [int32(32), 'connection-lost'],
    'flags that are not a number': [
      Buffer.concat([int32(32), Buffer.alloc(9, 0xff)]),
      'varint-invalid',
    ],
    'incremental recursion': [greeting(32, 0x1ff), 'inc-recurse-unasked'],
    'incremental recursion at 30': [greeting(30, 0x0f), 'inc-recurse-unasked'],
    'a checksum that was not offered': [
      greeting(32, 0x1be, 'sha1 xxh64 xxh3 md4 none'),
      'no-common-checksum',
    ],
    'an empty checksum list': [greeting(32, 0x1be, ''), 'no-common-checksum'],
    'an endless checksum list': [
      Buffer.concat([int32(32), Buffer.from('81beffff', 'hex'), Buffer.alloc(MIB, 0x61)]),
      'string-too-long',
    ],
    'the end before the seed': [greeting().subarray(0, -1), 'connection-lost'],
    'the end before the list': [greeting(), 'connection-lost'],
    'the end before the list at protocol 29': [greeting(29), 'connection-lost'],
    'a frame without a code': [
      Buffer.concat([greeting(), Buffer.from('00000000', 'hex')]),
      'frame-invalid',
    ],
    'a frame of code −1': [
      Buffer.concat([greeting(), Buffer.from('01000006aa', 'hex')]),
      'frame-invalid',
    ],
    'half a frame header': [
      Buffer.concat([greeting(), Buffer.from('0100', 'hex')]),
      'connection-lost',
    ],
    'a message of 2^24−1 bytes': [
      Buffer.concat([greeting(), Buffer.from('ffffff09', 'hex'), Buffer.alloc(MIB)]),
      'frame-too-long',
    ],
    'an IO_ERROR of 3 bytes': [
      Buffer.concat([greeting(), frame(22, Buffer.alloc(3))]),
      'message-invalid',
    ],
    'a NO_SEND of 5 bytes': [
      Buffer.concat([greeting(), frame(102, Buffer.alloc(5))]),
      'message-invalid',
    ],
    'an ERROR_EXIT of 1 byte': [
      Buffer.concat([greeting(), frame(86, Buffer.alloc(1))]),
      'message-invalid',
    ],
    'an ERROR_EXIT without a code': [
      Buffer.concat([greeting(), frame(86, Buffer.alloc(0))]),
      'remote-exit',
    ],
    'an ERROR_EXIT with a code': [Buffer.concat([greeting(), frame(86, int32(11))]), 'remote-exit'],
  };
  it.each(Object.entries(cases))(
    '%s',
    async (_what, [bytes, code]) => {
      const peer = new FakePeer().say(bytes).close();
      const { end } = await pullFrom(peer, { options: { ...PLAIN, protocolMax: 32 } });
      expect(codeOf(end)).toBe(code);
      expect(fs.readdirSync(ours)).toEqual([]);
    },
    TIME_MAX_MS,
  );
});

describe('extended attributes', () => {
  const FILE = 1;
  const varints = (sender: FakeSender, ...values: number[]): void => {
    for (const value of values) writeVarint(sender.writer, value);
  };
  /** Two attributes of 100 bytes, of one file. */
  const list = (sender: FakeSender): void => {
    sender.entry({ name: '.', mode: 0o040755 });
    varints(sender, 0, 0);
    sender.entry({ name: 'a', size: 1 });
    varints(sender, 0, 2);
    for (const name of ['user.a\0', 'user.b\0']) {
      varints(sender, 7, 100);
      sender.writer.bytes(Buffer.from(name));
      sender.writer.bytes(Buffer.alloc(16));
    }
    sender.endList();
  };
  const ANSWER = 0xa100;
  const cases: Record<string, [(sender: FakeSender) => void, string]> = {
    'of a folder without any': [
      (sender) => sender.answer(0, NO_BASIS, 0x0100),
      'xattr-unrequested',
    ],
    'at no position': [(sender) => varints(sender, 3), 'xattr-unrequested'],
    backwards: [(sender) => varints(sender, -1), 'xattr-unrequested'],
    'of 64 KiB and a byte': [(sender) => varints(sender, 1, 65_537), 'xattr-too-long'],
    'of a negative length': [(sender) => varints(sender, 1, -1), 'xattr-too-long'],
    'that stop': [(sender) => varints(sender, 1, 100), 'connection-lost'],
  };
  it.each(Object.entries(cases))(
    '%s end the pull',
    async (what, [say, code]) => {
      const { end } = await attack(
        async (sender) => {
          list(sender);
          await sender.nextRequest();
          if (what !== 'of a folder without any') {
            sender.ndxWriter.write(sender.writer, FILE);
            writeItemAttributes(sender.writer, { iflags: ANSWER }, 32);
          }
          say(sender);
        },
        { options: { ...PLAIN, xattrs: true } },
      );
      expect(codeOf(end)).toBe(code);
      expect(fs.readdirSync(ours)).toEqual([]);
    },
    TIME_MAX_MS,
  );

  it('one value twice ends the pull, and more values than memory holds', async () => {
    const play =
      (length: number, ...steps: number[]) =>
      async (sender: FakeSender): Promise<void> => {
        list(sender);
        await sender.nextRequest();
        sender.ndxWriter.write(sender.writer, FILE);
        writeItemAttributes(sender.writer, { iflags: ANSWER }, 32);
        for (const step of steps) {
          varints(sender, step, length);
          sender.writer.bytes(Buffer.alloc(length));
        }
      };
    const options = { ...PLAIN, xattrs: true };
    expect(codeOf((await attack(play(100, 2, -1), { options })).end)).toBe('xattr-unrequested');
    const few = { options, listWeightMax: 4000 };
    expect(codeOf((await attack(play(100, 1, 1), few)).end)).toBe('connection-lost');
    expect(codeOf((await attack(play(2000, 1, 1), few)).end)).toBe('xattrs-too-large');
    const fewer = { options, listWeightMax: 1200 };
    const listed = await attack((sender) => list(sender), fewer);
    expect(codeOf(listed.end)).toBe('list-too-large');
  });
});

describe('lists', () => {
  const dir = (name: string): RawEntry => ({ name, mode: 0o040755 });
  const invalid: Record<string, RawEntry[]> = {
    'a parent component': [{ name: '../x' }],
    'two dots': [dir('..')],
    'an absolute name': [{ name: '/tmp/x' }],
    'dots in the middle': [dir('a'), { name: 'a/../../outside/x' }],
    'an empty name': [{ name: '' }],
    'an empty component': [dir('a'), { name: 'a//b' }],
    'a leading dot component': [{ name: './a' }],
    'a trailing dot component': [dir('a'), { name: 'a/.' }],
    'a trailing slash': [dir('a/')],
    'a zero byte': [{ name: 'a\0b' }],
    'the root as a file': [{ name: '.' }],
    'the root as a symlink': [{ name: '.', mode: 0o120777, target: '/' }],
    'a prefix longer than the last name': [{ name: 'a' }, { name: 'b', prefix: 200 }],
    'a prefix that makes a parent component': [{ name: '..a' }, { name: '/x', prefix: 2 }],
    'a name of 4096 bytes': [{ name: 'n'.repeat(4096) }],
    'a name of negative length': [{ name: '', nameLength: -1 }],
    'a name of 2 GiB': [{ name: '', nameLength: 2 ** 31 - 1 }],
    'no type': [{ name: 'a', mode: 0o644 }],
    'an unknown type': [{ name: 'a', mode: 0o150644 }],
    'bits beyond the mode': [{ name: 'a', mode: 0x7fff81a4 }],
    'an empty symlink target': [{ name: 'l', mode: 0o120777, target: '' }],
    'a long symlink target': [{ name: 'l', mode: 0o120777, target: 't'.repeat(5000) }],
    'a target of negative length': [{ name: 'l', mode: 0o120777, target: 'x', targetLength: -5 }],
    'a target of 2 GiB': [{ name: 'l', mode: 0o120777, target: 'x', targetLength: 2 ** 31 - 1 }],
    'a negative size': [{ name: 'a', size: -1 }],
    'a billion nanoseconds': [{ name: 'a', nsec: 1_000_000_000 }],
    'negative nanoseconds': [{ name: 'a', nsec: -1 }],
    'a hard link to nothing': [{ name: 'a', linkTo: 99 }],
    'a hard link to itself': [{ name: 'a', linkTo: 1 }],
    'a hard link to a negative position': [{ name: 'a', linkTo: -7 }],
    'a hard link to a file without links': [{ name: 'a' }, { name: 'b', linkTo: 1 }],
  };
  const orphans: Record<string, RawEntry[]> = {
    'a child without its folder': [{ name: 'a/b' }],
    'a child of a file': [{ name: 'a' }, { name: 'a/b' }],
    'a child of a symlink': [{ name: 'l', mode: 0o120777, target: '../outside' }, { name: 'l/x' }],
    'a folder inside of a symlink': [{ name: 'l', mode: 0o120777, target: '/' }, dir('l/tmp')],
    'a child of a pipe': [{ name: 'p', mode: 0o010644 }, { name: 'p/x' }],
    'a child of a child of nothing': [dir('a'), { name: 'a/b/c' }],
  };
  const cases = [
    ...Object.entries(invalid).map(([what, list]) => [what, list, 'flist-invalid'] as const),
    ...Object.entries(orphans).map(([what, list]) => [what, list, 'parent-missing'] as const),
  ];
  it.each(cases)(
    '%s is refused',
    async (_what, list, code) => {
      const shown: unknown[] = [];
      const { end } = await attack(
        (sender) => {
          sender.list(...list);
          return sender.finishAsServer();
        },
        { options: { ...PLAIN, hardLinks: true }, onList: (entries) => void shown.push(entries) },
      );
      expect(codeOf(end)).toBe(code);
      expect(shown).toEqual([]);
      expect(fs.readdirSync(ours)).toEqual([]);
    },
    TIME_MAX_MS,
  );

  it.each([
    ['another folder', ['src/dir'], [dir('dir'), dir('other')]],
    ['a file next to it', ['src/dir'], [dir('dir'), { name: 'passwd' }]],
    ['a name with the same beginning', ['dir'], [dir('dir2'), { name: 'dir2/x' }]],
    ['another file', ['etc/hosts'], [{ name: 'shadow' }]],
    ['the root', ['dir'], [dir('.')]],
  ])('%s, which was not requested, is refused', async (_what, paths, list) => {
    const { end } = await attack(
      (sender) => {
        for (const entry of list) sender.entry(entry);
        sender.endList();
        return sender.finishAsServer();
      },
      { paths },
    );
    expect(codeOf(end)).toBe('entry-unasked');
    expect(fs.readdirSync(ours)).toEqual([]);
  });

  it('an entry that the server should hide is refused', async () => {
    const { end } = await attack(
      (sender) => {
        sender.list({ name: 'shown' }, { name: '.bashrc' });
        return sender.finishAsServer();
      },
      { senderRules: [{ action: 'hide', pattern: Buffer.from('.*') }] },
    );
    expect(codeOf(end)).toBe('entry-unasked');
  });

  it.each([0xfc, 0xff])('a number that begins with %i is refused', async (first) => {
    const { end } = await attack((sender) => sender.writer.bytes(Buffer.alloc(10, first)));
    expect(codeOf(end)).toBe('varint-invalid');
  });

  it('an endless list is refused before it fills the memory', async () => {
    const { end } = await attack(
      async (sender) => {
        await sender.sayForEver((i) => sender.entry({ name: `${i}`.padEnd(255, 'x') }));
      },
      { listWeightMax: 8 * MIB },
    );
    expect(codeOf(end)).toBe('list-too-large');
    expect((end as EcsyncError).hint).toContain('memory');
  });

  it.each(['users', 'groups'])('endless %s are refused', async (which) => {
    const { end } = await attack(
      async (sender) => {
        sender.entry({ name: '.', mode: 0o040755 });
        sender.endList();
        if (which === 'groups') sender.writer.bytes(Buffer.from([0, 0]));
        await sender.sayForEver((i) => {
          writeVarint(sender.writer, i + 1);
          sender.writer.byte(255);
          sender.writer.bytes(Buffer.alloc(255, 0x61));
        });
      },
      { options: { ...ARCHIVE, numericIds: false } },
    );
    expect(codeOf(end)).toBe('id-list-too-long');
  });

  it.each([
    ['a character device', 0o020666],
    ['a block device', 0o060666],
    ['a pipe', 0o010666],
    ['a socket', 0o140666],
  ])('%s that was not requested is not created', async (_what, mode) => {
    const { end } = await attack(
      (sender) => {
        sender.list({ name: 'special', mode });
        return sender.finishAsServer();
      },
      { options: { ...PLAIN, devices: false, specials: false } },
    );
    expect(codeOf(end)).toBe('no error');
    expect(fs.readdirSync(ours)).toEqual([]);
  });

  it('a folder that replaces an existing symlink stays inside the destination', async () => {
    fs.symlinkSync('../outside', join(ours, 'd'));
    const { end } = await attack((sender) => {
      sender.list(dir('d'), dir('d/sub'));
      return sender.finishAsServer();
    });
    expect(codeOf(end)).toBe('no error');
    expect(fs.lstatSync(join(ours, 'd/sub')).isDirectory()).toBe(true);
  });

  it('a repeated name is reported once and requested once', async () => {
    const names: string[] = [];
    const { end } = await attack(
      async (sender) => {
        sender.list(
          { name: 'a', size: 4 },
          { name: 'a', size: 4 },
          { name: 'a', mode: 0o120777, target: 'x' },
        );
        const { ndx } = await sender.nextRequest();
        sender.answer(ndx);
        sender.content(Buffer.from('once'));
        await sender.finishAsServer();
      },
      { onList: (entries) => void names.push(...entries.map(({ path }) => path.toString())) },
    );
    expect(codeOf(end)).toBe('no error');
    expect(names).toHaveLength(2);
    expect(fs.readFileSync(join(ours, 'a'), 'utf8')).toBe('once');
  });

  it.each([2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 40])(
    'a time of %d seconds is accepted',
    async (mtime) => {
      const { end } = await attack((sender) => {
        sender.list({ ...dir('d'), mtime });
        return sender.finishAsServer();
      });
      expect(codeOf(end)).toBe('no error');
    },
  );

  it('an incomplete list stops deletions, and other bits of io_error are masked', async () => {
    fs.writeFileSync(join(ours, 'kept'), '');
    const { end } = await attack(
      (sender) => {
        sender.entry(dir('.'));
        sender.endList(-1);
        return sender.finishAsServer();
      },
      { options: { ...PLAIN, deleteAfter: true } },
    );
    expect(fs.readdirSync(ours)).toEqual(['kept']);
    expect(end).toMatchObject({ ioError: 7, deletionSkipped: true });
  });

  it('an error after the list stops deletions too', async () => {
    fs.writeFileSync(join(ours, 'kept'), '');
    const { end } = await attack(
      (sender) => {
        sender.list();
        sender.writer.message(22, int32(1));
        return sender.finishAsServer();
      },
      { options: { ...PLAIN, deleteAfter: true } },
    );
    expect(fs.readdirSync(ours)).toEqual(['kept']);
    expect(end).toMatchObject({ ioError: 1, deletionSkipped: true });
  });

  const raw: Record<string, [number, Buffer, string]> = {
    'a name of −1 bytes at protocol 29': [
      29,
      Buffer.concat([Buffer.from([0x58]), int32(-1)]),
      'flist-invalid',
    ],
    'a name of 2^31−1 bytes at protocol 27': [
      27,
      Buffer.concat([Buffer.from([0x58]), int32(0x7fffffff)]),
      'flist-invalid',
    ],
    'a parent component at protocol 27': [
      27,
      Buffer.concat([Buffer.from([0x18, 4]), Buffer.from('../x'), int32(1, 1, 0o100644)]),
      'flist-invalid',
    ],
    'a size of −2 at protocol 28': [
      28,
      Buffer.concat([Buffer.from([0x18, 1, 0x61]), int32(-2, 1, 0o100644)]),
      'flist-invalid',
    ],
    'a size beyond 2^53 at protocol 29': [
      29,
      Buffer.concat([Buffer.from([0x18, 1, 0x61]), int32(-1, 0, 0x7fffffff)]),
      'number-too-large',
    ],
    'a target of 1 GiB at protocol 29': [
      29,
      Buffer.concat([Buffer.from([0x18, 1, 0x61]), int32(1, 1, 0o120777, 2 ** 30)]),
      'flist-invalid',
    ],
    'a size of more than 9 bytes at protocol 30': [
      30,
      Buffer.concat([Buffer.from([0x18, 1, 0x61, 0xff]), Buffer.alloc(12, 0xff)]),
      'flist-invalid',
    ],
  };
  it.each(Object.entries(raw))(
    '%s is refused',
    async (_what, [protocol, bytes, code]) => {
      const peer = new FakePeer().say(greeting(protocol, 0x0e)).say(frame(0, bytes)).close();
      const { end } = await pullFrom(peer, { options: { ...PLAIN, protocolMax: protocol } });
      expect(codeOf(end)).toBe(code);
    },
    TIME_MAX_MS,
  );
});

describe('answers', () => {
  type Step = (sender: FakeSender, ndx: number) => Promise<void> | void;
  const cases: Record<string, [Step, string]> = {
    'an index beyond the list': [(sender) => sender.answer(2), 'ndx-out-of-range'],
    'a huge index': [(sender) => sender.answer(2 ** 31 - 1), 'ndx-out-of-range'],
    'the index −5': [(sender) => sender.ndxWriter.write(sender.writer, -5), 'ndx-out-of-range'],
    'the end of an incremental list': [
      (sender) => sender.ndxWriter.write(sender.writer, -2),
      'ndx-out-of-range',
    ],
    'an incremental list': [
      (sender) => sender.ndxWriter.write(sender.writer, -101),
      'ndx-out-of-range',
    ],
    'content of a folder': [(sender) => sender.answer(0), 'reply-unrequested'],
    'an answer without content': [
      (sender, ndx) => sender.answer(ndx, undefined, 0x2000),
      'reply-without-content',
    ],
    'a different sum head': [
      (sender, ndx) =>
        sender.answer(ndx, { count: 1, blockLength: 700, s2length: 2, remainder: 0 }),
      'sum-head-mismatch',
    ],
    'blocks of length 0': [
      (sender, ndx) => sender.answer(ndx, { count: 5, blockLength: 0, s2length: 2, remainder: 0 }),
      'sum-head-invalid',
    ],
    'a negative count': [
      (sender, ndx) => sender.answer(ndx, { count: -1, blockLength: 9, s2length: 2, remainder: 0 }),
      'sum-head-invalid',
    ],
    'sums of 17 bytes': [
      (sender, ndx) => sender.answer(ndx, { count: 1, blockLength: 9, s2length: 17, remainder: 0 }),
      'sum-head-invalid',
    ],
    'a block without a basis': [
      (sender, ndx) => {
        sender.answer(ndx);
        sender.token(-1);
      },
      'block-out-of-range',
    ],
    'the last of all blocks': [
      (sender, ndx) => {
        sender.answer(ndx);
        sender.token(-(2 ** 31));
      },
      'block-out-of-range',
    ],
    'an answer twice': [
      (sender, ndx) => {
        for (let i = 0; i < 2; i++) {
          sender.answer(ndx);
          sender.content(Buffer.from('twice'));
        }
      },
      'reply-unrequested',
    ],
    'an answer to a declined request': [
      (sender, ndx) => {
        sender.flush();
        sender.writer.message(102, int32(ndx));
        sender.answer(ndx);
      },
      'reply-unrequested',
    ],
    'an answer in the last phase': [
      (sender, ndx) => {
        sender.answer(ndx);
        sender.content(Buffer.from('first'));
        sender.done();
        sender.done();
        sender.answer(ndx);
      },
      'reply-unrequested',
    ],
    'an answer in the goodbye': [
      (sender, ndx) => {
        for (let i = 0; i < 3; i++) sender.done();
        for (let i = 0; i < 5; i++) writeVarlong(sender.writer, 9, 3);
        sender.answer(ndx);
      },
      'ndx-out-of-range',
    ],
    'negative statistics': [
      (sender) => {
        for (let i = 0; i < 3; i++) sender.done();
        sender.writer.bytes(Buffer.alloc(40, 0xff));
      },
      'statistics-invalid',
    ],
    'an xname of 32767 bytes': [
      (sender, ndx) => {
        sender.ndxWriter.write(sender.writer, ndx);
        sender.writer.uint16(0xb000);
        sender.writer.bytes(Buffer.from([0xff, 0xff]));
        sender.writer.bytes(Buffer.alloc(32767, 0x61));
      },
      'string-too-long',
    ],
    'a message of the wrong length': [
      (sender) => sender.writer.message(22, Buffer.alloc(3)),
      'message-invalid',
    ],
    'a message that is too long': [
      (sender) => sender.writer.message(2, Buffer.alloc(9000)),
      'frame-too-long',
    ],
    'the end of the server': [(sender) => sender.writer.message(86, int32(20)), 'remote-exit'],
    'a literal of 2 GiB that stops at once': [
      (sender, ndx) => {
        sender.answer(ndx);
        sender.token(2 ** 31 - 1);
      },
      'connection-lost',
    ],
    'content without its sum': [
      (sender, ndx) => {
        sender.answer(ndx);
        sender.literal(Buffer.from('never'));
        sender.token(0);
      },
      'connection-lost',
    ],
    'an end without an answer': [() => undefined, 'connection-lost'],
  };
  const finished = new Set(['an answer in the last phase']);
  it.each(Object.entries(cases))(
    '%s',
    async (what, [step, code]) => {
      const { end } = await attack(async (sender) => {
        sender.list({ name: 'a', size: 5 });
        const { ndx } = await sender.nextRequest();
        await step(sender, ndx);
      });
      expect(codeOf(end)).toBe(code);
      const left = what === 'an answer twice' || finished.has(what) ? ['a'] : [];
      expect(fs.readdirSync(ours).filter((name) => !left.includes(name))).toEqual([]);
    },
    TIME_MAX_MS,
  );

  const floods: Record<string, [(sender: FakeSender, ndx: number) => void, string]> = {
    'endless echoes': [(sender) => sender.answer(0, undefined, 8), 'too-many-reports'],
    'endless deletion reports': [
      (sender) => {
        sender.ndxWriter.write(sender.writer, -3);
        for (let i = 0; i < 5; i++) writeVarint(sender.writer, 0x7fffffff);
      },
      'too-many-reports',
    ],
    'endless messages': [
      (sender) => sender.writer.message(2, Buffer.alloc(5000, 0x61)),
      'too-many-messages',
    ],
    'endless unknown messages': [
      (sender) => sender.writer.message(200, Buffer.alloc(8000)),
      'too-many-messages',
    ],
    'endless keep-alives': [(sender) => sender.writer.bytes(Buffer.alloc(0)), 'too-many-messages'],
    'endless refusals': [
      (sender) => {
        sender.writeRaw(Buffer.alloc(400_000, frame(102, int32(77))));
      },
      'too-many-messages',
    ],
  };
  it.each(Object.entries(floods))(
    '%s',
    async (what, [step, code]) => {
      const { end } = await attack(async (sender) => {
        sender.list({ name: 'a', size: 5 });
        const { ndx } = await sender.nextRequest();
        sender.flush();
        const empty = Buffer.alloc(400_000, Buffer.from('00000007', 'hex'));
        await sender.sayForEver(() => {
          step(sender, ndx);
          // Frames are written raw: the writer makes only one at a time.
          if (what === 'endless keep-alives') sender.writeRaw(empty);
        });
      });
      expect(codeOf(end)).toBe(code);
    },
    TIME_MAX_MS,
  );

  it('an endless literal is abandoned, and nothing of it stays', async () => {
    const { end, problems } = await attack(
      async (sender) => {
        sender.list({ name: 'a', size: 5 });
        sender.answer((await sender.nextRequest()).ndx);
        await sender.sayForEver(() => sender.literal(Buffer.alloc(32_768)));
      },
      { growthMax: 10 * MIB },
    );
    expect(codeOf(end)).toBe('content-endless');
    expect(problems).toEqual([]);
    expect(fs.readdirSync(ours)).toEqual([]);
  });

  it('endless blocks are abandoned, and the old file stays', async () => {
    fs.writeFileSync(join(ours, 'a'), Buffer.alloc(200_000, 'old'));
    const { end } = await attack(
      async (sender) => {
        sender.list({ name: 'a', size: 5 });
        const { ndx, head } = await sender.nextRequest();
        sender.answer(ndx, head, 0x8000);
        await sender.sayForEver(() => sender.token(-1));
      },
      { growthMax: 10 * MIB },
    );
    expect(codeOf(end)).toBe('content-endless');
    expect(fs.readFileSync(join(ours, 'a')).length).toBe(200_000);
  });

  it('endless blocks of a vanished basis are abandoned too', async () => {
    fs.writeFileSync(join(ours, 'a'), Buffer.alloc(200_000, 'old'));
    const { end } = await attack(
      async (sender) => {
        sender.list({ name: 'a', size: 5 });
        const { ndx, head } = await sender.nextRequest();
        fs.rmSync(join(ours, 'a'));
        sender.answer(ndx, head, 0x8000);
        await sender.sayForEver(() => sender.token(-1));
      },
      { growthMax: 10 * MIB },
    );
    expect(codeOf(end)).toBe('content-endless');
  });

  it('data after the goodbye is refused', async () => {
    const { end } = await attack(async (sender) => {
      sender.list();
      for (let i = 0; i < 3; i++) sender.done();
      for (let i = 0; i < 5; i++) writeVarlong(sender.writer, 9, 3);
      sender.done();
      await sender.sayForEver(() => sender.writer.bytes(Buffer.alloc(32_768)));
    });
    expect(codeOf(end)).toBe('data-after-end');
  });

  it('a server that falls silent ends in a timeout', async () => {
    for (const silent of [
      () => undefined,
      (sender: FakeSender) => sender.list({ name: 'a', size: 5 }),
    ]) {
      const { end } = await attack(
        async (sender) => {
          silent(sender);
          await new Promise((resolve) => setTimeout(resolve, 1500));
        },
        { idleTimeoutMs: 300 },
      );
      expect(codeOf(end)).toBe('timeout');
    }
  });

  it('another file named as the basis is not read', async () => {
    fs.writeFileSync(join(ours, 'a'), Buffer.alloc(1400, 'old'));
    fs.writeFileSync(join(ours, 'secret'), Buffer.alloc(1400, 'secret'));
    const { end } = await attack(async (sender) => {
      sender.list({ name: 'a', size: 1400 });
      const { ndx, head } = await sender.nextRequest();
      // CVE-2024-12086: basis type "similar file" and its name.
      sender.ndxWriter.write(sender.writer, ndx);
      const attributes = {
        iflags: 0x9800,
        basisType: 0x83,
        xname: Buffer.from('../outside/precious'),
      };
      writeItemAttributes(sender.writer, attributes, 32);
      writeSumHead(sender.writer, head);
      sender.token(-1);
      sender.token(-2);
      sender.contentEnd(Buffer.alloc(1400, 'old'));
      await sender.finishAsServer();
    });
    expect(codeOf(end)).toBe('no error');
    expect(fs.readFileSync(join(ours, 'a'))).toEqual(Buffer.alloc(1400, 'old'));
  });

  it('damaged content is requested again with full sums, then abandoned', async () => {
    fs.writeFileSync(join(ours, 'a'), 'old content');
    const heads: number[] = [];
    const { end, problems } = await attack(async (sender) => {
      sender.list({ name: 'a', size: 5 });
      for (let i = 0; i < 2; i++) {
        const { ndx, head } = await sender.nextRequest();
        heads.push(head.s2length);
        sender.answer(ndx, head, 0x8000);
        sender.literal(Buffer.from('wrong'));
        sender.token(0);
        sender.writer.bytes(Buffer.alloc(16, 7));
        sender.done();
      }
      sender.done();
      for (let i = 0; i < 5; i++) writeVarlong(sender.writer, 9, 3);
      sender.done();
    });
    expect(heads).toEqual([2, 16]);
    expect(problems).toEqual(['verification-failed']);
    expect(end).toMatchObject({ problems: 1, filesReceived: 0 });
    expect(fs.readFileSync(join(ours, 'a'), 'utf8')).toBe('old content');
  });

  it('files that are not sent are reported one by one', async () => {
    const { end, problems } = await attack(async (sender) => {
      sender.list({ name: 'a', size: 5 }, { name: 'b', size: 5 }, { name: 'c', size: 5 });
      const requests = [
        await sender.nextRequest(),
        await sender.nextRequest(),
        await sender.nextRequest(),
      ];
      sender.flush();
      sender.writer.message(102, int32(requests[0]?.ndx ?? 0));
      sender.writer.message(102, int32(requests[1]?.ndx ?? 0));
      sender.writer.message(102, int32(4711));
      sender.writer.message(22, int32(2));
      await sender.finishAsServer();
    });
    expect(problems).toEqual(['not-sent', 'vanished', 'vanished']);
    expect(end).toMatchObject({ problems: 3, ioError: 2 });
  });

  it('keep-alives, texts and future codes in between are accepted', async () => {
    const texts: string[] = [];
    const { end } = await attack(
      async (sender) => {
        for (let i = 0; i < 50_000; i++) {
          sender.writer.message(
            [0, 42, 77, 100, 101][i % 5] ?? 0,
            Buffer.alloc(i % 5 === 3 ? 4 : 0),
          );
        }
        sender.list({ name: 'a', size: 4 });
        const { ndx } = await sender.nextRequest();
        sender.answer(ndx);
        sender.literal(Buffer.from('ca'));
        sender.flush();
        sender.writer.message(4, Buffer.from('careful\n'));
        for (const seconds of [-1, 0, 0x7fffffff]) sender.writer.message(33, int32(seconds));
        sender.literal(Buffer.from('lm'));
        sender.contentEnd(Buffer.from('calm'));
        await sender.finishAsServer();
      },
      { onMessage: (level, text) => void texts.push(`${level} ${text}`) },
    );
    expect(end).toMatchObject({ filesReceived: 1, problems: 0, literalBytes: 4 });
    expect(texts).toEqual(['warning careful\n']);
  });

  it.each([0, 1, -1, -5, 0x7fffffff, -0x80000000])('a seed of %i is accepted', async (seed) => {
    const [near, far] = duplexPair();
    const sender = new FakeSender(far);
    const playing = (async () => {
      await sender.greetAsServer(seed);
      sender.list({ name: 'a', size: 4 });
      sender.answer((await sender.nextRequest()).ndx, NO_BASIS);
      sender.content(Buffer.from('seed'));
      await sender.finishAsServer();
      far.output.end();
    })();
    const { end } = await pullFrom(near);
    await playing;
    expect(end).toMatchObject({ filesReceived: 1 });
  });
});
