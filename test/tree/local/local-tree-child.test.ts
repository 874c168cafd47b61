// Looking up one name in a folder gives what a listing would give, and nothing else.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { EcsyncError } from '../../../src/errors.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';

const root = mkdtempSync(path.join(tmpdir(), 'ecsync-child-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
mkdirSync(path.join(root, 'folder'));
mkdirSync(path.join(root, '.vault'));
writeFileSync(path.join(root, 'folder/file'), 'content');
writeFileSync(path.join(root, 'folder/skipped'), '');
symlinkSync('folder', path.join(root, 'link'));

const problems: string[] = [];
const tree = new LocalTree(root, {
  vaultDirectory: path.join(root, '.vault'),
  skip: ({ path }) => Buffer.from(path).toString() === 'folder/skipped',
  onProblem: (_, error: EcsyncError) => problems.push(error.code),
});

test('a child is the entry that a listing gives, at any depth', async () => {
  const top = await tree.root();
  const folder = await tree.child(top, Buffer.from('folder'));
  const listed = await tree.children(top);
  expect(folder).toEqual(listed.find(({ path: bytes }) => Buffer.from('folder').equals(bytes)));
  if (folder === undefined) return expect.unreachable('the folder is not found');
  const file = await tree.child(folder, Buffer.from('file'));
  expect([file]).toEqual(await tree.children(folder));
  expect((await tree.child(top, Buffer.from('link')))?.target).toEqual(Buffer.from('folder'));
});

test('an object that a listing leaves out is not found, and absence is not reported', async () => {
  const top = await tree.root();
  const folder = await tree.child(top, Buffer.from('folder'));
  if (folder === undefined) return expect.unreachable('the folder is not found');
  expect(await tree.child(top, Buffer.from('.vault'))).toBeUndefined();
  expect(await tree.child(top, Buffer.from('absent'))).toBeUndefined();
  expect(await tree.child(folder, Buffer.from('skipped'))).toBeUndefined();
  const file = await tree.child(folder, Buffer.from('file'));
  if (file === undefined) return expect.unreachable('the file is not found');
  expect(await tree.child(file, Buffer.from('below'))).toBeUndefined();
  expect(problems).toEqual([]);
});

test('a name that the disk cannot hold is a failure', async () => {
  const child = tree.child(await tree.root(), Buffer.alloc(300, 'n'));
  await expect(child).rejects.toMatchObject({ code: 'open-failed' });
});
