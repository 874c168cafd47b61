// A small file encrypted in one go gives the same ciphertext as reading it piece by piece; anything
// but exactly the listed file is left to the caller.
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import { plainSizeToCipherSize } from '../../../src/gocryptfs/format/sizes.ts';
import type { WholeFile } from '../../../src/tree/entry.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { CipherFile } from '../../../src/view/encrypt/cipher-file.ts';
import { WholeFiles } from '../../../src/view/encrypt/whole-file.ts';
import { pattern } from '../../support/format-fixtures.ts';

const layout = { flags: new Set(flagsOfLayout({ layout: 'gcm' })), longNameMax: 255 };
const { content } = openLayout(layout, Buffer.alloc(32, 1));
const identity = { fileID: Buffer.alloc(16, 0x33) };
const files = new WholeFiles(content);

let folder: string;
let tree: LocalTree;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ecsync-whole-'));
  tree = new LocalTree(folder);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let count = 0;

async function listed(bytes: Buffer): Promise<{ entry: LocalEntry; file: string }> {
  const name = `f${count++}`;
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  const entry = await tree.child(await tree.root(), Buffer.from(name));
  if (entry === undefined) throw new Error(`${name} was not listed`);
  return { entry, file };
}

function open(entry: LocalEntry): WholeFile | undefined {
  const asked = { fullPath: tree.locate(entry), listed: entry, identity };
  return files.open(asked, plainSizeToCipherSize(entry.size, content.overhead));
}

describe('a small file in one go', () => {
  test('equals the same file read in pieces', async () => {
    const sizes = fc.oneof(
      fc.constantFrom(0, 1, 4095, 4096, 4097, 32_768),
      fc.integer({ min: 0, max: 32_768 }),
    );
    await fc.assert(
      fc.asyncProperty(sizes, async (size) => {
        const { entry } = await listed(pattern(size));
        const cipher = CipherFile.over({ plain: await tree.open(entry), identity }, content);
        const expected = Buffer.from(await cipher.read(0, cipher.size));
        await cipher.close();
        const whole = open(entry);
        expect(whole && Buffer.from(whole.bytes).equals(expected)).toBe(true);
        whole?.release();
      }),
      { numRuns: 40 },
    );
  });

  test('is refused when it is not small', async () => {
    const { entry } = await listed(pattern(32_769));
    expect(open(entry)).toBeUndefined();
  });

  test.each<[string, (file: string) => void]>([
    ['is gone', (file) => unlinkSync(file)],
    ['has grown', (file) => appendFileSync(file, 'x')],
    ['was cut', (file) => truncateSync(file, 10)],
    ['has another time', (file) => utimesSync(file, 1, 1)],
    ['has other permissions', (file) => chmodSync(file, 0o600)],
    [
      'was replaced',
      (file) => {
        rmSync(file);
        writeFileSync(file, pattern(100));
      },
    ],
    [
      'became a link',
      (file) => {
        rmSync(file);
        symlinkSync('/etc/passwd', file);
      },
    ],
  ])('is left to who opens it when it %s', async (_what, change) => {
    const { entry, file } = await listed(pattern(100));
    // The clock of a file system is coarse.
    utimesSync(file, 1000, 1000);
    const again = await tree.child(await tree.root(), Buffer.from(path.basename(file)));
    expect(again && open(again)).toBeDefined();
    change(file);
    expect(open(entry)).toBeUndefined();
  });
});
