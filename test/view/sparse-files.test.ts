// Unauthenticated blocks of zeros: where they are allowed, they are counted and take no space in
// the target; in a file that ecsync wrote they are refused.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { flagsOfLayout } from '../../src/gocryptfs/conf/feature-flags.ts';
import { packFileHeader } from '../../src/gocryptfs/format/file-header.ts';
import { openLayout } from '../../src/gocryptfs/layout.ts';
import { LocalStore } from '../../src/tree/target/local-store.ts';
import { EncryptedForm } from '../../src/view/decrypt/encrypted-form.ts';
import { holeRuleFor } from '../../src/view/hole-rule.ts';
import { buildWorker, type BuiltWorker } from '../support/built-worker.ts';

const work = mkdtempSync(path.join(tmpdir(), 'ecsync-sparse-'));
let worker: BuiltWorker;
beforeAll(async () => {
  worker = await buildWorker('decryption-worker');
});
afterAll(async () => {
  rmSync(work, { recursive: true, force: true });
  await worker.remove();
});

const layout = openLayout(
  { flags: new Set(flagsOfLayout({ layout: 'gcm' })), longNameMax: 255 },
  Buffer.alloc(32, 3),
);
const fileID = Buffer.alloc(16, 9);
const identity = { fileID };
const sealed = (firstBlock: number, plain: Buffer): Buffer => {
  const out = Buffer.alloc(plain.length + 32);
  layout.content.encryptBlocks({ firstBlock, identity, plain }, out);
  return out;
};
/** A block, 20 MiB of holes, a block, 20 MiB of holes. */
const HOLES = 5120;
const start = Buffer.alloc(4096, 'a');
const middle = Buffer.alloc(4096, 'b');
const stored = Buffer.concat([
  packFileHeader(fileID),
  sealed(0, start),
  Buffer.alloc(HOLES * 4128),
  sealed(1 + HOLES, middle),
  Buffer.alloc(HOLES * 4128),
]);

test.each([
  ['in this thread', { count: 0 }],
  ['where another thread writes', { count: 1, startBytes: 0 }],
])('holes stay holes, %s', async (name, threads) => {
  const store = new LocalStore(work);
  const told: number[] = [];
  const form = new EncryptedForm(layout, {
    holes: 'allowed',
    onHoles: (_, count) => told.push(count),
    threads: { ...threads, script: worker.script },
  });
  try {
    const file = await store.createFile(Buffer.from(name), stored.length);
    const about = { path: Buffer.from(name), cipherPath: Buffer.from('x') };
    const restored = form.receive(file, { ...about, sizeHint: stored.length });
    for (let at = 0; at < stored.length; at += 100_000) {
      await restored.write(stored.subarray(at, at + 100_000));
    }
    await restored.commit({});
  } finally {
    await form.close();
    store.close();
  }
  const holes = Buffer.alloc(HOLES * 4096);
  const expected = Buffer.concat([start, holes, middle, holes]);
  expect(readFileSync(path.join(work, name)).equals(expected)).toBe(true);
  // Of 40 MiB only the runs are written that hold a block.
  expect(statSync(path.join(work, name)).blocks * 512).toBeLessThan(2 ** 20);
  expect(told).toEqual([2 * HOLES]);
});

test('in a file whose ID shows that ecsync wrote it, the first unvouched hole is damage', async () => {
  const store = new LocalStore(work);
  const form = new EncryptedForm(layout, {
    holes: 'allowed',
    admit: () => holeRuleFor({ isOnlyEcsync: false, isOwnFile: true }),
    threads: { count: 0 },
  });
  try {
    const file = await store.createFile(Buffer.from('own'), stored.length);
    const about = { path: Buffer.from('own'), cipherPath: Buffer.from('x') };
    const restored = form.receive(file, { ...about, sizeHint: stored.length });
    await restored.write(stored);
    await expect(restored.commit({})).rejects.toMatchObject({
      code: 'content-damaged',
      cause: { code: 'hole', facts: { blockNo: 1 } },
    });
  } finally {
    store.close();
  }
});
