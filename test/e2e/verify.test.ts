import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSshd } from '../support/sshd.ts';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { makeBusyTree, makeHardTree } from './support/hard-tree.ts';
import { fsck } from './support/stock.ts';

/** `verify` against real servers: it finds every difference, and nothing in an intact copy. */
interface Difference {
  readonly kind: string;
  readonly path: string;
  readonly structure?: string;
  readonly attributes: readonly string[];
  readonly changedHere: boolean;
  readonly verdict: string;
  readonly repaired: boolean;
}

function events<T>(result: CliResult, type: string): T[] {
  const lines = result.stdout.trimEnd().split('\n');
  return lines
    .map((line) => JSON.parse(line) as { type: string })
    .filter((event) => event.type === type) as T[];
}

function differencesOf(result: CliResult): Difference[] {
  return events<Difference>(result, 'difference');
}

function summaryOf(result: CliResult): Record<string, unknown> {
  return events<Record<string, unknown>>(result, 'summary')[0] ?? {};
}

/** `kind path`, sorted. */
function told(result: CliResult): string[] {
  return differencesOf(result)
    .map(({ kind, path: where }) => `${kind} ${where}`)
    .sort();
}

/** A vault with a copy, and commands on both. */
class Pair {
  readonly bench: Bench;
  destination: string;
  home = '/nonexistent';
  options: string[] = [];

  constructor(bench: Bench) {
    this.bench = bench;
    this.destination = bench.copy;
  }

  run(command: string, ...words: string[]): Promise<CliResult> {
    const { source, passfile } = this.bench;
    const common = ['-C', source, '--passfile', passfile, ...this.options];
    return ecsync([command, ...common, ...words, this.destination], { env: { HOME: this.home } });
  }

  async push(...words: string[]): Promise<void> {
    const result = await this.run('push', ...words);
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
  }

  async expectClean(...words: string[]): Promise<void> {
    const result = await this.run('verify', ...words);
    expect(result).toMatchObject({ code: 0, stdout: '', stderr: '' });
  }

  /** The paths in the copy of plaintext paths. */
  async stored(plain: readonly string[]): Promise<string[]> {
    const { source, passfile } = this.bench;
    const words = ['name', 'encode', '-C', source, '--passfile', passfile, ...plain];
    const result = await ecsync(words);
    expect(result.code).toBe(0);
    return result.stdout
      .trimEnd()
      .split('\n')
      .map((name) => path.join(this.bench.copy, name));
  }
}

/** Changes one byte and nothing else that is visible. */
function flip(file: string, random: number): void {
  const { size, mtimeMs } = statSync(file);
  const at = Math.floor(random * size);
  const fd = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  writeSync(fd, Buffer.from([(byte[0] ?? 0) ^ 0x40]), 0, 1, at);
  closeSync(fd);
  // Rounded up, as `stats.mtime` is, it could be in the next second.
  const time = new Date(Math.floor(mtimeMs));
  utimesSync(file, time, time);
}

/** Plaintext files below a folder, relative to it. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((name) => !name.startsWith('.ecsync'))
    .sort();
}

describe('over ssh with a key that may only write (rrsync -wo)', () => {
  let pair: Pair;
  let sshd: Awaited<ReturnType<typeof startSshd>>;
  beforeAll(async () => {
    pair = new Pair(await makeBench());
    makeBusyTree(pair.bench.source, 20, 10);
    await initVault(pair.bench);
    sshd = await startSshd({ forcedCommand: `rrsync -wo ${pair.bench.dir}` });
    pair.destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}/./copy`;
    pair.home = sshd.home;
    await pair.push();
  });
  afterAll(async () => {
    await sshd.stop();
    await pair.bench.remove();
  });

  it('reports nothing about an intact copy', { timeout: 120_000 }, async () => {
    await pair.expectClean();
    await pair.expectClean('-H', '--numeric-ids');
  });

  it('finds each of 100 single bytes, deletions and additions', { timeout: 120_000 }, async () => {
    const { source, copy } = pair.bench;
    const files = filesBelow(source);
    const stored = await pair.stored(files);
    const expected: string[] = [];
    for (const [i, file] of stored.entries()) {
      const name = files[i] ?? '';
      if (i % 2 === 0) {
        flip(file, (i * 0.618) % 1);
        expected.push(`changed ${name}`);
      } else if (i % 20 === 1) {
        rmSync(file);
        expected.push(`missing ${name}`);
      }
    }
    expect(expected.filter((line) => line.startsWith('changed'))).toHaveLength(100);
    const [folder = ''] = await pair.stored(['folder 3']);
    writeFileSync(path.join(folder, 'foreign'), 'x');
    const [removed = ''] = await pair.stored(['gone since']);
    writeFileSync(removed, 'x');
    expected.push('extra gone since');
    const result = await pair.run('verify', '--json');
    expect(result.code).toBe(26);
    const foreign = told(result).filter((line) => line.endsWith('/foreign'));
    expect(foreign).toHaveLength(1);
    const found = differencesOf(result).filter(({ kind }) => kind !== 'attributes');
    expect(
      found
        .filter(({ path: where }) => !where.endsWith('/foreign'))
        .map(lineOf)
        .sort(),
    ).toEqual(expected.sort());
    expect(found.filter(({ changedHere }) => changedHere)).toEqual([]);
    // Item records, and no content.
    expect(summaryOf(result)['bytesReceived']).toBeLessThan(4_000);
    expect(existsSync(path.join(copy, 'gocryptfs.conf'))).toBe(true);
  });

  it('repairs all of it, then finds nothing', { timeout: 120_000 }, async () => {
    const half = await pair.run('verify', '--repair', '--json');
    expect(half.code).toBe(0); // extra files are no failure without --delete
    const left = differencesOf(half).filter(({ repaired }) => !repaired);
    expect(left.map(({ kind }) => kind)).toEqual(['extra', 'extra']);
    const refused = await pair.run('verify', '--repair', '--delete', '--json');
    // The first deletion checks whether the folder holds foreign files, and it does.
    expect(refused.code).toBe(10);
    expect(summaryOf(refused)['error']).toMatchObject({ code: 'destination-not-a-copy' });
    const [folder = ''] = await pair.stored(['folder 3']);
    rmSync(path.join(folder, 'foreign'));
    const done = await pair.run('verify', '--repair', '--delete', '--json');
    expect(done.code).toBe(0);
    await pair.expectClean('--delete');
    expect((await fsck(pair.bench.copy, pair.bench.passfile)).code).toBe(0);
  });
});

function lineOf({ kind, path: where }: Difference): string {
  return `${kind} ${where}`;
}

describe('restricted further', () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = new Pair(await makeBench());
    makeBusyTree(pair.bench.source, 3, 3);
    await initVault(pair.bench);
    await pair.push();
  });
  afterAll(() => pair.bench.remove());

  it.each([
    { mode: '-no-del', code: 26, warning: 'extras-unknown' },
    { mode: '-no-overwrite', code: 5, error: 'comparison-withheld' },
  ])('rrsync $mode', { timeout: 120_000 }, async ({ mode, code, warning, error }) => {
    const { source, copy, dir, passfile } = pair.bench;
    const [file = ''] = await pair.stored([filesBelow(source)[0] ?? '']);
    flip(file, 0.5);
    writeFileSync(path.join(copy, 'foreign'), 'x');
    const sshd = await startSshd({ forcedCommand: `rrsync -wo ${mode} ${dir}` });
    try {
      const url = `ssh://${sshd.user}@127.0.0.1:${sshd.port}/./copy`;
      const words = ['verify', '-C', source, '--passfile', passfile, '--json', url];
      const result = await ecsync(words, { env: { HOME: sshd.home } });
      expect(result.code).toBe(code);
      if (error !== undefined) expect(summaryOf(result)['error']).toMatchObject({ code: error });
      if (warning !== undefined) {
        expect(summaryOf(result)['warnings']).toMatchObject([{ code: warning }]);
        expect(differencesOf(result).map(({ kind }) => kind)).toContain('changed');
        expect(differencesOf(result).map(({ kind }) => kind)).not.toContain('extra');
      }
    } finally {
      await sshd.stop();
      flip(file, 0.5);
      rmSync(path.join(copy, 'foreign'));
    }
  });
});

describe.each([
  { name: 'in this process', options: [] as string[] },
  ...[27, 29, 30, 31, 32].map((protocol) => ({
    name: `stock rsync at protocol ${protocol}`,
    options: ['--rsync-path', 'rsync', '--protocol', String(protocol)],
  })),
])('$name', ({ name, options }) => {
  let pair: Pair;
  beforeAll(async () => {
    pair = new Pair(await makeBench());
    pair.options = ['-H', ...options];
    makeHardTree(pair.bench.source);
    // The older protocols carry times as 32 bits.
    execFileSync('touch', ['-d', '@1000000000', path.join(pair.bench.source, 'sizes', '15')]);
    await initVault(pair.bench);
    await pair.push();
  });
  afterAll(() => pair.bench.remove());
  const isOld = name.endsWith('27');

  it('reports nothing about an intact copy', { timeout: 120_000 }, async () => {
    if (!isOld) return pair.expectClean();
    const result = await pair.run('verify');
    expect(result).toMatchObject({ code: 0, stdout: '' });
    expect(result.stderr).toMatch(/too old to tell about attributes/);
  });

  it('reports the kind of each difference, and repairs it', { timeout: 120_000 }, async () => {
    const [file = '', folder = '', link = '', moved = ''] = await pair.stored([
      'sizes/4097',
      'empty folder',
      'kinds/link',
      'sizes/1',
    ]);
    flip(file, 0.7);
    rmSync(path.join(folder, 'gocryptfs.diriv'));
    renameSync(moved, `${moved}x`);
    rmSync(link);
    execFileSync('ln', ['-s', 'elsewhere', link]);
    const conf = path.join(pair.bench.copy, 'gocryptfs.conf');
    appendFileSync(conf, ' ');
    execFileSync('chmod', ['700', folder]);
    const result = await pair.run('verify', '--json');
    expect(result.code).toBe(26);
    const found = differencesOf(result);
    const kindAt = (where: string, structure?: string): string | undefined =>
      found.find((each) => each.path === where && each.structure === structure)?.kind;
    expect(kindAt('sizes/4097')).toBe('changed');
    expect(kindAt('empty folder', 'folder-key')).toBe(isOld ? 'changed' : 'missing');
    expect(kindAt('.', 'conf') ?? kindAt('gocryptfs.conf', 'conf')).toBe('changed');
    if (!isOld) {
      expect(kindAt('kinds/link')).toBe('changed');
      expect(kindAt('sizes/1')).toBe('missing');
      const at = found.find((each) => each.path === 'empty folder/');
      expect(at).toMatchObject({ kind: 'attributes' });
      expect(at?.attributes).toContain('permissions');
      expect(found.filter(({ kind }) => kind === 'extra')).toHaveLength(1);
    }
    rmSync(`${moved}x`);
    const repaired = await pair.run('verify', '--repair', '--json');
    expect(repaired.code).toBe(0);
    if (!isOld) await pair.expectClean();
    expect((await fsck(pair.bench.copy, pair.bench.passfile)).code).toBe(0);
  });

  it('reports if a file was changed here', { timeout: 120_000 }, async () => {
    const edited = path.join(pair.bench.source, 'sizes', '4096');
    flip(edited, 0.1);
    utimesSync(edited, 1_234_567_890, 1_234_567_890);
    const result = await pair.run('verify', '--json');
    expect(result.code).toBe(0);
    const found = differencesOf(result).filter(({ kind }) => kind === 'changed');
    expect(found).toMatchObject([{ path: 'sizes/4096', changedHere: true, verdict: 'pending' }]);
  });
});

describe.each([
  ['--layout', 'reverse'],
  ['--layout', 'xchacha'],
  ['--plaintextnames'],
  ['--deterministic-names'],
  ['--longnamemax', '100'],
])('init %s %s', (...words) => {
  it('is silent on a clean copy and finds a byte', { timeout: 120_000 }, async () => {
    const pair = new Pair(await makeBench());
    try {
      const { source, passfile } = pair.bench;
      makeBusyTree(source, 8, 3);
      const init = [
        'init',
        source,
        '--scryptn',
        '10',
        '--passfile',
        passfile,
        ...words.filter(Boolean),
      ];
      expect((await ecsync(init)).code).toBe(0);
      await pair.push();
      await pair.expectClean();
      const name = filesBelow(source)[5] ?? '';
      const [file = ''] = await pair.stored([name]);
      flip(file, 0.3);
      expect(told(await pair.run('verify', '--json'))).toEqual([`changed ${name}`]);
    } finally {
      await pair.bench.remove();
    }
  });
});

describe('three verdicts', () => {
  it('distinguishes damage, changes that were not pushed yet, and extra files', async () => {
    const pair = new Pair(await makeBench());
    try {
      const { source, passfile } = pair.bench;
      mkdirSync(source);
      for (const name of ['damaged', 'edited', 'deleted', 'whole']) {
        writeFileSync(path.join(source, name), name);
      }
      await initVault(pair.bench);
      await ecsync(['remote', 'add', 'home', pair.destination, '-C', source]);
      utimesSync(source, 1_234_567_890, 1_234_567_890);
      await pair.push();
      writeFileSync(path.join(source, 'edited'), 'edited since');
      writeFileSync(path.join(source, 'new'), '');
      rmSync(path.join(source, 'deleted'));
      const verify = await pair.run('verify', '--json');
      const verdicts = differencesOf(verify).map((one) => `${one.path} ${one.verdict}`);
      const pending = ['edited pending', 'new pending'];
      expect(verdicts.sort()).toEqual(['./ pending', 'deleted extra', ...pending]);
      expect(verify.code).toBe(0);
      expect((await ecsync(['status', '-C', source])).code).toBe(0);
      // A deletion that is due with the next push is no damage either, but a foreign file then is.
      expect((await pair.run('verify', '--delete')).code).toBe(0);
      await pair.push();
      await pair.push('--delete');
      await pair.expectClean('--delete');
      writeFileSync(path.join(pair.bench.copy, 'foreign'), 'x');
      expect((await pair.run('verify', '--delete')).code).toBe(26);
      expect((await pair.run('verify')).code).toBe(0);
      rmSync(path.join(pair.bench.copy, 'foreign'));
      // Changed in the copy, with another time: nothing suggests that it was changed here.
      const [file = ''] = await pair.stored(['damaged']);
      flip(file, 0.9);
      utimesSync(file, 1_234_567_890, 1_234_567_890);
      const words = ['verify', '-C', source, '--passfile', passfile, 'home'];
      const result = await ecsync(words);
      expect(result.code).toBe(26);
      expect(result.stdout).toContain('changed damaged (also time)\n');
      expect((await ecsync(['status', '-C', source])).code).toBe(4);
    } finally {
      await pair.bench.remove();
    }
  });
});

describe('a server that is not root', () => {
  const NOBODY = 65534;

  it('matches right after the push', async () => {
    const pair = new Pair(await makeBench());
    try {
      const { source, copy, dir } = pair.bench;
      mkdirSync(path.join(source, 'a/b'), { recursive: true });
      writeFileSync(path.join(source, 'a/b', 'n'.repeat(200)), 'content');
      await initVault(pair.bench);
      chmodSync(dir, 0o755);
      mkdirSync(copy);
      chownSync(copy, NOBODY, NOBODY);
      const as = `setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups`;
      pair.options = ['--rsync-path', `${as} rsync`];
      await pair.push();
      await pair.expectClean();
      mkdirSync(path.join(source, 'a/new'));
      renameSync(path.join(source, 'a/b'), path.join(source, 'c'));
      await pair.push('--delete');
      await pair.expectClean('--delete');
    } finally {
      await pair.bench.remove();
    }
  });
});

describe('what is not compared', () => {
  it('is what filters and paths leave out, and missing paths are named', async () => {
    const pair = new Pair(await makeBench());
    try {
      const { source } = pair.bench;
      mkdirSync(path.join(source, 'kept'), { recursive: true });
      mkdirSync(path.join(source, 'left'));
      writeFileSync(path.join(source, 'kept', 'a'), 'a');
      writeFileSync(path.join(source, 'left', 'b'), 'b');
      await initVault(pair.bench);
      expect((await pair.run('verify', '--json')).code).toBe(10);
      await pair.push('--exclude', '/left');
      await pair.expectClean('--exclude', '/left');
      expect(told(await pair.run('verify', '--json'))).toEqual(['missing left/', 'missing left/b']);
      const [file = ''] = await pair.stored(['kept/a']);
      flip(file, 0.9);
      const words = ['-C', source, '--passfile', pair.bench.passfile, '--json', pair.bench.copy];
      const inside = await ecsync(['verify', ...words, path.join(source, 'kept')]);
      expect(told(inside)).toEqual(['changed kept/a']);
    } finally {
      await pair.bench.remove();
    }
  });
});
