// Goal: sparse files stay sparse through any history of a file: in the copy, by holes that stock
// gocryptfs reads, in transit, and in a restore. A forged hole in the copy is found.
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, ecsync, makeBench, summaryOf } from './support/cli.ts';
import { makeOldCopy } from './support/stock-copies.ts';
import { fsck, withMount } from './support/stock.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Pseudo-random numbers from 0 to below `end`, the same in every run. */
function numbersFrom(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
}

function edit(file: string, act: (fd: number) => void): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const fd = openSync(file, 'a');
  closeSync(fd);
  const open = openSync(file, 'r+');
  act(open);
  closeSync(open);
}

/** The disk space of the files that are long enough to be the sparse ones. */
function spaceOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(path.join(folder, name)))
    .filter((stats) => stats.isFile() && stats.size > 512 * KIB)
    .reduce((sum, { blocks }) => sum + blocks * 512, 0);
}

async function expectEqual(bench: Bench, copy: string, files: readonly string[]): Promise<void> {
  const report = await fsck(copy, bench.passfile);
  expect(report.code, report.text).toBe(0);
  await withMount(copy, bench.passfile, (mountpoint) => {
    for (const name of files) {
      const stored = readFileSync(path.join(mountpoint, name));
      expect(stored.equals(readFileSync(path.join(bench.source, name))), name).toBe(true);
    }
    return Promise.resolve();
  });
}

/** Changes a file at random: writes, holes over old content, another length. */
function change(file: string, number: (end: number) => number): void {
  edit(file, (fd) => {
    const { size } = statSync(file);
    const at = number(size);
    const length = 1 + number(100 * KIB);
    switch (number(4)) {
      case 0:
        writeSync(fd, randomBytes(length), 0, length, at);
        break;
      case 1:
        writeSync(fd, Buffer.alloc(length), 0, length, at);
        break;
      case 2:
        ftruncateSync(fd, size + number(4 * MIB));
        break;
      default:
        // Everything from there on is a hole again.
        ftruncateSync(fd, at);
        ftruncateSync(fd, size);
    }
  });
}

describe.each([
  ['gcm', 'a server', ['--rsync-path', 'rsync']],
  ['xchacha', 'this process', []],
])('layout %s, received by %s', (layout, _by, way) => {
  let bench: Bench;
  const run = (command: string, ...words: readonly string[]) =>
    ecsync([command, ...words, '--passfile', bench.passfile], {
      cwd: command === 'init' ? '/' : bench.source,
    });
  beforeAll(async () => {
    bench = await makeBench();
    const init = ['--layout', layout, '--scryptn', '10', bench.source];
    expect((await run('init', ...init)).code).toBe(0);
    for (const [name, size] of [
      ['large', 16 * MIB],
      ['small', 2 * MIB],
    ] as const) {
      edit(path.join(bench.source, name), (fd) => {
        ftruncateSync(fd, size);
        writeSync(fd, randomBytes(200 * KIB), 0, 200 * KIB, size / 3 + 700);
        writeSync(fd, randomBytes(4000), 0, 4000, size / 2);
      });
    }
  });
  afterAll(() => bench.remove());

  it('sends and stores little, restores the holes, and checks them', async () => {
    const pushed = await run('push', bench.copy, ...way, '--json');
    expect(pushed.code, pushed.stderr).toBe(0);
    const { bytesSent, filesSent } = summaryOf(pushed);
    expect(filesSent).toBe(2);
    // In this process zeros cost nothing. The zeros of the small file are sent.
    if (way.length > 0) expect(bytesSent).toBeLessThan(2.6 * MIB);
    expect(spaceOf(bench.copy)).toBeLessThan(1.5 * MIB);
    await expectEqual(bench, bench.copy, ['large', 'small']);
    const checked = await run('fsck', bench.copy, '--nonces');
    expect(checked.code, checked.stdout + checked.stderr).toBe(0);
    expect((await run('verify', bench.copy, '--rsync-path', 'rsync')).code).toBe(0);
    const target = path.join(bench.dir, 'restored');
    expect((await run('restore', '--from', bench.copy, '--to', target)).code).toBe(0);
    expect(spaceOf(target)).toBeLessThan(1.5 * MIB);
    for (const name of ['large', 'small']) {
      const restored = readFileSync(path.join(target, name));
      expect(restored.equals(readFileSync(path.join(bench.source, name)))).toBe(true);
    }
    const again = await run('restore', '--from', bench.copy, '--to', target, '--json');
    expect(summaryOf(again)).toMatchObject({ exitCode: 0 });
  }, 60_000);

  it('follows any history of a file', async () => {
    const number = numbersFrom(layout.length + way.length);
    for (let round = 0; round < 2; round++) {
      for (const name of ['large', 'small']) {
        for (let i = 0; i < 3; i++) change(path.join(bench.source, name), number);
      }
      const pushed = await run('push', bench.copy, ...way);
      expect(pushed.code, pushed.stderr).toBe(0);
      await expectEqual(bench, bench.copy, ['large', 'small']);
    }
    const checked = await run('fsck', bench.copy, '--nonces');
    expect(checked.code, checked.stdout + checked.stderr).toBe(0);
    expect((await run('verify', bench.copy, '--rsync-path', 'rsync')).code).toBe(0);
  }, 60_000);
});

it.each([
  ['a server', ['--rsync-path', 'rsync']],
  ['this process', []],
])(
  'with plaintext names and in a plain mirror holes are kept by %s',
  async (_by, way) => {
    const bench = await makeBench();
    const run = (...words: readonly string[]) =>
      ecsync([...words, '-C', bench.source, '--passfile', bench.passfile]);
    const mirror = path.join(bench.dir, 'mirror');
    try {
      edit(path.join(bench.source, 'image'), (fd) => {
        writeSync(fd, randomBytes(40 * KIB), 0, 40 * KIB, MIB);
        ftruncateSync(fd, 2 * MIB);
      });
      const init = ['init', '--plaintextnames', '--scryptn', '10', '--passfile', bench.passfile];
      expect((await ecsync([...init, bench.source])).code).toBe(0);
      const add = ['remote', 'add', '--no-encrypt', 'mirror', mirror, '-C', bench.source];
      expect((await ecsync(add)).code).toBe(0);
      for (const [destination, folder] of [
        [bench.copy, bench.copy],
        ['mirror', mirror],
      ] as const) {
        const pushed = await run('push', destination, ...way);
        expect(pushed.code, pushed.stderr).toBe(0);
        expect(statSync(path.join(folder, 'image')).size).toBeGreaterThanOrEqual(2 * MIB);
        expect(spaceOf(folder)).toBeLessThan(200 * KIB);
      }
      await expectEqual(bench, bench.copy, ['image']);
      const mirrored = readFileSync(path.join(mirror, 'image'));
      expect(mirrored.equals(readFileSync(path.join(bench.source, 'image')))).toBe(true);
    } finally {
      await bench.remove();
    }
  },
  60_000,
);

it('a file that was cut off before its first hole sends no holes either', async () => {
  const bench = await makeBench();
  const scratch = path.join(bench.copy, 'gocryptfs.longname.ecsync-tmp.name');
  const run = (words: readonly string[], onStart?: (child: ChildProcess) => void) =>
    ecsync([...words, '--passfile', bench.passfile], { ...(onStart && { onStart }) });
  try {
    expect((await run(['init', '--scryptn', '10', bench.source])).code).toBe(0);
    edit(path.join(bench.source, 'image'), (fd) => {
      writeSync(fd, randomBytes(2 * MIB));
      ftruncateSync(fd, 64 * MIB);
    });
    const push = ['push', '-C', bench.source, bench.copy, '--rsync-path', 'rsync', '--json'];
    const cut = await run([...push, '--bwlimit', '1m'], (child) => {
      const timer = setInterval(() => {
        if (existsSync(scratch) && spaceOf(scratch) > 0) child.kill('SIGKILL');
      }, 20);
      child.once('exit', () => clearInterval(timer));
    });
    expect(cut.signal).toBe('SIGKILL');
    const pushed = await run(push);
    expect(pushed.code, pushed.stderr).toBe(0);
    expect(summaryOf(pushed).bytesSent).toBeLessThan(2 * MIB);
    expect(spaceOf(bench.copy)).toBeLessThan(2.5 * MIB);
    await expectEqual(bench, bench.copy, ['image']);
  } finally {
    await bench.remove();
  }
}, 60_000);

describe('a hole that somebody has made in the copy', () => {
  let bench: Bench;
  let stored: string;
  const step = 4128;
  const run = (command: string, ...words: readonly string[]) =>
    ecsync([command, ...words, '--passfile', bench.passfile], {
      cwd: command === 'init' ? '/' : bench.source,
    });
  beforeAll(async () => {
    bench = await makeBench();
    expect((await run('init', '--scryptn', '10', bench.source)).code).toBe(0);
    edit(path.join(bench.source, 'image'), (fd) => {
      writeSync(fd, Buffer.alloc(40_960, 'a'), 0, 40_960, 0);
      writeSync(fd, Buffer.alloc(40_960, 'b'), 0, 40_960, 2 * MIB);
    });
    expect((await run('push', bench.copy)).code).toBe(0);
    const names = readdirSync(bench.copy).filter((name) => !name.startsWith('gocryptfs'));
    stored = path.join(bench.copy, names[0] ?? '');
    copyFileSync(stored, path.join(bench.dir, 'good'));
  });
  afterAll(() => bench.remove());

  it('is damage for every reader', async () => {
    copyFileSync(path.join(bench.dir, 'good'), stored);
    edit(stored, (fd) => writeSync(fd, Buffer.alloc(step), 0, step, 18 + 512 * step));
    const checked = await run('fsck', bench.copy, '--no-last-push');
    expect(checked).toMatchObject({
      code: 26,
      stdout: 'image: blocks 10 to 512 hold zeros that no key vouches for\n',
    });
    const target = path.join(bench.dir, 'restored');
    const restored = await run('restore', '--from', bench.copy, '--to', target, '--no-last-push');
    expect(restored.code).not.toBe(0);
    expect(restored.stderr).toContain('that ecsync did not write');
    expect(readdirSync(target)).not.toContain('image');
    const printed = await run('cat', '--from', bench.copy, '/image');
    expect(printed.code).toBe(26);
    expect(printed.stdout.length).toBeLessThanOrEqual(10 * 4096);
  }, 30_000);

  it('is no damage without the vault', async () => {
    copyFileSync(path.join(bench.dir, 'good'), stored);
    expect((await run('fsck', bench.copy, '--no-last-push')).code).toBe(0);
    const printed = await run(
      'cat',
      '--from',
      bench.copy,
      '/image',
      '--offset',
      '1000000',
      '--length',
      '9',
    );
    expect(printed).toMatchObject({ code: 0, stdout: '\0'.repeat(9) });
  });
});

it('a copy of AES-SIV by stock is continued with holes, one of layout reverse without', async () => {
  for (const kind of ['forward', 'reverse'] as const) {
    const bench = await makeBench();
    const run = (command: string, ...words: readonly string[]) =>
      ecsync([command, ...words, '--passfile', bench.passfile], {
        cwd: command === 'init' ? '/' : bench.source,
      });
    try {
      edit(path.join(bench.source, 'image'), (fd) => writeSync(fd, Buffer.alloc(9, 'a')));
      await makeOldCopy(bench, { kind, words: kind === 'forward' ? ['-aessiv'] : [] });
      expect((await run('adopt', bench.copy, bench.source)).code).toBe(0);
      edit(path.join(bench.source, 'image'), (fd) => {
        ftruncateSync(fd, 4 * MIB);
        writeSync(fd, Buffer.alloc(9, 'b'), 0, 9, 2 * MIB);
      });
      const pushed = await run('push', bench.copy, '--rsync-path', 'rsync');
      expect(pushed.code, pushed.stderr).toBe(0);
      await expectEqual(bench, bench.copy, ['image']);
      if (kind === 'forward') expect(spaceOf(bench.copy)).toBeLessThan(MIB);
      else expect(spaceOf(bench.copy)).toBeGreaterThan(4 * MIB);
      const checked = await run('fsck', bench.copy);
      expect(checked.code, checked.stdout + checked.stderr).toBe(0);
    } finally {
      await bench.remove();
    }
  }
}, 60_000);
