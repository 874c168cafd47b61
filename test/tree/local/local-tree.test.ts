// Goal: a local folder is listed completely and exactly, and a file that is not the one that was
// listed is never read. Method: real folders with odd names, kinds and swaps.
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileError, VanishedError, type EcsyncError } from '../../../src/errors.ts';
import { isDirectory } from '../../../src/tree/entry.ts';
import { foldIdentity, splitTime, type LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { Filter } from '../../../src/tree/filter/filter.ts';
import { FilterRules } from '../../../src/tree/filter/filter-syntax.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { walk } from '../../../src/tree/walk.ts';

let root = '';
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'ecsync-tree-'));
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

async function list(tree: LocalTree): Promise<Map<string, LocalEntry>> {
  const found = new Map<string, LocalEntry>();
  for await (const entries of walk(tree)) {
    for (const entry of entries) found.set(Buffer.from(entry.path).toString('latin1'), entry);
  }
  return found;
}

async function only(tree: LocalTree, name: string): Promise<LocalEntry> {
  const entry = (await list(tree)).get(name);
  if (entry === undefined) throw new Error(`${name} was not listed`);
  return entry;
}

describe('LocalTree', () => {
  it('lists paths of any length, short ones after long ones', async () => {
    const long = 'd'.repeat(250);
    const folders = [1, 2, 3, 4, 8].map((depth) => Array<string>(depth).fill(long).join('/'));
    for (const folder of folders) {
      fs.mkdirSync(join(root, folder), { recursive: true });
      fs.writeFileSync(join(root, folder, 'f'), '');
    }
    fs.writeFileSync(join(root, 'short'), 'x');
    const found = await list(new LocalTree(root));
    for (const folder of folders) expect(found.has(`${folder}/f`)).toBe(true);
    expect(found.get('short')?.size).toBe(1);
    expect(found.size).toBe(1 + 8 + folders.length + 1);
  });

  it('lists every byte that a name may hold', async () => {
    const names: Buffer[] = [];
    for (let byte = 1; byte < 256; byte++)
      if (byte !== 0x2f && byte !== 0x2e) names.push(Buffer.from([byte]));
    names.push(
      Buffer.alloc(255, 0xe9),
      Buffer.from('a\nb'),
      Buffer.from('e\u0301'),
      Buffer.from('\u00e9'),
    );
    const deep = Buffer.from('d\xff');
    fs.mkdirSync(Buffer.concat([Buffer.from(`${root}/`), deep]));
    for (const name of names) {
      fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), '');
      fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), deep, Buffer.from('/'), name]), '');
    }
    const found = await list(new LocalTree(root));
    expect(found.size).toBe(2 * names.length + 2);
    for (const name of names) expect(found.has(name.toString('latin1'))).toBe(true);
  });

  it('reads times to the nanosecond, even before 1970, kinds, targets and devices', async () => {
    const touch = (name: string, when: string) =>
      spawnSync('touch', ['-h', '-d', when, join(root, name)]);
    fs.writeFileSync(join(root, 'f'), 'hello', { mode: 0o640 });
    fs.writeFileSync(join(root, 'old'), '');
    fs.symlinkSync('../somewhere', join(root, 'l'));
    spawnSync('mkfifo', [join(root, 'p')]);
    spawnSync('mknod', [join(root, 'c'), 'c', '300', '70000']);
    touch('f', '2021-02-03T04:05:06.123456789Z');
    touch('old', '1969-12-31T23:59:58.250000000Z');
    const found = await list(new LocalTree(root));
    expect(found.get('f')).toMatchObject({ size: 5, mtimeSec: 1612325106, mtimeNsec: 123456789 });
    expect(found.get('f')?.mode).toBe(0o100640);
    expect(found.get('old')).toMatchObject({ mtimeSec: -2, mtimeNsec: 250000000 });
    expect(Buffer.from(found.get('l')?.target ?? []).toString()).toBe('../somewhere');
    expect(found.get('l')?.size).toBe(12);
    expect((found.get('p')?.mode ?? 0) & 0o170000).toBe(0o010000);
    expect(found.get('c')?.rdev).toEqual({ major: 300, minor: 70000 });
  });

  it('groups hard links that are inside the tree, in every walk anew', async () => {
    const outside = `${root}-outside`;
    fs.writeFileSync(join(root, 'a'), '1');
    fs.mkdirSync(join(root, 'd'));
    fs.linkSync(join(root, 'a'), join(root, 'd', 'b'));
    fs.writeFileSync(join(root, 'single'), '2');
    fs.linkSync(join(root, 'single'), outside);
    try {
      const tree = new LocalTree(root);
      for (let walkNo = 0; walkNo < 2; walkNo++) {
        const found = await list(tree);
        expect(found.get('a')?.linkGroup).toBe(1);
        expect(found.get('d/b')?.linkGroup).toBe(1);
        expect(found.get('single')?.linkGroup).toBeUndefined();
        expect(found.get('single')?.nlink).toBe(2);
      }
    } finally {
      fs.rmSync(outside);
    }
  });

  it('leaves out skipped objects, without looking inside', async () => {
    fs.mkdirSync(join(root, '.ecsync'));
    fs.writeFileSync(join(root, '.ecsync', 'config.toml'), '');
    fs.writeFileSync(join(root, 'kept'), '');
    const tree = new LocalTree(root, { skip: ({ path }) => Buffer.from('.ecsync').equals(path) });
    expect([...(await list(tree)).keys()].sort()).toEqual(['.', 'kept']);
  });

  it('reports a folder that cannot be listed and marks its content unknown', async () => {
    fs.mkdirSync(join(root, 'gone'));
    const problems: EcsyncError[] = [];
    const tree = new LocalTree(root, { onProblem: (_path, error) => problems.push(error) });
    const [folder] = await tree.children(await tree.root());
    if (folder === undefined) throw new Error('not listed');
    fs.rmdirSync(join(root, 'gone'));
    expect(await tree.children(folder)).toEqual([]);
    expect(folder.contentUnknown).toBe(true);
    expect(problems[0]).toBeInstanceOf(VanishedError);
  });

  it('reports what an unprivileged user may not read, and continues', async () => {
    fs.mkdirSync(join(root, 'locked'), { mode: 0 });
    fs.writeFileSync(join(root, 'secret'), '', { mode: 0 });
    fs.chmodSync(root, 0o755);
    const codes: string[] = [];
    const tree = new LocalTree(root, { onProblem: (_path, error) => codes.push(error.code) });
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    try {
      const entries = await tree.children(await tree.root());
      expect(entries.map((entry) => Buffer.from(entry.path).toString()).sort()).toEqual([
        'locked',
        'secret',
      ]);
      for (const entry of entries) {
        if (isDirectory(entry)) expect(await tree.children(entry)).toEqual([]);
        else await expect(tree.open(entry)).rejects.toThrow(FileError);
        expect(entry.contentUnknown).toBe(isDirectory(entry) ? true : undefined);
      }
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
    expect(codes).toEqual(['open-failed']);
  });

  it.each(['missing', 'file'])('refuses a root that is a %s', async (kind) => {
    fs.writeFileSync(join(root, 'file'), '');
    await expect(new LocalTree(join(root, kind)).root()).rejects.toThrow(FileError);
  });

  it('follows a symlink that is given as the root', async () => {
    fs.mkdirSync(join(root, 'real'));
    fs.symlinkSync('real', join(root, 'link'));
    expect(isDirectory(await new LocalTree(join(root, 'link')).root())).toBe(true);
  });
});

describe('open files', () => {
  it('give ranges, and nothing beyond the end', async () => {
    fs.writeFileSync(join(root, 'f'), '0123456789');
    const tree = new LocalTree(root);
    const file = await tree.open(await only(tree, 'f'));
    const read = async (offset: number, length: number) =>
      Buffer.from(await file.read(offset, length)).toString();
    expect(file.size).toBe(10);
    expect(await read(0, 4)).toBe('0123');
    expect(await read(8, 100)).toBe('89');
    expect(await read(10, 1)).toBe('');
    expect(await read(2 ** 33, 5)).toBe('');
    expect(await file.close()).toBe('unchanged');
  });

  it('read beyond 4 GiB', async () => {
    const fd = fs.openSync(join(root, 'sparse'), 'w');
    fs.writeSync(fd, 'tail', 2 ** 32 + 5);
    fs.closeSync(fd);
    const tree = new LocalTree(root);
    const file = await tree.open(await only(tree, 'sparse'));
    expect(Buffer.from(await file.read(2 ** 32 + 5, 9)).toString()).toBe('tail');
    await file.close();
  });

  const swaps: Record<string, (file: string) => void> = {
    'a symlink': (file) => fs.symlinkSync('/etc/passwd', file),
    'a pipe': (file) => void spawnSync('mkfifo', [file]),
    'a folder': (file) => fs.mkdirSync(file),
    'another file': (file) => fs.writeFileSync(file, 'other'),
    nothing: () => undefined,
  };
  it.each(Object.keys(swaps))('are refused when %s took their place', async (kind) => {
    fs.writeFileSync(join(root, 'f'), 'mine');
    const tree = new LocalTree(root);
    const entry = await only(tree, 'f');
    fs.renameSync(join(root, 'f'), join(root, 'aside'));
    swaps[kind]?.(join(root, 'f'));
    await expect(tree.open(entry)).rejects.toThrow(VanishedError);
  });

  it('are refused when a parent folder became a symlink to elsewhere', async () => {
    fs.mkdirSync(join(root, 'd'));
    fs.mkdirSync(join(root, 'secret'));
    fs.writeFileSync(join(root, 'd', 'f'), 'mine');
    fs.writeFileSync(join(root, 'secret', 'f'), 'not mine');
    const tree = new LocalTree(root);
    const entry = await only(tree, 'd/f');
    fs.renameSync(join(root, 'd'), join(root, 'aside'));
    fs.symlinkSync('secret', join(root, 'd'));
    await expect(tree.open(entry)).rejects.toThrow(VanishedError);
  });

  it('report when they changed while they were read', async () => {
    fs.writeFileSync(join(root, 'f'), 'mine');
    const tree = new LocalTree(root);
    const file = await tree.open(await only(tree, 'f'));
    fs.appendFileSync(join(root, 'f'), ' and more');
    expect(Buffer.from(await file.read(0, 100)).toString()).toBe('mine');
    expect(await file.close()).toBe('changed');
  });
});

describe('numbers', () => {
  it('foldIdentity() keeps small ones and distinguishes large ones', () => {
    expect(foldIdentity(2n ** 53n - 1n)).toBe(2 ** 53 - 1);
    const large = [2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n, 5n * 2n ** 53n + 7n, 2n ** 53n + 7n];
    expect(new Set(large.map(foldIdentity)).size).toBe(large.length);
    for (const value of large) expect(Number.isSafeInteger(foldIdentity(value))).toBe(true);
  });

  it('splitTime() rounds down', () => {
    expect(splitTime(-1n)).toEqual({ sec: -1, nsec: 999999999 });
    expect(splitTime(-1_000_000_000n)).toEqual({ sec: -1, nsec: 0 });
    expect(splitTime(1_500_000_000n)).toEqual({ sec: 1, nsec: 500000000 });
  });
});

describe('an object that vanishes during the scan', () => {
  it('is reported, unless a rule leaves it out anyway', async () => {
    const names = ['plain', 'x.tmp'];
    for (const name of names) fs.symlinkSync('t', join(root, name));
    const rules = new FilterRules();
    rules.exclude('*.tmp');
    const problems: string[] = [];
    const tree = new LocalTree(root, {
      filter: new Filter(rules.rules),
      limits: {
        // The last moment before names are examined.
        enter: (_directory, listed) => {
          for (const name of listed) fs.rmSync(join(root, name));
        },
        admits: () => true,
      },
      onProblem: (path) => problems.push(Buffer.from(path).toString()),
    });
    expect(await tree.children(await tree.root())).toEqual([]);
    expect(problems).toEqual(['plain']);
  });

  it('the vault is left out wherever and however it is named', async () => {
    fs.mkdirSync(join(root, 'a', '.ecsync'), { recursive: true });
    fs.symlinkSync('a', join(root, 'alias'));
    const vaultDirectory = join(root, 'alias', '.ecsync');
    const found = await list(new LocalTree(root, { vaultDirectory }));
    expect([...found.keys()].sort()).toEqual(['.', 'a', 'alias']);
  });

  it('a symlink in place of the vault is left out as well, wherever it leads', async () => {
    fs.mkdirSync(join(root, 'top'));
    fs.mkdirSync(join(root, 'elsewhere'));
    const vaultDirectory = join(root, 'top', '.ecsync');
    for (const target of ['../elsewhere', 'nowhere']) {
      fs.symlinkSync(target, vaultDirectory);
      const found = await list(new LocalTree(join(root, 'top'), { vaultDirectory }));
      expect([...found.keys()]).toEqual(['.']);
      fs.rmSync(vaultDirectory);
    }
  });
});
