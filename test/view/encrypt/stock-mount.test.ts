// The promise of the view: written to disk, it is a gocryptfs filesystem that stock gocryptfs
// mounts and finds clean, and that equals the source.
import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  linkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serialiseConf } from '../../../src/gocryptfs/conf/config.ts';
import { createConf } from '../../../src/gocryptfs/conf/keys.ts';
import { TEMPORARY_DIRECTORY } from '../../../src/gocryptfs/names/names.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { compareSiblings } from '../../../src/tree/walk.ts';
import type { CipherEntry } from '../../../src/view/encrypt/cipher-entry.ts';
import { EncryptedView } from '../../../src/view/encrypt/encrypted-view.ts';
import { VIRTUAL_MTIME_SEC } from '../../../src/view/encrypt/virtual-files.ts';
import { allEntries, materialise } from '../../support/materialise.ts';
import { fsckStock, listing, mountStock, type Mount } from '../../support/stock-gocryptfs.ts';
import { pattern } from '../../support/format-fixtures.ts';

const PASSWORD = 'correct horse';
const work = mkdtempSync(path.join(tmpdir(), 'ecsync-view-'));
const source = path.join(work, 'plain');
const cipherDir = path.join(work, 'cipher');
const passfile = path.join(work, 'password');

let view: EncryptedView<LocalEntry>;
let entries: CipherEntry<LocalEntry>[];
let mount: Mount | undefined;

function inSource(...parts: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat([Buffer.from(`${source}/`), ...parts.map((part) => Buffer.from(part))]);
}

/** Every byte a name can hold, lengths around every boundary, and reserved-looking names. */
function makeNames(): void {
  mkdirSync(inSource('names'));
  for (let byte = 1; byte < 256; byte++) {
    if (byte === 0x2f) continue;
    writeFileSync(inSource('names/', Buffer.from([byte, 0x78])), Buffer.from([byte]));
    if (byte !== 0x2e) writeFileSync(inSource('names/', Buffer.from([byte])), '');
  }
  for (const length of [15, 16, 17, 31, 32, 175, 176, 177, 239, 240, 255]) {
    writeFileSync(inSource('names/', Buffer.alloc(length, 'é').fill('n', 0, 1)), `${length}`);
  }
  const reserved = ['gocryptfs.conf', 'gocryptfs.diriv', 'gocryptfs.longname.x.name', '...'];
  for (const name of reserved) {
    writeFileSync(inSource(name), name);
    writeFileSync(inSource('names/', name), name);
  }
  writeFileSync(inSource('names/two\nlines\r'), 'newline');
}

function makeContents(): void {
  mkdirSync(inSource('sizes'));
  const mebibyte = 2 ** 20;
  const sizes = [0, 1, 4095, 4096, 4097, 8192, mebibyte - 1, mebibyte, mebibyte + 1];
  for (const size of sizes) writeFileSync(inSource(`sizes/${size}`), pattern(size));
  writeFileSync(inSource('sizes/sparse'), 'start');
  truncateSync(inSource('sizes/sparse'), 3 * mebibyte + 17);
  writeFileSync(inSource('sizes/all-hole'), '');
  truncateSync(inSource('sizes/all-hole'), 2 * 4096);
}

function makeLinks(): void {
  mkdirSync(inSource('links'));
  const longDirectory = `links/${'d'.repeat(200)}`;
  mkdirSync(inSource(longDirectory), 0o750);
  symlinkSync('hello.txt', inSource('links/short'));
  symlinkSync('hello.txt', inSource(longDirectory, '/same-target'));
  symlinkSync('x/'.repeat(1519) + 'y', inSource('links/longest'));
  symlinkSync(Buffer.from([0xff, 0xfe, 0x0a]), inSource('links/', Buffer.alloc(255, 'l')));
  execFileSync('mkfifo', [inSource('links/fifo').toString()]);
  writeFileSync(inSource('links/z-first'), pattern(5000));
  linkSync(inSource('links/z-first'), inSource('links/a-second'));
  linkSync(inSource('links/z-first'), inSource(longDirectory, '/third'));
  writeFileSync(inSource('links/setuid'), 'mode', { mode: 0o4711 });
  utimesSync(inSource('links/setuid'), 1, 123_456.789);
  mkdirSync(inSource('empty'), 0o500);
}

beforeAll(async () => {
  mkdirSync(source);
  makeNames();
  makeContents();
  makeLinks();
  const settings = { password: Buffer.from(PASSWORD), scryptLogN: 10, creator: 'ecsync test' };
  const { conf, masterkey } = await createConf(settings);
  view = new EncryptedView(new LocalTree(source), {
    conf: { bytes: serialiseConf(conf), mtimeSec: 1_700_000_000 },
    masterkey,
    onProblem: (_, error) => {
      throw error;
    },
  });
  entries = await allEntries(view);
  view.groupHardLinks(entries);
  mkdirSync(cipherDir);
  mkdirSync(path.join(cipherDir, TEMPORARY_DIRECTORY));
  writeFileSync(path.join(cipherDir, TEMPORARY_DIRECTORY, '.unfinished.AbC123'), 'rest');
  await materialise(view, entries, cipherDir);
  const mountPoint = path.join(work, 'mounted');
  mkdirSync(mountPoint);
  mount = await mountStock(cipherDir, mountPoint, { path: passfile, password: PASSWORD });
});

afterAll(async () => {
  await mount?.unmount();
  rmSync(work, { recursive: true });
});

function expectSame(plainPath: Buffer, mountedPath: Buffer): number {
  const plain = lstatSync(plainPath, { bigint: true });
  const mounted = lstatSync(mountedPath, { bigint: true });
  const shown = JSON.stringify(plainPath.toString('latin1'));
  expect(mounted.mode, shown).toBe(plain.mode);
  expect([mounted.uid, mounted.gid], shown).toEqual([plain.uid, plain.gid]);
  // Node sets times as seconds in double precision: a microsecond or two may be lost.
  expect(Math.abs(Number(mounted.mtimeNs - plain.mtimeNs)), shown).toBeLessThan(3000);
  if (plain.isDirectory()) {
    const names = listing(plainPath);
    expect(listing(mountedPath), shown).toEqual(names);
    const below = (directory: Buffer, name: Buffer) =>
      Buffer.concat([directory, Buffer.from('/'), name]);
    return names.reduce(
      (count, name) => count + expectSame(below(plainPath, name), below(mountedPath, name)),
      1,
    );
  }
  expect(mounted.nlink, shown).toBe(plain.nlink);
  if (plain.isSymbolicLink()) {
    const read = (link: Buffer) => readlinkSync(link, { encoding: 'buffer' });
    expect(read(mountedPath), shown).toEqual(read(plainPath));
  } else if (plain.isFile()) {
    expect(mounted.size, shown).toBe(plain.size);
    const same = readFileSync(mountedPath).equals(readFileSync(plainPath));
    expect(same, shown).toBe(true);
  }
  return 1;
}

describe('the view, written to disk', () => {
  test('mounted by stock gocryptfs equals the source', () => {
    const count = expectSame(Buffer.from(source), Buffer.from(path.join(work, 'mounted')));
    expect(count).toBe(entries.filter(({ plain }) => plain !== undefined).length);
    expect(count).toBeGreaterThan(540);
  });

  test('is clean for stock fsck, the directory for unfinished files included', async () => {
    expect(await fsckStock(cipherDir, passfile)).toMatchObject({ code: 0 });
  });

  test('hard-linked names share one inode and the identity of the smallest path', () => {
    const group = entries.filter(({ linkGroup }) => linkGroup !== undefined);
    expect(group).toHaveLength(3);
    const least = Buffer.from('links/a-second');
    expect(group.map(({ identityPlace }) => identityPlace?.plainPath)).toEqual([
      least,
      least,
      least,
    ]);
  });

  test('has the virtual files with their fixed attributes', () => {
    const directories = entries.filter(({ mode }) => (mode & 0o170000) === 0o040000);
    const virtual = entries.filter((entry) => entry.virtual !== undefined);
    const kinds = (kind: string) => virtual.filter((entry) => entry.virtual === kind);
    expect(kinds('conf').map(({ path }) => Buffer.from(path).toString())).toEqual([
      'gocryptfs.conf',
    ]);
    expect(kinds('conf')[0]).toMatchObject({ mode: 0o100400, mtimeSec: 1_700_000_000 });
    expect(kinds('diriv')).toHaveLength(directories.length);
    const long = entries.filter(({ plain }) => {
      const { length } = plain?.path.subarray(plain.path.lastIndexOf(0x2f) + 1) ?? [];
      return length >= 176;
    });
    expect(kinds('name')).toHaveLength(long.length);
    for (const entry of [...kinds('diriv'), ...kinds('name')]) {
      const expected = { mode: 0o100444, mtimeSec: VIRTUAL_MTIME_SEC, mtimeNsec: 0 };
      expect(entry).toMatchObject(expected);
    }
  });

  test('a walk gives the entries of every folder in the order of an rsync file list', () => {
    const byFolder = new Map<string, CipherEntry[]>();
    for (const entry of entries.slice(1)) {
      const folder = path.dirname(Buffer.from(entry.path).toString('latin1'));
      byFolder.set(folder, [...(byFolder.get(folder) ?? []), entry]);
    }
    for (const siblings of byFolder.values()) {
      expect([...siblings].sort(compareSiblings)).toEqual(siblings);
    }
  });

  test('every cipher path and every plaintext path can be translated', () => {
    for (const entry of entries) {
      const translated = view.plainPath(entry.path);
      if (entry.virtual !== undefined) {
        expect(translated?.virtual).toBe(entry.virtual);
        continue;
      }
      const plainPath = entry.plain?.path ?? new Uint8Array(0);
      expect(Buffer.from(translated?.path ?? []), shown(entry.path)).toEqual(
        Buffer.from(plainPath),
      );
      expect(Buffer.from(view.cipherPath(plainPath))).toEqual(Buffer.from(entry.path));
    }
  });
});

function shown(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
