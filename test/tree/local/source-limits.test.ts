import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Selection } from '../../../src/sync/push/source/selection.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { SourceLimits, type SourceLimitOptions } from '../../../src/tree/local/source-limits.ts';
import { walk } from '../../../src/tree/walk.ts';

// What is left out by more than names: the rules in files of a folder are compared with stock
// rsync.

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'ecsync-limits-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function make(files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), content);
  }
}

async function seen(options: SourceLimitOptions): Promise<{ paths: string[]; problems: string[] }> {
  const limits = new SourceLimits(options);
  const problems: string[] = [];
  const tree = new LocalTree(root, {
    limits,
    filter: { verdict: (one, isFolder) => limits.verdict(one, isFolder) ?? 'include' },
    onProblem: (_path, error) => problems.push(error.code),
  });
  const paths: string[] = [];
  for await (const part of walk(tree)) for (const { path: one } of part) paths.push(one.toString());
  return { paths: paths.sort(), problems };
}

function stock(...words: string[]): string[] {
  const text = execFileSync('rsync', [
    '-r',
    '--list-only',
    '--out-format=%n',
    ...words,
    `${root}/`,
  ]);
  return text
    .toString()
    .trim()
    .split('\n')
    .map((line) => line.replace(/^\S+ +[0-9,]+ \S+ \S+ /, ''))
    .sort();
}

const TREE = {
  'a.log': '',
  'keep.log': '',
  'x/a.log': '',
  'x/keep.log': '',
  'x/y/a.log': '',
  'x/y/z/only': '',
  'x/y/z/other': '',
  'w[1]/only': '',
  'w[1]/deep/only': '',
  'w[1]/a*b': '',
};

describe('rules in files of a folder', () => {
  it.each([
    [{ '.rules': '- *.log\n' }],
    [{ '.rules': '+ keep.log\n- *.log\n' }],
    [{ '.rules': '- *.log\n', 'x/.rules': '+ keep.log\n' }],
    [{ 'x/.rules': '- /a.log\n' }],
    [{ 'x/.rules': '- y/\n', 'x/y/.rules': '+ *\n' }],
    [{ 'x/.rules': '- /y/z/only\n' }],
    [{ 'x/.rules': '- z/only\n' }],
    [{ 'x/.rules': '- y/**\n' }],
    [{ '.rules': '# remark\n; another\n\n- only\n', 'x/y/.rules': '+ /z/only\n' }],
    [{ '.rules': '- *.log\n', 'x/.rules': '!\n' }],
  ])('leave out what stock rsync leaves out by %j', async (rules) => {
    make({ ...TREE, ...rules });
    const { paths, problems } = await seen({ ignoreFileName: '.rules' });
    expect(problems).toEqual([]);
    expect(paths).toEqual(stock('--filter=: .rules'));
    expect(paths.length).toBeLessThan(Object.keys(TREE).length + 8);
  });

  it.skipIf(process.getuid?.() !== 0)('of other users are counted', async () => {
    make({ ...TREE, '.rules': '- keep.log\n', 'x/.rules': '- *.log\n' });
    chownSync(path.join(root, 'x/.rules'), 65534, 65534);
    const selection = new Selection([], Buffer.from(root), [], { ignoreFileName: '.rules' });
    const { limits } = selection;
    const tree = new LocalTree(root, { ...(limits && { limits }), filter: selection.filter });
    for await (const part of walk(tree)) expect(part).toBeDefined();
    const told: string[] = [];
    selection.reportForeignRules((message) => told.push(message));
    expect(told).toEqual(['3 objects were left out by rules of other users, in x/.rules']);
  });

  it('are anchored in their folder even when its name looks like a pattern, unlike in stock rsync', async () => {
    make({ ...TREE, 'w[1]/.rules': '- /only\n- /a\\*b\n- /d*p/only\n' });
    const { paths } = await seen({ ignoreFileName: '.rules' });
    expect(paths.filter((one) => one.startsWith('w'))).toEqual([
      'w[1]',
      'w[1]/.rules',
      'w[1]/deep',
    ]);
  });

  it('treat a plain pattern as an exclude', async () => {
    make({ ...TREE, 'x/.rules': '*.log\n' });
    expect((await seen({ ignoreFileName: '.rules' })).paths).not.toContain('x/a.log');
  });

  it('do not apply when they cannot be parsed, which is reported', async () => {
    make({ ...TREE, '.rules': '*.log\n- \n', 'x/.rules': `${'#'.repeat(1024 * 1024)}\n*.log\n` });
    const { paths, problems } = await seen({ ignoreFileName: '.rules' });
    expect(problems).toEqual(['ignore-file-unusable', 'ignore-file-unusable']);
    expect(paths).toContain('a.log');
    expect(paths).toContain('x/a.log');
  });
});

describe('other limits', () => {
  it('leave out files by their size, and never folders', async () => {
    make({ small: 'x', middle: 'x'.repeat(100), large: 'x'.repeat(101), 'sub/none': '' });
    const { paths } = await seen({ minBytes: 1, maxBytes: 100 });
    expect(paths).toEqual(['.', 'middle', 'small', 'sub']);
  });

  it('leave out the content of a folder with a tag of the right signature', async () => {
    const signature = 'Signature: 8a477f597d28d172789f06886806bc55\n';
    make({
      'cache/CACHEDIR.TAG': signature,
      'cache/junk': '',
      'cache/sub/junk': '',
      'no/CACHEDIR.TAG': 'Signature: 0',
      'no/file': '',
    });
    const { paths } = await seen({ excludeCaches: true });
    expect(paths).toEqual(['.', 'cache', 'cache/CACHEDIR.TAG', 'no', 'no/CACHEDIR.TAG', 'no/file']);
  });

  it('leave out the content of a folder with a file of a name, except that file', async () => {
    make({ 'a/.nobackup': 'x', 'a/junk': '', 'a/sub/junk': '', 'b/junk': '', '.keep/x': '' });
    const { paths } = await seen({ folderTags: [Buffer.from('.nobackup'), Buffer.from('.none')] });
    expect(paths).toEqual(['.', '.keep', '.keep/x', 'a', 'a/.nobackup', 'b', 'b/junk']);
  });

  it('leave out files by their age, and never folders', async () => {
    make({ new: '', old: '', 'sub/older': '' });
    const nowSec = Date.now() / 1000;
    utimesSync(path.join(root, 'old'), nowSec - 2000, nowSec - 2000);
    utimesSync(path.join(root, 'sub/older'), nowSec - 5000, nowSec - 5000);
    expect((await seen({ maxAgeSec: 3000 })).paths).toEqual(['.', 'new', 'old', 'sub']);
    expect((await seen({ minAgeSec: 1000 })).paths).toEqual(['.', 'old', 'sub', 'sub/older']);
  });

  it('leave out the content of a mount, but not its folder', async () => {
    make({ 'mnt/x': '', file: '' });
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path.join(root, 'mnt')]);
    try {
      make({ 'mnt/inside': '' });
      expect((await seen({ oneFileSystem: true })).paths).toEqual(['.', 'file', 'mnt']);
      expect((await seen({})).paths).toContain('mnt/inside');
    } finally {
      execFileSync('umount', [path.join(root, 'mnt')]);
    }
  });
});
