// The decrypted view of an encrypted tree equals the original tree, for every kind of filesystem,
// and damaged objects of a copy are left out and reported.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { serialiseConf } from '../../../src/gocryptfs/conf/config.ts';
import { flagsOfLayout, type FeatureFlag } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import { isRegularFile, type Entry, type Tree } from '../../../src/tree/entry.ts';
import { DecryptedView } from '../../../src/view/decrypt/decrypted-view.ts';
import { EncryptedView } from '../../../src/view/encrypt/encrypted-view.ts';
import { allEntries, readAll } from '../../support/materialise.ts';
import { MemoryTree } from '../../support/memory-tree.ts';

const masterkey = Buffer.alloc(32, 0x33);

const KINDS: Readonly<Record<string, readonly FeatureFlag[]>> = {
  gcm: flagsOfLayout({ layout: 'gcm' }),
  siv: flagsOfLayout({ layout: 'reverse' }),
  xchacha: flagsOfLayout({ layout: 'xchacha' }),
  'deterministic names': flagsOfLayout({ layout: 'gcm', deterministicNames: true }),
  'plaintext names': flagsOfLayout({ layout: 'gcm', plaintextNames: true }),
  'long names from 62': flagsOfLayout({ layout: 'gcm', longNameMax: 62 }),
  'before HKDF and Raw64': ['GCMIV128', 'DirIV', 'EMENames', 'LongNames'],
};

function confOf(flags: readonly FeatureFlag[]) {
  return { flags: new Set(flags), longNameMax: flags.includes('LongNameMax') ? 62 : 255 };
}

/** The tree encrypted as a copy would be, and the copy decrypted. */
function thereAndBack(plain: MemoryTree, flags: readonly FeatureFlag[]) {
  const conf = confOf(flags);
  const bytes = serialiseConf({
    ...conf,
    creator: 'test',
    encryptedKey: Buffer.alloc(flags.includes('HKDF') ? 64 : 60, 1),
    scrypt: { salt: Buffer.alloc(32, 2), logN: 10, r: 8, p: 1 },
  });
  const cipher = new EncryptedView(plain, { conf: { bytes, mtimeSec: 1 }, masterkey });
  const problems: string[] = [];
  const view = new DecryptedView(cipher, openLayout(conf, masterkey), {
    onProblem: ({ code }) => problems.push(code),
  });
  return { view, problems };
}

/** `[directories, files]` of random trees: names of any bytes and lengths, sizes around blocks. */
const component = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))))
  .filter((name) => !['.', '..', 'gocryptfs.conf'].includes(name.toString('latin1')));
const size = fc.oneof(
  fc.constantFrom(0, 1, 4095, 4096, 4097, 8192, 3 * 4096 + 5),
  fc.nat({ max: 9000 }),
);
const randomTree = fc
  .record({
    directories: fc.array(component, { maxLength: 3 }),
    files: fc.array(fc.tuple(component, size, fc.nat()), { maxLength: 6 }),
    links: fc.array(fc.tuple(component, fc.uint8Array({ minLength: 1, maxLength: 300 })), {
      maxLength: 3,
    }),
  })
  .map(({ directories, files, links }) => {
    const tree = new MemoryTree();
    const taken = new Set<string>();
    const folders = [Buffer.alloc(0)];
    const place = (name: Buffer, pick: number): Buffer | undefined => {
      const path = Buffer.concat([folders[pick % folders.length] ?? Buffer.alloc(0), name]);
      const key = path.toString('latin1');
      if (taken.has(key)) return undefined;
      taken.add(key);
      return path;
    };
    for (const [i, name] of directories.entries()) {
      const path = place(name, i);
      if (path === undefined) continue;
      tree.addDirectory(path);
      folders.push(Buffer.concat([path, Buffer.from('/')]));
    }
    for (const [name, length, pick] of files) {
      const path = place(name, pick);
      if (path !== undefined) tree.addFile(path, Buffer.alloc(length, pick % 256));
    }
    for (const [name, target] of links) {
      const path = place(name, target.length);
      if (path !== undefined) tree.addSymlink(path, target);
    }
    return tree;
  });

/** All fields of an entry that do not belong to one tree alone. */
async function facts<E extends Entry>(tree: Tree<E>, entry: E): Promise<Record<string, unknown>> {
  const { path, mode, size: length, mtimeSec, mtimeNsec, uid, gid, target, rdev } = entry;
  const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
  const times = { mtimeSec, mtimeNsec };
  const content = isRegularFile(entry) ? latin1(await readAll(tree, entry, 5000)) : undefined;
  const link = target === undefined ? undefined : latin1(target);
  return { path: latin1(path), mode, length, ...times, uid, gid, link, rdev, content };
}

async function allFacts<E extends Entry>(tree: Tree<E>): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  for (const entry of await allEntries(tree)) found.push(await facts(tree, entry));
  return found;
}

describe.each(Object.entries(KINDS))('decrypted over encrypted: %s', (_, flags) => {
  test('is the tree itself, and every path in it is found', async () => {
    await fc.assert(
      fc.asyncProperty(randomTree, async (plain) => {
        const { view, problems } = thereAndBack(plain, flags);
        const expected = await allFacts(plain);
        expect(await allFacts(view)).toEqual(expected);
        expect(problems).toEqual([]);
        for (const [i, entry] of (await allEntries(plain)).entries()) {
          const found = await view.find(entry.path);
          if (found === undefined) return expect.unreachable('a path is not found');
          expect(await facts(view, found)).toEqual(expected[i]);
        }
        expect(await view.find(Buffer.from('surely/not there'))).toBeUndefined();
      }),
      { numRuns: 25 },
    );
  });
});
