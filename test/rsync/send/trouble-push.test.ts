// Goal: a failure of a file or a connection during a push to a stock server is reported, affects
// only that file, and leaves the server consistent.
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FileError, VanishedError, type EcsyncError } from '../../../src/errors.ts';
import { createStrongSums } from '../../../src/rsync/wire/checksums.ts';
import { serverArgs } from '../../../src/rsync/wire/options.ts';
import { send } from '../../../src/rsync/send/sender.ts';
import type { SendJob } from '../../../src/rsync/send/send-job.ts';
import { judge } from '../../../src/rsync/outcome/status.ts';
import { weakSum } from '../../../src/rsync/wire/weak-sum.ts';
import { S_IFDIR, S_IFREG, type Entry, type OpenFile } from '../../../src/tree/entry.ts';
import { bytesOf, FakePeer, frame, Generator, greeting } from '../../support/fake-peer.ts';
import { MemoryTree, type MemoryEntry } from '../../support/memory-tree.ts';
import {
  ARCHIVE,
  listAll,
  pushTree,
  scratchFolder,
  startStockServer,
} from '../../support/stock-rsync.ts';

const PROTOCOLS = [27, 29, 30, 31, 32];

function memoryTree(files: Record<string, string | Buffer>): MemoryTree {
  const tree = new MemoryTree();
  for (const [name, content] of Object.entries(files)) tree.addFile(name, Buffer.from(content));
  return tree;
}

/** A tree whose file `name` is opened by `open`. */
function withOpen(
  tree: MemoryTree,
  name: string,
  open: () => Promise<OpenFile>,
): SendJob<MemoryEntry>['open'] {
  return (entry) => (Buffer.from(entry.path).toString() === name ? open() : tree.open(entry));
}

async function failureOf(
  promise: Promise<unknown>,
): Promise<EcsyncError & { serverCode?: number; serverStderr?: string }> {
  return promise.then(
    () => expect.fail('it should have failed'),
    (error: unknown) => error as EcsyncError,
  );
}

describe.each(PROTOCOLS)('a file in trouble at protocol %i', (protocolMax) => {
  const options = { ...ARCHIVE, protocolMax };
  const tree = memoryTree({ a: 'first', b: 'second', c: 'third' });

  it('that vanished is left out and reported to the server, and the others arrive', async () => {
    const destination = scratchFolder();
    const open = withOpen(tree, 'b', () =>
      Promise.reject(new VanishedError('vanished', 'b is gone')),
    );
    const { problems, report, code, stderr, sent } = await pushTree(tree, destination, {
      options,
      open,
    });
    expect(problems).toEqual(['vanished b']);
    expect(sent).toEqual(['a', 'c']);
    expect(readdirSync(destination).sort()).toEqual(['a', 'c']);
    if (protocolMax >= 30) expect(code).toBe(24);
    expect(judge(report, { code, signal: null }, stderr)).toMatchObject({ exitCode: 24 });
  });

  it('that cannot be opened makes the outcome partial', async () => {
    const destination = scratchFolder();
    const open = withOpen(tree, 'b', () => Promise.reject(new FileError('open-failed', 'no')));
    const { report, code, stderr } = await pushTree(tree, destination, { options, open });
    expect(readdirSync(destination).sort()).toEqual(['a', 'c']);
    if (protocolMax >= 30) expect(code).toBe(23);
    expect(judge(report, { code, signal: null }, stderr)).toMatchObject({
      exitCode: 23,
      error: { code: 'unreadable' },
    });
  });

  it('that cannot be read to its end is not stored, and requested a second time in vain', async () => {
    const destination = scratchFolder();
    let opened = 0;
    const open = withOpen(tree, 'b', () => {
      opened++;
      return Promise.resolve({
        size: 600_000,
        positional: false,
        read: (offset: number, length: number) =>
          offset > 0
            ? Promise.reject(new FileError('read-failed', 'bad sector'))
            : Promise.resolve(Buffer.alloc(length, 'x')),
        close: () => Promise.resolve('unchanged' as const),
      });
    });
    const { problems, report, code, stderr } = await pushTree(tree, destination, { options, open });
    expect(opened).toBe(2);
    expect(problems).toEqual(['read-failed b', 'read-failed b']);
    expect(readdirSync(destination).sort()).toEqual(['a', 'c']);
    expect(judge(report, { code, signal: null }, stderr).exitCode).toBe(23);
  });

  it('that changed while it was read is stored, and the outcome reports it', async () => {
    const destination = scratchFolder();
    const open = withOpen(tree, 'b', () =>
      Promise.resolve({
        size: 4,
        positional: false,
        read: () => Promise.resolve(Buffer.from('newer'.slice(0, 4))),
        close: () => Promise.resolve('changed' as const),
      }),
    );
    const { problems, report, code, stderr } = await pushTree(tree, destination, { options, open });
    expect(problems).toEqual(['changed-while-read b']);
    expect(readFileSync(join(destination, 'b'), 'utf8')).toBe('newe');
    expect(judge(report, { code, signal: null }, stderr).exitCode).toBe(24);
  });

  it('that shrank is sent with its current length', async () => {
    const destination = scratchFolder();
    const open = withOpen(tree, 'b', () =>
      Promise.resolve({
        size: 1_000_000,
        positional: false,
        read: (offset: number, length: number) =>
          Promise.resolve(Buffer.alloc(Math.max(0, Math.min(length, 300_000 - offset)), 'x')),
        close: () => Promise.resolve('changed' as const),
      }),
    );
    const { code } = await pushTree(tree, destination, { options, open });
    expect(statSync(join(destination, 'b')).size).toBe(300_000);
    expect([0, 24]).toContain(code);
  });

  it('that is declined is left out silently', async () => {
    const destination = scratchFolder();
    const { problems, report, code, items } = await pushTree(tree, destination, {
      options,
      decline: (entry) => Buffer.from(entry.path).toString() === 'b',
    });
    expect(problems).toEqual([]);
    expect(items.some((item) => item.endsWith(' b'))).toBe(true);
    expect(readdirSync(destination).sort()).toEqual(['a', 'c']);
    expect(report).toMatchObject({ filesSent: 2, ioError: 0 });
    expect(code).toBe(0);
  });
});

describe('the redo phase', () => {
  it('corrects false matches of short block sums, and reads the file again', async () => {
    const seed = 7;
    const strong = await createStrongSums({
      protocol: 32,
      compatFlags: 0x20,
      checksumName: 'xxh128',
      seed,
    });
    const basis = Buffer.alloc(7000).map((_, i) => 64 + ((i * 31) % 97)) as Buffer;
    const deceiving = forge(basis, 700, (block) => strong.block(block).subarray(0, 2));
    const destination = scratchFolder();
    writeFileSync(join(destination, 'f'), basis);
    const tree = memoryTree({ f: deceiving });
    let opened = 0;
    const words = serverArgs({ ...ARCHIVE, ignoreTimes: true }, destination);
    const server = startStockServer(words.toSpliced(2, 0, `--checksum-seed=${seed}`));
    const sent: string[] = [];
    const report = await send(server, {
      entries: await listAll(tree),
      open: (entry) => {
        opened++;
        return tree.open(entry);
      },
      options: { ...ARCHIVE, ignoreTimes: true },
      onSent: (_, literalBytes, matchedBytes) => sent.push(`${literalBytes} ${matchedBytes}`),
    });
    server.output.end();
    expect(await server.ended).toMatchObject({ code: 0 });
    expect(report.filesSent).toBe(2);
    expect(opened).toBe(2);
    expect(sent[0]).toBe('0 7000');
    expect(readFileSync(join(destination, 'f')).equals(deceiving)).toBe(true);
  });
});

/** The basis with one block changed so that its weak sum and short strong sum stay the same. */
function forge(
  basis: Buffer,
  blockLength: number,
  shortSum: (block: Buffer) => Uint8Array,
): Buffer {
  const block = basis.subarray(0, blockLength);
  const wanted = Buffer.from(shortSum(block)).toString('hex');
  const weak = weakSum(block);
  for (let i = 0; i < blockLength - 6; i++) {
    for (let j = i + 3; j < blockLength - 3; j++) {
      const forged = Buffer.from(block);
      // +1, −2, +1 in sequence changes neither the sum nor the sum of sums.
      for (const at of [i, j]) {
        for (const [k, step] of [1, -2, 1].entries()) forged[at + k] = (forged[at + k] ?? 0) + step;
      }
      if (Buffer.from(shortSum(forged)).toString('hex') !== wanted) continue;
      expect(weakSum(forged)).toBe(weak);
      return Buffer.concat([forged, basis.subarray(blockLength)]);
    }
  }
  return expect.fail('no collision found');
}

describe('a large file', () => {
  it('of more than 2^32 bytes is matched beyond the 32-bit limits', async () => {
    const size = 2 ** 32 + 4097;
    const edges = [2 ** 31 + 1, 2 ** 32 - 1, size - 1];
    const folder = existsSync('/dev/shm') ? '/dev/shm' : undefined;
    const destination = scratchFolder(folder);
    const basis = openSync(join(destination, 'huge'), 'w');
    ftruncateSync(basis, size);
    closeSync(basis);
    const zeros = Buffer.alloc(512 * 1024);
    const file: OpenFile = {
      size,
      positional: true,
      read: (offset, length) => {
        const end = Math.min(offset + length, size);
        const chunk = zeros.subarray(0, Math.max(0, end - offset));
        if (!edges.some((edge) => edge >= offset && edge < end)) return Promise.resolve(chunk);
        const own = Buffer.from(chunk);
        for (const edge of edges) if (edge >= offset && edge < end) own[edge - offset] = 0x21;
        return Promise.resolve(own);
      },
      close: () => Promise.resolve('unchanged'),
    };
    const entry: Entry = {
      path: Buffer.from('huge'),
      mode: S_IFREG | 0o644,
      size,
      mtimeSec: 1,
      mtimeNsec: 0,
      uid: 0,
      gid: 0,
    };
    const root: Entry = { ...entry, path: Buffer.from('.'), mode: S_IFDIR | 0o755, size: 0 };
    const tree = {
      root: () => Promise.resolve(root),
      children: () => Promise.resolve([entry]),
      open: () => Promise.resolve(file),
    };
    const progress: number[] = [];
    const { report, code } = await pushTree<Entry>(tree, destination, {
      options: { ...ARCHIVE, blockSize: 131_072, ignoreTimes: true },
      entries: [root, entry],
      onProgress: (_, bytes) => progress.push(bytes),
    });
    expect(code).toBe(0);
    expect(report.literalBytes + report.matchedBytes).toBe(size);
    expect(report.literalBytes).toBe(2 * 131_072 + 4097);
    expect(Math.max(...progress)).toBeGreaterThan(2 ** 32 - 1);
    const result = openSync(join(destination, 'huge'), 'r');
    for (const edge of edges) {
      const bytes = Buffer.alloc(3);
      readSync(result, bytes, 0, 3, edge - 1);
      expect(bytes[1]).toBe(0x21);
      expect(bytes[0]).toBe(0);
    }
    closeSync(result);
  }, 60_000);
});

describe('a connection in trouble', () => {
  it('that stays silent ends in a timeout', async () => {
    const error = await failureOf(
      send(new FakePeer(), {
        entries: [],
        open: () => expect.fail(),
        options: ARCHIVE,
        idleTimeoutMs: 100,
      }),
    );
    expect(error).toMatchObject({ code: 'timeout', exitCode: 30 });
  });

  it('that stalls in the middle of a file ends in a timeout', async () => {
    const input = new PassThrough();
    const output = new PassThrough({ highWaterMark: 1000 });
    input.write(greeting());
    const generator = new Generator();
    input.write(frame(0, generator.want(1)));
    const tree = memoryTree({ big: Buffer.alloc(3_000_000, 'x') });
    const error = await failureOf(
      send(
        { input, output },
        {
          entries: await listAll(tree),
          open: (entry) => tree.open(entry),
          options: ARCHIVE,
          idleTimeoutMs: 200,
        },
      ),
    );
    expect(error).toMatchObject({ code: 'timeout', exitCode: 30 });
  });

  it('whose server only sends keep-alives ends in a timeout too', async () => {
    const peer = new FakePeer();
    peer.say(greeting());
    const alive = setInterval(() => peer.say(frame(0, Buffer.alloc(0))), 20);
    const error = await failureOf(
      send(peer, {
        entries: await listAll(new MemoryTree()),
        open: () => expect.fail(),
        options: ARCHIVE,
        idleTimeoutMs: 100,
      }),
    ).finally(() => clearInterval(alive));
    expect(error).toMatchObject({ code: 'timeout', exitCode: 30 });
    expect(error).toHaveProperty(
      'message',
      expect.stringContaining('sent nothing but keep-alives'),
    );
  });

  it('is kept alive while there is nothing to send', async () => {
    const peer = new FakePeer();
    peer.say(greeting());
    const done = send(peer, {
      entries: await listAll(new MemoryTree()),
      open: () => expect.fail(),
      options: { ...ARCHIVE, timeoutSec: 1 },
    });
    await new Promise((resolve) => setTimeout(resolve, 900));
    const generator = new Generator();
    peer.say(
      frame(
        0,
        bytesOf(
          ...Array.from(
            { length: 5 },
            () => (w: { bytes(b: Uint8Array): void }) => w.bytes(generator.done()),
          ),
        ),
      ),
    );
    peer.close();
    await done;
    const empty = peer.heard.filter((chunk) => chunk.equals(frame(0, Buffer.alloc(0))));
    expect(empty.length).toBeGreaterThanOrEqual(1);
  });

  it('whose server is killed is reported as lost, and leaves no partial file', async () => {
    const destination = scratchFolder();
    const tree = memoryTree({ big: Buffer.alloc(50_000_000, 'x') });
    const words = serverArgs(ARCHIVE, destination);
    const server = startStockServer(words);
    const error = await failureOf(
      send(server, {
        entries: await listAll(tree),
        open: (entry) => tree.open(entry),
        options: ARCHIVE,
        onProgress: () => server.kill('SIGKILL'),
      }),
    );
    const { code, signal, stderr } = await server.ended;
    const outcome = judge(error, { code, signal }, stderr);
    expect(outcome).toMatchObject({ exitCode: 30, error: { code: 'connection-lost' } });
    expect(outcome.error?.message).toContain('SIGKILL');
    expect(existsSync(join(destination, 'big'))).toBe(false);
  });

  it.each([29, 30, 31, 32])(
    'that we interrupt at protocol %i leaves the server clean',
    async (protocolMax) => {
      const destination = scratchFolder();
      const tree = memoryTree({ big: Buffer.alloc(50_000_000, 'x') });
      const interrupt = new AbortController();
      const server = startStockServer(serverArgs(ARCHIVE, destination));
      const error = await failureOf(
        send(server, {
          entries: await listAll(tree),
          open: (entry) => tree.open(entry),
          options: { ...ARCHIVE, protocolMax },
          signal: interrupt.signal,
          onProgress: () => interrupt.abort(),
        }),
      );
      expect(error).toMatchObject({ code: 'interrupted', exitCode: 130 });
      server.output.end();
      const { code } = await server.ended;
      expect(code).toBe(protocolMax >= 31 ? 20 : 12);
      expect(readdirSync(destination)).toEqual([]);
    },
  );

  it('that is interrupted before it begins ends at once', async () => {
    const job = {
      entries: [],
      open: () => expect.fail(),
      options: ARCHIVE,
      signal: AbortSignal.abort(),
    };
    expect(await failureOf(send(new FakePeer(), job))).toMatchObject({ code: 'interrupted' });
  });
});

describe('the outcome of a run against', () => {
  const tree = memoryTree({ f: Buffer.alloc(3_000_000, 'x') });

  /** Pushes to the server that a command line starts, and judges the result. */
  async function outcomeOf(program: string, words: string[]): Promise<ReturnType<typeof judge>> {
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
      child.on('close', (code, signal) => resolve({ code, signal })),
    );
    const job = {
      entries: await listAll(tree),
      open: (entry: MemoryEntry) => tree.open(entry),
      options: ARCHIVE,
    };
    const result: unknown = await send({ input: child.stdout, output: child.stdin }, job).catch(
      (error: unknown) => error,
    );
    child.stdin.end();
    return judge(result, await ended, stderr);
  }

  it('a full disk', async () => {
    const destination = scratchFolder();
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', destination]).status).toBe(
      0,
    );
    onTestFinished(() => void spawnSync('umount', [destination]));
    expect(await outcomeOf('rsync', serverArgs(ARCHIVE, destination))).toMatchObject({
      exitCode: 23,
      error: { code: 'remote-disk-full' },
    });
  });

  it('a read-only file system', async () => {
    const destination = scratchFolder();
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', destination]).status).toBe(0);
    onTestFinished(() => void spawnSync('umount', [destination]));
    expect(await outcomeOf('rsync', serverArgs(ARCHIVE, join(destination, 'new')))).toMatchObject({
      exitCode: 5,
      error: { code: 'destination-read-only' },
    });
  });

  it('a destination whose parent is missing', async () => {
    expect(await outcomeOf('rsync', serverArgs(ARCHIVE, '/nowhere/at/all'))).toMatchObject({
      exitCode: 5,
      error: { code: 'destination-missing' },
    });
  });

  it('a destination that the login may not write to', async () => {
    const parent = scratchFolder();
    const ids = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const asNobody = [...ids, 'rsync', ...serverArgs(ARCHIVE, join(parent, 'x'))];
    expect(await outcomeOf('setpriv', asNobody)).toMatchObject({
      exitCode: 5,
      error: { code: 'destination-forbidden' },
    });
  });

  it.each([
    ['no rsync', 'exec no-such-rsync-here --server', 'rsync-missing'],
    [
      'no rsync, as a wrapper reports',
      "echo 'bash: rsync: command not found' >&2; exit 1",
      'rsync-missing',
    ],
    ['a noisy login', 'echo \'Welcome to the server\'; exec rsync "$@"', 'shell-not-clean'],
    ['a refused option', 'rsync --server --no-such-option . x', 'remote-exit'],
    ['a restricted shell', "echo 'this account is for sftp only' >&2; exit 1", 'remote-exit'],
    ['a command that ends at once', 'exit 0', 'no-greeting'],
  ])('%s', async (_, script, code) => {
    const outcome = await outcomeOf('sh', [
      '-c',
      script,
      'sh',
      ...serverArgs(ARCHIVE, scratchFolder()),
    ]);
    expect(outcome).toMatchObject({ exitCode: 5, error: { code } });
    if (script.includes('sftp'))
      expect(outcome.error?.message).toContain('this account is for sftp only');
  });

  it('a server that gives up waiting', async () => {
    const destination = scratchFolder();
    const words = serverArgs({ ...ARCHIVE, timeoutSec: 1 }, destination);
    const server = startStockServer(words);
    const stuck = new Promise<OpenFile>((resolve) => {
      void server.ended.then(() =>
        resolve({
          size: 0,
          positional: false,
          read: () => Promise.resolve(Buffer.alloc(0)),
          close: () => Promise.resolve('unchanged'),
        }),
      );
    });
    // Without a known timeout we send no keep-alives.
    const error = await failureOf(
      send(server, {
        entries: await listAll(tree),
        open: () => stuck,
        options: { ...ARCHIVE, checksum: false },
      }),
    );
    const { code, signal, stderr } = await server.ended;
    expect(judge(error, { code, signal }, stderr)).toMatchObject({
      exitCode: 30,
      error: { code: 'timeout' },
    });
  });

  it('a server that refuses to store one of the files', async () => {
    const destination = scratchFolder();
    mkdirSync(join(destination, 'f'));
    writeFileSync(join(destination, 'f/in the way'), '');
    expect(await outcomeOf('rsync', serverArgs(ARCHIVE, destination))).toMatchObject({
      exitCode: 23,
      error: { code: 'remote-partial' },
    });
  });
});
