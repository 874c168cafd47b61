// A folder whose gocryptfs.diriv is lost, empty or damaged can be read with its expected IV, if
// that is known and the names in the folder are encrypted under it.
import { describe, expect, test } from 'vitest';
import { flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import { DecryptedView } from '../../../src/view/decrypt/decrypted-view.ts';
import type { CopyProblem } from '../../../src/view/decrypt/decrypted-view-problem.ts';
import { IdentityCheck, type KnownIdentities } from '../../../src/view/decrypt/identity-check.ts';
import { InheritedIndex } from '../../../src/view/inherited.ts';
import { ROOT_PATH } from '../../../src/bytes/paths.ts';
import { allEntries } from '../../support/materialise.ts';
import { MemoryTree } from '../../support/memory-tree.ts';
import {
  COPY_MASTERKEY,
  copyTree,
  storedObjects,
  type StoredObject,
} from '../../support/stored-copy.ts';

const LONG = 'l'.repeat(200);
const PATHS = ['.', 'dir', 'dir/inner', 'dir/sub', 'empty', 'long', `long/${LONG}`, 'other'];
const FILES = ['other/a', 'other/b', 'other/c'];
const ALL = [...PATHS, ...FILES].sort();

function plainTree(): MemoryTree {
  const tree = new MemoryTree();
  for (const folder of ['dir', 'dir/sub', 'empty', 'long', 'other']) tree.addDirectory(folder);
  for (const file of ['dir/inner', `long/${LONG}`, ...FILES]) tree.addFile(file, Buffer.from(file));
  return tree;
}

type Change = (objects: StoredObject[]) => StoredObject[];

/** Replaces the content of a folder's diriv, or removes it. */
const dirIVOf =
  (folder: string, content?: Buffer): Change =>
  (objects) =>
    objects.flatMap((object) => {
      if (object.name !== `${folder} diriv`) return [object];
      return content === undefined ? [] : [{ ...object, facts: { ...object.facts, content } }];
    });

interface Copy {
  readonly layout?: 'gcm' | 'reverse';
  readonly known?: KnownIdentities;
  readonly inherited?: InheritedIndex;
  readonly keepsMisplaced?: boolean;
}

async function read(change: Change, copy: Copy = {}) {
  const { layout: name = 'gcm', known, inherited, keepsMisplaced = false } = copy;
  const flags = flagsOfLayout({ layout: name });
  const derivation = name === 'reverse' ? 'reverse' : 'keyed';
  const stored = await storedObjects(plainTree(), flags, {
    derivation,
    ...(inherited && { inherited }),
  });
  const layout = openLayout(
    { flags: new Set(flags), longNameMax: 255 },
    COPY_MASTERKEY,
    derivation,
  );
  const identities = new IdentityCheck(layout, { known, keepsMisplaced });
  const problems: CopyProblem[] = [];
  const view = new DecryptedView(copyTree(change(stored)), layout, {
    identities,
    expectedDirIV: (place) => identities.expectedDirIV(place),
    onProblem: (problem) => problems.push(problem),
  });
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  const find = async (path: string): Promise<string | undefined> => {
    const found = await view.find(path === '.' ? ROOT_PATH : Buffer.from(path));
    return found && text(found.path);
  };
  return {
    find,
    identities,
    paths: async () => (await allEntries(view)).map(({ path }) => text(path)).sort(),
    found: () => problems.map(({ code, plainPath }) => `${code} ${text(plainPath ?? ROOT_PATH)}`),
    messages: () => problems.map(({ error }) => error.message),
  };
}

const DAMAGE: readonly (readonly [string, Buffer | undefined])[] = [
  ['missing', undefined],
  ['empty', Buffer.alloc(0)],
  ['cut', Buffer.alloc(15, 1)],
  ['too long', Buffer.alloc(17, 1)],
  ['zero', Buffer.alloc(16)],
  ['another one', Buffer.alloc(16, 0x5a)],
];

describe.each(['gcm', 'reverse'] as const)('layout %s: a diriv that is', (layout) => {
  test.each(DAMAGE)('%s is not needed', async (_, content) => {
    for (const folder of ['.', 'dir', 'long', 'empty']) {
      const { paths, found, find, messages } = await read(dirIVOf(folder, content), { layout });
      expect(await paths()).toEqual(ALL);
      // Reported once, however often the folder is visited.
      expect(await find('dir/inner')).toBe('dir/inner');
      expect(await find(`long/${LONG}`)).toBe(`long/${LONG}`);
      expect(found()).toEqual([`diriv-lost ${folder}`]);
      expect(messages()[0]).toContain(`${folder}: the gocryptfs.diriv`);
    }
  });
});

test('a single path is found without a listing first', async () => {
  const { find, found } = await read((objects) =>
    dirIVOf('.')(dirIVOf('dir', Buffer.alloc(16, 3))(objects)),
  );
  expect(await find('dir/inner')).toBe('dir/inner');
  expect(await find('dir/nothing')).toBeUndefined();
  expect(found()).toEqual(['diriv-lost .', 'diriv-lost dir']);
});

test('all dirivs may be lost', async () => {
  const all = (objects: StoredObject[]): StoredObject[] =>
    objects.filter(({ name }) => !name.endsWith(' diriv'));
  const { paths, found } = await read(all);
  expect(await paths()).toEqual(ALL);
  expect(found()).toHaveLength(6);
});

/** Puts the content of one folder in place of another's, with its diriv or without. */
const exchanged =
  ({ withDirIV }: { readonly withDirIV: boolean }): Change =>
  (objects) => {
    const at = (name: string): string =>
      objects.find((object) => object.name === name)?.path.toString('latin1') ?? '';
    const [other, dir] = [at('other'), at('dir')];
    return objects
      .filter(({ path }) => !path.toString('latin1').startsWith(`${dir}/`))
      .filter(({ name }) => withDirIV || name !== 'other diriv')
      .map((object) => {
        const path = object.path.toString('latin1');
        if (!path.startsWith(`${other}/`)) return object;
        return { ...object, path: Buffer.from(dir + path.slice(other.length), 'latin1') };
      });
  };

test.each([
  [{ withDirIV: true }, 'diriv-misplaced dir'],
  [{ withDirIV: false }, 'diriv-missing dir'],
])('a folder in the place of another one is none that is read on: %o', async (how, expected) => {
  const { paths, found } = await read(exchanged(how));
  // `other` no longer has a diriv or any content.
  expect(found()).toEqual([]);
  expect(await paths()).not.toContain('dir/a');
  expect(found().sort()).toEqual([expected, 'diriv-lost other'].sort());
});

test('moved content is read under its own IV, when misplaced objects are kept', async () => {
  const { paths, found } = await read(exchanged({ withDirIV: true }), { keepsMisplaced: true });
  expect(await paths()).toContain('dir/a');
  expect(found()).toContain('diriv-misplaced dir');
});

describe('in a copy that gocryptfs made', () => {
  const inherited = new InheritedIndex();
  for (const [i, folder] of ['.', 'dir', 'long', 'other'].entries()) {
    inherited.setDirIV(Buffer.from(folder), Buffer.alloc(16, 0x11 * (i + 1)));
  }

  test('a lost IV is unknown', async () => {
    const { paths, found } = await read(dirIVOf('dir'), { inherited });
    expect(await paths()).toEqual(ALL.filter((path) => !path.startsWith('dir/')));
    expect(found()).toEqual(['diriv-missing dir']);
  });

  test('and so is that of the root', async () => {
    const { paths, found, identities } = await read(dirIVOf('.'), { inherited });
    expect(await paths()).toEqual(['.']);
    expect(found()).toEqual(['diriv-missing .']);
    expect(identities.isOurs).toBeUndefined();
  });

  test('the vault that adopted it knows its IVs, and derives those of folders it has made', async () => {
    const known = { inherited, birthOf: () => undefined };
    const change: Change = (objects) =>
      ['.', 'dir', 'dir/sub'].reduce((now, folder) => dirIVOf(folder)(now), objects);
    const { paths, found } = await read(change, { inherited, known });
    expect(await paths()).toEqual(ALL);
    expect(found()).toEqual(['diriv-lost .', 'diriv-lost dir', 'diriv-lost dir/sub']);
  });
});
