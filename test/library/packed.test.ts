// Goal: who installs the package can write what its documents show, in JavaScript and in TypeScript, and
// gets copies that stock opens. Nothing here comes from the sources: the package is packed and unpacked.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fencesOf } from '../docs/support/documents.ts';
import { differences } from '../e2e/support/compare.ts';
import { fsck, withMount } from '../e2e/support/stock.ts';
import { startSshd, type RunningSshd } from '../support/sshd.ts';
import { installPackage } from './support/installed-package.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
const INSTALL_TIMEOUT_MS = 600_000;
const COMPILE_TIMEOUT_MS = 300_000;

let consumer: string;
let sshd: RunningSshd;
let passfile: string;
beforeAll(async () => {
  consumer = await mkdtemp(path.join(tmpdir(), 'ecsync-consumer-'));
  [sshd] = await Promise.all([startSshd(), installPackage(consumer)]);
  passfile = path.join(consumer, 'passfile');
  writeFileSync(passfile, 'secret\n');
}, INSTALL_TIMEOUT_MS);
afterAll(async () => {
  await sshd.stop();
  rmSync(consumer, { recursive: true, force: true });
});

/** A folder of the examples, and what stands for it here. */
function here(folder: string): string {
  return path.join(consumer, 'places', folder);
}

/** Runs an example with the folders and the server of this test. */
async function runExample(example: string): Promise<string> {
  const { user, port } = sshd;
  const text = example
    .replaceAll('ssh://me@example.org', `ssh://${user}@127.0.0.1:${port}${here('server')}`)
    .replace(/'(\/(?:home|tmp|mnt)\/[^']*)'/g, (_whole, folder: string) =>
      JSON.stringify(here(folder)),
    );
  const file = path.join(consumer, 'program.mjs');
  writeFileSync(file, text);
  const { stdout, stderr } = await run(process.execPath, [file], {
    cwd: consumer,
    env: { PATH: process.env['PATH'] ?? '', HOME: sshd.home },
  });
  expect(stderr).toBe('');
  return stdout;
}

/** The examples of a document: the comment of a source, or the fences of a page. */
function examplesIn(document: string): readonly string[] {
  if (document.endsWith('.md')) {
    return fencesOf(document).flatMap(({ language, text }) => (language === 'js' ? [text] : []));
  }
  const comment = readFileSync(path.join(root, document), 'utf8').replace(/^ \* ?/gm, '');
  return [...comment.matchAll(/```js\n(.*?)```/gs)].map(([, example = '']) => example);
}

/** A vault, made by the package itself, with something in it. */
async function makePhotos(): Promise<void> {
  rmSync(here(''), { recursive: true, force: true });
  const photos = here('/home/me/photos');
  for (const folder of [`${photos}/2025/summer`, here('/tmp'), here('/mnt/disk'), here('server')]) {
    mkdirSync(folder, { recursive: true });
  }
  writeFileSync(`${photos}/2025/summer/beach.jpg`, Buffer.alloc(70_000, 'beach'));
  writeFileSync(`${photos}/2025/list.txt`, 'beach');
  writeFileSync(`${photos}/old.txt`, 'old');
  await runExample(`
    import { createVault } from 'ecsync';
    const vault = await createVault('/home/me/photos', { password: 'secret', scryptn: 10 });
    await vault.close();
  `);
}

/** What stock has to say about a copy, and how its mount differs from the source. */
async function problemsOf(copy: string, source: string): Promise<readonly string[]> {
  const report = await fsck(copy, passfile);
  if (report.code !== 0) return [report.text];
  return withMount(copy, passfile, (mountpoint) =>
    Promise.resolve(differences(source, mountpoint, { ignore: ['.ecsync'], nanoseconds: false })),
  );
}

describe('the example of src/index.ts', () => {
  it('pushes to a real server what stock opens', async () => {
    await makePhotos();
    const [example = ''] = examplesIn('src/index.ts');
    await runExample(example);
    expect(await problemsOf(here('server/photos'), here('/home/me/photos'))).toEqual([]);
  });
});

describe('the examples of docs/library.md', () => {
  it('do what they say, one after the other', async () => {
    await makePhotos();
    const photos = here('/home/me/photos');
    const [push = '', restore = '', create = '', look = '', adopt = '', ...others] =
      examplesIn('docs/library.md');
    expect(others).toEqual([]);
    expect(push.split('\n').length).toBeLessThanOrEqual(12);

    expect(await runExample(push)).toBe('3 sent, 0 deleted\n');
    expect(await problemsOf(here('server/photos'), photos)).toEqual([]);
    rmSync(`${photos}/old.txt`);
    expect(await runExample(push)).toBe('0 sent, 1 deleted\n');

    expect(await runExample(restore)).toBe('1 files are back\n');
    const back = here('/tmp/photos/2025/summer');
    expect(differences(`${photos}/2025/summer`, back, { nanoseconds: false })).toEqual([]);

    mkdirSync(here('/home/me/documents/.cache'), { recursive: true });
    writeFileSync(here('/home/me/documents/letter.txt'), 'Dear');
    writeFileSync(here('/home/me/documents/letter.tmp'), 'Dea');
    const created = await runExample(create);
    expect(created).toMatch(/^keep this on paper: [0-9a-f-]{71}\n/);
    expect(created).toContain('<f+++++++++ letter.txt\n');
    expect(created).not.toContain('letter.tmp');
    expect((await fsck(here('server/documents'), passfile)).code).toBe(0);

    expect(await runExample(look)).toMatch(/^(?:folder|file) 2025\/.*$/m);
    expect(readFileSync(here('/tmp/first.jpg'))).toEqual(Buffer.alloc(512, 'beach'));

    await copyMusic();
    expect(await runExample(adopt)).toBe('1 of 1 objects are there already\n0 would be sent\n');
  });
});

/** A folder and a copy of it that stock gocryptfs has made. */
async function copyMusic(): Promise<void> {
  const music = here('/home/me/music');
  mkdirSync(music, { recursive: true });
  writeFileSync(`${music}/song.ogg`, 'la la la');
  utimesSync(`${music}/song.ogg`, 1_700_000_000, 1_700_000_000);
  const copy = here('/mnt/disk/music');
  mkdirSync(copy, { recursive: true });
  const quiet = ['-q', '-nosyslog', '-passfile', passfile];
  await run('gocryptfs', ['-init', ...quiet, '-scryptn', '10', copy]);
  const fill = (mountpoint: string): Promise<void> => {
    cpSync(music, mountpoint, { recursive: true, preserveTimestamps: true });
    return Promise.resolve();
  };
  await withMount(copy, passfile, fill, 'writable');
}

describe('the types', () => {
  it.each([
    ['node16', 'node16', false],
    ['esnext', 'bundler', true],
  ])(
    'are right for modules of %s, resolved as by %s',
    async (...choice) => {
      const [module, moduleResolution, skipLibCheck] = choice;
      cpSync(
        path.join(import.meta.dirname, 'support/consumer.txt'),
        path.join(consumer, 'user.ts'),
      );
      const compilerOptions = {
        ...{ module, moduleResolution, target: 'ES2022', lib: ['ES2023', 'ESNext.Disposable'] },
        ...{ strict: true, noEmit: true, skipLibCheck, exactOptionalPropertyTypes: true },
        types: ['node'],
      };
      writeFileSync(path.join(consumer, 'package.json'), '{ "type": "module" }');
      const config = path.join(consumer, `tsconfig.${moduleResolution}.json`);
      writeFileSync(config, JSON.stringify({ compilerOptions, files: ['user.ts'] }));
      const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
      const checked = await run(process.execPath, [tsc, '-p', config]).then(
        ({ stdout }) => stdout,
        (error: unknown) => (error as { readonly stdout: string }).stdout,
      );
      expect(checked).toBe('');
    },
    COMPILE_TIMEOUT_MS,
  );
});

describe('the package', () => {
  it('lets nothing be imported but its face', async () => {
    const inner = ['ecsync/dist/sync/push/push.js', 'ecsync/dist/index.js', 'ecsync/package.json'];
    const program = `for (const name of ${JSON.stringify(inner)}) {
      await import(name).then(() => console.log(name), (error) => console.log(error.code));
    }`;
    const printed = await runExample(program);
    expect(printed).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n'.repeat(inner.length));
  });
});
