// Files that other threads encrypt have the same bytes, sizes and verdicts as those encrypted here,
// whatever their sizes and however they are read; a dying thread is an error, never a hang; the
// open files bound the memory.
import {
  appendFileSync,
  mkdtempSync,
  rmSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FeatureFlag, flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout, type Derivation } from '../../../src/gocryptfs/layout.ts';
import type { OpenFile } from '../../../src/tree/entry.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { LocalTree } from '../../../src/tree/local/local-tree.ts';
import { CipherFile } from '../../../src/view/encrypt/cipher-file.ts';
import { EncryptionPool } from '../../../src/view/encrypt/encryption-pool.ts';
import { EncryptionThreads } from '../../../src/view/encrypt/encryption-threads.ts';
import { pattern } from '../../support/format-fixtures.ts';
import { buildWorker, type BuiltWorker } from '../../support/built-worker.ts';

const masterkey = Buffer.alloc(32, 1);
const GCM = openWith(flagsOfLayout({ layout: 'gcm' }));
const RUN = 64 * 4096;
const sizes = [0, 1, 4095, 4096, 4097, 140_000, RUN - 1, RUN, RUN + 1, 6 * RUN + 5000];

function openWith(flags: readonly FeatureFlag[], derivation?: Derivation) {
  return openLayout({ flags: new Set(flags), longNameMax: 255 }, masterkey, derivation);
}

let worker: BuiltWorker;
let folder: string;
beforeAll(async () => {
  worker = await buildWorker();
  folder = mkdtempSync(path.join(tmpdir(), 'ecsync-pool-'));
});
afterAll(async () => {
  await worker.remove();
  rmSync(folder, { recursive: true, force: true });
});

interface Source {
  readonly tree: LocalTree;
  readonly entry: LocalEntry;
  readonly file: string;
}

let fileCount = 0;

/** A listed file. */
async function listed(content: Buffer): Promise<Source> {
  const name = `f${fileCount++}`;
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return listedAs(name);
}

async function listedAs(name: string): Promise<Source> {
  const file = path.join(folder, name);
  const tree = new LocalTree(folder);
  const entry = await tree.child(await tree.root(), Buffer.from(name));
  if (entry === undefined) throw new Error(`${name} was not listed`);
  return { tree, entry, file };
}

const identity = { fileID: Buffer.alloc(16, 0x33) };

function threadsOver(
  { tree }: Source,
  options: { layout?: typeof GCM; startBytes?: number; script?: URL } = {},
): EncryptionThreads<LocalEntry> {
  const { layout = GCM, startBytes = 0, script = worker.script } = options;
  return new EncryptionThreads(layout, {
    fileOf: (entry: LocalEntry) => ({ fullPath: tree.locate(entry), listed: entry }),
    count: 2,
    startBytes,
    script,
  });
}

async function openIn(
  threads: EncryptionThreads<LocalEntry>,
  { entry }: Source,
): Promise<OpenFile> {
  const file = await threads.open({ plain: entry, size: entry.size, identity });
  if (file === undefined) throw new Error('the threads declined');
  return file;
}

/** Reads sequentially in steps of the given lengths, repeated, to the end. */
async function readInSteps(file: OpenFile, steps: readonly number[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let offset = 0, i = 0; ; i++) {
    const step = steps[i % steps.length] ?? 1;
    const part = Buffer.from(await file.read(offset, step));
    parts.push(part);
    offset += part.length;
    if (part.length < step) return Buffer.concat(parts);
  }
}

async function encryptedHere({ tree, entry }: Source, { content } = GCM): Promise<Buffer> {
  const file = CipherFile.over({ plain: await tree.open(entry), identity }, content);
  const whole = Buffer.from(await file.read(0, file.size));
  await file.close();
  return whole;
}

describe('files encrypted in threads', () => {
  test('equal those encrypted here, whatever their size and however they are read', async () => {
    const anySize = fc.oneof(fc.constantFrom(...sizes), fc.integer({ min: 0, max: 3 * RUN }));
    const steps = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 4 });
    const jump = fc.tuple(
      fc.integer({ min: 0, max: 3 * RUN }),
      fc.integer({ min: 0, max: 300_000 }),
    );
    await fc.assert(
      fc.asyncProperty(
        anySize,
        steps,
        fc.array(jump, { maxLength: 6 }),
        async (size, way, jumps) => {
          const source = await listed(pattern(size));
          const threads = threadsOver(source);
          try {
            const expected = await encryptedHere(source);
            const file = await openIn(threads, source);
            expect(file.size).toBe(expected.length);
            expect((await readInSteps(file, way)).equals(expected)).toBe(true);
            for (const [offset, length] of jumps) {
              const part = Buffer.from(await file.read(offset, length));
              expect(part.equals(expected.subarray(offset, offset + length))).toBe(true);
            }
            expect(await file.close()).toBe('unchanged');
          } finally {
            await threads.close();
            unlinkSync(source.file);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  test.each([
    ['AES-SIV, from paths', [...flagsOfLayout({ layout: 'gcm' }), 'AESSIV'], 'reverse'],
    ['XChaCha20', [...flagsOfLayout({ layout: 'gcm' }), 'XChaCha20Poly1305'], 'keyed'],
  ] as const)('of another layout: %s', async (_name, flags, derivation) => {
    const layout = openWith(flags, derivation);
    const own = { fileID: Buffer.alloc(16, 3), block0Nonce: Buffer.alloc(16, 4) };
    for (const size of [5000, 2 * RUN + 77]) {
      const source = await listed(pattern(size));
      const here = CipherFile.over(
        { plain: await source.tree.open(source.entry), identity: own },
        layout.content,
      );
      const expected = Buffer.from(await here.read(0, here.size));
      const threads = threadsOver(source, { layout });
      const { entry } = source;
      const file = await threads.open({ plain: entry, size: entry.size, identity: own });
      expect(file && (await readInSteps(file, [100_000])).equals(expected)).toBe(true);
      await here.close();
      await file?.close();
      await threads.close();
    }
  });

  test('report a change after a large file was listed', async () => {
    const source = await listed(pattern(3 * RUN));
    const threads = threadsOver(source);
    appendFileSync(source.file, 'more');
    const file = await openIn(threads, source);
    await file.read(0, 100);
    expect(await file.close()).toBe('changed');
    await threads.close();
  });

  test('end early, with a valid last block, when the plaintext does', async () => {
    const source = await listed(pattern(5 * RUN));
    const threads = threadsOver(source);
    const file = await openIn(threads, source);
    const { size } = file;
    await file.read(0, 1000);
    truncateSync(source.file, 2 * RUN + 10);
    const rest = await readInSteps(file, [250_000]);
    expect(file.size).toBe(size);
    const short = await listed(pattern(2 * RUN + 10));
    expect(rest.equals(await encryptedHere(short))).toBe(true);
    expect(await file.close()).toBe('changed');
    await threads.close();
  });

  test('leave vanished, replaced and changed files to the caller', async () => {
    const gone = await listed(pattern(100));
    const replaced = await listed(pattern(3 * RUN));
    const grown = await listed(pattern(100));
    const rewritten = await listed(pattern(100));
    const threads = threadsOver(gone);
    unlinkSync(gone.file);
    // The inode number of a deleted file may be reused at once, so another file keeps it.
    const other = await listed(pattern(50));
    const { path: plainPath, mode, size, mtimeSec, mtimeNsec, uid, gid } = replaced.entry;
    const { dev, nlink, ctimeMs, birthtimeMs } = replaced.entry;
    const attributes = { mode, size, mtimeSec, mtimeNsec, uid, gid };
    const object = { dev, ino: other.entry.ino, nlink, ctimeMs, birthtimeMs };
    const asReplaced = { path: plainPath, ...attributes, ...object };
    appendFileSync(grown.file, pattern(2 * RUN));
    writeFileSync(rewritten.file, pattern(100).reverse());
    utimesSync(rewritten.file, 1000, 1000);
    const opened = await Promise.all(
      [gone.entry, asReplaced, grown.entry, rewritten.entry].map(async (entry) =>
        threads.open({ plain: entry, size: entry.size, identity }),
      ),
    );
    expect(opened).toEqual([undefined, undefined, undefined, undefined]);
    await threads.close();
  });

  test('do not exist while little is requested', async () => {
    const source = await listed(pattern(100));
    const threads = threadsOver(source, { startBytes: 100_000, script: new URL('file:///absent') });
    const { entry } = source;
    for (let i = 0; i < 5; i++) {
      expect(threads.open({ plain: entry, size: 100, identity })).toBeUndefined();
    }
    await threads.close();
  });
});

describe('a thread that ends', () => {
  test('before anything was read leaves the file to the caller', async () => {
    const source = await listed(pattern(100));
    const large = await listed(pattern(3 * RUN));
    const threads = threadsOver(source, { script: new URL('file:///absent/worker.mjs') });
    const opened = await Promise.all(
      [source.entry, large.entry].map(async (entry) =>
        threads.open({ plain: entry, size: entry.size, identity }),
      ),
    );
    expect(opened).toEqual([undefined, undefined]);
    // From now on there are no more requests.
    expect(threads.open({ plain: source.entry, size: 100, identity })).toBeUndefined();
    await threads.close();
  });

  test('while a file is read is an error with its own code', async () => {
    const source = await listed(pattern(5 * RUN));
    // Sparse, and so long that no thread is at its end before it is stopped.
    truncateSync(source.file, 4000 * RUN);
    const large = await listedAs(path.basename(source.file));
    const threads = threadsOver(large);
    const file = await openIn(threads, large);
    await file.read(0, 1000);
    const reading = readInSteps(file, [RUN]);
    void threads.close();
    await expect(reading).rejects.toMatchObject({ code: 'worker-lost' });
    await expect(file.read(4 * RUN, 1000)).rejects.toMatchObject({ code: 'worker-lost' });
    await expect(file.close()).rejects.toMatchObject({ code: 'worker-lost' });
  });
});

test('a file that a thread cannot read is named', async () => {
  const source = await listed(pattern(5 * RUN));
  const script = path.join(folder, 'failing-worker.mjs');
  writeFileSync(
    script,
    `import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ kind }) => {
      const failure = { errno: 'EIO', message: 'EIO: i/o error, read' };
      if (kind === 'run') parentPort.postMessage({ numbers: [0], failure });
      else parentPort.postMessage({ numbers: [kind === 'open' ? ${5 * RUN} : 0] });
    });`,
  );
  const threads = threadsOver(source, { script: pathToFileURL(script) });
  const file = await openIn(threads, source);
  await expect(file.read(0, 1000)).rejects.toMatchObject({
    code: 'read-failed',
    message: `cannot read ${source.file}: input/output error`,
  });
  await file.close();
  await threads.close();
});

describe('memory', () => {
  test('is held for open files, and released', async () => {
    const pool = new EncryptionPool(GCM.contentKeys, { threads: 2, script: worker.script });
    const sources = await Promise.all(Array.from({ length: 40 }, () => listed(pattern(10_000))));
    const large = await listed(pattern(20 * RUN));
    const asked = ({ tree, entry }: Source) => ({
      fullPath: tree.locate(entry),
      listed: entry,
      identity,
    });
    const files = await Promise.all(sources.map((source) => pool.whole(asked(source), 10_114)));
    // 28 of these files fit into one slot of 288 KiB.
    expect(pool.heldBytes).toBe(2 * 288 * 1024);
    const runs = await pool.open(asked(large));
    if (runs === undefined) throw new Error('the pool declined');
    const file = new CipherFile(runs, { overhead: 32, fileID: identity.fileID });
    for (let offset = 0; offset < 10 * RUN; offset += 50_000) {
      await file.read(offset, 50_000);
      expect(pool.heldBytes).toBeLessThanOrEqual((2 + 7) * 288 * 1024);
    }
    await file.close();
    for (const small of files) await small?.close();
    expect(pool.heldBytes).toBe(0);
    await pool.close();
  });
});
