import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { acquireLock } from '../../src/vault/lock/lock.ts';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { makeStockCopy } from '../support/stock-copy.ts';
import { type Bench, type CliResult, ecsync, makeBench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeHardTree } from './support/hard-tree.ts';
import { makeOldCopy } from './support/stock-copies.ts';
import { fsck } from './support/stock.ts';

const IGNORED = {
  ignore: ['.ecsync', '.gocryptfs.reverse.conf'],
  links: true,
  nanoseconds: false,
};

let sshd: RunningSshd;
let bench: Bench;
let clone: string;
beforeAll(async () => {
  sshd = await startSshd();
}, 60_000);
afterAll(() => sshd.stop());
beforeEach(async () => {
  bench = await makeBench();
  clone = path.join(bench.dir, 'clone');
});
afterEach(() => bench.remove());

function run(...words: string[]): Promise<CliResult> {
  return ecsync(words, { cwd: bench.dir, env: { HOME: sshd.home } });
}

async function expectOk(...words: string[]): Promise<CliResult> {
  const result = await run(...words);
  expect(result.code, result.stderr).toBe(0);
  return result;
}

/** With the modes of the copy. */
async function expectClone(copy: string, passfile: string): Promise<void> {
  await expectOk('clone', '--special-modes', copy, clone, '--passfile', passfile);
}

async function pushNew(...words: string[]): Promise<void> {
  const pass = ['--passfile', bench.passfile];
  await expectOk('init', bench.source, '--scryptn', '10', ...pass, ...words);
  await expectOk('push', '-C', bench.source, '-H', ...pass, bench.copy);
}

function at(place: string, copy: string): string {
  return place === 'ssh' ? `ssh://${sshd.user}@127.0.0.1:${sshd.port}${copy}` : copy;
}

/**
 * The clone equals the source, its first push sends nothing, and a later one leaves a clean copy.
 */
async function expectContinues(plain: string, copy: string, passfile: string): Promise<void> {
  expect(differences(plain, clone, IGNORED)).toEqual([]);
  const push = ['push', '-C', clone, '-H', '-i', '--delete', '--passfile', passfile];
  expect(await run(...push)).toMatchObject({ code: 0, stdout: '', stderr: '' });
  writeFileSync(path.join(clone, 'a new file'), 'new');
  const { stdout } = await expectOk(...push);
  expect(stdout).toContain('<f+++++++++ a new file\n');
  expect(await fsck(copy, passfile)).toMatchObject({ code: 0 });
}

describe.each(['a local folder', 'ssh'])('from %s', (place) => {
  it.each([[], ['--layout', 'reverse'], ['--layout', 'xchacha', '--deterministic-names']])(
    'a copy that ecsync has pushed %s %s %s',
    async (...words) => {
      makeHardTree(bench.source);
      await pushNew(...words);
      await expectClone(at(place, bench.copy), bench.passfile);
      await expectContinues(bench.source, bench.copy, bench.passfile);
    },
  );

  it('a copy that stock gocryptfs has written through a mount', async () => {
    const plain = path.join(bench.dir, 'plain');
    makeHardTree(plain);
    const stock = await makeStockCopy(bench.dir, { name: 'stock', words: [] }, (mountPoint) => {
      execFileSync('rsync', ['-aH', `${plain}/`, `${mountPoint}/`]);
    });
    await expectClone(at(place, stock.cipherDir), stock.passfile);
    await expectContinues(plain, stock.cipherDir, stock.passfile);
  });

  it('a copy that rsync has made from gocryptfs -reverse', async () => {
    makeHardTree(bench.source);
    await makeOldCopy(bench, { kind: 'reverse', words: [] });
    await expectClone(at(place, bench.copy), bench.passfile);
    await expectContinues(bench.source, bench.copy, bench.passfile);
  });
});

describe('refused', () => {
  beforeEach(async () => {
    mkdirSync(bench.source);
    writeFileSync(path.join(bench.source, 'file'), 'x'.repeat(10_000));
    await pushNew();
  });
  const summary = async (...words: string[]): Promise<unknown> => {
    const result = await run('clone', bench.copy, clone, '--json', ...words);
    return JSON.parse(result.stdout.trimEnd().split('\n').at(-1) ?? '');
  };

  it('a folder that is not empty', async () => {
    mkdirSync(clone);
    writeFileSync(path.join(clone, 'precious'), '');
    expect(await summary('--passfile', bench.passfile)).toMatchObject({
      exitCode: 2,
      error: { code: 'target-not-empty' },
    });
    expect(readdirSync(clone)).toEqual(['precious']);
  });

  it('a wrong password, which leaves nothing', async () => {
    writeFileSync(bench.passfile, 'wrong\n');
    expect(await summary('--passfile', bench.passfile)).toMatchObject({ exitCode: 12 });
    expect(readdirSync(bench.dir)).not.toContain('clone');
  });

  it('a copy without a conf', async () => {
    rmSync(path.join(bench.copy, 'gocryptfs.conf'));
    expect(await summary('--passfile', bench.passfile)).toMatchObject({
      exitCode: 10,
      error: { code: 'conf-missing' },
    });
  });

  it('a vault of an incomplete copy', async () => {
    const [name = ''] = readdirSync(bench.copy).filter((found) => !found.startsWith('gocryptfs'));
    const file = path.join(bench.copy, name.startsWith('.') ? '' : name);
    const bytes = readFileSync(file);
    bytes[5000] = (bytes[5000] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    expect(await summary('--passfile', bench.passfile)).toMatchObject({
      exitCode: 26,
      error: { code: 'copy-damaged' },
    });
    expect(readdirSync(clone)).toEqual(['.ecsync-restore']);
  });
});

describe('two at once into one target', () => {
  const pass = (): string[] => ['--passfile', bench.passfile];
  const restore = (): Promise<CliResult> =>
    run('restore', '--from', bench.copy, '--to', clone, ...pass());

  beforeEach(async () => {
    mkdirSync(bench.source);
    for (let i = 0; i < 40; i++)
      writeFileSync(path.join(bench.source, `file ${i}`), `content ${i}`);
    await pushNew();
  });

  it('detect each other, and one takes over after a killed one', async () => {
    const folder = path.join(clone, '.ecsync-restore');
    mkdirSync(folder, { recursive: true });
    const lock = acquireLock(path.join(folder, 'lock'));
    const held = readFileSync(path.join(folder, 'lock'), 'utf8');
    const another = expect.stringContaining(`process ${process.pid}`) as string;
    for (const refused of [await restore(), await run('clone', bench.copy, clone, ...pass())]) {
      expect(refused).toMatchObject({ code: 11, stderr: another });
    }
    expect(readdirSync(clone)).toEqual(['.ecsync-restore']);
    lock.release();
    writeFileSync(path.join(folder, 'lock'), held.replace(/"pid":\d+/, '"pid":99999999'));
    expect(await restore()).toMatchObject({ code: 0 });
    expect(differences(bench.source, clone, IGNORED)).toEqual([]);
    expect(readdirSync(clone)).not.toContain('.ecsync-restore');
  });

  it('never disturb each other', async () => {
    const results = await Promise.all([restore(), restore(), restore()]);
    for (const { code, stderr } of results) expect([0, 11], stderr).toContain(code);
    expect(results.map(({ code }) => code)).toContain(0);
    expect(differences(bench.source, clone, IGNORED)).toEqual([]);
  });
});
