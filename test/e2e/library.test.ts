// Goal: whoever uses the library as its documentation says gets a copy that stock opens, also where
// the vault has adopted a copy that ecsync did not make; and nothing less than a whole vault is pushed.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Bench, ecsync, makeBench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeOldCopy } from './support/stock-copies.ts';
import { fsck, withMount } from './support/stock.ts';

const run = promisify(execFile);
const packageDir = path.resolve(inject('cliPath'), '../../..');
const root = path.resolve(import.meta.dirname, '../..');

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
  writeFileSync(path.join(bench.source, 'folder', 'old'), 'old content');
  writeFileSync(path.join(bench.source, 'top'), 'content');
  await makeOldCopy(bench, { kind: 'forward', words: [] });
  const adopted = await ecsync(['adopt', bench.copy, bench.source, '--passfile', bench.passfile]);
  expect(adopted).toMatchObject({ code: 0 });
});
afterEach(() => bench.remove());

/** The first JavaScript in a document. */
function exampleIn(file: string): string {
  const text = readFileSync(path.join(root, file), 'utf8').replace(/^ \* ?/gm, '');
  const [, example] = /```js\n(.*?)```/s.exec(text) ?? [];
  if (example === undefined) throw new Error(`${file} has no example`);
  return example;
}

/** Replaces what must be there. */
function replaced(text: string, what: string, by: string): string {
  expect(text).toContain(what);
  return text.replace(what, by);
}

/** Runs a program beside an installed package. */
async function runProgram(text: string): Promise<void> {
  const modules = path.join(bench.dir, 'node_modules');
  mkdirSync(modules, { recursive: true });
  rmSync(path.join(modules, 'ecsync'), { force: true });
  symlinkSync(packageDir, path.join(modules, 'ecsync'));
  const file = path.join(bench.dir, 'program.mjs');
  writeFileSync(file, text);
  await run(process.execPath, [file]);
}

/** What stock has to say about the copy, and how its mount differs from the source. */
async function problemsOfCopy(): Promise<readonly string[]> {
  const report = await fsck(bench.copy, bench.passfile);
  if (report.code !== 0) return [report.text];
  return withMount(bench.copy, bench.passfile, (mountpoint) =>
    Promise.resolve(
      differences(bench.source, mountpoint, { ignore: ['.ecsync'], nanoseconds: false }),
    ),
  );
}

describe.each(['src/index.ts'])('the example in %s', (document) => {
  it('pushes to an adopted copy, which stays what stock opens', async () => {
    const diriv = readFileSync(path.join(bench.copy, 'gocryptfs.diriv'));
    writeFileSync(path.join(bench.source, 'folder', 'new'), 'new content');
    let example = exampleIn(document);
    example = replaced(example, '/home/me/photos', bench.source);
    example = replaced(example, "'secret'", JSON.stringify(bench.password));
    example = replaced(example, 'ssh://me@example.org/photos', bench.copy);
    await runProgram(example);
    expect(readFileSync(path.join(bench.copy, 'gocryptfs.diriv'))).toEqual(diriv);
    expect(await problemsOfCopy()).toEqual([]);
  });
});

/** The library as a program finds it. */
function library(): Promise<typeof import('../../src/index.ts')> {
  return import(pathToFileURL(path.join(packageDir, 'dist/index.js')).href) as never;
}

/** A push with something that may be no whole vault, or of another folder. */
async function pushWith(
  change: (vault: object) => object,
  source = bench.source,
): Promise<unknown> {
  const { unlockVault, push, pushMemory, parseDestination, defaultPushSettings } = await library();
  const vault = await unlockVault({ folder: bench.source }, { password: bench.password });
  const destination = parseDestination(bench.copy, { platform: process.platform });
  const settings = { ...defaultPushSettings(vault, destination), source };
  return push(settings, change(vault) as typeof vault, {
    ...pushMemory(vault, destination),
    reporter: { item: () => undefined, warning: () => undefined, progress: () => undefined },
    signal: AbortSignal.timeout(30_000),
  }).catch((error: unknown) => error);
}

describe('a push', () => {
  it('takes nothing but a whole vault, and no folder but its own', async () => {
    const before = path.join(bench.dir, 'before');
    await run('cp', ['-a', bench.copy, before]);
    const refused = { code: 'vault-not-opened' };
    expect(await pushWith((vault) => ({ ...vault }))).toMatchObject(refused);
    expect(await pushWith((vault) => Object.create(vault) as object)).toMatchObject(refused);
    const other = path.join(bench.dir, 'other');
    mkdirSync(other);
    expect(await pushWith((vault) => vault, other)).toMatchObject({ code: 'source-differs' });
    expect(differences(before, bench.copy)).toEqual([]);
    expect(await pushWith((vault) => vault)).toMatchObject({ exitCode: 0 });
  });
});
