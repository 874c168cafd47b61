// Goal: a vault that one call has opened brings along all that its copies need, whoever else works with it;
// what a program asks wrongly is refused before anything happens.
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Bench, ecsync, initVault, makeBench } from '../e2e/support/cli.ts';
import { differences } from '../e2e/support/compare.ts';
import { makeOldCopy } from '../e2e/support/stock-copies.ts';
import { fsck, withMount } from '../e2e/support/stock.ts';
import { untilSettled } from '../support/settled.ts';
import { readHistory } from '../../src/vault/memory/history.ts';
import { all, failureOf, importLibrary, text, type Library } from './support/library.ts';

const run = promisify(execFile);

let library: Library;
let bench: Bench;
beforeAll(async () => {
  library = await importLibrary();
});
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
  writeFileSync(path.join(bench.source, 'folder', 'old'), 'old content');
  writeFileSync(path.join(bench.source, 'top'), 'content');
});
afterEach(() => bench.remove());

async function open() {
  await untilSettled();
  return library.openVault(bench.source, { password: bench.password });
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

function config(): string {
  return path.join(bench.source, '.ecsync/config.toml');
}

describe('an adopted copy', () => {
  it('keeps its directory IVs when the library pushes, and stays what stock opens', async () => {
    await makeOldCopy(bench, { kind: 'forward', words: [] });
    const before = path.join(bench.dir, 'before');
    await run('cp', ['-a', bench.copy, before]);
    const secret = { password: bench.password };
    const adopted = await library.adoptCopy(bench.source, bench.copy, secret);
    expect(adopted).toMatchObject({ matching: 3, extra: 0, damaged: 0 });
    expect(differences(before, bench.copy)).toEqual([]);
    writeFileSync(path.join(bench.source, 'folder', 'new'), 'new content');
    const vault = await open();
    expect(await vault.push(bench.copy, { delete: true })).toMatchObject({ exitCode: 0 });
    await vault.close();
    const diriv = 'gocryptfs.diriv';
    expect(readFileSync(path.join(bench.copy, diriv))).toEqual(
      readFileSync(path.join(before, diriv)),
    );
    expect(await problemsOfCopy()).toEqual([]);
  });
});

describe('a vault', () => {
  beforeEach(() => initVault(bench));

  it('is opened by nothing but its password or its key', async () => {
    const { openVault } = library;
    const wrong = await failureOf(openVault(bench.source, { password: 'wrong' }));
    expect(wrong).toMatchObject({ code: 'wrong-password', exitCode: 12 });
    expect(wrong).toBeInstanceOf(library.PasswordError);
    const key = { masterkey: new Uint8Array(32) };
    expect(await failureOf(openVault(bench.source, key))).toMatchObject({
      code: 'wrong-masterkey',
    });
    const both = { password: 'x', passfile: bench.passfile };
    expect(await failureOf(openVault(bench.source, both))).toMatchObject({
      code: 'conflicting-options',
    });
    const vault = await openVault(bench.source, { passfile: bench.passfile });
    const masterkey = vault.exportMasterkey();
    await vault.close();
    const again = await openVault(path.join(bench.source, 'folder'), { masterkey });
    expect(await again.push(bench.copy)).toMatchObject({ exitCode: 0 });
    await again.close();
  });

  it('takes the password from where its configuration says', async () => {
    const text = readFileSync(config(), 'utf8');
    writeFileSync(config(), `${text}\n[password]\nfile = ${JSON.stringify(bench.passfile)}\n`);
    const vault = await library.openVault(bench.source);
    expect(await vault.push(bench.copy)).toMatchObject({ exitCode: 0 });
    await vault.close();
  });

  it('pushes what its configuration says, as far as the call says nothing else', async () => {
    appendFileSync(config(), '\n[push]\nexclude = ["top"]\ndelete = true\n');
    appendFileSync(config(), `\n[[remotes]]\nname = "disk"\nurl = ${JSON.stringify(bench.copy)}\n`);
    const vault = await open();
    expect(vault.remotes).toEqual([{ name: 'disk', address: bench.copy, isEncrypted: true }]);
    expect(await vault.push()).toMatchObject({ filesSent: 1 });
    expect(await vault.push('disk', { include: 'top' })).toMatchObject({ filesSent: 1 });
    rmSync(path.join(bench.source, 'folder', 'old'));
    expect(await vault.push('disk', { delete: false })).toMatchObject({ filesDeleted: 0 });
    expect(await vault.plan('disk')).toMatchObject({ filesDeleted: 1 });
    expect(await vault.push('disk')).toMatchObject({ filesDeleted: 1 });
    await vault.close();
    const runs = readHistory(path.join(bench.source, '.ecsync'));
    expect(
      runs.map(({ command, exitCode, remote, part }) => [command, exitCode, remote, part]),
    ).toEqual([
      ['push', 0, 'disk', undefined],
      ['push', 0, 'disk', true],
      ['push', 0, 'disk', undefined],
      ['push', 0, 'disk', undefined],
    ]);
    expect(runs[0]?.figures).toMatchObject({ filesSent: 1 });
  });

  it('is opened twice: who pushes first has the lock, the other waits or is told', async () => {
    const [first, second] = await Promise.all([open(), open()]);
    const others: Promise<unknown>[] = [];
    const pushed = await first.push(bench.copy, {
      onProgress: () => {
        if (others.length > 0) return;
        others.push(failureOf(second.push(bench.copy)));
        others.push(second.push(bench.copy, { wait: true }));
      },
    });
    expect(pushed).toMatchObject({ exitCode: 0, filesSent: 2 });
    const [locked, waited] = await Promise.all(others);
    expect(locked).toBeInstanceOf(library.LockedError);
    expect(locked).toMatchObject({ code: 'locked', exitCode: 11 });
    expect(waited).toMatchObject({ exitCode: 0, filesSent: 0 });
    await Promise.all([first.close(), second.close()]);
  });

  it('pushes the password that was changed while it was open', async () => {
    const vault = await open();
    await vault.push(bench.copy);
    const newPassfile = path.join(bench.dir, 'new-passfile');
    writeFileSync(newPassfile, 'another\n', { mode: 0o600 });
    const words = ['--passfile', bench.passfile, '--new-passfile', newPassfile, '--scryptn', '10'];
    const changed = await ecsync(['key', 'passwd', '-C', bench.source, ...words]);
    expect(changed).toMatchObject({ code: 0 });
    expect(await vault.push(bench.copy)).toMatchObject({ exitCode: 0 });
    await vault.close();
    expect((await fsck(bench.copy, newPassfile)).code).toBe(0);
  });

  it('verifies, and repairs what is damaged', async () => {
    const vault = await open();
    await vault.push(bench.copy);
    appendFileSync(storedFile('old content'.length), 'damage');
    const found: string[] = [];
    const onFinding = ({ kind, path: at }: { kind: string; path: Uint8Array }) =>
      void found.push(`${kind} ${text(at)}`);
    expect(await vault.verify(bench.copy, { onFinding })).toMatchObject({ exitCode: 26 });
    expect(found).toEqual(['changed folder/old']);
    expect(await vault.verify(bench.copy, { repair: true })).toMatchObject({
      ...{ exitCode: 0, repaired: 1 },
    });
    expect(await vault.copy(bench.copy).fsck()).toMatchObject({ exitCode: 0, files: 2 });
    await vault.close();
  });

  it('makes a plain mirror without its key, and nothing else', async () => {
    const mirror = path.join(bench.dir, 'mirror');
    const added = await ecsync([
      'remote',
      'add',
      'plain',
      mirror,
      '--no-encrypt',
      '-C',
      bench.source,
    ]);
    expect(added).toMatchObject({ code: 0 });
    const vault = await library.openVault(bench.source);
    expect(vault.remotes).toMatchObject([{ name: 'plain', isEncrypted: false }]);
    expect(await vault.push('plain')).toMatchObject({ exitCode: 0, filesSent: 2 });
    expect(await vault.verify('plain')).toMatchObject({ exitCode: 0 });
    const back = path.join(bench.dir, 'back');
    expect(await vault.copy().restore(back)).toMatchObject({ exitCode: 0, filesRestored: 2 });
    expect(differences(bench.source, back, { ignore: ['.ecsync'], nanoseconds: false })).toEqual(
      [],
    );
    const listed = failureOf(all(vault.copy().list()));
    expect(await listed).toMatchObject({ code: 'not-encrypted' });
    const missing = { code: 'password-missing', exitCode: 12 };
    expect(await failureOf(vault.push(bench.copy))).toMatchObject(missing);
    expect(() => vault.exportMasterkey()).toThrow(library.PasswordError);
    await vault.close();
  });

  it.each([
    ['another name', { delte: true }, 'option-unknown', "Did you mean 'delete'?"],
    ['no flag', { delete: 'yes' }, 'option-invalid', 'It must be true or false.'],
    ['no amount', { maxDelete: '200%' }, 'option-invalid', /whole number, or a share/],
    ['no text', { rsyncPath: '' }, 'option-invalid', 'It must not be empty.'],
    ['no texts', { exclude: [1] }, 'option-invalid', 'It must be a text or texts.'],
    ['two that exclude each other', { delete: true, appendOnly: true }, 'conflicting-options', /-/],
    ['no listener', { onItem: 'x' }, 'option-invalid', 'It must be a function.'],
    ['what only verify takes', { repair: true }, 'option-unknown', /./],
    ['a path outside', { paths: ['../x'] }, 'path-outside', /top/],
    ['a path where nothing is', { paths: ['nothing'] }, 'path-missing', /top/],
  ])('refuses %s in the options of a push', async (_what, options, code, hint) => {
    const vault = await open();
    const refused = await failureOf(vault.push(bench.copy, options as object));
    await vault.close();
    expect(refused).toBeInstanceOf(library.UsageError);
    expect(refused).toMatchObject({ code });
    expect((refused as { readonly hint: string }).hint).toMatch(hint);
    expect(readHistory(path.join(bench.source, '.ecsync'))).toEqual([]);
  });
});

/** The stored file of a content of some length. */
function storedFile(length: number): string {
  const files = readdirSync(bench.copy, { recursive: true, encoding: 'utf8' });
  const found = files.find((name) => statSync(path.join(bench.copy, name)).size === 50 + length);
  return path.join(bench.copy, found ?? '');
}

describe('a vault that ends', () => {
  beforeEach(() => initVault(bench));

  /** A push through a stock rsync, slow enough to be still under way. */
  const SLOWLY = { rsyncPath: 'rsync', bwlimit: '1M' };

  beforeEach(() => {
    writeFileSync(path.join(bench.source, 'large'), Buffer.alloc(6_000_000, 'large'));
  });

  it('leaves a clean copy when a push is aborted in its middle, and the next one continues', async () => {
    const vault = await open();
    const ending = new AbortController();
    const pushing = vault.push(bench.copy, {
      ...SLOWLY,
      signal: ending.signal,
      onProgress: ({ bytesDone }) => {
        if (bytesDone > 500_000) ending.abort();
      },
    });
    const ended = await failureOf(pushing);
    expect(ended).toBeInstanceOf(library.InterruptedError);
    expect(ended).toMatchObject({ code: 'interrupted', exitCode: 130 });
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    const next = await vault.push(bench.copy, { rsyncPath: 'rsync' });
    expect(next).toMatchObject({ exitCode: 0 });
    await vault.close();
    expect(await problemsOfCopy()).toEqual([]);
  });

  it('ends what is under way, and does nothing more', async () => {
    const vault = await open();
    let closing: Promise<void> | undefined;
    const pushing = vault.push(bench.copy, {
      ...SLOWLY,
      onProgress: ({ bytesDone }) => {
        if (bytesDone > 500_000) closing ??= vault.close();
      },
    });
    expect(await failureOf(pushing)).toMatchObject({ code: 'interrupted' });
    await closing;
    expect(await failureOf(vault.push(bench.copy))).toMatchObject({ code: 'closed' });
    expect(await failureOf(all(vault.copy(bench.copy).list()))).toMatchObject({ code: 'closed' });
    expect(() => vault.exportMasterkey()).toThrow(library.UsageError);
  });

  it('hands on what the promise of a listener is rejected with, however late', async () => {
    const vault = await open();
    const mine = new TypeError('mine');
    const onItem = (): unknown => Promise.reject(mine);
    expect(await failureOf(vault.push(bench.copy, { onItem }))).toBe(mine);
    const later = (): unknown => sleep(1500).then(() => Promise.reject(mine));
    const onProgress = vi.fn(later);
    expect(await failureOf(vault.push(bench.copy, { onProgress }))).toBe(mine);
    expect(onProgress).toHaveBeenCalled();
    const written: string[] = [];
    const slow = ({ path: at }: { readonly path: Uint8Array }): unknown =>
      sleep(50).then(() => written.push(text(at)));
    const copy = path.join(bench.dir, 'another-copy');
    const { filesSent } = await vault.push(copy, { onItem: slow });
    expect(filesSent).toBe(3);
    expect(written).toEqual(expect.arrayContaining(['large', 'top', 'folder/old']));
    await vault.close();
  });

  it('hands on what a listener throws, and pushes again', async () => {
    const vault = await open();
    const mine = new TypeError('mine');
    const onProgress = (): void => {
      throw mine;
    };
    expect(await failureOf(vault.push(bench.copy, { onProgress }))).toBe(mine);
    expect(await vault.push(bench.copy)).toMatchObject({ exitCode: 0 });
    await vault.close();
  });
});
