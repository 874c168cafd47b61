// Goal: attributes are read of the objects that were listed, also where another user may exchange a
// folder for a symlink, and are told under their own paths in the list's order. Method: the real
// program, folders of another user.
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readListXattrs } from '../../../../src/sync/push/source/list-xattrs.ts';
import type { XattrFailure } from '../../../../src/transport/programs/fattr-program.ts';
import type { LocalEntry } from '../../../../src/tree/local/local-entry.ts';
import { LocalTree } from '../../../../src/tree/local/local-tree.ts';
import { walk } from '../../../../src/tree/walk.ts';

const NOBODY = 65534;

let base = '';
let source = '';
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'ecsync-list-xattrs-')));
  source = join(base, 'source');
  for (const folder of ['source/theirs', 'source/zz', 'secret']) {
    mkdirSync(join(base, folder), { recursive: true });
    writeFileSync(join(base, folder, 'a: b\n'), '');
    label(join(folder, 'a: b\n'), folder);
  }
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function label(path: string, value: string): void {
  execFileSync('setfattr', ['-n', 'user.label', '-v', value, join(base, path)]);
}

async function list(): Promise<LocalEntry[]> {
  const entries: LocalEntry[] = [];
  for await (const part of walk(new LocalTree(source))) entries.push(...part);
  return entries;
}

async function read(
  entries: readonly LocalEntry[],
): Promise<{ told: string[]; failures: XattrFailure[] }> {
  const told: string[] = [];
  const failures: XattrFailure[] = [];
  await readListXattrs(source, entries, {
    onlyUser: true,
    signal: new AbortController().signal,
    onObject: ({ path, xattrs }) => {
      for (const { value } of xattrs) told.push(`${path.toString()} = ${value.toString()}`);
    },
    onFailure: (failure) => failures.push(failure),
  });
  return { told, failures };
}

it('attributes of exposed objects are told under their own paths, in order, however many folders', async () => {
  const wanted: string[] = [];
  for (let i = 100; i < 240; i++) {
    mkdirSync(join(source, `theirs/d${i}`));
    writeFileSync(join(source, `theirs/d${i}/f`), '');
    label(`source/theirs/d${i}/f`, `${i}`);
    wanted.push(`./theirs/d${i}/f = ${i}`);
  }
  chownSync(join(source, 'theirs'), NOBODY, NOBODY);
  const { told, failures } = await read(await list());
  expect(told).toEqual(['./theirs/a: b\n = source/theirs', ...wanted, './zz/a: b\n = source/zz']);
  expect(failures).toEqual([]);
});

it('attributes behind a symlink that took the place of a listed folder are not read', async () => {
  chownSync(join(source, 'theirs'), NOBODY, NOBODY);
  const entries = await list();
  renameSync(join(source, 'theirs'), join(base, 'away'));
  symlinkSync(join(base, 'secret'), join(source, 'theirs'));
  const { told, failures } = await read(entries);
  expect(told).toEqual(['./zz/a: b\n = source/zz']);
  expect(failures).toMatchObject([{ isGone: true, paths: [Buffer.from('./theirs/a: b\n')] }]);
});

it('failures name the exposed objects that they are about', async () => {
  chownSync(join(source, 'theirs'), NOBODY, NOBODY);
  const entries = await list();
  rmSync(join(source, 'theirs/a: b\n'));
  const { failures } = await read(entries);
  expect(failures).toHaveLength(1);
  expect(failures[0]?.isGone).toBe(true);
  expect(failures[0]?.paths.map(String)).toContain('./theirs/a: b\n');
});
