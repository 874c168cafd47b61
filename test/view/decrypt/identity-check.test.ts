// Identities of the folders, links and files of a copy: misplaced objects are found, and renamed,
// linked or adopted ones cause no false alarm.
import { describe, expect, test } from 'vitest';
import { flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout, type Layout } from '../../../src/gocryptfs/layout.ts';
import { S_IFLNK, S_IFREG } from '../../../src/tree/entry.ts';
import {
  IdentityCheck,
  type KnownIdentities,
  type Misplaced,
} from '../../../src/view/decrypt/identity-check.ts';
import { InheritedIndex } from '../../../src/view/inherited.ts';
import { ROOT_PATH } from '../../../src/bytes/paths.ts';
import type { PlainEntry } from '../../../src/view/plain-entry.ts';

const KEY = Buffer.alloc(32, 7);
const open = (name: 'gcm' | 'xchacha' | 'reverse'): Layout =>
  openLayout(
    { flags: new Set(flagsOfLayout({ layout: name })), longNameMax: 255 },
    KEY,
    name === 'reverse' ? 'reverse' : 'keyed',
  );
const bytes = (text: string): Buffer => Buffer.from(text);
/** Cipher paths only have to differ from plaintext ones here. */
const place = (path: string) => ({
  plainPath: path === '.' ? ROOT_PATH : bytes(path),
  cipherPath: path === '.' ? ROOT_PATH : bytes(`cipher/${path}`),
});

interface StoredFile {
  readonly path: string;
  /** Where it was born; default where it is. */
  readonly born?: string;
  readonly counter?: number;
  readonly size?: number;
  readonly linkGroup?: number;
}

const isReverse = ({ identities }: Layout): boolean => identities.derivedFrom === 'cipher path';

function idOf(layout: Layout, { path, born = path, counter = 0 }: StoredFile): Uint8Array {
  const { plainPath, cipherPath } = place(born);
  const from = isReverse(layout) ? cipherPath : plainPath;
  return layout.identities.file({ path: from, counter }).fileID;
}

function rootIV(layout: Layout): Buffer {
  return layout.identities.dirIV({ path: new Uint8Array(0), counter: 0 });
}

function dirIV(layout: Layout, path: string): Buffer {
  const { plainPath, cipherPath } = place(path);
  return layout.identities.dirIV({
    path: isReverse(layout) ? cipherPath : plainPath,
    counter: 0,
  });
}

function entry({ path, size = 100, linkGroup }: StoredFile): PlainEntry {
  const { plainPath, cipherPath } = place(path);
  const common = { mode: S_IFREG | 0o600, size, mtimeSec: 0, mtimeNsec: 0, uid: 0, gid: 0 };
  const cipher = { ...common, path: cipherPath, ...(linkGroup !== undefined && { linkGroup }) };
  return { ...common, path: plainPath, cipher };
}

function link(layout: Layout, path: string, written: { for: string; target: string }): PlainEntry {
  const { plainPath, cipherPath } = place(path);
  const owner = place(written.for);
  const target = bytes(written.target);
  const linkID = layout.identities.linkID({
    path: isReverse(layout) ? owner.cipherPath : owner.plainPath,
    counter: 0,
  });
  const stored = layout.content.encryptTarget(linkID, target);
  const common = { mode: S_IFLNK | 0o777, mtimeSec: 0, mtimeNsec: 0, uid: 0, gid: 0 };
  const cipher = { ...common, path: cipherPath, size: stored.length, target: stored };
  return { ...common, path: plainPath, size: target.length, target, cipher };
}

const shown = ({ severity, error, entry: { path } }: Misplaced): string =>
  `${severity} ${error.code} ${Buffer.from(path).toString()}`;

async function judge(
  layout: Layout,
  files: readonly StoredFile[],
  known?: KnownIdentities,
): Promise<{ found: string[]; messages: string[] }> {
  const isExactAt = (): boolean => known !== undefined;
  const check = new IdentityCheck(layout, { known, isExactAt, keepsMisplaced: true });
  check.directory(place('.'), rootIV(layout));
  for (const file of files) {
    check.file({ ...place(file.path), size: file.size ?? 100 }, idOf(layout, file));
  }
  const listing = async function* () {
    yield await Promise.resolve(files.map(entry));
  };
  const judged = await check.judgeFiles(listing);
  return { found: judged.map(shown), messages: judged.map(({ error }) => error.message) };
}

const born = (records: Readonly<Record<string, string>>): KnownIdentities => ({
  birthOf: (path) => {
    const at = records[Buffer.from(path).toString()];
    return at === undefined ? undefined : { path: bytes(at), counter: 0 };
  },
});

describe.each(['gcm', 'xchacha', 'reverse'] as const)('layout %s', (name) => {
  const layout = open(name);

  test('exchanged files are found, each with the owner of its identity', async () => {
    const { found, messages } = await judge(layout, [
      { path: 'a/x', born: 'b/y' },
      { path: 'b/y', born: 'a/x' },
      { path: 'c' },
    ]);
    expect(found).toEqual(['damage file-exchanged a/x', 'damage file-exchanged b/y']);
    expect(messages[0]).toContain('b/y');
  });

  test('so is a ring of three', async () => {
    const ring = [
      { path: 'a', born: 'b' },
      { path: 'b', born: 'c' },
      { path: 'c', born: 'a' },
      { path: 'd', born: 'a', size: 7 },
    ];
    const { found } = await judge(layout, ring);
    expect(found.filter((one) => one.includes('exchanged'))).toHaveLength(3);
    expect(found).toContain('moved file-moved d');
  });

  test('a file in place of another that still exists', async () => {
    const { found } = await judge(layout, [{ path: 'a' }, { path: 'b', born: 'a' }]);
    expect(found).toEqual(['moved file-copied b']);
  });

  test('one deleted file in place of two', async () => {
    const twice = [
      { path: 'a', born: 'gone' },
      { path: 'b', born: 'gone' },
    ];
    expect((await judge(layout, twice)).found).toEqual([
      'moved file-copied a',
      'moved file-copied b',
    ]);
  });

  test('hard links share the identity of one of their names', async () => {
    const names = [
      { path: 'a', linkGroup: 1 },
      { path: 'b', born: 'a', linkGroup: 1 },
      { path: 'c', born: 'a', linkGroup: 1 },
    ];
    expect((await judge(layout, names)).found).toEqual([]);
  });

  test('a folder with the IV of another one is found, and nothing below it is reported again', () => {
    const check = new IdentityCheck(layout);
    expect(check.directory(place('.'), rootIV(layout))).toBe('fits');
    expect(check.directory(place('a'), dirIV(layout, 'a'))).toBe('fits');
    expect(check.directory(place('b'), dirIV(layout, 'a'))).toBe('misplaced');
    expect(check.directory(place('b/c'), dirIV(layout, 'a/c'))).toBe('fits');
    expect(check.isOurs).toBe(true);
  });

  test('a link with the target of another one is found', async () => {
    const check = new IdentityCheck(layout);
    check.directory(place('.'), rootIV(layout));
    check.link(link(layout, 'a', { for: 'a', target: 'x' }));
    check.link(link(layout, 'b', { for: 'a', target: 'x' }));
    const judged = await check.judgeLinks();
    expect(judged.map(shown)).toEqual(['damage target-misplaced b']);
  });

  test('with a vault that knows all identities, any other identity is damage', async () => {
    const known = born({});
    const { found } = await judge(layout, [{ path: 'a', born: 'gone' }], known);
    expect(found).toEqual(['damage file-moved a']);
    const check = new IdentityCheck(layout, { known, isExactAt: () => true });
    const file = { ...place('a'), size: 100 };
    const verdict = check.file(file, idOf(layout, { path: 'a', born: 'gone' }));
    expect(verdict.refusal?.code).toBe('file-moved');
    expect(check.file(file, idOf(layout, { path: 'a' })).own).toBeDefined();
  });

  test('in a copy that gocryptfs made, only two folders with one IV are reported', async () => {
    const check = new IdentityCheck(layout);
    const iv = (salt: number): Buffer => Buffer.alloc(16, salt);
    expect(check.directory(place('.'), iv(1))).toBe('fits');
    expect(check.directory(place('a'), iv(2))).toBe('fits');
    expect(check.directory(place('a'), iv(2))).toBe('fits');
    expect(check.directory(place('b'), iv(2))).toBe('repeated');
    check.file({ ...place('f'), size: 1 }, iv(9));
    check.link(link(layout, 'b', { for: 'a', target: 'x' }));
    expect(check.isOurs).toBe(false);
    expect(await check.judgeLinks()).toEqual([]);
    expect(
      await check.judgeFiles(async function* () {
        yield await Promise.resolve([]);
      }),
    ).toEqual([]);
  });
});

describe('files that were renamed', () => {
  const layout = open('gcm');

  test('are reported, but not as damage', async () => {
    const rotated = [
      { path: 'log' },
      { path: 'log.1', born: 'log', counter: 1 },
      { path: 'log.2', born: 'log', counter: 2, size: 30 },
      { path: 'new', born: 'old' },
    ];
    // The current log took another birth, so that no birth exists twice.
    const { found } = await judge(layout, [
      { ...rotated[0], path: 'log', counter: 3 },
      ...rotated.slice(1),
    ]);
    expect(found).toEqual([
      'moved file-moved log.1',
      'moved file-moved log.2',
      'moved file-moved new',
    ]);
  });

  test('are in place for the vault that remembers them', async () => {
    const known = born({ new: 'old', 'log.1': 'log' });
    const files = [
      { path: 'new', born: 'old' },
      { path: 'log.1', born: 'log' },
      { path: 'log', counter: 1 },
    ];
    expect((await judge(layout, files, known)).found).toEqual([]);
  });
});

test('an adopted copy keeps its IVs and targets, and has no others', async () => {
  const layout = open('gcm');
  const inherited = new InheritedIndex();
  inherited.setDirIV(ROOT_PATH, Buffer.alloc(16, 1));
  inherited.setDirIV(bytes('old'), Buffer.alloc(16, 2));
  const foreign = link(layout, 'link', { for: 'elsewhere', target: 'x' });
  inherited.setTarget(bytes('link'), foreign.cipher.target ?? expect.unreachable());
  const known = { birthOf: () => undefined, inherited };
  const check = new IdentityCheck(layout, { known });
  expect(check.directory(place('.'), Buffer.alloc(16, 1))).toBe('fits');
  expect(check.directory(place('old'), Buffer.alloc(16, 2))).toBe('fits');
  expect(check.directory(place('new'), dirIV(layout, 'new'))).toBe('fits');
  expect(check.directory(place('newer'), Buffer.alloc(16, 2))).toBe('misplaced');
  check.link(foreign);
  check.link(link(layout, 'other', { for: 'elsewhere', target: 'x' }));
  expect((await check.judgeLinks()).map(shown)).toEqual(['damage target-misplaced other']);
});
