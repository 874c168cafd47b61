import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Bench,
  type CliResult,
  ecsync,
  initVault,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { fsck, withMount } from './support/stock.ts';

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(path.join(bench.source, 'folder', 'deep'), { recursive: true });
  writeFileSync(path.join(bench.source, 'file'), 'one');
  writeFileSync(path.join(bench.source, 'folder', 'inside'), 'two');
  writeFileSync(path.join(bench.source, 'folder', 'deep', 'n'.repeat(200)), 'three');
  await initVault(bench);
});
afterEach(() => bench.remove());

function push(...words: string[]): Promise<CliResult> {
  const common = ['push', '-C', bench.source, '--passfile', bench.passfile, bench.copy];
  return ecsync([...common, ...words]);
}

function lines(result: CliResult): string[] {
  return result.stdout.split('\n').sort();
}

describe('a dry run', () => {
  it.each([[[]], [['--rsync-path', 'rsync']]])(
    'reports what the push then itemises, including the root %j',
    { timeout: 60_000 },
    async (more) => {
      const words = ['-i', '--delete', ...more];
      const first = await push('-n', ...words);
      expect(first.stdout).toContain('cd+++++++++ ./\n');
      expect(lines(await push(...words))).toEqual(lines(first));
      mkdirSync(path.join(bench.source, 'new', 'newer'), { recursive: true });
      rmSync(path.join(bench.source, 'folder', 'deep'), { recursive: true });
      execFileSync('touch', ['-d', '@1500000000', bench.source]);
      const second = await push('-n', ...words);
      expect(second.stdout).toContain('.d..t...... ./\n');
      expect(lines(await push(...words))).toEqual(lines(second));
      expect((await push(...words)).stdout).toBe('');
    },
  );

  it('refuses what the push refuses: the copy of another vault, foreign files, the limit', async () => {
    expect((await push()).code).toBe(0);
    rmSync(path.join(bench.source, 'folder'), { recursive: true });
    for (const dry of [[], ['-n']]) {
      const limited = await push('--json', '--delete', '--max-delete', '1', ...dry);
      expect(summaryOf(limited)).toMatchObject({ exitCode: 25, error: { code: 'delete-limit' } });
    }
    rmSync(path.join(bench.source, '.ecsync'), { recursive: true });
    await initVault(bench);
    for (const dry of [[], ['-n']]) {
      const other = await push('--json', '--delete', ...dry);
      expect(summaryOf(other)).toMatchObject({
        exitCode: 10,
        error: { code: 'destination-other-vault' },
      });
    }
    rmSync(bench.copy, { recursive: true });
    mkdirSync(bench.copy);
    writeFileSync(path.join(bench.copy, 'foreign'), 'x');
    for (const dry of [[], ['-n']]) {
      const foreign = await push('--json', '--delete', ...dry);
      expect(summaryOf(foreign)).toMatchObject({
        exitCode: 10,
        error: { code: 'destination-not-a-copy' },
      });
    }
    expect(readdirSync(bench.copy)).toEqual(['foreign']);
  });
});

it.each(['27', '29', '32'])(
  'makes a lost copy again on request, by protocol %s',
  { timeout: 60_000 },
  async (protocol) => {
    const words = ['--rsync-path', 'rsync', '--protocol', protocol];
    expect((await push(...words)).code).toBe(0);
    rmSync(bench.copy, { recursive: true });
    expect(await push(...words)).toMatchObject({ code: 75 });
    expect(existsSync(bench.copy)).toBe(false);
    expect(await push(...words, '--new-copy')).toMatchObject({ code: 0, stderr: '' });
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
  },
);

describe('a path', () => {
  it('that leads through a symlink means the object it leads to', async () => {
    symlinkSync('folder', path.join(bench.source, 'link'));
    const result = await push('link/inside', '-i');
    expect(result.stdout).toContain('<f+++++++++ folder/inside\n');
    expect((await push('link', '-i')).stdout).toContain('cL+++++++++ link -> folder\n');
  });

  it('that leads out of the vault through a symlink is refused', async () => {
    symlinkSync(bench.dir, path.join(bench.source, 'out'));
    const result = await push('out/passfile');
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('is outside the vault');
  });
});

it('does not delete objects that a protect rule names: it refuses instead', async () => {
  expect((await push()).code).toBe(0);
  rmSync(path.join(bench.source, 'folder'), { recursive: true });
  for (const rule of ['P /folder', '-r /folder']) {
    const result = await push('--delete', '--filter', rule);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('protect /folder');
  }
  const kept = await withMount(bench.copy, bench.passfile, (mountpoint) =>
    Promise.resolve(existsSync(path.join(mountpoint, 'folder', 'inside'))),
  );
  expect(kept).toBe(true);
});

it.each([[[]], [['--rsync-path', 'rsync']]])(
  'keeps undeletable objects readable %j',
  { timeout: 60_000 },
  async (more) => {
    const nobody = 65534;
    const long = 'l'.repeat(200);
    const locked = path.join(bench.source, 'gone', long, 'locked');
    mkdirSync(locked, { recursive: true });
    writeFileSync(path.join(locked, 'stuck'), 'stuck');
    execFileSync('chown', ['-R', String(nobody), bench.dir]);
    const names = ['gone', `gone/${long}`, `gone/${long}/locked`].join('\n');
    const common = ['-C', bench.source, '--passfile', bench.passfile];
    const words = ['push', ...common, bench.copy, '--delete', ...more];
    expect((await ecsync(words, { uid: nobody })).code).toBe(0);
    const encoded = await ecsync(['name', 'encode', ...common, ...names.split('\n')]);
    const lockedCopy = path.join(bench.copy, encoded.stdout.trim().split('\n').at(-1) ?? '');
    execFileSync('chown', ['0', lockedCopy]);
    rmSync(path.join(bench.source, 'gone'), { recursive: true });
    const failed = await ecsync(words, { uid: nobody });
    expect(failed.code).toBe(23);
    const who = more.length === 0 ? bench.copy : 'server';
    const [, undeleted = ''] = /^warning: (.*stuck.*)$/m.exec(failed.stderr) ?? [failed.stderr];
    expect(undeleted).toContain(`${who}: `);
    expect(undeleted).toContain(`gone/${long}/locked/stuck`);
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    const isKept = await withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(existsSync(path.join(mountpoint, 'gone', long, 'locked', 'stuck'))),
    );
    expect(isKept).toBe(true);
    execFileSync('chown', [String(nobody), lockedCopy]);
    expect(await ecsync(words, { uid: nobody })).toMatchObject({ code: 0, stderr: '' });
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    expect(existsSync(lockedCopy)).toBe(false);
  },
);

it('counts the content of a folder with a long name, but no files of the format', async () => {
  const folder = path.join(bench.source, 'f'.repeat(200));
  mkdirSync(path.join(folder, 'g'.repeat(200)), { recursive: true });
  writeFileSync(path.join(folder, 'inside'), 'x');
  expect((await push()).code).toBe(0);
  rmSync(folder, { recursive: true });
  for (const dry of [[], ['-n']].reverse()) {
    expect(summaryOf(await push('--json', '--delete', ...dry)).filesDeleted).toBe(3);
  }
});

it('stores sockets in a local folder', async () => {
  const socket = path.join(bench.source, 's'.repeat(60));
  const script =
    'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))';
  try {
    execFileSync(process.execPath, ['-e', script, path.basename(socket)], { cwd: bench.source });
  } catch {
    // It always ends by its own signal.
  }
  expect(lstatSync(socket).isSocket()).toBe(true);
  const result = await push();
  expect(result).toMatchObject({ code: 0, stderr: '' });
  const isSocket = await withMount(bench.copy, bench.passfile, (mountpoint) =>
    Promise.resolve(lstatSync(path.join(mountpoint, path.basename(socket))).isSocket()),
  );
  expect(isSocket).toBe(true);
  expect((await push('-i')).stdout).toBe('');
});

it('names a file that changes while it is read in plaintext', { timeout: 60_000 }, async () => {
  const file = path.join(bench.source, 'folder', 'growing');
  writeFileSync(file, Buffer.alloc(64 * 1024 * 1024));
  let growing: NodeJS.Timeout | undefined;
  const common = ['push', '-C', bench.source, '--passfile', bench.passfile, bench.copy];
  const result = await ecsync(common, {
    onStart: () => {
      growing = setInterval(() => writeFileSync(file, 'more', { flag: 'a' }), 1);
    },
  });
  clearInterval(growing);
  expect(result.code).toBe(24);
  expect(result.stderr).toContain('folder/growing changed while it was being read');
});

it('refuses to make a vault of a folder whose name is not valid UTF-8', async () => {
  const before = readdirSync(bench.dir).length;
  const name = `${bench.dir}/not \uFFFD text`;
  const result = await ecsync(['init', name, '--passfile', bench.passfile]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('not valid UTF-8');
  expect(readdirSync(bench.dir)).toHaveLength(before);
});
