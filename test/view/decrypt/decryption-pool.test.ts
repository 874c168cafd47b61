// Files that other threads decrypt and write equal those decrypted here, whatever their sizes and
// pieces; damage, a full disk and a dying thread are errors, never a hang or a file with its final
// name; memory is bounded, and all of it is released.
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FeatureFlag, flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout, type Layout } from '../../../src/gocryptfs/layout.ts';
import { LocalStore } from '../../../src/tree/target/local-store.ts';
import type { NewFile } from '../../../src/tree/store.ts';
import { BytesFile, CipherFile } from '../../../src/view/encrypt/cipher-file.ts';
import { DecryptingFile } from '../../../src/view/decrypt/decrypting-store-file.ts';
import { DecryptionBudget } from '../../../src/view/decrypt/decryption-budget.ts';
import { DecryptionThreads } from '../../../src/view/decrypt/decryption-threads.ts';
import { PlainRunsHere, type PlainRuns } from '../../../src/view/decrypt/plain-runs.ts';
import { buildWorker, type BuiltWorker } from '../../support/built-worker.ts';

const XCHACHA: readonly FeatureFlag[] = flagsOfLayout({ layout: 'gcm' }).map((flag) =>
  flag === 'GCMIV128' ? 'XChaCha20Poly1305' : flag,
);
const open = (flags: readonly FeatureFlag[]): Layout =>
  openLayout({ flags: new Set(flags), longNameMax: 255 }, Buffer.alloc(32, 7));
const LAYOUTS = { gcm: open(flagsOfLayout({ layout: 'gcm' })), xchacha: open(XCHACHA) };
const RUN = 64 * 4096;
const SIZES = [1, 4096, RUN - 1, RUN, RUN + 1, 3 * RUN, 5 * RUN + 4097];
const NAME = Buffer.from('file');
const LARGE = 1024 * 1024;

/** Starting threads takes longer than most tests. */
const started = new Map<Layout, DecryptionThreads>();
let worker: BuiltWorker;
let folder: string;
let target: string;
beforeAll(async () => {
  worker = await buildWorker('decryption-worker');
  folder = mkdtempSync(path.join(tmpdir(), 'ecsync-decrypt-'));
});
afterAll(async () => {
  await Promise.all([...started.values()].map((threads) => threads.close()));
  await worker.remove();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  target = mkdtempSync(path.join(folder, 'target-'));
});

async function encrypt(layout: Layout, plain: Uint8Array): Promise<Buffer> {
  const identity = layout.identities.file({ path: NAME, counter: 0 });
  const file = CipherFile.over({ plain: new BytesFile(plain), identity }, layout.content);
  return Buffer.from(await file.read(0, file.size));
}

/** The parts that write a file, and the amount of memory they hold. */
class Counted implements PlainRuns {
  held = 0;
  heldMax = 0;
  readonly #runs: PlainRuns;

  constructor(runs: PlainRuns) {
    this.#runs = runs;
  }
  take(length: number): Buffer {
    this.heldMax = Math.max(this.heldMax, ++this.held);
    return this.#runs.take(length);
  }
  give(buffer: Buffer): void {
    this.held--;
    this.#runs.give(buffer);
  }
  store: PlainRuns['store'] = (run, before) => this.#runs.store(run, before);
}

interface Making {
  readonly layout?: Layout;
  readonly script?: URL;
  readonly plain?: NewFile;
  readonly budget?: DecryptionBudget;
  readonly onInterrupted?: (plain: NewFile, length: number) => Promise<void>;
}

/** Works on a file that a thread decrypts. */
async function making<T>(
  { layout = LAYOUTS.gcm, script, ...rest }: Making,
  act: (file: DecryptingFile, runs: Counted) => Promise<T>,
): Promise<T> {
  const options = { count: 2, startBytes: 0, script: script ?? worker.script };
  const threads =
    (script === undefined ? started.get(layout) : undefined) ??
    new DecryptionThreads(layout, options);
  if (script === undefined) started.set(layout, threads);
  const store = new LocalStore(target);
  try {
    const plain = rest.plain ?? (await store.createFile(NAME, LARGE));
    const opened = threads.open(plain, { path: NAME, size: LARGE });
    expect(opened).not.toBeInstanceOf(PlainRunsHere);
    const runs = new Counted(opened);
    const { budget = threads.budget, onInterrupted } = rest;
    const file = new DecryptingFile(plain, {
      path: NAME,
      overhead: layout.content.overhead,
      sizeHint: LARGE,
      runs,
      budget,
      holes: 'refused',
      ...(onInterrupted && { onInterrupted }),
    });
    const result = await act(file, runs);
    expect(runs.held).toBe(0);
    return result;
  } finally {
    store.close();
    if (script !== undefined) await threads.close();
  }
}

async function writeAll(
  file: NewFile,
  cipher: Uint8Array,
  lengths: readonly number[] = [],
): Promise<void> {
  let at = 0;
  for (const length of [...lengths, cipher.length]) {
    await file.write(cipher.subarray(at, at + length));
    at += length;
  }
}

const restored = (): Buffer => readFileSync(path.join(target, NAME.toString()));

describe.each(Object.entries(LAYOUTS))('%s', (_name, layout) => {
  it.each(SIZES)('%i bytes are restored', async (size) => {
    const plain = randomBytes(size);
    const cipher = await encrypt(layout, plain);
    await making({ layout }, async (file) => {
      await writeAll(file, cipher);
      expect(await file.commit({})).toBeUndefined();
    });
    expect(restored().equals(plain)).toBe(true);
  });

  it('in any pieces', async () => {
    const pieces = fc.array(fc.nat(2 * RUN), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 6 * RUN }), pieces, async (size, lengths) => {
        const plain = randomBytes(size);
        const cipher = await encrypt(layout, plain);
        await making({ layout }, async (file) => {
          await writeAll(file, cipher, lengths);
          await file.commit({});
        });
        expect(restored().equals(plain)).toBe(true);
      }),
      { numRuns: 12 },
    );
  });

  it('the first damaged block is named, and no file is left', async () => {
    const cipher = await encrypt(layout, randomBytes(5 * RUN));
    const step = 4096 + layout.content.overhead;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 18, max: cipher.length - 2 }), async (at) => {
        const changed = Buffer.from(cipher);
        // A later block too: whichever thread finishes first, the first damaged block is reported.
        for (const place of [at, cipher.length - 1]) changed[place] = ~(changed[place] ?? 0);
        const blockNo = Math.floor((at - 18) / step);
        await making({ layout }, async (file) => {
          await writeAll(file, changed);
          await expect(file.commit({})).rejects.toMatchObject({
            code: 'content-damaged',
            cause: { code: 'tag-mismatch', facts: { blockNo } },
          });
        });
        expect(readdirSync(target)).toEqual([]);
      }),
      { numRuns: 12 },
    );
  });
});

it('an interrupted file is kept up to its last full block', async () => {
  const plain = randomBytes(4 * RUN);
  const cipher = await encrypt(LAYOUTS.gcm, plain);
  const blocks = 64 * 3 + 5;
  const kept: { length: number; content: Buffer }[] = [];
  const onInterrupted = async (file: NewFile, length: number): Promise<void> => {
    const [name = ''] = readdirSync(target);
    kept.push({ length, content: readFileSync(path.join(target, name)) });
    await file.discard();
  };
  await making({ onInterrupted }, async (file) => {
    await file.write(cipher.subarray(0, 18 + blocks * (4096 + 32) + 77));
    await file.discard();
  });
  expect(kept.map(({ length }) => length)).toEqual([blocks * 4096]);
  expect(kept[0]?.content.equals(plain.subarray(0, blocks * 4096))).toBe(true);
});

it('holds no more memory than its budget', async () => {
  const plain = randomBytes(20 * RUN);
  const cipher = await encrypt(LAYOUTS.gcm, plain);
  await making({ budget: new DecryptionBudget(2) }, async (file, runs) => {
    await writeAll(file, cipher);
    await file.commit({});
    expect(runs.heldMax).toBe(2);
  });
  expect(restored().equals(plain)).toBe(true);
});

it('a full disk is an error that says so', async () => {
  const fd = openSync('/dev/full', 'w');
  try {
    const ended: string[] = [];
    const plain: NewFile = {
      fd,
      write: () => Promise.reject(new Error('not to be called')),
      commit: () => Promise.resolve(void ended.push('committed')),
      discard: () => Promise.resolve(void ended.push('discarded')),
    };
    const cipher = await encrypt(LAYOUTS.gcm, randomBytes(2 * RUN));
    await making({ plain }, async (file) => {
      await writeAll(file, cipher).catch(() => undefined); // now or when it ends
      await expect(file.commit({})).rejects.toMatchObject({
        code: 'write-failed',
        facts: { errno: 'ENOSPC' },
      });
    });
    expect(ended).toEqual(['discarded']);
  } finally {
    closeSync(fd);
  }
});

it.each([
  ['ends', 'process.exit(3)'],
  ['fails', "throw new Error('out of luck')"],
])('a thread that %s is an error, and no file is left', async (_how, statement) => {
  const file = path.join(folder, 'mortal.mjs');
  writeFileSync(
    file,
    `import { parentPort } from 'node:worker_threads';
     parentPort.on('message', () => { ${statement}; });`,
  );
  const cipher = await encrypt(LAYOUTS.gcm, randomBytes(50 * RUN));
  await making({ script: pathToFileURL(file) }, async (made) => {
    await writeAll(made, cipher).catch(() => undefined); // now or when it ends
    await expect(made.commit({})).rejects.toMatchObject({ code: 'worker-lost' });
  });
  expect(readdirSync(target)).toEqual([]);
});

it('no thread is used for small files, nor before there is much to do', async () => {
  const threads = new DecryptionThreads(LAYOUTS.gcm, { count: 1, script: worker.script });
  const store = new LocalStore(target);
  const plain = await store.createFile(NAME, 0);
  try {
    const isHere = (size: number): boolean =>
      threads.open(plain, { path: NAME, size }) instanceof PlainRunsHere;
    for (let i = 0; i < 1000; i++) expect(isHere(100_000)).toBe(true);
    expect([isHere(10 * LARGE), isHere(10 * LARGE), isHere(10 * LARGE)]).toEqual([
      true,
      false,
      false,
    ]);
  } finally {
    await plain.discard();
    store.close();
    await threads.close();
  }
});
