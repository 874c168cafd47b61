// Goal: one rule says where a typed path leads: from the current folder inside the vault, `/x` from its top.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolvePaths } from '../../../src/cli/push/push-arguments.ts';
import { readRestorePaths } from '../../../src/cli/copies/restore-paths.ts';
import { pathFromTop } from '../../../src/cli/frame/vault-paths.ts';

let source: string;
beforeAll(() => {
  source = mkdtempSync(path.join(tmpdir(), 'ecsync-paths-'));
  mkdirSync(path.join(source, 'a', 'b'), { recursive: true });
  for (const file of ['top', 'a/two.txt', 'a/b/three']) writeFileSync(path.join(source, file), '');
});
afterAll(() => rmSync(source, { recursive: true }));

const at = (...names: string[]): string => path.join(source, ...names);

describe('a path as it is typed', () => {
  it.each([
    ['', '.', '.'],
    ['', './a//b/', 'a/b'],
    ['', '/', '.'],
    ['', '...', '...'],
    ['', 'a/../top', 'top'],
    ['a', '', 'a'],
    ['a', 'two.txt', 'a/two.txt'],
    ['a', '/two.txt', 'two.txt'],
    ['a', '../top', 'top'],
    ['a/b', '..', 'a'],
    ['a', '/..//../etc', undefined],
    ['a', '../..', undefined],
  ])('in %j: %j is %j', async (folder, typed, expected) => {
    const origin = { folder: at(folder), source };
    const read = (): string => Buffer.from(pathFromTop(Buffer.from(typed), origin)).toString();
    if (expected === undefined) expect(read).toThrow('is outside');
    else expect(read()).toBe(expected);
    if (expected === undefined || expected === '...' || typed === '') return;
    if (typed === '/two.txt') {
      await expect(resolvePaths([typed], origin)).rejects.toThrow('does not exist');
      return;
    }
    expect(await resolvePaths([typed], origin)).toEqual(expected === '.' ? [] : [expected]);
  });

  it('is understood when it is absolute and leads into the vault', async () => {
    const origin = { folder: '/', source };
    expect(Buffer.from(pathFromTop(Buffer.from(at('a')), origin)).toString()).toBe('a');
    expect(await resolvePaths([at('a')], origin)).toEqual(['a']);
  });

  it('starts at the top when the current folder is elsewhere, or there is no vault', async () => {
    expect(await resolvePaths(['a/two.txt'], { folder: '/', source })).toEqual(['a/two.txt']);
    for (const origin of [
      { folder: '/', source },
      { folder: at('a'), source: undefined },
    ]) {
      expect(Buffer.from(pathFromTop(Buffer.from('x/y'), origin)).toString()).toBe('x/y');
    }
  });

  it('keeps its bytes', () => {
    const odd = Buffer.from([0x61, 0xff, 0x2f, 0x62]);
    expect(Buffer.from(pathFromTop(odd, { folder: at('a'), source }))).toEqual(
      Buffer.concat([Buffer.from('a/'), odd]),
    );
  });
});

describe('what is restored', () => {
  it.each([
    [['two.txt'], { paths: ['a/two.txt'], base: 'a' }],
    [['.'], { paths: ['a'], base: 'a' }],
    [['b/three', 'two.txt'], { paths: ['a/b/three', 'a/two.txt'], base: 'a' }],
    [['two.txt', '../top'], { paths: ['a/two.txt', 'top'], base: '' }],
    [['/a/two.txt'], { paths: ['a/two.txt'], base: '' }],
    [['..'], { paths: [], base: '' }],
    [[], { paths: [], base: '' }],
  ])('%j in a/', (typed, expected) => {
    const bytes = typed.map((text) => Buffer.from(text));
    const { paths, base } = readRestorePaths(bytes, { folder: at('a'), source });
    const text = (path: Uint8Array): string => Buffer.from(path).toString();
    expect({ paths: paths.map(text), base: text(base) }).toEqual(expected);
  });
});
