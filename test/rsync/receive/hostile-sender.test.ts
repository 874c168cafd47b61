// Goal: whatever a sender sends, nothing is written outside the folder, no special file is created,
// and the server ends soon with a status other than 0. Method: a scripted sender per attack; a
// folder next to the destination must be untouched afterwards.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeVarint } from '../../../src/rsync/wire/integers.ts';
import type { TransferOptions } from '../../../src/rsync/wire/options.ts';
import { serve, type ServeOptions } from '../../../src/rsync/receive/server.ts';
import { LocalStore } from '../../../src/tree/target/local-store.ts';
import { duplexPair } from '../../../src/transport/pair.ts';
import { ARCHIVE } from '../../support/stock-rsync.ts';
import { FakeSender, type RawEntry } from './fake-sender.ts';
import { Bench, snapshot } from './support.ts';

let bench: Bench;
let outside: string;
beforeEach(() => {
  bench = new Bench();
  outside = join(bench.root, 'outside');
  fs.mkdirSync(outside);
  fs.writeFileSync(join(outside, 'precious'), 'precious');
});
afterEach(() => bench.remove());

const PLAIN: TransferOptions = { ...ARCHIVE, owner: false, group: false };
const HABITS = { users: new Map<string, number>(), groups: new Map<string, number>() };

interface Ending {
  readonly status: number;
  readonly stderr: string;
}

/** Runs a server against a script, and checks what must hold after every attack. */
async function attack(
  script: (sender: FakeSender) => Promise<void>,
  transfer: Partial<TransferOptions> = {},
  more: Partial<ServeOptions> = {},
): Promise<Ending> {
  const before = await snapshot(outside);
  const [near, far] = duplexPair();
  const store = new LocalStore(bench.ours, { durable: false });
  const stderrLines: string[] = [];
  const serving = serve(far, store, {
    transfer: { ...PLAIN, ...transfer },
    localDefaults: HABITS,
    onStderr: (line) => stderrLines.push(line),
    ...more,
  });
  const sender = new FakeSender(near);
  const playing = (async () => {
    await sender.greet();
    await script(sender);
    near.output.end();
  })();
  const status = await serving;
  store.close();
  near.output.destroy();
  near.input.destroy();
  await playing.catch(() => undefined); // a script may fail because its peer left early
  expect(await snapshot(outside)).toEqual(before);
  for (const facts of Object.values(await snapshot(bench.ours)))
    expect(facts).toMatch(/^(40|100|120)\d{3} /);
  return { status, stderr: stderrLines.join('\n') };
}

describe('file lists', () => {
  const entries: Record<string, RawEntry[]> = {
    'a parent component': [{ name: '../x' }],
    'two dots': [{ name: '..', mode: 0o040755 }],
    'an absolute name': [{ name: '/tmp/x' }],
    'dots in the middle': [{ name: 'a', mode: 0o040755 }, { name: 'a/../../outside/x' }],
    'an empty name': [{ name: '' }],
    'an empty component': [{ name: 'a', mode: 0o040755 }, { name: 'a//b' }],
    'a leading dot component': [{ name: './a' }],
    'a trailing dot component': [{ name: 'a', mode: 0o040755 }, { name: 'a/.' }],
    'a trailing slash': [{ name: 'a/', mode: 0o040755 }],
    'a zero byte': [{ name: 'a\0b' }],
    'the root as a file': [{ name: '.' }],
    'the root as a symlink': [{ name: '.', mode: 0o120777, target: '/' }],
    'a prefix longer than the last name': [{ name: 'a' }, { name: 'b', prefix: 200 }],
    'a name of 4096 bytes': [{ name: 'n'.repeat(4096) }],
    'a name of negative length': [{ name: '', nameLength: -1 }],
    'a name of 2 GiB': [{ name: '', nameLength: 2 ** 31 - 1 }],
    'no type': [{ name: 'a', mode: 0o644 }],
    'an unknown type': [{ name: 'a', mode: 0o150644 }],
    'bits beyond the mode': [{ name: 'a', mode: 0x7fff81a4 }],
    'an empty symlink target': [{ name: 'l', mode: 0o120777, target: '' }],
    'a long symlink target': [{ name: 'l', mode: 0o120777, target: 't'.repeat(5000) }],
    'a symlink target of negative length': [
      { name: 'l', mode: 0o120777, target: 'x', targetLength: -5 },
    ],
    'a negative size': [{ name: 'a', size: -1 }],
    'a billion nanoseconds': [{ name: 'a', nsec: 1_000_000_000 }],
    'negative nanoseconds': [{ name: 'a', nsec: -1 }],
    'a child without its folder': [{ name: 'a/b' }],
    'a child of a file': [{ name: 'a' }, { name: 'a/b' }],
    'a child of a symlink': [{ name: 'l', mode: 0o120777, target: '../outside' }, { name: 'l/x' }],
    'a hard link to nothing': [{ name: 'a', linkTo: 99 }],
    'a hard link to itself': [{ name: 'a', linkTo: 1 }],
    'a hard link to a negative position': [{ name: 'a', linkTo: -7 }],
    'a hard link to a file without links': [{ name: 'a' }, { name: 'b', linkTo: 1 }],
  };
  it.each(Object.keys(entries))('%s is refused', async (what) => {
    const { status, stderr } = await attack(
      (sender) => {
        sender.list(...(entries[what] ?? []));
        return sender.finish();
      },
      { hardLinks: true },
    );
    expect(stderr).toMatch(/file list/);
    expect(status).toBe(2);
    expect(fs.readdirSync(bench.ours)).toEqual([]);
  });

  it.each([0xfc, 0xff])(
    'a number that claims too many bytes (first byte %i) is refused',
    async (first) => {
      const { status } = await attack((sender) => {
        sender.writer.bytes(Buffer.alloc(10, first));
        sender.flush();
        return sender.finish();
      });
      expect(status).toBe(2);
    },
  );

  it.each([
    ['a character device', 0o020666],
    ['a block device', 0o060666],
    ['a pipe', 0o010666],
    ['a socket', 0o140666],
  ])('%s that was not requested is not created', async (_what, mode) => {
    await attack(
      (sender) => {
        sender.list({ name: 'special', mode });
        return sender.finish();
      },
      { devices: false, specials: false },
    );
    expect(fs.readdirSync(bench.ours)).toEqual([]);
  });

  it('a symlink that was not requested is not created', async () => {
    await attack(
      (sender) => {
        sender.list({ name: 'l', mode: 0o120777 });
        return sender.finish();
      },
      { links: false },
    );
    expect(fs.readdirSync(bench.ours)).toEqual([]);
  });

  it('a folder that replaces an existing symlink stays inside the destination', async () => {
    fs.symlinkSync('../outside', join(bench.ours, 'd'));
    const { status } = await attack((sender) => {
      sender.list({ name: 'd', mode: 0o040755 }, { name: 'd/sub', mode: 0o040755 });
      return sender.finish();
    });
    expect(status).toBe(0);
    expect(fs.lstatSync(join(bench.ours, 'd/sub')).isDirectory()).toBe(true);
  });

  it('of a folder and a symlink with the same name the folder counts', async () => {
    await attack((sender) => {
      sender.list(
        { name: 'd', mode: 0o120777, target: '../outside' },
        { name: 'd', mode: 0o040755 },
        { name: 'd/x', mode: 0o120777, target: 'y' },
      );
      return sender.finish();
    });
    expect(fs.readlinkSync(join(bench.ours, 'd/x'))).toBe('y');
  });

  it('a repeated name is requested once', async () => {
    const { status } = await attack(async (sender) => {
      sender.list({ name: 'a', size: 4 }, { name: 'a', size: 4 }, { name: 'b', size: 4 });
      for (const wanted of [1, 3]) {
        const { ndx } = await sender.nextRequest();
        expect(ndx).toBe(wanted);
        sender.answer(ndx);
        sender.content(Buffer.from('once'));
      }
      await sender.finish();
    });
    expect(status).toBe(0);
    expect(fs.readdirSync(bench.ours)).toEqual(['a', 'b']);
  });

  it.each([2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 40])(
    'a time of %d seconds is accepted',
    async (mtime) => {
      const { status } = await attack((sender) => {
        sender.list({ name: 'd', mode: 0o040755, mtime });
        return sender.finish();
      });
      expect(status).toBe(0);
    },
  );

  it('an incomplete list stops deletions', async () => {
    fs.writeFileSync(join(bench.ours, 'kept'), '');
    const { status, stderr } = await attack(
      (sender) => {
        sender.writer.int32(0);
        sender.entry({ name: '.', mode: 0o040755 });
        sender.endList(1);
        return sender.finish();
      },
      { deleteAfter: true },
    );
    expect(fs.readdirSync(bench.ours)).toEqual(['kept']);
    expect(status).toBe(23);
    expect(stderr).toContain('skipping file deletion');
  });

  it.each([-1, 5120, 2 ** 31 - 1])('a filter rule of %i bytes is refused', async (length) => {
    const { status } = await attack(
      (sender) => {
        sender.writer.int32(length);
        return sender.finish();
      },
      { deleteAfter: true },
    );
    expect(status).toBe(2);
  });
});

describe('answers', () => {
  const answers: Record<string, (sender: FakeSender, ndx: number) => void> = {
    'an index beyond the list': (sender) => sender.answer(2),
    'a huge index': (sender) => sender.answer(2 ** 31 - 1),
    'the index -5': (sender) => sender.ndxWriter.write(sender.writer, -5),
    'the end of an incremental list': (sender) => sender.ndxWriter.write(sender.writer, -2),
    'an incremental list': (sender) => sender.ndxWriter.write(sender.writer, -101),
    'content that was not requested': (sender) => sender.answer(0),
    'an answer without content': (sender, ndx) => sender.answer(ndx, undefined, 0x2000),
    'a different sum head': (sender, ndx) =>
      sender.answer(ndx, { count: 1, blockLength: 700, s2length: 2, remainder: 0 }),
    'blocks of length 0': (sender, ndx) =>
      sender.answer(ndx, { count: 5, blockLength: 0, s2length: 2, remainder: 0 }),
    'a negative count': (sender, ndx) =>
      sender.answer(ndx, { count: -1, blockLength: 700, s2length: 2, remainder: 0 }),
    'sums of 17 bytes': (sender, ndx) =>
      sender.answer(ndx, { count: 1, blockLength: 700, s2length: 17, remainder: 0 }),
    'a remainder beyond the block': (sender, ndx) =>
      sender.answer(ndx, { count: 1, blockLength: 700, s2length: 2, remainder: 701 }),
    'a block without a basis': (sender, ndx) => {
      sender.answer(ndx);
      sender.token(-1);
    },
    'the last of all blocks': (sender, ndx) => {
      sender.answer(ndx);
      sender.token(-(2 ** 31));
    },
    'an answer twice': (sender, ndx) => {
      for (let i = 0; i < 2; i++) {
        sender.answer(ndx);
        sender.token(0);
        sender.writer.bytes(Buffer.alloc(16));
      }
    },
    'an xname of 32767 bytes': (sender, ndx) => {
      sender.ndxWriter.write(sender.writer, ndx);
      sender.writer.uint16(0xb000);
      sender.writer.bytes(Buffer.from([0xff, 0xff]));
      sender.writer.bytes(Buffer.alloc(32767, 0x61));
    },
    'a message of the wrong length': (sender) => sender.writer.message(22, Buffer.alloc(3)),
    'a message that is too long': (sender) => sender.writer.message(2, Buffer.alloc(9000)),
  };
  it.each(Object.keys(answers))('%s is refused', async (what) => {
    const { status, stderr } = await attack(async (sender) => {
      sender.list({ name: 'a', size: 5 });
      const { ndx } = await sender.nextRequest();
      answers[what]?.(sender, ndx);
      sender.flush();
      await sender.finish();
    });
    expect(status, stderr).toBe(2);
    expect(fs.readdirSync(bench.ours)).toEqual([]);
  });

  it('an endless literal is not stored', async () => {
    const { status, stderr } = await attack(
      async (sender) => {
        sender.list({ name: 'a', size: 5 });
        sender.answer((await sender.nextRequest()).ndx);
        for (let i = 0; i < 200; i++) sender.literal(Buffer.alloc(32768));
        sender.token(0);
        sender.writer.bytes(Buffer.alloc(16));
        sender.flush();
        await sender.finish();
      },
      {},
      { growthMax: 1_000_000 },
    );
    expect(status).toBe(23);
    expect(stderr).toContain('far longer than announced');
    expect(fs.readdirSync(bench.ours)).toEqual([]);
  });

  it('a literal of 2 GiB that stops at once is a lost connection', async () => {
    const { status } = await attack(async (sender) => {
      sender.list({ name: 'a', size: 5 });
      sender.answer((await sender.nextRequest()).ndx);
      sender.token(2 ** 31 - 1);
      sender.flush();
    });
    expect(status).toBe(12);
    expect(fs.readdirSync(bench.ours)).toEqual([]);
  });

  it('damaged content is requested again, then abandoned, and the old file stays', async () => {
    fs.writeFileSync(join(bench.ours, 'a'), 'old content');
    const heads: number[] = [];
    const { status, stderr } = await attack(async (sender) => {
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
      for (let i = 0; i < 2; i++) sender.done();
      await sender.finish();
    });
    expect(heads).toEqual([2, 16]);
    expect(status).toBe(23);
    expect(stderr).toContain('damaged twice');
    expect(fs.readFileSync(join(bench.ours, 'a'), 'utf8')).toBe('old content');
  });

  it('a file that was requested but never sent is a failure', async () => {
    const { status, stderr } = await attack(async (sender) => {
      sender.list({ name: 'a', size: 5 });
      await sender.nextRequest();
      await sender.finish();
    });
    expect(status).toBe(23);
    expect(stderr).toContain('not sent');
  });

  it('declined files and a flood of keep-alives and unknown messages are accepted', async () => {
    const { status } = await attack(async (sender) => {
      for (let i = 0; i < 50_000; i++)
        sender.writer.message([0, 42, 77, 102][i % 4] ?? 0, Buffer.alloc(i % 4 === 3 ? 4 : 0));
      sender.list({ name: 'a', size: 5 });
      const { ndx } = await sender.nextRequest();
      const payload = Buffer.alloc(4);
      payload.writeInt32LE(ndx);
      sender.writer.message(102, payload);
      const vanished = Buffer.alloc(4);
      vanished.writeInt32LE(2);
      sender.writer.message(22, vanished);
      await sender.finish();
    });
    expect(status).toBe(24);
  });

  it('the exit code of a sender that gives up becomes ours', async () => {
    const { status } = await attack((sender) => {
      const payload = Buffer.alloc(4);
      payload.writeInt32LE(20);
      sender.writer.message(86, payload);
      return sender.finish();
    });
    expect(status).toBe(20);
  });

  it('a deletion report may come anywhere', async () => {
    const { status } = await attack(async (sender) => {
      sender.list();
      sender.ndxWriter.write(sender.writer, -3);
      for (let i = 0; i < 5; i++) writeVarint(sender.writer, 1);
      await sender.finish();
    });
    expect(status).toBe(0);
  });

  it.each(['SSH-2.0-OpenSSH', '\0\0\0\0', '\x1a\0\0\0'])(
    'the greeting %j is refused',
    async (greeting) => {
      const [near, far] = duplexPair();
      const store = new LocalStore(bench.ours);
      const serving = serve(far, store, {
        transfer: PLAIN,
        localDefaults: HABITS,
        onStderr: () => undefined,
      });
      near.output.end(Buffer.from(greeting, 'latin1'));
      expect(await serving).toBe(2);
      store.close();
    },
  );
});
