// A push into a local folder is killed before any one change of a name there.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { fsck, withMount } from './support/stock.ts';

const POINTS = Number(process.env['ECSYNC_KILL_POINTS'] ?? 4);
const HOOK = pathToFileURL(path.resolve('test/support/kill-at.mjs')).href;

describe('a push into a local folder, killed before any change of a name', () => {
  let bench: Bench;
  let before: string;
  let counted: string;
  beforeAll(async () => {
    bench = await makeBench();
    before = path.join(bench.dir, 'before');
    counted = path.join(bench.dir, 'counted');
    mkdirSync(path.join(bench.source, 'gone', 'below'), { recursive: true });
    mkdirSync(path.join(bench.source, 'stays'));
    for (const name of ['gone/file', 'gone/below/file', 'stays/a', 'stays/b', 'stays/linked']) {
      writeFileSync(path.join(bench.source, name), `content of ${name}`);
    }
    symlinkSync('one target', path.join(bench.source, 'link'));
    execFileSync('find', [bench.source, '-exec', 'touch', '-h', '-d', '@1600000000', '{}', '+']);
    await initVault(bench);
    expect((await push()).code).toBe(0);
    for (const name of ['source', 'copy']) {
      cpSync(path.join(bench.dir, name), path.join(before, name), {
        recursive: true,
        preserveTimestamps: true,
        verbatimSymlinks: true,
      });
    }
    change();
  });
  afterAll(() => bench.remove());

  function push(killAt?: number): Promise<CliResult> {
    const words = ['push', '-C', bench.source, '--passfile', bench.passfile, '--delete'];
    const env = { NODE_OPTIONS: `--import ${HOOK}`, KILL_AT: String(killAt), KILL_COUNT: counted };
    return ecsync([...words, '-H', '--max-delete', '100%', bench.copy], killAt ? { env } : {});
  }

  /** A symlink with another target, files that change places, a new folder, and a removed one. */
  function change(): void {
    const at = (name: string): string => path.join(bench.source, name);
    unlinkSync(at('link'));
    symlinkSync('another target', at('link'));
    renameSync(at('stays/a'), at('stays/c'));
    renameSync(at('stays/b'), at('stays/a'));
    renameSync(at('stays/c'), at('stays/b'));
    execFileSync('ln', ['-f', at('stays/a'), at('stays/linked')]);
    mkdirSync(at(`new/${'N'.repeat(190)}`), { recursive: true });
    writeFileSync(at(`new/${'N'.repeat(190)}/file`), 'new');
    execFileSync('touch', ['-d', '@1700000000', at(`new/${'N'.repeat(190)}/file`)]);
    rmSync(at('gone'), { recursive: true });
  }

  /** Restores the copy and the vault's memory of it to the state before the change. */
  function goBack(): void {
    const index = path.join('source', '.ecsync', 'index');
    for (const name of ['copy', index]) {
      rmSync(path.join(bench.dir, name), { recursive: true });
      execFileSync('cp', ['-a', path.join(before, name), path.join(bench.dir, name)]);
    }
  }

  async function expectWhole(point: number): Promise<void> {
    const report = await fsck(bench.copy, bench.passfile);
    expect(report.code, `point ${point}: ${report.text}`).toBe(0);
  }

  it(`leaves a clean copy at ${POINTS} points, and the next push completes it`, async () => {
    goBack();
    expect((await push(Infinity)).code).toBe(0);
    const last = Number(readFileSync(counted, 'utf8'));
    expect(last).toBeGreaterThan(20);
    const step = Math.max(1, last / (POINTS + 1));
    let kills = 0;
    for (let point = step; point < last + 1; point += step) {
      goBack();
      const { signal } = await push(Math.floor(point));
      if (signal === 'SIGKILL') kills++;
      await expectWhole(point);
      expect((await push()).code).toBe(0);
      await expectWhole(point);
      const scratch = path.join(bench.copy, 'gocryptfs.longname.ecsync-tmp.name');
      expect(readdirSync(scratch), `point ${point}`).toEqual([]);
    }
    expect(kills).toBeGreaterThan(0);
    const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync'] })),
    );
    expect(found).toEqual([]);
  });
});
