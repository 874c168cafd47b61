/** How two folders lie to each other, also through links and where one of them does not exist. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { inside, overlap, refuseOverlap } from '../../../src/tree/local/overlap.ts';

const top = mkdtempSync(path.join(tmpdir(), 'ecsync-overlap-'));
mkdirSync(path.join(top, 'source', 'deep'), { recursive: true });
mkdirSync(path.join(top, 'source-2'));
mkdirSync(path.join(top, 'source', '..hidden'));
symlinkSync('source/deep', path.join(top, 'link'));
afterAll(() => rmSync(top, { recursive: true }));

const CASES = [
  ['source', 'source', 'lies inside'],
  ['source/deep', 'source', 'lies inside'],
  ['source/..hidden', 'source', 'lies inside'],
  ['source/new/copy', 'source', 'lies inside'],
  ['link', 'source', 'lies inside'],
  ['link/new', 'source', 'lies inside'],
  ['.', 'source', 'contains'],
  ['source', 'link', 'contains'],
  ['source-2', 'source', undefined],
  ['new', 'source', undefined],
] as const;

test.each(CASES)('%s and %s: %s', (folder, other, how) => {
  expect(overlap(path.join(top, folder), path.join(top, other))).toBe(how);
});

test('a place in a folder', () => {
  expect(inside('/a/b', '/a/b/c/d')).toBe(path.join('c', 'd'));
  expect(inside('/a/b', '/a/b')).toBe('');
  expect(inside('/a/b', '/a/b/..c')).toBe('..c');
  expect(inside('/a/b', '/a/bc')).toBeUndefined();
  expect(inside('/a/b', '/a')).toBeUndefined();
});

test('only a destination of this machine can overlap', () => {
  const [source, copy] = [path.join(top, 'source'), path.join(top, 'source', 'deep')];
  expect(() => refuseOverlap(source, { kind: 'ssh', path: copy, shown: 'nas' })).not.toThrow();
  expect(() => refuseOverlap(source, { kind: 'local', path: copy, shown: 'deep' })).toThrow(
    `deep lies inside ${source}, the folder that is pushed`,
  );
});
