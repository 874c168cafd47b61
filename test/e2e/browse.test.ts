// Goal: `ls`, `cat`, `find` and `fsck` show a copy in plaintext, wherever it is and however
// restricted the login is, and read no more of it than they need.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { pattern } from '../support/format-fixtures.ts';
import { startSshd, type RunningSshd } from '../support/sshd.ts';
import { makeStockCopy, STOCK_PASSWORD } from '../support/stock-copy.ts';
import { ecsync, initVault, makeBench, summaryOf, type Bench } from './support/cli.ts';

const ODD = Buffer.from('odd \xff\n name', 'latin1');
const LONG = 'l'.repeat(200);
const LARGE = pattern(3_000_000);

function fill(folder: string): void {
  fs.mkdirSync(path.join(folder, 'docs/deep/deeper'), { recursive: true });
  fs.writeFileSync(path.join(folder, 'docs/deep/deeper/large'), LARGE);
  fs.writeFileSync(path.join(folder, 'docs/a.txt'), 'hello\n');
  fs.linkSync(path.join(folder, 'docs/a.txt'), path.join(folder, 'docs/b.txt'));
  fs.writeFileSync(path.join(folder, `docs/${LONG}`), 'long');
  fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), ODD]), 'odd');
  fs.symlinkSync('../a.txt', path.join(folder, 'docs/deep/link'));
  fs.symlinkSync('../../outside', path.join(folder, 'out'));
  fs.mkdirSync(path.join(folder, 'many'));
  for (let i = 0; i < 1000; i++) fs.writeFileSync(path.join(folder, `many/file ${i}`), 'x');
}

/** Every path below a folder except the vault's own, as latin1 text. */
function pathsIn(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: 'latin1' })
    .filter((name) => !name.startsWith('.ecsync'))
    .sort();
}

/** Standard output as bytes, since contents are no text. */
function bytesOf(words: readonly string[], env: Readonly<Record<string, string>>): Buffer {
  const result = spawnSync(process.execPath, [inject('cliPath'), ...words], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 64 * 1024 * 1024,
  });
  return result.stdout;
}

let bench: Bench;
beforeAll(async () => {
  bench = await makeBench('/run'); // where a folder may be the root of an account
  fs.chmodSync(bench.dir, 0o755);
  fs.mkdirSync(bench.source);
  fill(bench.source);
  await initVault(bench);
  const words = ['push', '-H', bench.copy, '-C', bench.source, '--passfile', bench.passfile];
  expect(await ecsync(words)).toMatchObject({ code: 0, stderr: '' });
});
afterAll(() => bench.remove());

interface Place {
  readonly name: string;
  readonly sshd?: () => Parameters<typeof startSshd>[0];
  /** As the account sees it. */
  readonly folder?: () => string;
  readonly words?: readonly string[];
  readonly isSftp: boolean;
}

const PLACES: readonly Place[] = [
  { name: 'a local folder', isSftp: false },
  { name: 'a plain account', sshd: () => ({}), isSftp: true },
  { name: 'rsync only', sshd: () => ({}), words: ['--via', 'rsync'], isSftp: false },
  { name: 'SFTP only', sshd: () => ({}), words: ['--via', 'sftp'], isSftp: true },
  {
    name: 'an account without SFTP',
    sshd: () => ({ configLines: ['Subsystem sftp /nonexistent/sftp-server'] }),
    isSftp: false,
  },
  {
    name: 'rrsync -ro',
    sshd: () => ({ forcedCommand: `rrsync -ro ${bench.dir}`, keyOptions: 'restrict' }),
    folder: () => '/copy',
    isSftp: false,
  },
  {
    name: 'an account for file transfer in a root of its own',
    sshd: () => ({
      configLines: [`ForceCommand internal-sftp`, `ChrootDirectory ${bench.dir}`],
    }),
    folder: () => '/copy',
    isSftp: true,
  },
];

describe.each(PLACES)(
  'a copy at $name',
  ({ sshd: sshdOptions, folder, words: via = [], isSftp }) => {
    let sshd: RunningSshd | undefined;
    let from: string;
    beforeAll(async () => {
      // The home of the account must not be needed.
      sshd = sshdOptions && (await startSshd(sshdOptions() ?? {}));
      const place = folder?.() ?? bench.copy;
      from = sshd === undefined ? place : `ssh://${sshd.user}@127.0.0.1:${sshd.port}${place}`;
    });
    afterAll(() => sshd?.stop());

    const env = (): Record<string, string> => (sshd === undefined ? {} : { HOME: sshd.home });
    const wordsOf = (command: string, ...more: readonly string[]): string[] => {
      const common = ['--from', from, ...via, '-C', bench.source, '--passfile', bench.passfile];
      return [command, ...more, ...common];
    };
    const run = (command: string, ...more: readonly string[]) =>
      ecsync(wordsOf(command, ...more), { env: env() });

    test('can be listed: one folder, and everything', async () => {
      const top = await run('ls');
      expect(top.stderr).toBe('');
      expect(top.stdout).toBe(['docs', 'many', ODD.toString('latin1'), 'out', ''].join('\n'));
      const all = await run('ls', '-R', '-0');
      expect(all).toMatchObject({ code: 0, stderr: '' });
      const paths = all.stdout.split('\0').slice(0, -1);
      expect(paths.toSorted()).toEqual(pathsIn(bench.source));
      const long = await run('ls', '-l', 'docs/a.txt', 'docs/deep/link');
      expect(long.stdout).toMatch(/^-rw-r--r-- +0 +0 +6 \d{4}-\d\d-\d\d [\d:]{8} docs\/a\.txt$/m);
      expect(long.stdout).toMatch(/^lrwxrwxrwx .* docs\/deep\/link -> \.\.\/a\.txt$/m);
    });

    test('provides its files, whole and in parts, also through links', async () => {
      expect(bytesOf(wordsOf('cat', 'docs/deep/deeper/large'), env()).equals(LARGE)).toBe(true);
      const range = ['--offset', '2_000_001'.replaceAll('_', ''), '--length', '10000'];
      const part = bytesOf(wordsOf('cat', 'docs/deep/deeper/large', ...range), env());
      expect(part.equals(LARGE.subarray(2_000_001, 2_010_001))).toBe(true);
      const several = await run('cat', 'docs/deep/link', `docs/${LONG}`, '/docs/./a.txt');
      expect(several).toMatchObject({ code: 0, stdout: 'hello\nlonghello\n', stderr: '' });
    });

    test('transfers little to read little', async () => {
      const all = summaryOf(await run('ls', '-R', '--json'));
      const folderOnly = summaryOf(await run('ls', 'docs/deep', '--json'));
      expect(folderOnly.bytesReceived).toBeLessThanOrEqual(sshd === undefined ? 0 : 10_000);
      if (sshd !== undefined) expect(all.bytesReceived).toBeGreaterThan(20_000);
      const range = ['--offset', '1000000', '--length', '10000', '--json'];
      const part = summaryOf(await run('cat', 'docs/deep/deeper/large', ...range));
      if (isSftp) expect(part.bytesReceived).toBeLessThan(30_000);
    });

    test('reports missing paths, and continues', async () => {
      const result = await run('cat', 'nope', 'docs', 'out', 'docs/a.txt');
      expect(result).toMatchObject({ code: 23, stdout: 'hello\n' });
      expect(result.stderr).toContain('nope is not in the copy');
      expect(result.stderr).toContain('docs is a folder');
      expect(result.stderr).toContain('out is a link out of the copy');
      expect(await run('ls', 'nope', 'docs/deep')).toMatchObject({
        code: 2,
        stdout: 'docs/deep/deeper\ndocs/deep/link\n',
      });
      expect(await run('ls', '../docs')).toMatchObject({ code: 2 });
    });

    test('can be searched', async () => {
      expect(await run('find', '*.txt')).toMatchObject({
        code: 0,
        stdout: 'docs/a.txt\ndocs/b.txt\n',
      });
      expect(await run('find', 'DOCS/**/LA*', '-i')).toMatchObject({
        stdout: 'docs/deep/deeper/large\n',
      });
      expect(await run('find', '--type', 'd', '--in', 'docs')).toMatchObject({
        stdout: 'docs/deep\ndocs/deep/deeper\n',
      });
      expect(await run('find', '--size', '+1M', '--newer', '1h')).toMatchObject({
        stdout: 'docs/deep/deeper/large\n',
      });
      expect(await run('find', '--older', '1h')).toMatchObject({ code: 0, stdout: '' });
    });

    test('can be checked: whole, and in a sample', async () => {
      const check = (...more: readonly string[]) =>
        ecsync(
          [
            'fsck',
            from,
            ...more,
            ...via,
            '-C',
            bench.source,
            '--passfile',
            bench.passfile,
            '--json',
          ],
          { env: env() },
        );
      const whole = await check();
      expect(whole.stderr).toBe('');
      expect(summaryOf(whole)).toMatchObject({ exitCode: 0, files: 1005, links: 2, damaged: 0 });
      const sampled = summaryOf(await check('--sample', '10%', '--seed', 'again'));
      expect(sampled).toMatchObject({ exitCode: 0, files: 1005, seed: 'again' });
      const { filesSampled } = sampled as unknown as { filesSampled: number };
      expect(filesSampled).toBeGreaterThan(50);
      expect(filesSampled).toBeLessThan(200);
    });
  },
);

describe('a damaged copy', () => {
  let sshd: RunningSshd;
  let copy: string;
  beforeAll(async () => {
    sshd = await startSshd();
    copy = path.join(bench.dir, 'damaged');
    fs.cpSync(bench.copy, copy, { recursive: true, verbatimSymlinks: true });
    const files = (fs.readdirSync(copy, { recursive: true }) as string[]).map((name) =>
      path.join(copy, name),
    );
    const large = files.find((file) => fs.lstatSync(file).size > 3_000_000) ?? '';
    const bytes = fs.readFileSync(large);
    bytes.writeUInt8((bytes[18 + 300 * 4128 + 99] ?? 0) ^ 1, 18 + 300 * 4128 + 99);
    fs.writeFileSync(large, bytes);
    fs.writeFileSync(path.join(copy, 'foreign'), 'x');
  });
  afterAll(() => sshd.stop());

  describe.each(['rsync', 'sftp'])('read with %s', (via) => {
    const run = (command: string, ...more: readonly string[]) => {
      const from = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${copy}`;
      const where = command === 'fsck' ? [from] : ['--from', from];
      const common = ['--via', via, '-C', bench.source, '--passfile', bench.passfile];
      return ecsync([command, ...more, ...where, ...common], { env: { HOME: sshd.home } });
    };

    test('provides the intact content and nothing else', async () => {
      const result = await run('cat', 'docs/deep/deeper/large');
      expect(result.code).toBe(26);
      expect(Buffer.from(result.stdout, 'latin1').equals(LARGE.subarray(0, 300 * 4096))).toBe(true);
      expect(result.stderr).toContain('block 300 of docs/deep/deeper/large');
      const after = ['--offset', String(301 * 4096), '--length', '10'];
      expect(await run('cat', 'docs/deep/deeper/large', ...after)).toMatchObject({ code: 0 });
    });

    test('is listed without foreign objects, which are reported', async () => {
      const result = await run('ls');
      expect(result.code).toBe(26);
      expect(result.stdout).toContain('docs\n');
      expect(result.stderr).toContain('./ (in the copy: foreign): this is not something');
    });

    test('is found damaged', async () => {
      const result = await run('fsck');
      expect(result).toMatchObject({
        code: 26,
        stdout:
          './ (in the copy: foreign): this is not something that gocryptfs writes\ndocs/deep/deeper/large: block 300 is damaged\n',
      });
    });
  });
});

describe('a copy that stock gocryptfs wrote, where no vault is', () => {
  test('is opened with its own conf and its password', async () => {
    const stock = await makeStockCopy(bench.dir, { name: 'stock', words: [] }, fill);
    const sshd = await startSshd();
    try {
      const from = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${stock.cipherDir}`;
      const env = { HOME: sshd.home, ECSYNC_PASSWORD: STOCK_PASSWORD };
      const listed = await ecsync(['ls', '-R', '-0', '--from', from], { env });
      expect(listed.stdout.split('\0').slice(0, -1).toSorted()).toEqual(pathsIn(bench.source));
      expect(await ecsync(['cat', 'docs/a.txt', '--from', from], { env })).toMatchObject({
        stdout: 'hello\n',
      });
      expect(summaryOf(await ecsync(['fsck', from, '--json'], { env }))).toMatchObject({
        exitCode: 0,
        files: 1005,
      });
      const wrong = await ecsync(['ls', '--from', from], {
        env: { ...env, ECSYNC_PASSWORD: 'no' },
      });
      expect(wrong.code).toBe(12);
      const nowhere = `${from}/many-not`;
      expect(await ecsync(['ls', '--from', nowhere], { env })).toMatchObject({ code: 5 });
    } finally {
      await sshd.stop();
    }
  });
});

test('what ls --escaped prints names the same file for cat, find, ls, restore, push and name', async () => {
  const run = (...words: string[]): ReturnType<typeof ecsync> =>
    ecsync([...words, '-C', bench.source, '--passfile', bench.passfile]);
  const line = 'odd \\377\\n name';
  const listed = await run('ls', '--escaped', '--from', bench.copy);
  expect(listed.stdout.split('\n')).toContain(line);
  const words = ['--escaped', line, '--from', bench.copy];
  expect(await run('cat', ...words)).toMatchObject({ code: 0, stdout: 'odd' });
  expect(await run('ls', ...words)).toMatchObject({ code: 0, stdout: `${line}\n` });
  expect(await run('find', ...words)).toMatchObject({ code: 0, stdout: `${line}\n` });
  const target = path.join(bench.dir, 'escaped');
  expect(await run('restore', ...words, '--to', target)).toMatchObject({ code: 0 });
  expect(fs.readdirSync(target, 'buffer')).toEqual([ODD]);

  fs.writeFileSync(Buffer.concat([Buffer.from(`${bench.source}/`), ODD]), 'odder');
  const pushed = await run('push', '-i', bench.copy, '--escaped', line);
  expect(pushed).toMatchObject({ code: 0, stderr: '' });
  expect(pushed.stdout.split('\n').filter((one) => one.includes('odd'))).toHaveLength(1);
  expect(await run('cat', ...words)).toMatchObject({ code: 0, stdout: 'odder' });
  const encoded = await run('name', 'encode', '--escaped', line);
  expect(fs.existsSync(path.join(bench.copy, encoded.stdout.trim()))).toBe(true);

  const missing = await run('push', bench.copy, '--escaped', 'odd \\376');
  expect(missing).toMatchObject({ code: 2 });
  expect(missing.stderr).toContain('odd \\376 does not exist');
  expect((await run('cat', '--escaped', 'a\\x', '--from', bench.copy)).stderr).toContain(
    '--escaped, write',
  );
});
