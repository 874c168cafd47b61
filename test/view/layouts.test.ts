// The view of every layout, without a disk: which virtual files there are, what they look like,
// which names are taken, and what comes from where.
import { describe, expect, test } from 'vitest';
import type { EcsyncError } from '../../src/errors.ts';
import { parseConf, serialiseConf } from '../../src/gocryptfs/conf/config.ts';
import { flagsOfLayout, type LayoutChoice } from '../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout, type Derivation } from '../../src/gocryptfs/layout.ts';
import type { CipherEntry } from '../../src/view/encrypt/cipher-entry.ts';
import { EncryptedView, type EncryptedViewOptions } from '../../src/view/encrypt/encrypted-view.ts';
import { InheritedIndex } from '../../src/view/inherited.ts';
import { allEntries, readAll } from '../support/materialise.ts';
import { MemoryTree, type MemoryEntry } from '../support/memory-tree.ts';

const masterkey = Buffer.alloc(32, 0x55);
const LONG = 'long'.repeat(50);

function confOf(choice: LayoutChoice): Buffer {
  return serialiseConf({
    creator: 'test',
    encryptedKey: Buffer.alloc(64, 1),
    scrypt: { salt: Buffer.alloc(32, 2), logN: 10, r: 8, p: 1 },
    flags: new Set(flagsOfLayout(choice)),
    longNameMax: choice.longNameMax ?? 255,
  });
}

function derivationOf({ layout }: LayoutChoice): Derivation {
  return layout === 'reverse' ? 'reverse' : 'keyed';
}

function viewOf(
  tree: MemoryTree,
  choice: LayoutChoice,
  options: Partial<EncryptedViewOptions> = {},
) {
  const problems: EcsyncError[] = [];
  const view = new EncryptedView(tree, {
    conf: { bytes: confOf(choice), mtimeSec: 1234 },
    masterkey,
    derivation: derivationOf(choice),
    onProblem: (_, error) => problems.push(error),
    ...options,
  });
  return { view, problems };
}

function opened(choice: LayoutChoice) {
  return openLayout(parseConf(confOf(choice)), masterkey, derivationOf(choice));
}

const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('latin1');
const pathsOf = (entries: readonly CipherEntry[]) => entries.map(({ path }) => text(path));

function at(entries: readonly CipherEntry<MemoryEntry>[], plainPath: string) {
  const found = entries.find(({ plain }) => plain !== undefined && text(plain.path) === plainPath);
  return found ?? expect.unreachable(`${plainPath} is not in the view`);
}
function virtualIn(entries: readonly CipherEntry[], kind: string, inside = '') {
  const found = entries.find(
    ({ virtual, path }) => virtual === kind && text(path).startsWith(inside),
  );
  return found ?? expect.unreachable(`no ${kind} file`);
}

function sampleTree(): MemoryTree {
  const tree = new MemoryTree();
  tree.addDirectory('dir');
  tree.addFile('dir/file', Buffer.from('content'));
  tree.addSymlink('dir/link', Buffer.from('dir/file'));
  tree.addDirectory(`dir/${LONG}`);
  tree.addFile(`dir/${LONG}/inside`, Buffer.alloc(5000, 1));
  return tree;
}

const CHOICES = (['gcm', 'reverse', 'xchacha'] as const).flatMap((layout): LayoutChoice[] => [
  { layout },
  { layout, plaintextNames: true },
  { layout, deterministicNames: true },
  { layout, longNameMax: 100 },
]);
const named = CHOICES.map((choice) => ({ choice, name: JSON.stringify(choice) }));

describe.each(named)('the view of $name', ({ choice }) => {
  test('translates every path both ways', async () => {
    const { view, problems } = viewOf(sampleTree(), choice);
    const entries = await allEntries(view);
    expect(problems).toEqual([]);
    for (const { plain, path, virtual } of entries) {
      const translated = view.plainPath(path);
      expect(translated?.virtual).toBe(virtual);
      if (plain === undefined) continue;
      expect(text(translated?.path)).toBe(text(plain.path));
      expect(text(view.cipherPath(plain.path))).toBe(text(path));
    }
    // Another view has listed nothing yet.
    const fresh = viewOf(sampleTree(), choice).view;
    for (const { plain, path } of entries) {
      if (plain !== undefined) expect(text(fresh.cipherPath(plain.path))).toBe(text(path));
    }
    const file = at(entries, 'dir/file').path;
    expect(text(fresh.plainPath(file)?.path)).toBe('dir/file');
  });

  test('has the virtual files of its name scheme, and content that decrypts', async () => {
    const { view } = viewOf(sampleTree(), choice);
    const entries = await allEntries(view);
    const kinds = entries.flatMap(({ virtual }) => virtual ?? []).sort();
    const names = choice.plaintextNames === true ? [] : ['name'];
    const dirIVs = names.length > 0 && choice.deterministicNames !== true ? 3 : 0;
    expect(kinds).toEqual(['conf', ...Array<string>(dirIVs).fill('diriv'), ...names]);

    const { content } = opened(choice);
    const file = await readAll(view, at(entries, 'dir/file'));
    expect(content.decryptBlock(0, file.subarray(2, 18), file.subarray(18)).toString()).toBe(
      'content',
    );
    const { target } = at(entries, 'dir/link');
    expect(text(content.decryptTarget(target ?? Buffer.alloc(0)))).toBe('dir/file');
    expect(at(entries, `dir/${LONG}/inside`).size).toBe(18 + 5000 + 2 * content.overhead);
    expect(view.cipherBlockLength).toBe(choice.layout === 'xchacha' ? 4136 : 4128);
  });
});

describe('layout reverse', () => {
  const choice: LayoutChoice = { layout: 'reverse' };

  test('gives the values of the table in FORMAT.md', async () => {
    const tree = new MemoryTree();
    tree.addFile('a', Buffer.from('x'));
    tree.addSymlink('link', Buffer.from('hello.txt'));
    const key = 'b32629b596a5c31a3f73c23975a76a54fb69819ae433331d6b64190d59ae9c01';
    const { view } = viewOf(tree, choice, { masterkey: Buffer.from(key, 'hex') });
    const entries = await allEntries(view);
    expect(Buffer.from(virtualIn(entries, 'diriv').bytes ?? []).toString('hex')).toBe(
      'a8f7bac432ddc1cb3dc74e684d6ae48b',
    );
    const file = at(entries, 'a');
    expect(text(file.path)).toBe('HyjZIFM_MN9k9VKzHVl8og');
    expect((await readAll(view, file)).toString('hex')).toMatch(
      /^0002913cd01b91c2bede6db59f57eb918565a5a8c5ecac5f46687b3f405063f3e74d/,
    );
    const link = at(entries, 'link');
    expect(text(link.path)).toBe('6tZxMDvcE3EuMATcZ_XGuw');
    expect(text(link.target)).toBe('REkeu3ncch10Sddpc1nkbIXGIxbD0eKNLaVewNxBsxj6z7RV7vjPqq0');
    const linkID = Buffer.from(text(link.target), 'base64url').toString('hex', 0, 16);
    expect(linkID).toBe('44491ebb79dc721d7449d7697359e46c');
  });

  test('leaves out .gocryptfs.reverse.conf of the root without reporting it', async () => {
    const tree = sampleTree();
    tree.addFile('.gocryptfs.reverse.conf', confOf(choice));
    tree.addFile('dir/.gocryptfs.reverse.conf', Buffer.from('ordinary'));
    const { view, problems } = viewOf(tree, choice);
    const shown = (await allEntries(view)).map(({ plain }) => text(plain?.path));
    expect(shown).not.toContain('.gocryptfs.reverse.conf');
    expect(shown).toContain('dir/.gocryptfs.reverse.conf');
    expect(problems).toEqual([]);
  });

  test('treats that name as an ordinary one in other layouts', async () => {
    const tree = new MemoryTree();
    tree.addFile('.gocryptfs.reverse.conf', Buffer.from('ordinary'));
    const entries = await allEntries(viewOf(tree, { layout: 'gcm' }).view);
    expect(at(entries, '.gocryptfs.reverse.conf').virtual).toBeUndefined();
  });

  test('ignores births: every moved file is encrypted again', async () => {
    const birthOf = () => ({ path: Buffer.from('elsewhere'), counter: 3 });
    const entries = await allEntries(viewOf(sampleTree(), choice).view);
    const moved = await allEntries(viewOf(sampleTree(), choice, { birthOf }).view);
    expect(moved).toEqual(entries);
  });

  test('gives a hard-linked group the identity of its name with the smallest path', async () => {
    const tree = new MemoryTree();
    for (const name of ['b', 'a', 'c']) tree.addFile(name, Buffer.from('same')).linkGroup = 7;
    const { view } = viewOf(tree, choice);
    const entries = await allEntries(view);
    view.groupHardLinks(entries);
    const { fileID } = opened(choice).identities.file({ path: at(entries, 'a').path, counter: 0 });
    for (const name of ['a', 'b', 'c']) {
      const file = await readAll(view, at(entries, name));
      expect(file.subarray(2, 18)).toEqual(fileID);
    }
  });
});

describe('attributes of virtual files', () => {
  const tree = sampleTree();
  tree.add(`dir/${LONG}-file`, { mtimeSec: 100, mtimeNsec: 5, uid: 70, gid: 80 });

  test.each([0, 10] as const)('follow the real ones, %d seconds later', async (shiftSec) => {
    const { view } = viewOf(tree, { layout: 'reverse' }, { virtualTimes: { shiftSec } });
    const entries = await allEntries(view);
    const file = at(entries, `dir/${LONG}-file`);
    expect(virtualIn(entries, 'name', text(file.path))).toMatchObject({
      ...{ mode: 0o100444, uid: 70, gid: 80 },
      ...{ mtimeSec: 100 + shiftSec, mtimeNsec: 5 },
    });
    expect(virtualIn(entries, 'diriv')).toMatchObject({
      ...{ mode: 0o100444, uid: 7, gid: 8 },
      ...{ mtimeSec: 5 + shiftSec, mtimeNsec: 6 },
    });
    expect(virtualIn(entries, 'conf')).toMatchObject({ mtimeSec: 1234, mtimeNsec: 0 });
  });

  test('are constant in other layouts, owned like the folder', async () => {
    const entries = await allEntries(viewOf(tree, { layout: 'gcm' }).view);
    const file = at(entries, `dir/${LONG}-file`);
    for (const entry of [virtualIn(entries, 'name', text(file.path)), virtualIn(entries, 'diriv')])
      expect(entry).toMatchObject({ mtimeSec: 1_000_000_000, mtimeNsec: 0, uid: 7, gid: 8 });
  });

  test('of the conf are the given ones', async () => {
    const bytes = confOf({ layout: 'gcm' });
    const conf = { bytes, mtimeSec: 1, mtimeNsec: 2, mode: 0o100640, uid: 3, gid: 4 };
    const entries = await allEntries(viewOf(tree, { layout: 'gcm' }, { conf }).view);
    const { mtimeSec, mtimeNsec, mode, uid, gid } = conf;
    expect(virtualIn(entries, 'conf')).toMatchObject({ mtimeSec, mtimeNsec, mode, uid, gid });
  });
});

describe('deterministic names', () => {
  test('are equal for equal names everywhere, and a gocryptfs.diriv is a foreign file', async () => {
    const tree = new MemoryTree();
    tree.addDirectory('d');
    tree.addDirectory('d/d');
    const { view } = viewOf(tree, { layout: 'gcm', deterministicNames: true });
    const entries = await allEntries(view);
    const name = text(at(entries, 'd').path);
    expect(text(at(entries, 'd/d').path)).toBe(`${name}/${name}`);
    expect(view.plainPath(Buffer.from('gocryptfs.diriv'))).toBeUndefined();
    expect(view.names).toMatchObject({ isPlain: false, hasDirIVs: false });
  });
});

describe('plaintext names', () => {
  const choice: LayoutChoice = { layout: 'gcm', plaintextNames: true };
  const TEMPORARY = 'gocryptfs.longname.ecsync-tmp.name';

  test('are stored unchanged, and so are targets', async () => {
    const { view } = viewOf(sampleTree(), choice);
    const entries = await allEntries(view);
    expect(pathsOf(entries).sort()).toEqual(
      [
        '.',
        'dir',
        'dir/file',
        'dir/link',
        `dir/${LONG}`,
        `dir/${LONG}/inside`,
        'gocryptfs.conf',
      ].sort(),
    );
    expect(text(at(entries, 'dir/link').target)).toBe('dir/file');
  });

  test('reserve two names in the root for the copy, and report that', async () => {
    const tree = new MemoryTree();
    tree.addFile('gocryptfs.conf', Buffer.from('mine'));
    tree.addDirectory(TEMPORARY);
    tree.addFile('gocryptfs.diriv', Buffer.from('mine'));
    tree.addDirectory('sub');
    for (const name of ['gocryptfs.conf', 'gocryptfs.diriv', TEMPORARY]) {
      tree.addFile(`sub/${name}`, Buffer.from('mine'));
    }
    const { view, problems } = viewOf(tree, choice);
    const entries = await allEntries(view);
    expect(problems.map(({ code, message }) => `${code} ${message.split(':')[0]}`)).toEqual([
      'name-reserved gocryptfs.conf',
      `name-reserved ${TEMPORARY}`,
    ]);
    for (const { hint } of problems) expect(hint).toContain('--exclude=/gocryptfs.');
    expect(
      pathsOf(entries)
        .filter((path) => path.includes('gocryptfs'))
        .sort(),
    ).toEqual([
      'gocryptfs.conf',
      'gocryptfs.diriv',
      'sub/gocryptfs.conf',
      'sub/gocryptfs.diriv',
      `sub/${TEMPORARY}`,
    ]);
    expect(await readAll(view, virtualIn(entries, 'conf'))).toEqual(confOf(choice));
  });

  test('translate to themselves, except the conf of the root', () => {
    const { view } = viewOf(new MemoryTree(), choice);
    const plain = (path: string) => view.plainPath(Buffer.from(path));
    expect(plain('gocryptfs.conf')).toMatchObject({ virtual: 'conf' });
    for (const path of ['gocryptfs.diriv', 'a/gocryptfs.conf', 'gocryptfs.longname.x.name']) {
      expect(plain(path)?.virtual).toBeUndefined();
      expect(text(plain(path)?.path)).toBe(path);
    }
    expect(plain('a//b')).toBeUndefined();
  });

  test('may make paths of up to 4095 bytes', async () => {
    const tree = new MemoryTree();
    let folder = 'f'.repeat(255);
    tree.addDirectory(folder);
    while (folder.length + 256 <= 4095) tree.addDirectory((folder += `/${'f'.repeat(255)}`));
    const { view, problems } = viewOf(tree, choice);
    expect(at(await allEntries(view), folder).path).toHaveLength(4095);
    expect(problems).toEqual([]);
  });
});

describe('an adopted property', () => {
  const choice: LayoutChoice = { layout: 'gcm' };
  const foreign = openLayout(
    { flags: new Set(flagsOfLayout(choice)), longNameMax: 255 },
    masterkey,
  );
  const dirIV = Buffer.alloc(16, 0xaa);
  const storedTarget = foreign.content.encryptTarget(Buffer.alloc(16, 9), Buffer.from('dir/file'));

  function inheritedIndex(): InheritedIndex {
    const inherited = new InheritedIndex();
    inherited.setDirIV(Buffer.from('dir'), dirIV);
    inherited.setTarget(Buffer.from('dir/link'), storedTarget);
    const attributes = { mode: 0o440, mtimeSec: 11, mtimeNsec: 12 };
    inherited.setVirtualAttributes('diriv', Buffer.from('dir'), attributes);
    inherited.setVirtualAttributes('name', Buffer.from(`dir/${LONG}`), attributes);
    return inherited;
  }

  test('is kept: IVs, targets, attributes of virtual files', async () => {
    const { view } = viewOf(sampleTree(), choice, { inherited: inheritedIndex() });
    const entries = await allEntries(view);
    const directory = text(at(entries, 'dir').path);
    const diriv = virtualIn(entries, 'diriv', `${directory}/gocryptfs`);
    expect(await readAll(view, diriv)).toEqual(dirIV);
    expect(diriv).toMatchObject({ mode: 0o100440, mtimeSec: 11, mtimeNsec: 12 });
    expect(virtualIn(entries, 'name', directory)).toMatchObject({ mode: 0o100440, mtimeSec: 11 });
    const name = foreign.names.encryptName(Buffer.from('file'), dirIV).name;
    expect(text(at(entries, 'dir/file').path)).toBe(`${directory}/${text(name)}`);
    expect(text(view.cipherPath(Buffer.from('dir/file')))).toBe(`${directory}/${text(name)}`);
    expect(text(view.plainPath(at(entries, 'dir/file').path)?.path)).toBe('dir/file');
    expect(text(at(entries, 'dir/link').target)).toBe(text(storedTarget));
  });

  test('is derived where nothing is inherited', async () => {
    const { view } = viewOf(sampleTree(), choice, { inherited: inheritedIndex() });
    const derived = await allEntries(viewOf(sampleTree(), choice).view);
    expect(virtualIn(await allEntries(view), 'diriv', 'gocryptfs')).toEqual(
      virtualIn(derived, 'diriv', 'gocryptfs'),
    );
  });

  test('is not used for a link that points elsewhere by now, or when it is damaged', async () => {
    const damaged = Buffer.from(storedTarget);
    damaged[20] = (damaged[20] ?? 0) ^ 1;
    for (const [now, stored] of [
      ['dir/other', storedTarget],
      ['dir/file', damaged],
      ['dir/file', Buffer.from('!')],
    ] as const) {
      const tree = new MemoryTree();
      tree.addSymlink('link', Buffer.from(now));
      const inherited = new InheritedIndex();
      inherited.setTarget(Buffer.from('link'), stored);
      const [adopted, derived] = await Promise.all(
        [{ inherited }, {}].map(async (options) => allEntries(viewOf(tree, choice, options).view)),
      );
      expect(adopted).toEqual(derived);
    }
  });
});
