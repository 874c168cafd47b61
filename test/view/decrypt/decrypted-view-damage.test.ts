// Every problem with the structure of a copy is reported once, with the plaintext path where it is
// known, and the rest of the copy stays readable.
import { describe, expect, test } from 'vitest';
import { flagsOfLayout, type FeatureFlag } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import { TEMPORARY_DIRECTORY } from '../../../src/gocryptfs/names/names.ts';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../../src/tree/entry.ts';
import { DecryptedView } from '../../../src/view/decrypt/decrypted-view.ts';
import type { CopyProblem } from '../../../src/view/decrypt/decrypted-view-problem.ts';
import { allEntries } from '../../support/materialise.ts';
import { MemoryTree, type MemoryEntry } from '../../support/memory-tree.ts';
import {
  COPY_MASTERKEY,
  copyTree,
  storedObjects,
  type StoredObject,
} from '../../support/stored-copy.ts';

const GCM = flagsOfLayout({ layout: 'gcm' });
const LONG = 'l'.repeat(200);
const FILE = { mode: S_IFREG | 0o644 };

function plainTree(): MemoryTree {
  const tree = new MemoryTree();
  tree.addFile('file', Buffer.from('content'));
  tree.addSymlink('link', Buffer.from('file'));
  tree.addFile(LONG, Buffer.from('long'));
  tree.addDirectory('dir');
  tree.addFile('dir/inner', Buffer.from('inner'));
  tree.addDirectory('dir/sub');
  return tree;
}

/**
 * The copy with one change, decrypted: the plaintext paths that are left, and what was reported.
 */
async function decrypted(
  change: (objects: StoredObject[]) => StoredObject[],
  flags: readonly FeatureFlag[] = GCM,
) {
  const objects = change(await storedObjects(plainTree(), flags));
  const problems: CopyProblem[] = [];
  const layout = openLayout({ flags: new Set(flags), longNameMax: 255 }, COPY_MASTERKEY);
  const view = new DecryptedView(copyTree(objects), layout, {
    onProblem: (problem) => problems.push(problem),
  });
  const entries = await allEntries(view);
  const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('latin1');
  return {
    view,
    paths: entries.map(({ path }) => text(path) ?? '').sort(),
    found: problems.map(({ code, plainPath, plainDirectory, kind }) =>
      [code, text(plainPath) ?? `${text(plainDirectory) ?? ''}/?`, kind].join(' '),
    ),
    problems,
  };
}

const ALL = ['.', 'dir', 'dir/inner', 'dir/sub', 'file', 'link', LONG].sort();
const without = (...paths: readonly string[]) => ALL.filter((path) => !paths.includes(path));

/** Replaces facts of the object of this name. */
function edit(name: string, facts: Partial<MemoryEntry>) {
  return (objects: StoredObject[]) => {
    expect(objects.map((object) => object.name)).toContain(name);
    return objects.map((object) =>
      object.name === name ? { ...object, facts: { ...object.facts, ...facts } } : object,
    );
  };
}

function remove(name: string) {
  return (objects: StoredObject[]) => {
    const left = objects.filter((object) => object.name !== name);
    expect(left.length).toBe(objects.length - 1);
    return left;
  };
}

/** Puts something new into the directory `inside`. */
function put(inside: string, name: string | Uint8Array, facts: Partial<MemoryEntry>) {
  return (objects: StoredObject[]) => {
    const directory = objects.find((object) => object.name === inside)?.path;
    const parts = directory === undefined ? [] : [directory, Buffer.from('/')];
    const path = Buffer.concat([...parts, Buffer.from(name)]);
    return [...objects, { name: 'added', path, facts }];
  };
}

function nameOf(objects: readonly StoredObject[], name: string): Buffer {
  const path = objects.find((object) => object.name === name)?.path ?? Buffer.alloc(0);
  return path.subarray(path.lastIndexOf(0x2f) + 1);
}

test('an intact copy has no problems', async () => {
  const { paths, found } = await decrypted((objects) => objects);
  expect(paths).toEqual(ALL);
  expect(found).toEqual([]);
});

describe('a folder whose diriv', () => {
  test.each([
    ['is missing', remove('dir diriv'), 'diriv-missing'],
    ['is too short', edit('dir diriv', { content: Buffer.alloc(15, 1) }), 'diriv-invalid'],
    ['is too long', edit('dir diriv', { content: Buffer.alloc(17, 1) }), 'diriv-invalid'],
    ['is all zero', edit('dir diriv', { content: Buffer.alloc(16) }), 'diriv-invalid'],
    [
      'is a symlink',
      edit('dir diriv', { mode: S_IFLNK | 0o777, target: Buffer.alloc(16, 1) }),
      'diriv-invalid',
    ],
  ])('%s is there without content', async (_, change, code) => {
    const { view, paths, found } = await decrypted(change);
    expect(found).toEqual([`${code} dir directory`]);
    expect(paths).toEqual(without('dir/inner', 'dir/sub'));
    const entries = await allEntries(view);
    const unknown = entries.filter(({ contentUnknown }) => contentUnknown === true);
    expect(unknown.map(({ path }) => Buffer.from(path).toString())).toEqual(['dir']);
    await expect(view.find(Buffer.from('dir/inner'))).rejects.toMatchObject({ code });
  });

  test('belongs to another folder: none of its names decrypts', async () => {
    const { paths, found } = await decrypted((objects) => {
      const other = objects.find(({ name }) => name === 'dir/sub diriv')?.facts.content;
      return edit('dir diriv', other === undefined ? {} : { content: other })(objects);
    });
    expect(found).toEqual(['name-invalid dir/? file', 'name-invalid dir/? directory']);
    expect(paths).toEqual(without('dir/inner', 'dir/sub'));
  });
});

describe('a long name', () => {
  test('without its .name file', async () => {
    const { view, paths, found } = await decrypted(remove('. name'));
    expect(found).toEqual(['name-file-missing ./? file']);
    expect(paths).toEqual(without(LONG));
    expect((await view.find(Buffer.from(LONG)))?.size).toBe(4);
  });

  test('whose object is gone is still known', async () => {
    const { found } = await decrypted(remove(LONG));
    expect(found).toEqual([`name-file-orphan ${LONG} file`]);
  });

  test.each([
    ['damaged', (name: Buffer) => Buffer.from(name).fill('A', 0, 8)],
    ['with a newline', (name: Buffer) => Buffer.concat([name, Buffer.from('\n')])],
    ['empty', () => Buffer.alloc(0)],
    ['of a megabyte', () => Buffer.alloc(1_000_000, 'A')],
  ])('whose .name file is %s', async (_, change) => {
    const { paths, found } = await decrypted((objects) => {
      const content = objects.find(({ name }) => name === '. name')?.facts.content;
      return edit('. name', { content: change(content ?? Buffer.alloc(0)) })(objects);
    });
    expect(found).toEqual(['name-file-invalid ./? file']);
    expect(paths).toEqual(without(LONG));
  });

  test('stored directly is reported, since gocryptfs would not find it', async () => {
    const { found } = await decrypted((objects) => {
      const full = objects.find(({ name }) => name === '. name')?.facts.content;
      return put('.', full ?? '', { ...FILE, content: Buffer.alloc(0) })(objects);
    });
    expect(found).toEqual([`name-form-invalid ${LONG} file`]);
  });
});

test('a limit for names also applies to reading the copy', async () => {
  const plain = new MemoryTree();
  plain.addFile('fifteen bytes..', Buffer.alloc(0)); // 22 characters
  plain.addFile('sixteen bytes...', Buffer.alloc(0)); // 43 characters
  const found: string[] = [];
  const layout = openLayout({ flags: new Set(GCM), longNameMax: 30 }, COPY_MASTERKEY);
  const view = new DecryptedView(copyTree(await storedObjects(plain, GCM)), layout, {
    onProblem: ({ code, plainPath }) =>
      found.push(`${code} ${Buffer.from(plainPath ?? []).toString()}`),
  });
  expect(await allEntries(view)).toHaveLength(2);
  expect(found).toEqual(['name-form-invalid sixteen bytes...']);
});

describe('an object that is not part of the copy', () => {
  test.each([
    ['.stray', 'foreign-object'],
    ['.inner.AbC123', 'foreign-object'],
    ['gocryptfs.conf', 'conf-misplaced'],
    ['gocryptfs.diriv.rmdir.17', 'foreign-object'],
    ['A'.repeat(22), 'name-invalid'],
  ])('%s in a folder: %s', async (name, code) => {
    const { paths, found } = await decrypted(
      put('dir', name, { ...FILE, content: Buffer.alloc(3) }),
    );
    expect(found).toEqual([`${code} dir/? file`]);
    expect(paths).toEqual(ALL);
  });

  test('moved from another folder', async () => {
    const { found } = await decrypted((objects) =>
      put('dir', nameOf(objects, 'file'), { ...FILE, content: Buffer.alloc(0) })(objects),
    );
    expect(found).toEqual(['name-invalid dir/? file']);
  });

  test("the push's own folder for unfinished files is reported as such", async () => {
    const { paths, problems } = await decrypted(
      put('.', TEMPORARY_DIRECTORY, { mode: S_IFDIR | 0o700 }),
    );
    expect(paths).toEqual(ALL);
    expect(problems.map(({ code }) => code)).toEqual(['temporary-directory']);
  });

  test('a diriv where names are deterministic', async () => {
    const flags = flagsOfLayout({ layout: 'gcm', deterministicNames: true });
    const change = put('dir', 'gocryptfs.diriv', { ...FILE, content: Buffer.alloc(16, 1) });
    const { paths, found } = await decrypted(change, flags);
    expect(found).toEqual(['diriv-unexpected dir/? file']);
    expect(paths).toEqual(ALL);
  });

  test('where names are not encrypted, only the conf in the root is special', async () => {
    const flags = flagsOfLayout({ layout: 'gcm', plaintextNames: true });
    const change = put('dir', 'gocryptfs.conf', { ...FILE, content: Buffer.alloc(0) });
    const { view, paths, found } = await decrypted(change, flags);
    expect(found).toEqual([]);
    expect(paths).toEqual([...ALL, 'dir/gocryptfs.conf'].sort());
    expect(await view.find(Buffer.from('gocryptfs.conf'))).toBeUndefined();
    expect(await view.find(Buffer.from('dir/gocryptfs.conf'))).toBeDefined();
  });
});

test.each([
  ['link', { target: Buffer.from('file') }, 'target-invalid link symlink'],
  ['link', { target: Buffer.alloc(48, 'A') }, 'target-invalid link symlink'],
  ['file', { content: Buffer.alloc(17, 1) }, 'cipher-size-illegal file file'],
])('%s with %o is reported and left out', async (name, facts, expected) => {
  const { view, paths, found } = await decrypted(edit(name, facts));
  expect(found).toEqual([expected]);
  expect(paths).toEqual(without(name));
  const code = expected.split(' ')[0];
  await expect(view.find(Buffer.from(name))).rejects.toMatchObject({ code });
});
