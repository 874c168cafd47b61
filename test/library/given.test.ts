// Goal: what a program gives is of the kind that the operation takes, or is refused by a typed error with a remedy
// before anything happens: nothing wrong is taken for something else, and nothing reaches Node's own errors.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Copy } from '../../src/library/face/copy.ts';
import type { Vault } from '../../src/library/face/vault.ts';
import { type Bench, initVault, makeBench } from '../e2e/support/cli.ts';
import { untilSettled } from '../support/settled.ts';
import { all, failureOf, importLibrary, type Library } from './support/library.ts';

let library: Library;
let bench: Bench;
let vault: Vault;
let copy: Copy;
beforeAll(async () => {
  library = await importLibrary();
  bench = await makeBench();
  mkdirSync(bench.source, { recursive: true });
  writeFileSync(path.join(bench.source, 'note'), 'a note');
  await initVault(bench);
  vault = await library.openVault(bench.source, { password: bench.password });
  await untilSettled();
  await vault.push(bench.copy);
  copy = vault.copy(bench.copy);
});
afterAll(async () => {
  await vault.close();
  await bench.remove();
});

/** A call as a program without types makes it. */
type Call = (...given: readonly unknown[]) => unknown;

/** What a call is refused with, whether it throws or its promise or its iterator does. */
async function refusal(call: () => unknown): Promise<unknown> {
  return failureOf(
    Promise.resolve()
      .then(call)
      .then((result) =>
        typeof result === 'object' && result !== null && Symbol.asyncIterator in result
          ? all(result as AsyncIterable<unknown>)
          : result,
      ),
  );
}

/** Nothing else may have been made. */
function beside(): readonly string[] {
  return readdirSync(bench.dir).sort();
}

async function expectRefused(call: () => unknown, code: string): Promise<void> {
  const before = beside();
  const refused = await refusal(call);
  expect(refused).toBeInstanceOf(library.UsageError);
  const { hint } = refused as { readonly hint?: string };
  expect(refused).toMatchObject({ code, exitCode: 2 });
  expect(hint).toBeTruthy();
  expect(beside()).toEqual(before);
}

const CALLS: Readonly<Record<string, () => Call>> = {
  openVault: () => library.openVault as Call,
  createVault: () => library.createVault as Call,
  openCopy: () => library.openCopy as Call,
};

describe('a folder or an address', () => {
  const wrong = [
    undefined,
    null,
    5,
    {},
    [],
    Symbol('x'),
    Buffer.from('x'),
    pathToFileURL('/x'),
    '',
  ];

  it.each(wrong)('is a text: %s', async (place) => {
    const secret = { password: 'x' };
    const { adoptCopy, cloneCopy } = library;
    for (const call of Object.values(CALLS)) {
      await expectRefused(() => call()(place, secret), 'invalid-argument');
    }
    const folder = path.join(bench.dir, 'clone');
    await expectRefused(() => (cloneCopy as Call)(place, folder, secret), 'invalid-argument');
    await expectRefused(() => (cloneCopy as Call)(bench.copy, place, secret), 'invalid-argument');
    await expectRefused(() => (adoptCopy as Call)(place, bench.copy, secret), 'invalid-argument');
    await expectRefused(() => (adoptCopy as Call)(folder, place, secret), 'invalid-argument');
    await expectRefused(() => copy.restore(place as string), 'invalid-argument');
  });

  it.each([null, 5, {}, []])('of a remote is a text, or nothing: %s', async (remote) => {
    const name = remote as unknown as string;
    for (const call of [
      () => vault.push(name),
      () => vault.plan(name),
      () => vault.verify(name),
      () => vault.copy(name),
    ]) {
      await expectRefused(call, 'invalid-argument');
    }
  });

  it.each([null, 5, {}])('in a copy is a text, or bytes: %s', async (name) => {
    await expectRefused(() => copy.list(name as string), 'invalid-argument');
    await expectRefused(() => copy.readFile(name as string), 'invalid-argument');
  });
});

describe('options', () => {
  it.each([null, 5, [], 'secret', () => undefined])('are an object: %s', async (given) => {
    const options = given as object;
    for (const call of Object.values(CALLS)) {
      await expectRefused(() => call()(bench.source, options), 'option-invalid');
    }
    const { adoptCopy, cloneCopy } = library;
    const clone = path.join(bench.dir, 'clone');
    for (const call of [
      () => cloneCopy(bench.copy, clone, options),
      () => adoptCopy(clone, bench.copy, options),
      () => vault.push(bench.copy, options),
      () => vault.plan(bench.copy, options),
      () => vault.verify(bench.copy, options),
      () => vault.copy(bench.copy, options),
      () => copy.restore(clone, options),
      () => copy.fsck(options),
      () => copy.list('', options),
      () => copy.find(options),
      () => copy.readFile('note', options),
    ]) {
      await expectRefused(call, 'option-invalid');
    }
  });

  it('show no secret that was given in their place', async () => {
    const refused = await refusal(() =>
      library.openVault(bench.source, 'S3cret' as unknown as object),
    );
    expect(JSON.stringify([refused, String(refused)])).not.toContain('S3cret');
  });

  it.each([5, {}, null, 'x'])('have a signal that is one: %s', async (signal) => {
    const options = { signal: signal as AbortSignal };
    for (const call of [
      () => library.openVault(bench.source, { password: 'x', ...options }),
      () => vault.push(bench.copy, options),
      () => copy.fsck(options),
      () => copy.list('', options),
    ]) {
      await expectRefused(call, 'option-invalid');
    }
  });

  it.each(['sub', 5, [], [5], [null], Buffer.from('x')])(
    'have paths that are some: %s',
    async (given) => {
      const paths = given as unknown as readonly string[];
      for (const call of [
        () => vault.push(bench.copy, { paths }),
        () => vault.plan(bench.copy, { paths }),
        () => vault.verify(bench.copy, { paths }),
        () => copy.restore(path.join(bench.dir, 'back'), { paths }),
      ]) {
        await expectRefused(call, 'option-invalid');
      }
    },
  );

  it.each([
    { in: 5 },
    { pattern: 5 },
    { kinds: 'file' },
    { kinds: ['bogus'] },
    { newer: '7d' },
    { newer: new Date(NaN) },
    { older: 5 },
    { minSize: -1 },
    { maxSize: 1.5 },
  ])('of find are of their kinds: %j', async (options) => {
    await expectRefused(() => copy.find(options as object), 'option-invalid');
  });

  it.each(['x', -1, NaN, null])('wait: %s', async (wait) => {
    const options = { wait: wait as number };
    await expectRefused(() => vault.push(bench.copy, options), 'option-invalid');
    await expectRefused(() => vault.verify(bench.copy, options), 'option-invalid');
  });

  it.each([
    ['offset', { offset: 1.5 }],
    ['offset', { offset: -1 }],
    ['length', { length: NaN }],
  ])('of readFile: %s %j', async (_name, options) => {
    await expectRefused(() => copy.readFile('note', options), 'option-invalid');
  });

  it.each([{ constructor: 1 }, { toString: 1 }, JSON.parse('{"__proto__": 1}') as object])(
    'have no names of the language: %j',
    async (options) => {
      await expectRefused(() => vault.push(bench.copy, options), 'option-unknown');
      await expectRefused(() => copy.fsck(options), 'option-unknown');
    },
  );

  it.each([
    ['keep', { keep: 5 }, 'It must be a text or texts.'],
    ['sample', { sample: 0 }, 'It must be a number, more than 0 and at most 100.'],
  ])('of fsck: %s', async (_name, options, hint) => {
    expect(await refusal(() => copy.fsck(options as object))).toMatchObject({ hint });
  });

  it('say what a time is', async () => {
    const options = { maxTime: 0 } as object;
    expect(await refusal(() => vault.push(bench.copy, options))).toMatchObject({
      code: 'option-invalid',
      hint: 'It must be a time such as 30s, 90m, 26h or 2d.',
    });
  });

  it.each([['masterkey'], ['password']])(
    'say what a secret is, and not which: %s',
    async (name) => {
      const refused = await refusal(() => library.openVault(bench.source, { [name]: 7n }));
      expect(refused).toMatchObject({
        code: 'option-invalid',
        message: `the option '${name}' is a bigint`,
        hint: 'It must be a text, or bytes.',
      });
    },
  );
});
