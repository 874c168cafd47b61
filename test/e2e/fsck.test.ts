// Goal: `ecsync fsck` checks copies of stock gocryptfs and of our own push, with password or master
// key, whole and damaged. The tests compare its output and exit code.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pattern } from '../support/format-fixtures.ts';
import { makeStockCopy, stockFsck, STOCK_PASSWORD, type StockCopy } from '../support/stock-copy.ts';
import { ecsync, initVault, makeBench, summaryOf, type Bench } from './support/cli.ts';

const work = mkdtempSync(path.join(tmpdir(), 'ecsync-fsck-e2e-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

function fill(mountPoint: string): void {
  mkdirSync(path.join(mountPoint, 'docs'));
  writeFileSync(path.join(mountPoint, 'docs/large'), pattern(50_000));
  writeFileSync(path.join(mountPoint, `docs/${'l'.repeat(200)}`), 'long');
  symlinkSync('docs/large', path.join(mountPoint, 'link'));
}

/** The largest regular file of a cipher folder. */
function largest(cipherDir: string): string {
  const files = readdirSync(cipherDir, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(cipherDir, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true);
  return files.reduce((a, b) => (statSync(b).size > statSync(a).size ? b : a));
}

function flipByte(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8((bytes[at] ?? 0) ^ 0x10, at);
  writeFileSync(file, bytes);
}

describe('a cipher folder that is no vault', () => {
  let copy: StockCopy;
  beforeAll(async () => {
    copy = await makeStockCopy(work, { name: 'stock', words: ['-aessiv'] }, fill);
  });
  const check = (...words: readonly string[]) => ecsync(['fsck', ...words], { cwd: work });

  test('is opened with its own conf and password, and is clean', async () => {
    const result = await check(copy.cipherDir, '--passfile', copy.passfile, '-v');
    expect(result).toMatchObject({ code: 0, stdout: '' });
    expect(result.stderr).toContain('2 files, 2 folders, 1 link');
    // Relative, without a leading ./, in JSON, with the password in a variable.
    const json = await ecsync(['fsck', 'stock', '--json'], {
      cwd: work,
      env: { ECSYNC_PASSWORD: STOCK_PASSWORD },
    });
    expect(summaryOf(json)).toMatchObject({
      ...{ command: 'fsck', exitCode: 0, files: 2, folders: 2, links: 1, others: 0 },
      ...{ damaged: 0, unread: 0, notes: 0 },
    });
  });

  test('with a file cut to its header holds an empty file, as other programs store it', async () => {
    const cut = path.join(work, 'cut');
    execFileSync('cp', ['-a', copy.cipherDir, cut]);
    truncateSync(largest(cut), 18);
    expect(await check(cut, '--passfile', copy.passfile)).toMatchObject({ code: 0, stdout: '' });
    const words = ['cat', '/docs/large', '--from', cut, '--passfile', copy.passfile];
    expect(await ecsync(words, { cwd: work })).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test('damaged: a line for each finding, exit code 26', async () => {
    const damaged = path.join(work, 'damaged');
    execFileSync('cp', ['-a', copy.cipherDir, damaged]);
    flipByte(largest(damaged), 18 + 3 * 4128 + 50);
    writeFileSync(path.join(damaged, '.stray'), 'x');
    const result = await check('./damaged', '--passfile', copy.passfile);
    expect(result.code).toBe(26);
    expect(result.stdout).toBe(
      './ (in the copy: .stray): this is not something that gocryptfs writes\ndocs/large: block 3 is damaged\n',
    );
    expect(result.stderr).toContain('2 findings of damage');
    expect(result.stderr).toContain('hint: ');
    const json = await check('./damaged', '--passfile', copy.passfile, '--json');
    const events = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events).toMatchObject([
      { type: 'finding', code: 'foreign-object', folder: '.', cipherPath: '.stray' },
      { type: 'finding', severity: 'damage', path: 'docs/large', kind: 'file', blocks: [3, 3] },
      { type: 'summary', exitCode: 26, damaged: 2, error: { code: 'copy-damaged' } },
    ]);
  });

  test.each([
    ['a wrong password', ['stock', '--passfile', '/dev/null'], 12, 'password-empty'],
    ['a folder without a conf', [tmpdir()], 10, 'conf-missing'],
    ['no folder', ['absent'], 2, 'not-a-folder'],
    ['no vault and no word', [], 10, 'no-vault'],
    ['a remote that is not there', ['ssh://127.0.0.1:1/copy'], 30, 'connect-failed'],
    ['a layout with a password', ['stock', '--layout', 'gcm'], 2, 'conflicting-options'],
    [
      'a layout that cannot be',
      ['stock', '--layout', 'xchacha', '--no-hkdf', '--masterkey=stdin'],
      2,
      'conflicting-options',
    ],
  ])('%s is refused', async (_, words, code, errorCode) => {
    const result = await check(...words, '--json');
    expect(summaryOf(result)).toMatchObject({ exitCode: code, error: { code: errorCode } });
    expect(result.code).toBe(code);
  });
});

describe('a cipher folder with something else for a conf', () => {
  test.each([
    ['a folder', (conf: string) => mkdirSync(conf)],
    ['a link', (conf: string) => symlinkSync('/etc/hostname', conf)],
    ['a huge file', (conf: string) => writeFileSync(conf, Buffer.alloc(3_000_000))],
  ])('%s is not called a missing conf', async (name, make) => {
    const folder = path.join(work, `instead ${name}`);
    mkdirSync(folder);
    make(path.join(folder, 'gocryptfs.conf'));
    const result = await ecsync(['fsck', folder, '--json']);
    expect(summaryOf(result)).toMatchObject({ exitCode: 10, error: { code: 'conf-unusable' } });
  });
});

describe('a cipher folder whose conf is lost', () => {
  const kinds: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['gcm', [], []],
    ['siv', ['-aessiv'], ['--layout', 'reverse']],
    ['xchacha', ['-xchacha'], ['--layout', 'xchacha']],
    ['plain names', ['-plaintextnames'], ['--plaintextnames']],
    ['equal names', ['-deterministic-names'], ['--deterministic-names']],
    ['short names', ['-longnamemax', '100'], ['--longnamemax', '100']],
  ];
  test.each(kinds)('%s: the master key and the layout open it', async (name, init, words) => {
    const copy = await makeStockCopy(work, { name: `lost ${name}`, words: init }, fill);
    const conf = path.join(copy.cipherDir, 'gocryptfs.conf');
    const key = execFileSync('gocryptfs-xray', ['-dumpmasterkey', conf], {
      input: `${STOCK_PASSWORD}\n`,
    });
    unlinkSync(conf);
    const command = ['fsck', copy.cipherDir, '--masterkey=stdin', '--json', ...words];
    const result = await ecsync(command, { cwd: work, input: key });
    expect(result.stderr).toBe('');
    expect(summaryOf(result)).toMatchObject({ exitCode: 0, files: 2, links: 1, notes: 1 });
  });

  test('the wrong layout finds damage and explains what it may mean', async () => {
    const result = await ecsync(['fsck', 'lost gcm', '--masterkey=stdin'], {
      cwd: work,
      input: `${'5'.repeat(64)}\n`,
    });
    expect(result.code).toBe(26);
    expect(result.stderr).toContain('the key or the layout may be the wrong one');
  });

  test.each([
    [['ls']],
    [['cat', 'file']],
    [['restore', '--to', 'back', 'file']],
    [['restore', '--to', 'back']],
  ])('another key is to blame, not the path: %j', async ([command = '', ...words]) => {
    const input = '5'.repeat(64);
    const told = [command, ...words, '--from', 'lost gcm', '--masterkey=stdin', '--json'];
    const result = await ecsync(told, { cwd: work, input });
    expect(summaryOf(result)).toMatchObject({ exitCode: 12, error: { code: 'wrong-masterkey' } });
    expect(result.stderr + result.stdout).not.toContain('is not in the copy');
  });
});

describe('a copy that was pushed', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await makeBench();
    mkdirSync(bench.source);
    fill(bench.source);
    await initVault(bench);
    const inVault = ['-C', bench.source];
    expect(await ecsync(['remote', 'add', 'disk', bench.copy, ...inVault])).toMatchObject({
      code: 0,
    });
    const pushed = await ecsync(['push', ...inVault, '--passfile', bench.passfile]);
    expect(pushed).toMatchObject({ code: 0 });
  });
  afterAll(() => bench.remove());
  const check = (...words: readonly string[]) =>
    ecsync(['fsck', ...words, '-C', bench.source, '--passfile', bench.passfile, '--json']);

  test.each([
    ['the default remote', () => []],
    ['a remote by its name', () => ['disk']],
    ['a remote by its folder', () => [bench.copy]],
  ])('is clean: %s', async (_, words) => {
    const result = await check(...words());
    expect(result.stderr).toBe('');
    expect(summaryOf(result)).toMatchObject({ exitCode: 0, files: 2, folders: 2, links: 1 });
  });

  test('elsewhere is opened with the keys of the vault, even without a conf', async () => {
    const moved = path.join(bench.dir, 'moved');
    cpSync(bench.copy, moved, { recursive: true, verbatimSymlinks: true });
    expect(summaryOf(await check(moved))).toMatchObject({ exitCode: 0 });
    unlinkSync(path.join(moved, 'gocryptfs.conf'));
    const result = await check(moved);
    expect(summaryOf(result)).toMatchObject({ exitCode: 26, damaged: 1 });
    expect(result.stdout).toContain('"code":"conf-missing"');
  });

  test('holds no holes, and is repaired from the source', async () => {
    const file = largest(bench.copy);
    const { atime, mtime } = statSync(file);
    const bytes = readFileSync(file);
    bytes.fill(0, 18 + 4128, 18 + 3 * 4128);
    writeFileSync(file, bytes);
    utimesSync(file, atime, mtime);
    const result = await ecsync(['fsck', '-C', bench.source, '--passfile', bench.passfile]);
    expect(result.code).toBe(26);
    expect(result.stdout).toBe('docs/large: blocks 1 to 2 hold zeros that no key vouches for\n');
    expect(result.stderr).toContain('ecsync verify --repair disk (add --delete');
    const words = ['verify', '--repair', 'disk', '-C', bench.source, '--passfile', bench.passfile];
    expect(await ecsync(words)).toMatchObject({ code: 0 });
    expect(summaryOf(await check())).toMatchObject({ exitCode: 0 });
  });

  test('with a file cut to its header is damaged for every command, with and without the vault', async () => {
    const cut = path.join(bench.dir, 'cut');
    cpSync(bench.copy, cut, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    truncateSync(largest(cut), 18);
    const secret = ['--passfile', bench.passfile];
    const at = { cwd: bench.dir };
    for (const words of [
      ['fsck', cut],
      ['fsck', cut, '-C', bench.source],
      ['cat', '/docs/large', '--from', cut],
      ['cat', '/docs/large', '--from', cut, '-C', bench.source],
      ['restore', '--from', cut, '--to', 'cut-back'],
    ]) {
      const result = await ecsync([...words, ...secret], at);
      expect([words, result.code]).toEqual([words, 26]);
      expect(result.stdout + result.stderr).toContain('docs/large');
    }
  });

  test('on a missing disk is no copy', async () => {
    const away = `${bench.copy}.away`;
    renameSync(bench.copy, away);
    try {
      const result = await check();
      expect(summaryOf(result)).toMatchObject({ exitCode: 10, error: { code: 'copy-missing' } });
    } finally {
      renameSync(away, bench.copy);
    }
  });
});

describe.each([
  ['gcm', ['--layout', 'gcm']],
  ['reverse', ['--layout', 'reverse']],
  ['xchacha', ['--layout', 'xchacha']],
  ['plain names', ['--plaintextnames']],
  ['equal names', ['--deterministic-names']],
  ['short names', ['--longnamemax', '62']],
])('a vault with %s', (_, words) => {
  test('pushes a copy that this check and that of stock find clean', async () => {
    const bench = await makeBench();
    try {
      mkdirSync(bench.source);
      fill(bench.source);
      const secret = ['--passfile', bench.passfile];
      const init = ['init', bench.source, '--scryptn', '10', ...words, ...secret];
      expect(await ecsync(init)).toMatchObject({ code: 0 });
      const push = ['push', bench.copy, '-C', bench.source, ...secret];
      expect(await ecsync(push)).toMatchObject({ code: 0 });
      const result = await ecsync(['fsck', bench.copy, '-C', bench.source, ...secret, '--json']);
      expect(summaryOf(result)).toMatchObject({ exitCode: 0, files: 2, links: 1, notes: 0 });
      const { code } = await stockFsck({ cipherDir: bench.copy, passfile: bench.passfile });
      expect(code).toBe(0);
    } finally {
      await bench.remove();
    }
  });
});

test('Ctrl-C ends a check at once, with exit code 130', async () => {
  const copy = await makeStockCopy(work, { name: 'big', words: [] }, (mountPoint) => {
    for (const name of ['a', 'b', 'c']) {
      const file = path.join(mountPoint, name);
      writeFileSync(file, '');
      truncateSync(file, 2 ** 40); // a hole: hours of work, no space
    }
  });
  const result = await ecsync(['fsck', copy.cipherDir, '--passfile', copy.passfile], {
    onStart: (child) => {
      setTimeout(() => child.kill('SIGINT'), 1500);
    },
  });
  expect(result.code === 130 || result.signal === 'SIGINT').toBe(true);
  expect(result.stderr).toContain('interrupted');
});
