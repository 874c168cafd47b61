// Goal: attributes that could not be set are set later, on the same unchanged object only, whatever the file that remembers them holds.
import { chmodSync, existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FileError } from '../../../src/errors.ts';
import type { LocalEntry } from '../../../src/tree/local/local-entry.ts';
import { LocalStore } from '../../../src/tree/target/local-store.ts';
import { OwedAttributes } from '../../../src/tree/target/owed-attributes.ts';

let root: string;
let memory: string;
let file: string;
let store: LocalStore;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'ecsync-owed-'));
  memory = path.join(root, 'owed.json');
  file = path.join(root, 'file');
  writeFileSync(file, 'content', { mode: 0o600 });
  store = new LocalStore(root);
});
afterEach(() => {
  store.close();
  rmSync(root, { recursive: true });
});

async function entryOf(name: string): Promise<LocalEntry> {
  const entry = await store.lookup(Buffer.from(name));
  if (entry === undefined) throw new Error(`no ${name}`);
  return entry;
}

function modeOf(name: string): number {
  return lstatSync(name).mode & 0o7777;
}

/** What is owed, as the next run reads it. */
async function owe(attributes: Parameters<OwedAttributes['add']>[1]): Promise<OwedAttributes> {
  const owed = new OwedAttributes(memory);
  owed.add(await entryOf('file'), attributes);
  owed.save();
  return new OwedAttributes(memory);
}

it('sets them on the same object, and forgets them', async () => {
  const owed = await owe({ mode: 0o640, mtimeSec: 1_000_000_000, mtimeNsec: 500_000_000 });
  expect(await owed.settle(store)).toEqual([]);
  expect([modeOf(file), lstatSync(file).mtimeMs]).toEqual([0o640, 1_000_000_000_500]);
  owed.save();
  expect([owed.isEmpty, existsSync(memory)]).toEqual([true, false]);
});

it.each<[string, () => void]>([
  ['has other content', () => writeFileSync(file, 'other, longer content')],
  [
    'is another file',
    () => {
      writeFileSync(`${file}.new`, 'another', { mode: 0o600 });
      rmSync(file);
      writeFileSync(file, 'another', { mode: 0o600 });
    },
  ],
  ['is gone', () => rmSync(file)],
])('leaves alone what %s', async (_what, change) => {
  const owed = await owe({ mode: 0o777 });
  change();
  expect(await owed.settle(store)).toEqual([]);
  expect(owed.isEmpty).toBe(true);
  if (existsSync(file)) expect(modeOf(file)).toBe(0o600);
});

it.each([
  ['EIO', false],
  ['EPERM', true],
])('after %s again they are forgotten: %s', async (errno, isForgotten) => {
  const owed = await owe({ mode: 0o640 });
  const failure = new FileError('attributes-failed', 'cannot', { facts: { errno } });
  const refusing = {
    lookup: (entryPath: Uint8Array) => store.lookup(entryPath),
    setAttributes: () => Promise.reject(failure),
  };
  expect(await owed.settle(refusing)).toEqual([failure]);
  expect(owed.isEmpty).toBe(isForgotten);
});

it('whatever the file holds, nothing outside of the folder is touched', async () => {
  const outside = mkdtempSync(path.join(tmpdir(), 'ecsync-outside-'));
  try {
    chmodSync(outside, 0o700);
    const { ino } = lstatSync(outside);
    const up = `../${path.basename(outside)}`;
    for (const key of [up, outside, `file/../${up}`]) {
      writeFileSync(
        memory,
        JSON.stringify([[key, { identity: `${ino}`, attributes: { mode: 0 } }]]),
      );
      await new OwedAttributes(memory).settle(store);
      expect(modeOf(outside)).toBe(0o700);
    }
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (text) => {
        writeFileSync(memory, text);
        expect(await new OwedAttributes(memory).settle(store)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  } finally {
    rmSync(outside, { recursive: true });
  }
});
