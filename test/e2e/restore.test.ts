import {
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { makeStockCopy } from '../support/stock-copy.ts';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeHardTree, pattern } from './support/hard-tree.ts';

/** With the modes of the source. */
const EXACT = ['--special-modes'];
const IGNORED = { ignore: ['.ecsync'], links: true, nanoseconds: false };
const BLOCK = 4096;

interface Summary {
  readonly exitCode: number;
  readonly filesTotal: number;
  readonly filesRestored: number;
  readonly filesKept: number;
  readonly damaged: number;
  readonly renamed: number;
  readonly literalBytes: number;
  readonly matchedBytes: number;
  readonly error?: { readonly code: string };
}

let sshd: RunningSshd;
let bench: Bench;
let target: string;
beforeAll(async () => {
  sshd = await startSshd();
}, 60_000);
afterAll(() => sshd.stop());
beforeEach(async () => {
  bench = await makeBench();
  target = path.join(bench.dir, 'target');
  mkdirSync(bench.source);
  await initVault(bench);
});
afterEach(() => bench.remove());

function run(...words: string[]): Promise<CliResult> {
  return ecsync(words, { cwd: bench.dir, env: { HOME: sshd.home } });
}

async function push(...words: string[]): Promise<void> {
  const result = await run('push', '-C', bench.source, '-H', ...pass(), ...words, bench.copy);
  expect(result.stderr).toBe('');
}

function pass(): string[] {
  return ['--passfile', bench.passfile];
}

function overSsh(copy = bench.copy): string {
  return `ssh://${sshd.user}@127.0.0.1:${sshd.port}${copy}`;
}

/** Restores from the vault. Returns the summary and the lines before it. */
async function restore(
  ...words: string[]
): Promise<{ summary: Summary; events: { type: string; [key: string]: unknown }[] }> {
  const from = words.includes('--from') ? [] : ['--from', bench.copy];
  const to = words.includes('--to') ? [] : ['--to', target];
  const vault = words.includes('-C') ? [] : ['-C', bench.source];
  const result = await run(
    'restore',
    ...vault,
    ...pass(),
    ...from,
    ...to,
    '--json',
    '-i',
    ...words,
  );
  const events = result.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; [key: string]: unknown });
  const summary = events.pop() as unknown as Summary;
  expect(result.code).toBe(summary.exitCode);
  return { summary, events };
}

function items(events: readonly { type: string; [key: string]: unknown }[]): unknown[] {
  return events.filter(({ type }) => type === 'item').map(({ change, path }) => [change, path]);
}

/** The path in the copy of the file with this encrypted size. */
function cipherFileOfSize(size: number): string {
  const found = readdirSync(bench.copy, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(bench.copy, name))
    .filter((name) => lstatSync(name).isFile() && statSync(name).size === size);
  expect(found).toHaveLength(1);
  return found[0] ?? '';
}

function flipByte(file: string, at: number): void {
  const { atime, mtime } = statSync(file);
  const fd = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0x40;
  writeSync(fd, byte, 0, 1, at);
  closeSync(fd);
  utimesSync(file, atime, mtime);
}

describe.each(['a local folder', 'ssh', 'a local rsync'])('from %s', (place) => {
  const from = (): string[] => ['--from', place === 'ssh' ? overSsh() : bench.copy];
  const more = place === 'a local rsync' ? ['--rsync-path', 'rsync'] : [];

  it('everything is restored unchanged, and a second run fetches nothing', async () => {
    makeHardTree(bench.source);
    await push();
    const first = await restore(...from(), ...more, ...EXACT);
    expect(first.events.filter(({ type }) => type === 'warning')).toEqual([]);
    expect(first.summary.exitCode).toBe(0);
    expect(differences(bench.source, target, IGNORED)).toEqual([]);
    expect(readdirSync(target).filter((name) => name.startsWith('.ecsync'))).toEqual([]);
    const second = await restore(...from(), ...more, ...EXACT);
    expect(second.summary).toMatchObject({ exitCode: 0, filesRestored: 0, literalBytes: 0 });
    expect(items(second.events)).toEqual([]);
  });

  it('only the changed blocks of a changed file are transferred', async () => {
    const file = path.join(bench.source, 'large');
    const content = pattern(3_000_000);
    writeFileSync(file, content);
    await push();
    expect((await restore(...from(), ...more)).summary.filesRestored).toBe(1);
    content.fill('!', 100 * BLOCK, 101 * BLOCK);
    writeFileSync(file, content);
    utimesSync(file, 1_700_000_000, 1_700_000_000);
    await push();
    const { summary } = await restore(...from(), ...more, '--overwrite', 'changed');
    expect(summary).toMatchObject({ exitCode: 0, filesRestored: 1 });
    expect(summary.literalBytes).toBeLessThan(4 * BLOCK);
    expect(differences(bench.source, target, IGNORED)).toEqual([]);
  });
});

it.each(['reverse', 'xchacha'])('layout %s', async (layout) => {
  rmSync(path.join(bench.source, '.ecsync'), { recursive: true });
  const made = await run('init', bench.source, '--layout', layout, '--scryptn', '10', ...pass());
  expect(made.code).toBe(0);
  makeHardTree(bench.source);
  await push();
  expect((await restore(...EXACT)).summary.exitCode).toBe(0);
  expect(differences(bench.source, target, IGNORED)).toEqual([]);
  const large = path.join(bench.source, 'large');
  const content = pattern(2_000_000);
  writeFileSync(large, content);
  await push();
  await restore('large');
  content.fill(0, 50 * BLOCK, 51 * BLOCK);
  writeFileSync(large, content);
  utimesSync(large, 1_700_000_000, 1_700_000_000);
  await push();
  const { summary } = await restore('large', '--overwrite', 'changed');
  expect(summary.literalBytes).toBeLessThan(4 * BLOCK);
});

describe('names that ecsync keeps for itself in a target', () => {
  it('are named and left out, which is an error like a device that is left out', async () => {
    writeFileSync(path.join(bench.source, '.ecsync-restore'), 'mine');
    writeFileSync(path.join(bench.source, 'file'), 'x');
    await push();
    const { summary, events } = await restore();
    expect(summary).toMatchObject({ exitCode: 23, error: { code: 'name-reserved' } });
    expect(events).toContainEqual(expect.objectContaining({ code: 'name-reserved' }));
    expect(readdirSync(target)).toEqual(['file']);
    const without = await restore('--exclude', '/.ecsync-restore');
    expect(without.summary).toMatchObject({ exitCode: 0 });
    const cloned = await run('clone', ...pass(), bench.copy, path.join(bench.dir, 'clone'));
    expect(cloned.code).toBe(23);
    const shown = await run('cat', ...pass(), '--from', bench.copy, '.ecsync-restore');
    expect(shown).toMatchObject({ code: 0, stdout: 'mine' });
  });

  it('are not pushed when they are what a restore has left', async () => {
    for (const name of ['.ecsync-restore', 'folder/.ecsync-restore']) {
      mkdirSync(path.join(bench.source, name), { recursive: true });
      writeFileSync(path.join(bench.source, name, 'lock'), 'x');
    }
    await push();
    await restore();
    expect(readdirSync(target, { recursive: true }).sort()).toEqual([
      'folder',
      'folder/.ecsync-restore',
      'folder/.ecsync-restore/lock',
    ]);
  });
});

describe('an existing file', () => {
  const file = (): string => path.join(target, 'file');
  beforeEach(async () => {
    writeFileSync(path.join(bench.source, 'file'), 'of the copy');
    utimesSync(path.join(bench.source, 'file'), 1_600_000_000, 1_600_000_000);
    writeFileSync(path.join(bench.source, 'other'), 'also of the copy');
    await push();
    mkdirSync(target);
    writeFileSync(file(), 'of this machine');
  });

  it('stays, and the restore reports that', async () => {
    const { summary, events } = await restore();
    expect(summary).toMatchObject({ exitCode: 23, filesKept: 1, error: { code: 'kept' } });
    expect(events.filter(({ type }) => type === 'warning')).toMatchObject([{ code: 'kept' }]);
    expect(readFileSync(file(), 'utf8')).toBe('of this machine');
    expect(readFileSync(path.join(target, 'other'), 'utf8')).toBe('also of the copy');
  });

  it.each([
    ['never', 'of this machine'],
    ['older', 'of this machine'],
    ['changed', 'of the copy'],
    ['always', 'of the copy'],
  ])('--overwrite %s leaves the file %s', async (when, content) => {
    const { summary } = await restore('--overwrite', when);
    expect(summary.exitCode).toBe(0);
    expect(readFileSync(file(), 'utf8')).toBe(content);
  });

  it('is replaced by --overwrite older when it is older', async () => {
    utimesSync(file(), 1_500_000_000, 1_500_000_000);
    await restore('--overwrite', 'older');
    expect(readFileSync(file(), 'utf8')).toBe('of the copy');
  });

  it('--overwrite always also detects a file of the same size and time', async () => {
    writeFileSync(file(), 'OF THE COPY');
    utimesSync(file(), 1_600_000_000, 1_600_000_000);
    await restore('--overwrite', 'changed');
    expect(readFileSync(file(), 'utf8')).toBe('OF THE COPY');
    await restore('--overwrite', 'always');
    expect(readFileSync(file(), 'utf8')).toBe('of the copy');
  });

  it('a folder in the place of a file stays, with all its content', async () => {
    rmSync(file());
    mkdirSync(file());
    writeFileSync(path.join(file(), 'precious'), '');
    for (const words of [[], ['--overwrite', 'always']]) {
      expect((await restore(...words)).summary.exitCode).toBe(23);
      expect(existsSync(path.join(file(), 'precious'))).toBe(true);
    }
  });

  it('a dry run writes nothing and reports what it would do', async () => {
    const { events } = await restore('-n', '--overwrite', 'changed');
    expect(items(events)).toContainEqual(['>f+++++++++', 'other']);
    expect(readdirSync(target)).toEqual(['file']);
    expect(readFileSync(file(), 'utf8')).toBe('of this machine');
  });

  it('a dry run into a missing folder does not make it', async () => {
    rmSync(target, { recursive: true });
    expect((await restore('-n')).summary.exitCode).toBe(0);
    expect(existsSync(target)).toBe(false);
  });
});

describe('a part', () => {
  beforeEach(async () => {
    for (const name of ['docs/a', 'docs/b', 'photos/c']) {
      mkdirSync(path.join(bench.source, path.dirname(name)), { recursive: true });
      writeFileSync(path.join(bench.source, name), name);
    }
    await push();
  });
  const found = (): string[] => readdirSync(target, { recursive: true, encoding: 'utf8' }).sort();

  it('named by paths', async () => {
    const { summary } = await restore('docs/b', 'photos');
    expect(summary).toMatchObject({ exitCode: 0, filesTotal: 3 });
    expect(found()).toEqual(['docs', 'docs/b', 'photos', 'photos/c']);
  });

  it('named from inside the vault', async () => {
    await restore('-C', path.join(bench.source, 'docs'), 'a');
    expect(found()).toEqual(['a']);
  });

  it('chosen by rules', async () => {
    await restore('--include', '*/', '--include', 'b', '--exclude', '*');
    expect(found()).toEqual(['docs', 'docs/b', 'photos']);
  });

  it('that is not in the copy is refused before anything is written', async () => {
    const { summary } = await restore('docs/a', 'docs/nothing');
    expect(summary).toMatchObject({ exitCode: 2, error: { code: 'path-missing' } });
    expect(existsSync(target)).toBe(false);
  });

  it('outside of the vault is refused', async () => {
    expect((await restore('../docs')).summary).toMatchObject({ error: { code: 'path-outside' } });
  });

  it('is restored into the source itself, and nothing else is touched', async () => {
    rmSync(path.join(bench.source, 'docs', 'a'));
    const config = readFileSync(path.join(bench.source, '.ecsync', 'config.toml'));
    const before = lstatSync(path.join(bench.source, 'photos', 'c'));
    const { summary } = await restore('--to', bench.source);
    expect(summary).toMatchObject({ exitCode: 0, filesRestored: 1 });
    expect(readFileSync(path.join(bench.source, 'docs', 'a'), 'utf8')).toBe('docs/a');
    expect(readFileSync(path.join(bench.source, '.ecsync', 'config.toml'))).toEqual(config);
    expect(lstatSync(path.join(bench.source, 'photos', 'c')).ctimeMs).toBe(before.ctimeMs);
  });
});

describe('damage', () => {
  beforeEach(async () => {
    writeFileSync(path.join(bench.source, 'good'), pattern(5000));
    writeFileSync(path.join(bench.source, 'bad'), pattern(100_000));
    await push();
  });
  const cipherSize = 18 + 100_000 + 25 * 32;

  it.each(['a local folder', 'ssh'])('in content is reported, and never stored: %s', async (at) => {
    flipByte(cipherFileOfSize(cipherSize), 60_000);
    const from = at === 'ssh' ? overSsh() : bench.copy;
    const { summary, events } = await restore('--from', from);
    expect(summary).toMatchObject({ exitCode: 26, damaged: 1, error: { code: 'copy-damaged' } });
    const [warning] = events.filter(({ type }) => type === 'warning');
    expect(warning).toMatchObject({ code: 'content-damaged' });
    expect(warning?.['message']).toMatch(/block 14 of bad: /);
    expect(readdirSync(target)).toEqual(['good']);
  });

  it('never replaces an intact file', async () => {
    await restore();
    flipByte(cipherFileOfSize(cipherSize), 60_000);
    const { summary } = await restore('--overwrite', 'always');
    expect(summary).toMatchObject({ exitCode: 26, damaged: 1 });
    expect(differences(bench.source, target, IGNORED)).toEqual([]);
  });

  it('in a header, by a cut, or by a hole', async () => {
    const file = cipherFileOfSize(cipherSize);
    const whole = readFileSync(file);
    const damages = [
      Buffer.concat([Buffer.from([1]), whole.subarray(1)]),
      whole.subarray(0, 50_010),
      Buffer.concat([whole.subarray(0, 18), Buffer.alloc(4128), whole.subarray(18 + 4128)]),
    ];
    for (const damaged of damages) {
      rmSync(target, { recursive: true, force: true });
      writeFileSync(file, damaged);
      expect((await restore()).summary).toMatchObject({ exitCode: 26, damaged: 1 });
      expect(readdirSync(target)).toEqual(['good']);
    }
  });

  it('in a name: the rest is restored', async () => {
    const file = cipherFileOfSize(cipherSize);
    const folder = path.dirname(file);
    const { atime, mtime } = statSync(folder);
    writeFileSync(path.join(folder, 'A'.repeat(22)), 'x');
    utimesSync(folder, atime, mtime);
    const { summary } = await restore();
    expect(summary.exitCode).toBe(26);
    expect(differences(bench.source, target, IGNORED)).toEqual([]);
  });
});

describe('nothing is written outside of the target', () => {
  it('through a symlink in it', async () => {
    mkdirSync(path.join(bench.source, 'folder'));
    writeFileSync(path.join(bench.source, 'folder', 'file'), 'x');
    await push();
    const outside = path.join(bench.dir, 'outside');
    mkdirSync(outside);
    mkdirSync(target);
    symlinkSync(outside, path.join(target, 'folder'));
    expect((await restore()).summary).toMatchObject({ exitCode: 23 });
    expect(readdirSync(outside)).toEqual([]);
    expect((await restore('--overwrite', 'changed')).summary).toMatchObject({ exitCode: 0 });
    expect(readdirSync(outside)).toEqual([]);
    expect(lstatSync(path.join(target, 'folder')).isDirectory()).toBe(true);
  });

  it('nor into a vault in it', async () => {
    const other = { ...bench, source: path.join(bench.dir, 'other') };
    mkdirSync(path.join(other.source, '.ecsync'), { recursive: true });
    writeFileSync(path.join(other.source, '.ecsync', 'config.toml'), 'of another');
    const vault = path.join(bench.dir, 'vault');
    await run('init', other.source, '--vault-dir', vault, '--scryptn', '10', ...pass());
    const pushed = await run(
      'push',
      '-C',
      other.source,
      '--vault-dir',
      vault,
      ...pass(),
      bench.copy,
    );
    expect(pushed.code).toBe(0);
    const result = await run(
      ...['restore', '-C', other.source, '--vault-dir', vault, ...pass()],
      ...['--from', bench.copy, '--to', target],
    );
    expect(result.code).toBe(0);
    expect(existsSync(path.join(target, '.ecsync'))).toBe(false);
  });

  it('nor into the copy', async () => {
    writeFileSync(path.join(bench.source, 'file'), 'x');
    await push();
    const { summary } = await restore('--to', path.join(bench.copy, 'inside'));
    expect(summary).toMatchObject({ exitCode: 2, error: { code: 'target-overlaps' } });
  });
});

it('names that Windows cannot hold are changed, and none is lost', async () => {
  makeHardTree(bench.source);
  await push();
  const { summary, events } = await restore('--names', 'windows');
  expect(summary.exitCode).toBe(0);
  expect(summary.renamed).toBe(events.filter(({ code }) => code === 'renamed').length);
  expect(summary.renamed).toBeGreaterThan(100);
  const names = readdirSync(path.join(target, 'names'), { encoding: 'buffer' });
  expect(names).toHaveLength(readdirSync(path.join(bench.source, 'names')).length);
  const folded = names.map((name) => name.toString().toLowerCase());
  expect(new Set(folded).size).toBe(names.length);
  const again = await restore('--names', 'windows');
  expect(again.summary).toMatchObject({ exitCode: 0, filesRestored: 0 });
  expect(items(again.events)).toEqual([]);
});

describe('outside of a vault', () => {
  const without = (): string[] => ['-C', bench.dir];

  it.each(['a local folder', 'ssh'])('with the conf of the copy: %s', async (place) => {
    makeHardTree(bench.source);
    await push();
    const from = place === 'ssh' ? overSsh() : bench.copy;
    const { summary } = await restore(...without(), '--from', from, ...EXACT);
    expect(summary.exitCode).toBe(0);
    expect(differences(bench.source, target, IGNORED)).toEqual([]);
  });

  it('a wrong password restores nothing', async () => {
    await push();
    writeFileSync(bench.passfile, 'wrong\n');
    const { summary } = await restore(...without(), '--from', overSsh());
    expect(summary.exitCode).toBe(12);
    expect(existsSync(target)).toBe(false);
  });
});

it('a missing copy is an error', async () => {
  const { summary } = await restore('--from', path.join(bench.dir, 'nothing'));
  expect(summary).toMatchObject({ exitCode: 10, error: { code: 'copy-missing' } });
});

it('what stock gocryptfs has written, through a mount', async () => {
  const plain = path.join(bench.dir, 'plain');
  makeHardTree(plain);
  const copy = await makeStockCopy(bench.dir, { name: 'stock', words: [] }, async (mountPoint) => {
    const { execFileSync } = await import('node:child_process');
    execFileSync('rsync', ['-aH', `${plain}/`, `${mountPoint}/`]);
  });
  for (const from of [copy.cipherDir, overSsh(copy.cipherDir)]) {
    rmSync(target, { recursive: true, force: true });
    const result = await run(
      ...['restore', '--from', from, '--to', target, '--passfile', copy.passfile, ...EXACT],
    );
    expect(result.stderr.match(/^warning: gocryptfs made this copy: .*\n$/)).not.toBeNull();
    expect(result.code).toBe(0);
    expect(differences(plain, target, IGNORED)).toEqual([]);
  }
});
