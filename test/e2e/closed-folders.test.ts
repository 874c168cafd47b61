import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, ecsync, initVault, makeBench, summaryOf } from './support/cli.ts';
import { fsck } from './support/stock.ts';

// Folders that their own owner may not write to, as in Go's module cache, in local copies and
// restores.

const NOBODY = 65534;
const CLOSED = ['mod', 'mod/sub'] as const;

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(at('mod/sub'), { recursive: true });
  writeFileSync(at('mod/a.go'), 'package a');
  writeFileSync(at('mod/sub/b.go'), 'package b');
  await initVault(bench);
  chmodSync(bench.dir, 0o755);
  execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, bench.dir]);
  setModes(0o555);
});
afterEach(() => bench.remove());

const at = (name: string, root = bench.source): string => path.join(root, name);

function setModes(mode: number, root = bench.source): void {
  for (const name of CLOSED) chmodSync(at(name, root), mode);
}

/** Changes the source as its owner would, with the folders opened for a moment. */
function change(act: () => void): void {
  setModes(0o755);
  act();
  for (const name of CLOSED) if (existsSync(at(name))) chmodSync(at(name), 0o555);
}

/** Runs a command as the owner, and expects success without output. */
async function run(...words: string[]): Promise<ReturnType<typeof summaryOf>> {
  const all = [...words, '-C', bench.source, '--passfile', bench.passfile, '--json'];
  const result = await ecsync(all, { uid: NOBODY });
  expect([result.stderr, result.code]).toEqual(['', 0]);
  return summaryOf(result);
}

const push = (...words: string[]): Promise<ReturnType<typeof summaryOf>> =>
  run('push', ...words, bench.copy);

function writeAsOwner(file: string, content: string): void {
  writeFileSync(file, content);
  chownSync(file, NOBODY, NOBODY);
}

/** The content of a restore of the copy. */
async function restored(name: string): Promise<Record<string, string>> {
  const target = path.join(bench.dir, name);
  await run('restore', '--from', bench.copy, '--to', target, '--overwrite', 'always');
  return contentOf(target);
}

/** Modes of folders and content of files. */
function contentOf(target: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const one of readdirSync(target, { recursive: true, encoding: 'utf8' })) {
    const full = at(one, target);
    const stats = lstatSync(full);
    found[one] = stats.isDirectory()
      ? (stats.mode & 0o777).toString(8)
      : readFileSync(full, 'utf8');
  }
  return found;
}

describe.each([[[]], [['--append-only']], [['--no-perms']]])(
  'a local copy of closed folders, with %j',
  (options: string[]) => {
    it('gets the new files in them, and they stay closed', async () => {
      expect((await push(...options)).filesSent).toBe(2);
      expect((await push(...options)).filesSent).toBe(0);
      change(() => writeAsOwner(at('mod/sub/c.go'), 'package c'));
      expect((await push(...options)).filesSent).toBe(1);
      expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
      expect(await restored('target')).toEqual({
        mod: '555',
        'mod/a.go': 'package a',
        'mod/sub': '555',
        'mod/sub/b.go': 'package b',
        'mod/sub/c.go': 'package c',
      });
    });
  },
);

describe('a local copy of closed folders', () => {
  it('follows deletions, renames and edits in them', async () => {
    await push();
    change(() => {
      writeFileSync(at('mod/a.go'), 'package a, edited');
      renameSync(at('mod/sub/b.go'), at('mod/sub/renamed.go'));
    });
    await push('--delete');
    const edited = { mod: '555', 'mod/a.go': 'package a, edited', 'mod/sub': '555' };
    expect(await restored('one')).toEqual({ ...edited, 'mod/sub/renamed.go': 'package b' });
    change(() => rmSync(at('mod/sub'), { recursive: true }));
    await push('--delete', '--max-delete', '100%');
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    expect(await restored('two')).toEqual({ mod: '555', 'mod/a.go': 'package a, edited' });
  });

  it('can be restored into targets with closed folders', async () => {
    await push();
    const before = await restored('target');
    const target = path.join(bench.dir, 'target');
    setModes(0o755, target);
    for (const name of ['mod/a.go', 'mod/sub/b.go']) {
      rmSync(at(name, target));
      writeAsOwner(at(name, target), 'damaged');
    }
    for (const closed of [at('mod/sub', target), at('mod', target), target])
      chmodSync(closed, 0o555);
    await run('restore', '--from', bench.copy, '--to', target, '--overwrite', 'always', 'mod/a.go');
    expect(contentOf(target)).toEqual({ ...before, 'mod/sub/b.go': 'damaged' });
    expect(lstatSync(target).mode & 0o777).toBe(0o555);
  });

  it('can be a plain mirror', async () => {
    const remote = ['remote', 'add', '--no-encrypt', 'disk', bench.copy, '-C', bench.source];
    expect((await ecsync(remote, { uid: NOBODY })).code).toBe(0);
    await run('push', 'disk');
    change(() => writeAsOwner(at('mod/sub/c.go'), 'package c'));
    await run('push', 'disk');
    expect(readFileSync(at('mod/sub/c.go', bench.copy), 'utf8')).toBe('package c');
    expect(lstatSync(at('mod/sub', bench.copy)).mode & 0o777).toBe(0o555);
  });
});
