// What a copy lacks or has otherwise than the last push left it, and when nothing is known of that.
import { describe, expect, test } from 'vitest';
import { LastPush } from '../../../../src/sync/push/memory/last-push.ts';
import { encodeLocations } from '../../../../src/sync/push/memory/locations.ts';
import {
  decodeMark,
  PushMarker,
  unsettle,
  type PushMark,
} from '../../../../src/sync/push/memory/push-mark.ts';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';
import { isDirectory, S_IFDIR, S_IFIFO, S_IFREG } from '../../../../src/tree/entry.ts';
import type { PlainEntry } from '../../../../src/view/plain-entry.ts';

const FILE = S_IFREG | 0o644;
const FOLDER = S_IFDIR | 0o755;
const MARK: PushMark = {
  ...{ locations: '00', endedMs: 1, isAll: true, perms: true, devices: true, specials: true },
  ...{ filesAreExact: true, hasBirths: false },
};

interface Thing {
  readonly path: string;
  readonly mode?: number;
  readonly size?: number;
  readonly mtimeSec?: number;
}

function pushed({ path, mode = FILE, size = 50, mtimeSec = 1000 }: Thing): PushEntry {
  const common = { mode, size, mtimeSec, mtimeNsec: 0, uid: 0, gid: 0 };
  const plain = { ...common, path: Buffer.from(path), dev: 1, ino: 2, nlink: 1 };
  return {
    ...common,
    path: Buffer.from(`cipher ${path}`),
    plain: { ...plain, ctimeMs: 0, birthtimeMs: 0 },
  };
}

function stored({ path, mode = FILE, size = 50, mtimeSec = 1000 }: Thing): PlainEntry {
  const common = { mode, size, mtimeSec, mtimeNsec: 0, uid: 0, gid: 0 };
  return {
    ...common,
    path: Buffer.from(path),
    cipher: { ...common, path: Buffer.from(`cipher ${path}`) },
  };
}

function compare(
  left: readonly Thing[],
  there: readonly Thing[],
  { unlisted, ...mark }: Partial<PushMark> & { unlisted?: string } = {},
): string[] {
  const entries = [pushed({ path: '.', mode: FOLDER }), ...left.map(pushed)];
  const push = new LastPush(encodeLocations(entries), { ...MARK, ...mark }, (path) => path);
  for (const { path, mode = FILE } of [{ path: '.', mode: FOLDER }, ...there]) {
    if (isDirectory({ mode }) && path !== unlisted) push.listed(Buffer.from(path));
  }
  const met = there.flatMap((thing) => push.meet(stored(thing)) ?? []);
  return [...met, ...push.conclude()].map(
    ({ code, plainPath = [] }) => `${code} ${Buffer.from(plainPath).toString()}`,
  );
}

const TREE: readonly Thing[] = [
  { path: 'docs', mode: FOLDER },
  { path: 'docs/a' },
  { path: 'docs/b' },
  { path: 'pipe', mode: S_IFIFO | 0o600 },
  { path: 'z' },
];
const without = (path: string): Thing[] =>
  TREE.filter((thing) => thing.path !== path && !thing.path.startsWith(`${path}/`));
const instead = (thing: Thing): Thing[] => [...without(thing.path), thing];

test('a copy that is as it was left', () => {
  expect(compare(TREE, TREE)).toEqual([]);
});

test.each<[string, readonly Thing[], readonly string[]]>([
  ['a file is gone', without('docs/a'), ['missing docs/a']],
  ['a folder is gone: told once', without('docs'), ['missing docs']],
  ['a pipe is gone', without('pipe'), ['missing pipe']],
  ['cut', instead({ path: 'z', size: 0 }), ['size-differs z']],
  ['an older version', instead({ path: 'z', mtimeSec: 500 }), ['time-differs z']],
  ['a mode', instead({ path: 'z', mode: S_IFREG | 0o4755 }), ['mode-differs z']],
  ['a pipe in place of a file', instead({ path: 'z', mode: S_IFIFO | 0o644 }), ['kind-differs z']],
  ['a file came back', [...TREE, { path: 'gone' }], ['unexpected gone']],
  [
    'a folder came back: told once',
    [...TREE, { path: 'old', mode: FOLDER }, { path: 'old/a' }],
    ['unexpected old'],
  ],
  ['a second of grain is none', instead({ path: 'z', mtimeSec: 1001 }), []],
])('%s', (_, there, expected) => {
  expect(compare(TREE, there)).toEqual(expected);
});

test('what is in a folder that was not listed is not missing', () => {
  expect(compare(TREE, without('docs/a'), { unlisted: 'docs' })).toEqual([]);
});

test('what a push does not carry or delete is not missed, nor unexpected', () => {
  expect(compare(TREE, without('pipe'), { specials: false })).toEqual([]);
  expect(compare(TREE, [...TREE, { path: 'older' }], { isAll: false })).toEqual([]);
  expect(compare(TREE, instead({ path: 'z', mode: S_IFREG | 0o600 }), { perms: false })).toEqual(
    [],
  );
});

test('a destination that keeps no permissions is no damage, but is told', () => {
  const many = Array.from({ length: 20 }, (_, i): Thing => ({ path: `f${i}` }));
  const bare = many.map((thing) => ({ ...thing, mode: S_IFREG | 0o777 }));
  expect(compare(many, bare)).toEqual(['mode-differs-everywhere ']);
});

describe('whether the memory can be relied on', () => {
  const settings = {
    ...{ rules: [], perms: true, devices: true, specials: true, paths: [], hardLinks: false },
  };
  const bench = () => {
    const kept: { mark?: Uint8Array; births?: Uint8Array } = {};
    const marker = new PushMarker({
      mark: { read: () => kept.mark, write: (bytes) => (kept.mark = bytes) },
      moves: {
        births: { read: () => kept.births },
        locations: { read: () => Buffer.from('what was pushed') },
      },
    });
    return { kept, marker, mark: () => decodeMark(kept.mark) };
  };
  const push = (
    { marker }: ReturnType<typeof bench>,
    how: { isFounding?: boolean; hardLinks?: boolean; endedWell?: boolean; paths?: string[] } = {},
  ) => {
    const { isFounding = false, hardLinks = false, endedWell = true, paths = [] } = how;
    marker.begin({ isFounding, isContinued: false, hardLinks });
    marker.end({ settings: { ...settings, paths, hardLinks }, isAllDeleted: true, endedWell });
  };

  test('after a push that ended well', () => {
    const one = bench();
    push(one, { isFounding: true });
    expect(one.mark()).toMatchObject({ isAll: true, filesAreExact: true });
    expect(one.mark()?.locations).toHaveLength(64);
  });

  test.each([
    ['is under way', {}, false],
    ['was of a part', { paths: ['docs'] }, true],
    ['failed in part', { endedWell: false }, true],
  ])('not while or after a push that %s', (_, how, ends) => {
    const one = bench();
    push(one, { isFounding: true });
    if (ends) push(one, how);
    else one.marker.begin({ isFounding: false, isContinued: false, hardLinks: false });
    expect(one.mark()?.locations).toBeUndefined();
    expect(one.mark()?.filesAreExact).toBe(true);
  });

  test('nor while something else repairs the copy', () => {
    const one = bench();
    push(one, { isFounding: true });
    unsettle({ read: () => one.kept.mark, write: (bytes) => (one.kept.mark = bytes) });
    expect(one.mark()?.locations).toBeUndefined();
  });

  test('IDs of files are certain only where no push before is unknown, and none made hard links', () => {
    const one = bench();
    push(one);
    expect(one.mark()?.filesAreExact).toBe(false);
    const other = bench();
    push(other, { isFounding: true });
    push(other, { hardLinks: true });
    push(other);
    expect(other.mark()?.filesAreExact).toBe(false);
  });

  test('nor when the births of renamed files were lost', () => {
    const one = bench();
    one.kept.births = Buffer.from('births');
    push(one, { isFounding: true });
    delete one.kept.births;
    push(one);
    expect(one.mark()?.filesAreExact).toBe(false);
  });
});
