import { execFileSync } from 'node:child_process';
import {
  rmSync,
  utimesSync,
  writeFileSync,
  openSync,
  writeSync,
  closeSync,
  mkdirSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench, summaryOf } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeHardTree, makeSparse, pattern } from './support/hard-tree.ts';
import { fsck, withMount } from './support/stock.ts';

const VAULT = ['.ecsync'];
const MIB = 1024 * 1024;

/**
 * The main job against real peers: a pushed copy is mounted by stock gocryptfs and equals the
 * source in every respect, `-fsck` finds it clean, and a second push sends nothing.
 */
let sshd: RunningSshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.stop());

function overSsh(bench: Bench): string {
  return `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
}

const ways = [
  { name: 'a local folder, nothing but Node', words: (b: Bench) => [b.copy], local: true },
  {
    name: 'a local folder by rsync',
    words: (b: Bench) => ['--rsync-path', 'rsync', b.copy],
    local: false,
  },
  { name: 'ssh2 to a real sshd', words: (b: Bench) => [overSsh(b)], local: false },
  { name: "the system's ssh", words: (b: Bench) => ['-e', sshd.rsh, overSsh(b)], local: false },
];

async function push(bench: Bench, words: readonly string[]) {
  const all = ['push', '-C', bench.source, '--json', '--passfile', bench.passfile, ...words];
  const result = await ecsync(all, { env: { HOME: sshd.home } });
  return { ...result, summary: summaryOf(result) };
}

describe.each(ways)('a tree of hard names, sizes and kinds, over $name', ({ words, local }) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await makeBench();
    makeHardTree(bench.source);
    makeSparse(path.join(bench.source, 'sparse'), 9 * MIB + 1234);
    await initVault(bench);
  });
  afterAll(() => bench.remove());

  it('is mounted by stock gocryptfs and equals the source', { timeout: 300_000 }, async () => {
    const first = await push(bench, ['-H', ...words(bench)]);
    expect(first.stderr).toBe('');
    expect(first.code).toBe(0);
    const report = await fsck(bench.copy, bench.passfile);
    expect(report.text).toContain('no problems found');
    expect(report.code).toBe(0);
    // Node sets times as doubles of seconds, so a local folder keeps them to about a microsecond.
    const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(
        differences(bench.source, mountpoint, {
          ignore: VAULT,
          nanoseconds: !local,
          links: true,
        }),
      ),
    );
    expect(found).toEqual([]);
  });

  it('sends no file data a second time', { timeout: 120_000 }, async () => {
    const second = await push(bench, ['-H', ...words(bench)]);
    expect(second.code).toBe(0);
    expect(second.summary).toMatchObject({ filesSent: 0, literalBytes: 0, filesDeleted: 0 });
  });
});

/**
 * Stock gocryptfs finds the copy clean, and equal to the source. A local folder keeps no
 * nanoseconds.
 */
async function expectEqual(bench: Bench, local: boolean): Promise<void> {
  expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
  const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
    Promise.resolve(differences(bench.source, mountpoint, { ignore: VAULT, nanoseconds: !local })),
  );
  expect(found).toEqual([]);
}

describe.each(ways)('changes over $name', ({ words, local }) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await makeBench();
    mkdirSync(path.join(bench.source, 'keep', 'gone folder', 'deeper'), { recursive: true });
    writeFileSync(path.join(bench.source, 'big'), pattern(8 * MIB, 3));
    writeFileSync(path.join(bench.source, 'keep', 'stays'), 'stays');
    writeFileSync(path.join(bench.source, 'keep', 'goes'), 'goes');
    writeFileSync(path.join(bench.source, 'keep', 'gone folder', 'deeper', 'x'), 'x');
    writeFileSync(path.join(bench.source, 'keep', 'L'.repeat(200)), 'long');
    await initVault(bench);
    expect((await push(bench, words(bench))).code).toBe(0);
  });
  afterAll(() => bench.remove());

  it('send eight changed bytes as less than 16 KiB', async () => {
    const file = openSync(path.join(bench.source, 'big'), 'r+');
    writeSync(file, Buffer.from('changed!'), 0, 8, 5 * MIB + 4090);
    closeSync(file);
    const result = await push(bench, words(bench));
    expect(result.code).toBe(0);
    expect(result.summary.filesSent).toBe(1);
    expect(result.summary.literalBytes).toBeGreaterThan(0);
    expect(result.summary.literalBytes).toBeLessThan(16 * 1024);
  });

  it('deletes what is gone and creates what is new, and stays clean', async () => {
    rmSync(path.join(bench.source, 'keep', 'goes'));
    rmSync(path.join(bench.source, 'keep', 'gone folder'), { recursive: true });
    rmSync(path.join(bench.source, 'keep', 'L'.repeat(200)));
    mkdirSync(path.join(bench.source, 'new folder', 'M'.repeat(200)), { recursive: true });
    writeFileSync(path.join(bench.source, 'new folder', 'M'.repeat(200), 'new'), 'new');
    const result = await push(bench, ['--delete', ...words(bench)]);
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    expect(result.summary.filesDeleted).toBe(5);
    await expectEqual(bench, local);
    const scratch = path.join(bench.copy, 'gocryptfs.longname.ecsync-tmp.name');
    expect(execFileSync('find', [scratch, '-mindepth', '1']).toString()).toBe('');
  });

  it('deletes a folder that was empty, while another one is new', async () => {
    mkdirSync(path.join(bench.source, 'keep', 'empty'));
    expect((await push(bench, ['--delete', ...words(bench)])).code).toBe(0);
    rmSync(path.join(bench.source, 'keep', 'empty'), { recursive: true });
    mkdirSync(path.join(bench.source, 'keep', 'another'));
    const result = await push(bench, ['--delete', ...words(bench)]);
    expect(result.code).toBe(0);
    expect(result.summary.filesDeleted).toBe(1);
    await expectEqual(bench, local);
  });

  it('sees an edit of the same size within the same second', async () => {
    const file = path.join(bench.source, 'keep', 'stays');
    writeFileSync(file, 'after');
    const now = Math.floor(Date.now() / 1000);
    utimesSync(file, now + 0.25, now + 0.25);
    expect((await push(bench, words(bench))).summary.filesSent).toBe(1);
    writeFileSync(file, 'later');
    utimesSync(file, now + 0.75, now + 0.75);
    expect((await push(bench, words(bench))).summary.filesSent).toBe(1);
    const content = await withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(execFileSync('cat', [path.join(mountpoint, 'keep', 'stays')]).toString()),
    );
    expect(content).toBe('later');
  });

  it('turns a file into a folder and back', async () => {
    const place = path.join(bench.source, 'keep', 'stays');
    rmSync(place);
    mkdirSync(path.join(place, 'inner'), { recursive: true });
    writeFileSync(path.join(place, 'inner', 'x'), 'x');
    expect((await push(bench, ['--delete', ...words(bench)])).code).toBe(0);
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    rmSync(place, { recursive: true });
    writeFileSync(place, 'a file again');
    const back = await push(bench, ['--delete', ...words(bench)]);
    expect(back.stderr).toBe('');
    expect(back.code).toBe(0);
    await expectEqual(bench, local);
  });
});
