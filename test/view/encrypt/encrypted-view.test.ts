// The view of a plaintext tree, without a disk: names, links, identities, and the objects that it
// leaves out and reports.
import { describe, expect, test } from 'vitest';
import { EcsyncError } from '../../../src/errors.ts';
import { serialiseConf } from '../../../src/gocryptfs/conf/config.ts';
import { type FeatureFlag, flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import type { Birth } from '../../../src/gocryptfs/content/identity.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import { S_IFCHR, S_IFIFO } from '../../../src/tree/entry.ts';
import type { CipherEntry } from '../../../src/view/encrypt/cipher-entry.ts';
import {
  EncryptedView,
  type EncryptedViewOptions,
} from '../../../src/view/encrypt/encrypted-view.ts';
import { MemoryTree, type MemoryEntry } from '../../support/memory-tree.ts';
import { allEntries, readAll } from '../../support/materialise.ts';

const masterkey = Buffer.alloc(32, 0x55);

function confBytes(flags: readonly FeatureFlag[]): Buffer {
  return serialiseConf({
    creator: 'test',
    encryptedKey: Buffer.alloc(64, 1),
    scrypt: { salt: Buffer.alloc(32, 2), logN: 10, r: 8, p: 1 },
    flags: new Set(flags),
    longNameMax: 255,
  });
}

const conf = { bytes: confBytes(flagsOfLayout({ layout: 'gcm' })), mtimeSec: 1234 };
const layout = openLayout(
  { flags: new Set(flagsOfLayout({ layout: 'gcm' })), longNameMax: 255 },
  masterkey,
);

function viewOf(tree: MemoryTree, options: Partial<EncryptedViewOptions> = {}) {
  const problems: string[] = [];
  const onProblem = (path: Uint8Array, error: EcsyncError) =>
    problems.push(`${error.code} ${Buffer.from(path).toString().slice(0, 20)}`);
  const view = new EncryptedView(tree, { conf, masterkey, onProblem, ...options });
  return { view, problems };
}

function find(
  entries: readonly CipherEntry<MemoryEntry>[],
  plainPath: string,
): CipherEntry<MemoryEntry> {
  const found = entries.find(
    ({ plain }) => plain !== undefined && Buffer.from(plain.path).toString() === plainPath,
  );
  return found ?? expect.unreachable(`${plainPath} is not in the view`);
}
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('latin1');

describe('an entry of the view', () => {
  test('has the attributes of its plaintext object, and the size of its ciphertext', async () => {
    const tree = new MemoryTree();
    const plain = tree.addFile('file', Buffer.alloc(5000));
    const { view } = viewOf(tree);
    const entry = find(await allEntries(view), 'file');
    const { mode, mtimeSec, mtimeNsec, uid, gid } = plain;
    expect(entry).toMatchObject({ mode, mtimeSec, mtimeNsec, uid, gid, size: 18 + 5000 + 64 });
    expect(entry.virtual).toBeUndefined();
  });

  test('for a device or a fifo keeps the type, and the numbers of a device', async () => {
    const tree = new MemoryTree();
    tree.add('null', { mode: S_IFCHR | 0o666, rdev: { major: 1, minor: 3 } });
    tree.add('fifo', { mode: S_IFIFO | 0o600 });
    const entries = await allEntries(viewOf(tree).view);
    expect(find(entries, 'null')).toMatchObject({
      mode: S_IFCHR | 0o666,
      rdev: { major: 1, minor: 3 },
    });
    expect(find(entries, 'fifo').mode).toBe(S_IFIFO | 0o600);
  });

  test('for a symlink has an encrypted target of the length it reports', async () => {
    const tree = new MemoryTree();
    tree.addSymlink('link', Buffer.from('somewhere'));
    const entry = find(await allEntries(viewOf(tree).view), 'link');
    expect(entry.size).toBe(entry.target?.length);
    expect(layout.content.decryptTarget(entry.target ?? Buffer.alloc(0)).toString()).toBe(
      'somewhere',
    );
  });
});

test('the same tree under the same master key gives the same entries and bytes', async () => {
  const run = async () => {
    const tree = new MemoryTree();
    tree.addDirectory('d');
    tree.addFile('d/file', Buffer.from('content'));
    tree.addFile(`d/${'long'.repeat(50)}`, Buffer.alloc(0));
    const { view } = viewOf(tree);
    const entries = await allEntries(view);
    const shown = entries.map(({ path, bytes, target }) =>
      [path, bytes, target].map(text).join(' '),
    );
    return [...shown, text(await readAll(view, find(entries, 'd/file')))];
  };
  expect(await run()).toEqual(await run());
});

test('a virtual file is read like any other', async () => {
  const { view } = viewOf(new MemoryTree());
  const entries = await allEntries(view);
  expect(entries.map(({ virtual }) => virtual)).toEqual([undefined, 'conf', 'diriv']);
  const [, confEntry, diriv] = entries;
  if (confEntry === undefined || diriv === undefined)
    return expect.unreachable('virtual files missing');
  expect(await readAll(view, confEntry)).toEqual(conf.bytes);
  expect(confEntry).toMatchObject({ mode: 0o100400, mtimeSec: 1234, uid: 7, gid: 8 });
  const iv = layout.identities.dirIV({ path: Buffer.alloc(0), counter: 0 });
  expect(await readAll(view, diriv)).toEqual(iv);
  await expect(view.children(diriv)).rejects.toMatchObject({ code: 'invariant' });
});

describe('an object that cannot be encrypted is reported and left out', () => {
  test('a name of 256 bytes, and nothing else', async () => {
    const tree = new MemoryTree();
    tree.addFile('n'.repeat(256), Buffer.alloc(0));
    tree.addFile('n'.repeat(255), Buffer.alloc(0));
    const { view, problems } = viewOf(tree);
    const entries = await allEntries(view);
    expect(entries.filter(({ plain }) => plain !== undefined)).toHaveLength(2);
    expect(problems).toEqual(['name-unsupported nnnnnnnnnnnnnnnnnnnn']);
  });

  test('a symlink whose encrypted target would be too long, with its .name file', async () => {
    const tree = new MemoryTree();
    tree.addSymlink('l'.repeat(200), Buffer.alloc(3040, 't'));
    const { view, problems } = viewOf(tree);
    expect((await allEntries(view)).map(({ virtual }) => virtual)).toEqual([
      undefined,
      'conf',
      'diriv',
    ]);
    expect(problems).toEqual(['target-too-long llllllllllllllllllll']);
  });

  test('an object whose encrypted path no server can store', async () => {
    const tree = new MemoryTree();
    // 18 folders with encrypted names of 214 bytes, and 17 slashes: 3869 bytes.
    const folder = Array.from({ length: 18 }, () => 'f'.repeat(150));
    folder.forEach((_, i) => tree.addDirectory(folder.slice(0, i + 1).join('/')));
    const inside = folder.join('/');
    tree.addFile(`${inside}/${'x'.repeat(150)}`, Buffer.alloc(0)); // a slash and 214: 4084
    tree.addFile(`${inside}/${'y'.repeat(170)}`, Buffer.alloc(0)); // a slash and 235: 4105
    tree.addDirectory(`${inside}/${'z'.repeat(150)}`); // 4084, and 16 for its diriv: 4100
    const { view, problems } = viewOf(tree);
    const entries = await allEntries(view);
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
      'path-too-long',
      'path-too-long',
    ]);
    expect(Math.max(...entries.map(({ path }) => path.length))).toBeLessThanOrEqual(4095);
    expect(find(entries, `${inside}/${'x'.repeat(150)}`).path).toHaveLength(4084);
  });
});

test('a directory that could not be listed has unknown content in the view', async () => {
  const tree = new MemoryTree();
  tree.addDirectory('closed').contentUnknown = true;
  const entries = await allEntries(viewOf(tree).view);
  expect(find(entries, 'closed').contentUnknown).toBe(true);
  expect(entries[0]?.contentUnknown).toBeUndefined();
});

describe('groupHardLinks()', () => {
  function linked(order: readonly string[]): MemoryTree {
    const tree = new MemoryTree();
    for (const name of order) {
      const entry = tree.addFile(name, Buffer.from('same'));
      entry.linkGroup = 77;
    }
    tree.addFile('alone', Buffer.from('same')).linkGroup = 78;
    return tree;
  }

  test('gives a group the identity of its smallest path, in whatever order it was found', async () => {
    const contents = new Set<string>();
    for (const order of [
      ['b', 'a', 'c'],
      ['c', 'b', 'a'],
    ]) {
      const { view } = viewOf(linked(order));
      const entries = await allEntries(view);
      view.groupHardLinks(entries);
      for (const name of ['a', 'b', 'c']) {
        const entry = find(entries, name);
        expect(entry.linkGroup).toBe(1);
        expect(text(entry.identityPlace?.plainPath)).toBe('a');
        contents.add(text(await readAll(view, entry)));
      }
      expect(find(entries, 'alone').linkGroup).toBeUndefined();
    }
    expect(contents.size).toBe(1);
    expect([...contents][0]?.slice(2, 18)).toBe(
      text(layout.identities.file({ path: Buffer.from('a'), counter: 0 }).fileID),
    );
  });

  test('is needed: without it every name has its own content identity', async () => {
    const { view } = viewOf(linked(['a', 'b']));
    const entries = await allEntries(view);
    expect(find(entries, 'a').linkGroup).toBeUndefined();
    const [a, b] = [
      await readAll(view, find(entries, 'a')),
      await readAll(view, find(entries, 'b')),
    ];
    expect(a.equals(b)).toBe(false);
  });

  test('takes a given key, and gives linked symlinks one target', async () => {
    const tree = new MemoryTree();
    tree.addSymlink('one', Buffer.from('t'));
    tree.addSymlink('two', Buffer.from('t'));
    const { view } = viewOf(tree);
    const entries = await allEntries(view);
    expect(text(find(entries, 'one').target)).not.toBe(text(find(entries, 'two').target));
    view.groupHardLinks(entries, ({ target }) => (target === undefined ? undefined : 'inode 5'));
    expect(find(entries, 'one').linkGroup).toBe(1);
    expect(text(find(entries, 'two').target)).toBe(text(find(entries, 'one').target));
  });
});

describe('identities of renamed files', () => {
  const births = new Map<string, Birth>([
    ['new', { path: Buffer.from('old'), counter: 0 }],
    ['old', { path: Buffer.from('old'), counter: 1 }],
  ]);
  const birthOf = (path: Uint8Array) => births.get(text(path));

  test('follow birthOf', async () => {
    const tree = new MemoryTree();
    for (const name of ['new', 'old', 'other']) tree.addFile(name, Buffer.from('content'));
    const { view } = viewOf(tree, { birthOf });
    const entries = await allEntries(view);
    for (const name of ['new', 'old', 'other']) {
      const file = await readAll(view, find(entries, name));
      const birth = births.get(name) ?? { path: Buffer.from(name), counter: 0 };
      expect(file.subarray(2, 18)).toEqual(layout.identities.file(birth).fileID);
    }
  });

  test('do not affect directories and symlinks, whose identities follow from their paths', async () => {
    const tree = new MemoryTree();
    tree.addDirectory('new');
    tree.addFile('new/file', Buffer.from('content'));
    tree.addSymlink('old', Buffer.from('target'));
    const renamed = await allEntries(viewOf(tree, { birthOf }).view);
    expect(renamed).toEqual(await allEntries(viewOf(tree).view));
  });
});

describe('plainPath()', () => {
  const { view } = viewOf(new MemoryTree());
  const at = (path: string) => view.plainPath(Buffer.from(path));

  test('translates objects that the source no longer has', () => {
    const gone = view.cipherPath(Buffer.from('gone/deeper/file'));
    expect(text(view.plainPath(gone)?.path)).toBe('gone/deeper/file');
    const diriv = Buffer.concat([
      view.cipherPath(Buffer.from('gone')),
      Buffer.from('/gocryptfs.diriv'),
    ]);
    expect(view.plainPath(diriv)).toMatchObject({ virtual: 'diriv' });
    expect(text(view.plainPath(diriv)?.path)).toBe('gone');
  });

  test('knows the virtual files and the root', () => {
    expect(at('.')?.virtual).toBeUndefined();
    expect(at('gocryptfs.conf')).toMatchObject({ virtual: 'conf' });
    expect(at('gocryptfs.diriv')).toMatchObject({ virtual: 'diriv' });
    expect(at('gocryptfs.longname.abc.name')).toMatchObject({ virtual: 'name' });
  });

  test.each([
    'gocryptfs.longname.abc',
    'gocryptfs.diriv/below',
    'gocryptfs.longname.ecsync-tmp.name/.x.AbC123',
    '.hidden',
    'not base64 at all',
    'AAAAAAAAAAAAAAAAAAAAAA/AAAAAAAAAAAAAAAAAAAAAA',
    '',
    '../x',
  ])('is undefined for %j', (path) => {
    expect(at(path)).toBeUndefined();
  });

  test('is undefined for a conf outside the root', () => {
    const folder = view.cipherPath(Buffer.from('folder'));
    const inside = Buffer.concat([folder, Buffer.from('/gocryptfs.conf')]);
    expect(view.plainPath(inside)).toBeUndefined();
  });
});

test('cipherPath() refuses a path that cannot be encrypted', () => {
  const { view } = viewOf(new MemoryTree());
  for (const path of ['a//b', 'a/../b', 'n'.repeat(256), '']) {
    let code = 'no error';
    try {
      view.cipherPath(Buffer.from(path));
    } catch (error) {
      code = error instanceof EcsyncError ? error.code : String(error);
    }
    expect(code).toBe('name-unsupported');
  }
});
