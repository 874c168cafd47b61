// Goal: a folder behind a stock SFTP server is the same tree as the folder itself, byte for byte in
// its names, and a server that lies or floods ends in an error, in time and in bounded memory.
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { SftpTree } from '../../../src/sync/copy/sftp-tree.ts';
import { spawnConnection } from '../../../src/transport/child.ts';
import type { Connection } from '../../../src/transport/connection.ts';
import { duplexPair } from '../../../src/transport/pair.ts';
import { SftpSession } from '../../../src/transport/sftp/sftp.ts';
import { isRegularFile, type Entry, type Tree } from '../../../src/tree/entry.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { walk } from '../../../src/tree/walk.ts';
import { makeHardTree, noise } from '../../support/hard-tree.ts';
import { scratchFolder } from '../../support/stock-rsync.ts';

const SFTP_SERVER = '/usr/lib/openssh/sftp-server';
const OPTIONS = {
  shownName: 'the server',
  idleTimeoutMs: 30_000,
  signal: new AbortController().signal,
};
const opened: SftpSession[] = [];
afterEach(() => {
  for (const session of opened.splice(0)) session.destroy();
});

async function stockSession(): Promise<SftpSession> {
  const connection = await spawnConnection([SFTP_SERVER], { shownName: 'sftp-server' });
  const session = await SftpSession.open(connection, OPTIONS);
  opened.push(session);
  return session;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const thrown = await promise.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );
  return thrown instanceof EcsyncError ? thrown.code : String(thrown);
}

async function described(tree: Tree): Promise<string[]> {
  const entries: Entry[] = [];
  for await (const part of walk(tree)) entries.push(...part);
  return entries.map((entry) => {
    const { path, mode, size, mtimeSec, uid, gid, target } = entry;
    return JSON.stringify({
      path: Buffer.from(path).toString('latin1'),
      mode,
      size: isRegularFile(entry) ? size : undefined,
      ...{ mtimeSec, uid, gid },
      target: target && Buffer.from(target).toString('latin1'),
    });
  });
}

describe('a folder behind the stock server', () => {
  it('is the same tree as the folder itself, listed or looked up', async () => {
    const folder = makeHardTree();
    fs.symlinkSync(folder, `${folder}.link`);
    const session = await stockSession();
    const tree = new SftpTree(session, Buffer.from(`${folder}.link`));
    fs.rmSync(join(folder, 'fifo')); // a fresh listing, not an old one
    const local = new LocalTree(folder);
    expect(await described(tree)).toEqual(await described(local));
    const root = await tree.root();
    for (const wanted of await local.children(await local.root())) {
      const child = await tree.child(root, wanted.path);
      expect(child).toMatchObject({ mode: wanted.mode, mtimeSec: wanted.mtimeSec });
    }
    expect(await tree.child(root, Buffer.from('not there'))).toBeUndefined();
    fs.rmSync(`${folder}.link`);
  });

  it('tells times before 1970 and after 2106 as they are, and which one is open', async () => {
    const folder = scratchFolder();
    const nowSec = Math.floor(Date.now() / 1000);
    const DAY = 86_400;
    const times: Record<string, number> = {
      'a moment before 1970': -1,
      '1965': -150_000_000,
      '1902': -2_145_000_000,
      '1970': 0,
      'last year': nowSec - 300 * DAY,
      'last week': nowSec - 7 * DAY,
      now: nowSec,
      '2050': 2_540_000_000,
      '2110': 4_430_000_000,
      '2200': 7_258_118_400,
    };
    for (const [name, sec] of Object.entries(times)) {
      fs.writeFileSync(join(folder, name), '');
      execFileSync('touch', ['-d', `@${sec}`, join(folder, name)]);
    }
    const tree = new SftpTree(await stockSession(), Buffer.from(folder));
    const root = await tree.root();
    const listed = await tree.children(root);
    const told = listed.map(({ path, mtimeSec }) => [Buffer.from(path).toString(), mtimeSec]);
    expect(Object.fromEntries(told)).toEqual(times);
    for (const entry of listed) {
      expect(entry).not.toHaveProperty('isTimeUncertain');
      const file = await tree.open(entry);
      expect(await file.close()).toBe('unchanged');
    }
    // Of a single object the server tells nothing but the number.
    const alone = await tree.child(root, Buffer.from('1965'));
    expect(alone).toMatchObject({ isTimeUncertain: true });
    expect(await tree.child(root, Buffer.from('now'))).not.toHaveProperty('isTimeUncertain');
  });

  it('gives files in any order, and of a part little more than the part', async () => {
    const folder = scratchFolder();
    const bytes = noise(5_000_000, 7);
    fs.writeFileSync(join(folder, 'large'), bytes);
    execFileSync('truncate', ['-s', '6G', join(folder, 'huge')]);
    const session = await stockSession();
    const tree = new SftpTree(session, Buffer.from(folder));
    const root = await tree.root();
    const large = await tree.child(root, Buffer.from('large'));
    const huge = await tree.child(root, Buffer.from('huge'));
    if (large === undefined || huge === undefined) throw new Error('not found');
    const file = await tree.open(large);
    for (const [offset, length] of [
      [0, 18],
      [18, 264_192],
      [264_210, 264_192],
      [3_000_000, 70_000],
      [10, 20],
      [4_999_990, 100],
      [5_000_000, 1],
      [0, 5_000_000],
    ] as const) {
      const read = Buffer.from(await file.read(offset, length));
      expect(read.equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
    expect(await file.close()).toBe('unchanged');
    const before = session.bytesReceived;
    const sparse = await tree.open(huge);
    expect(huge.size).toBe(6 * 2 ** 30);
    expect((await sparse.read(5 * 2 ** 30, 4128)).length).toBe(4128);
    expect(session.bytesReceived - before).toBeLessThan(5000);
    fs.truncateSync(join(folder, 'huge'), 10);
    expect((await sparse.read(5 * 2 ** 30, 10)).length).toBe(0);
    expect(await sparse.close()).toBe('changed');
  });

  it('says what is not there and what is no folder', async () => {
    const folder = scratchFolder();
    fs.writeFileSync(join(folder, 'file'), 'x');
    const session = await stockSession();
    expect(await codeOf(new SftpTree(session, Buffer.from(join(folder, 'no'))).root())).toBe(
      'not-found',
    );
    const tree = new SftpTree(session, Buffer.from(folder));
    const file = await tree.child(await tree.root(), Buffer.from('file'));
    if (file === undefined) throw new Error('not found');
    fs.rmSync(join(folder, 'file'));
    expect(await codeOf(tree.open(file))).toBe('vanished');
  });
});

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const text = (value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([u32(bytes.length), bytes]);
};
const packet = (type: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat([Buffer.from([type]), ...parts]);
  return Buffer.concat([u32(body.length), body]);
};
const VERSION = packet(2, u32(3));
const HANDLE = packet(102, u32(1), text('h'));
const FILE_ATTRIBUTES = Buffer.concat([u32(4), u32(0o100644)]);
const nameOf = (name: string): Buffer =>
  Buffer.concat([text(name), text('long form'), FILE_ATTRIBUTES]);

/** A server whose every folder holds two folders and a file, with names of that length. */
function endless(nameLength: number): Connection {
  const [near, far] = duplexPair();
  const { connection } = playing();
  const object = (letter: string, mode: number): Buffer =>
    Buffer.concat([text(letter.repeat(nameLength)), text(''), u32(4), u32(mode)]);
  const page = [object('a', 0o040755), object('b', 0o040755), object('f', 0o100644)];
  const listed = new Set<string>();
  let handles = 0;
  const answer = (type: number, id: Buffer, rest: Buffer): Buffer => {
    if (type === 1) return VERSION;
    if (type === 7) return packet(105, id, u32(4), u32(0o040755));
    if (type === 11) return packet(102, id, text(String(++handles)));
    const handle = rest.toString();
    if (type !== 12 || listed.delete(handle)) return packet(101, id, u32(1), text(''), text(''));
    listed.add(handle);
    return packet(104, id, u32(page.length), ...page);
  };
  let asked: Buffer = Buffer.alloc(0);
  far.input.on('data', (chunk: Buffer) => {
    asked = Buffer.concat([asked, chunk]);
    while (asked.length >= 4 && asked.length >= 4 + asked.readUInt32BE()) {
      const end = 4 + asked.readUInt32BE();
      far.output.write(answer(asked.readUInt8(4), asked.subarray(5, 9), asked.subarray(9, end)));
      asked = asked.subarray(end);
    }
  });
  return { ...connection, ...near };
}

/** A server that answers each packet with the next of what it was told to say. */
function playing(...says: readonly Buffer[]): { connection: Connection; ended: () => boolean } {
  const [near, far] = duplexPair();
  let isEnded = false;
  const left = [...says];
  let asked: Buffer = Buffer.alloc(0);
  far.input.on('data', (chunk: Buffer) => {
    asked = Buffer.concat([asked, chunk]);
    while (asked.length >= 4 && asked.length >= 4 + asked.readUInt32BE()) {
      asked = asked.subarray(4 + asked.readUInt32BE());
      for (const byte of left.shift() ?? []) far.output.write(Buffer.of(byte));
    }
  });
  const connection: Connection = {
    ...near,
    stderrText: () => '',
    exited: Promise.resolve({ code: 0, signal: null }),
    destroy: () => {
      isEnded = true;
      near.input.destroy();
      near.output.destroy();
    },
  };
  return { connection, ended: () => isEnded };
}

describe('a hostile server', () => {
  const LISTS: readonly (readonly [string, string, readonly Buffer[]])[] = [
    ['a packet without end', 'sftp-packet-length', [u32(0x7fffffff)]],
    ['an empty packet', 'sftp-packet-length', [u32(0)]],
    ['an answer to no question', 'sftp-answer', [packet(102, u32(77), text('h'))]],
    ['another answer', 'sftp-answer', [packet(103, u32(1), text('data'))]],
    ['a handle too long', 'sftp-handle', [packet(102, u32(1), text('h'.repeat(257)))]],
    ['a handle cut short', 'sftp-packet', [packet(102, u32(1), u32(9))]],
    ['a failure', 'sftp-failure', [packet(101, u32(1), u32(4), text('no'), text(''))]],
    ['more names than it sends', 'sftp-packet', [HANDLE, packet(104, u32(2), u32(4_000_000_000))]],
    ['a way out', 'sftp-name', [HANDLE, packet(104, u32(2), u32(1), nameOf('../etc'))]],
    ['pages without a name', 'sftp-listing', [HANDLE, packet(104, u32(2), u32(0))]],
    ['an empty name', 'sftp-name', [HANDLE, packet(104, u32(2), u32(1), nameOf(''))]],
    [
      'attributes without end',
      'sftp-packet',
      [HANDLE, packet(104, u32(2), u32(1), text('a'), text(''), u32(0x80000000), u32(1e9))],
    ],
    [
      'a size beyond all numbers',
      'sftp-number',
      [
        HANDLE,
        packet(104, u32(2), u32(1), text('a'), text(''), u32(1), u32(0xffffffff), u32(0xffffffff)),
      ],
    ],
  ];
  it.each(LISTS)('%s: %s', async (_what, code, says) => {
    const { connection } = playing(VERSION, ...says);
    const session = await SftpSession.open(connection, OPTIONS);
    opened.push(session);
    expect(await codeOf(session.list(Buffer.from('.')))).toBe(code);
  });

  it('with a folder that contains itself is followed as far as a path may be long', async () => {
    const name = 'd'.repeat(255);
    const attributes = Buffer.concat([u32(4), u32(0o040755)]);
    let id = 0;
    const answer = (type: number, ...parts: Buffer[]): Buffer => packet(type, u32(++id), ...parts);
    const says = [VERSION, answer(105, attributes)];
    for (let depth = 0; depth < 20; depth++) {
      says.push(
        answer(102, text('h')),
        answer(104, u32(1), text(name), text(''), attributes),
        answer(101, u32(1), text('end'), text('')),
        answer(101, u32(0), text('closed'), text('')),
      );
    }
    const session = await SftpSession.open(playing(...says).connection, OPTIONS);
    opened.push(session);
    const problems: string[] = [];
    const tree = new SftpTree(session, Buffer.from('.'), (_path, { code }) => problems.push(code));
    let depth = 0;
    let [folder] = await tree.children(await tree.root());
    for (; folder !== undefined; depth++) [folder] = await tree.children(folder);
    expect(depth).toBe(16); // 16 names of 255 bytes and 15 slashes are 4095 bytes
    expect(problems).toEqual(['path-too-long']);
  });

  it('with a folder that contains itself twice ends soon', async () => {
    const session = await SftpSession.open(endless(200), OPTIONS);
    opened.push(session);
    const problems: string[] = [];
    const tree = new SftpTree(session, Buffer.from('.'), (_path, { code }) => problems.push(code));
    expect(await codeOf(described(tree))).toBe('sftp-folder-loop');
    expect(new Set(problems)).toEqual(new Set(['path-too-long']));
    expect(problems.length).toBe(100);
  });

  it.each([
    ['paths', { pathBytes: 300_000, weight: Infinity }],
    ['entries', { pathBytes: Infinity, weight: 1_000_000 }],
  ])('with a tree that has no end is left when its %s weigh too much', async (_what, limits) => {
    const session = await SftpSession.open(endless(3), OPTIONS);
    opened.push(session);
    const tree = new SftpTree(session, Buffer.from('.'), () => undefined, limits);
    expect(await codeOf(described(tree))).toBe('list-too-large');
  });

  it('that gives a link a target without end is cut off', async () => {
    const link = packet(104, u32(1), u32(1), text('x'.repeat(4096)), text(''), u32(0));
    const session = await SftpSession.open(playing(VERSION, link).connection, OPTIONS);
    opened.push(session);
    expect(await codeOf(session.readlink(Buffer.from('l')))).toBe('sftp-link');
  });

  it('that sends more than was asked for is cut off', async () => {
    const { connection } = playing(VERSION, packet(103, u32(1), text('x'.repeat(11))));
    const session = await SftpSession.open(connection, OPTIONS);
    opened.push(session);
    const part = { offset: 0, length: 10 };
    expect(await codeOf(session.read(Buffer.from('h'), part, Buffer.from('f')))).toBe('sftp-data');
  });

  it.each([
    ['speaks no SFTP', [Buffer.from('SSH_ORIGINAL_COMMAND does not run rsync\n')]],
    ['speaks a version of before', [packet(2, u32(2))]],
    ['answers before it greets', [packet(101, u32(1), u32(0))]],
  ])('that %s offers none', async (_what, says) => {
    const { connection, ended } = playing(...says);
    expect(await codeOf(SftpSession.open(connection, OPTIONS))).toBe('sftp-refused');
    expect(ended()).toBe(true);
  });

  it('that says nothing is not waited for for ever, before and after the greeting', async () => {
    const patience = { ...OPTIONS, idleTimeoutMs: 50 };
    expect(await codeOf(SftpSession.open(playing().connection, patience))).toBe('timeout');
    const session = await SftpSession.open(playing(VERSION).connection, patience);
    expect(await codeOf(session.lstat(Buffer.from('x')))).toBe('timeout');
    expect(await codeOf(session.lstat(Buffer.from('x')))).toBe('timeout');
  });

  it('is left at an interruption', async () => {
    const controller = new AbortController();
    const { connection, ended } = playing(VERSION);
    const session = await SftpSession.open(connection, { ...OPTIONS, signal: controller.signal });
    const asked = session.lstat(Buffer.from('x'));
    controller.abort(new Error('stop'));
    expect(await codeOf(asked)).toBe('Error: stop');
    expect(ended()).toBe(true);
  });

  it('that sends byte by byte is understood', async () => {
    const names = packet(104, u32(2), u32(2), nameOf('.'), nameOf('a'));
    const end = packet(101, u32(3), u32(1), text(''), text(''));
    const { connection } = playing(VERSION, HANDLE, names, end);
    const session = await SftpSession.open(connection, OPTIONS);
    opened.push(session);
    const found = await session.list(Buffer.from('.'));
    expect(found.map(({ name }) => name.toString())).toEqual(['a']);
  });
});
