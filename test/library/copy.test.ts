// Goal: a copy gives what is in it, whole or in part, wherever it is and with or without its vault; who asks for
// a login is the program, and damage is never taken for content.
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, ecsync, initVault, makeBench } from '../e2e/support/cli.ts';
import { differences } from '../e2e/support/compare.ts';
import { startDaemon, WITH_LOGIN, type RunningDaemon } from '../support/rsync-daemon.ts';
import { startSshd, type RunningSshd } from '../support/sshd.ts';
import { untilSettled } from '../support/settled.ts';
import { all, failureOf, importLibrary, text, type Library } from './support/library.ts';

/** Longer than what is handed on in one piece. */
const LARGE = Buffer.alloc(
  300_000,
  Uint8Array.from({ length: 251 }, (_one, index) => index),
);

let library: Library;
let bench: Bench;
let sshd: RunningSshd;
let daemon: RunningDaemon;
let masterkey: string;
beforeAll(async () => {
  library = await importLibrary();
  bench = await makeBench();
  [sshd, daemon] = await Promise.all([startSshd(), startDaemon({ copies: WITH_LOGIN })]);
  mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
  writeFileSync(path.join(bench.source, 'folder', 'large'), LARGE);
  writeFileSync(path.join(bench.source, 'note.txt'), 'a note');
  writeFileSync(Buffer.concat([Buffer.from(`${bench.source}/`), Buffer.from([0xe9])]), 'odd');
  await initVault(bench);
  const vault = await library.openVault(bench.source, { password: bench.password });
  masterkey = vault.exportMasterkey();
  await untilSettled();
  await vault.push(bench.copy);
  await vault.close();
});
afterAll(async () => {
  await Promise.all([sshd.stop(), daemon.stop()]);
  await bench.remove();
});

/** Its content, put together. */
async function contentOf(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await all(pieces));
}

describe('a copy that is opened by its conf', () => {
  it.each([
    ['all of it', undefined, undefined],
    ['from some byte on', 4_097, undefined],
    ['a part inside of a block', 10, 20],
    ['a part over pieces and blocks', 262_000, 5_000],
    ['nothing', 100, 0],
    ['what lies beyond its end', 300_000, 5],
  ])('gives of a file %s', async (_what, offset = 0, length = Infinity) => {
    const copy = await library.openCopy(bench.copy, { password: bench.password });
    const part = { offset, ...(length !== Infinity && { length }) };
    const content = await contentOf(copy.readFile('folder/large', part));
    await copy.close();
    expect(content.equals(LARGE.subarray(offset, offset + length))).toBe(true);
  });

  it('lists and finds, in bytes, and stops when nobody wants more', async () => {
    const copy = await library.openCopy(bench.copy, { masterkey });
    const top = await all(copy.list());
    const odd = top.find(({ path: name }) => name[0] === 0xe9);
    expect(top.map(({ kind }) => kind).sort()).toEqual(['file', 'file', 'folder']);
    expect(await contentOf(copy.readFile(odd?.path ?? ''))).toEqual(Buffer.from('odd'));
    const below = await all(copy.list('/folder/', { recursive: true }));
    expect(below.map(({ path: name, size }) => [text(name), size])).toEqual([
      ['folder/large', LARGE.length],
    ]);
    const found = copy.find({ pattern: '*.TXT', ignoreCase: true, kinds: ['file'], maxSize: 10 });
    expect((await all(found)).map(({ path: name }) => text(name))).toEqual(['note.txt']);
    const [started, walking] = [copy.readFile('folder/large'), copy.list('', { recursive: true })];
    expect(await Promise.all([started.next(), walking.next()])).toMatchObject([
      { done: false },
      { done: false },
    ]);
    await Promise.all([started.return(), walking.return()]);
    expect(await failureOf(all(copy.list('nowhere')))).toMatchObject({ code: 'path-missing' });
    expect(await failureOf(all(copy.readFile('folder')))).toMatchObject({ code: 'not-a-file' });
    const beyond = failureOf(
      Promise.resolve().then(() => all(copy.readFile('note.txt', { offset: -1 }))),
    );
    expect(await beyond).toMatchObject({ code: 'option-invalid' });
    const asText = { offset: '1' } as object;
    const typed = failureOf(Promise.resolve().then(() => all(copy.readFile('note.txt', asText))));
    expect(await typed).toMatchObject({ code: 'option-invalid' });
    await copy.close();
    expect(await failureOf(all(copy.list()))).toMatchObject({ code: 'closed' });
  });

  it('is closed even where somebody has stopped reading in the middle', async () => {
    const copy = await library.openCopy(bench.copy, { password: bench.password });
    const reading = copy.readFile('folder/large');
    expect((await reading.next()).done).toBe(false);
    await copy.close();
    const next = reading.next().then(() => reading.next());
    expect(await failureOf(next)).toMatchObject({ code: 'interrupted' });
  });

  it('is made anew with a layout and a key, and with nothing that does not exist', async () => {
    const { createVault, cloneCopy } = library;
    const folder = path.join(bench.dir, 'new');
    const odd = { password: 'secret', layout: 'odd' } as object;
    expect(await failureOf(createVault(folder, odd))).toMatchObject({ code: 'layout-unknown' });
    expect(await failureOf(createVault(folder))).toMatchObject({ code: 'password-missing' });
    const vault = await createVault(folder, { password: 'x', layout: 'xchacha', scryptn: 10 });
    await vault.close();
    const again = failureOf(createVault(folder, { password: 'x' }));
    expect(await again).toMatchObject({ code: 'vault-exists' });
    const dry = { password: bench.password, dryRun: true } as object;
    const cloned = failureOf(cloneCopy(bench.copy, path.join(bench.dir, 'dry'), dry));
    expect(await cloned).toMatchObject({ code: 'option-unknown' });
  });

  it('is restored and cloned', async () => {
    const copy = await library.openCopy(bench.copy, { passfile: bench.passfile });
    const back = path.join(bench.dir, 'back');
    const told: string[] = [];
    const onItem = ({ path: name }: { readonly path: Uint8Array }) => void told.push(text(name));
    const options = { paths: ['folder'], base: 'folder', onItem };
    expect(await copy.restore(back, options)).toMatchObject({ exitCode: 0, filesRestored: 1 });
    expect(readFileSync(path.join(back, 'large')).equals(LARGE)).toBe(true);
    expect(told).toContain('folder/large');
    await copy.close();
    const clone = path.join(bench.dir, 'clone');
    const cloned = await library.cloneCopy(bench.copy, clone, { password: bench.password });
    expect(cloned).toMatchObject({ exitCode: 0, vaultDir: path.join(clone, '.ecsync') });
    expect(differences(bench.source, clone, { ignore: ['.ecsync'], nanoseconds: false })).toEqual(
      [],
    );
    const vault = await library.openVault(clone, { password: bench.password });
    expect(await vault.plan('origin')).toMatchObject({ filesSent: 0, filesDeleted: 0 });
    await vault.close();
  });

  it('is opened by nothing but its password or its key', async () => {
    const { openCopy } = library;
    const wrong = failureOf(openCopy(bench.copy, { password: 'wrong' }));
    expect(await wrong).toMatchObject({ code: 'wrong-password' });
    const none = failureOf(openCopy(bench.copy));
    expect(await none).toMatchObject({ code: 'password-missing' });
    const zeros = failureOf(openCopy(bench.copy, { masterkey: new Uint8Array(32) }));
    expect(await zeros).toMatchObject({ code: 'wrong-masterkey' });
    const short = failureOf(openCopy(bench.copy, { masterkey: new Uint8Array(31) }));
    expect(await short).toMatchObject({ code: 'masterkey-invalid' });
    const nothing = failureOf(openCopy(path.join(bench.dir, 'nothing'), { password: 'x' }));
    expect(await nothing).toMatchObject({ code: 'conf-missing' });
  });

  it('is opened without a conf by its key, if the key fits', async () => {
    const bare = path.join(bench.dir, 'bare');
    cpSync(bench.copy, bare, { recursive: true });
    rmSync(path.join(bare, 'gocryptfs.conf'));
    const copy = await library.openCopy(bare, { masterkey });
    expect(await contentOf(copy.readFile('note.txt'))).toEqual(Buffer.from('a note'));
    await copy.close();
    const zeros = failureOf(library.openCopy(bare, { masterkey: '0'.repeat(64) }));
    expect(await zeros).toMatchObject({ code: 'wrong-masterkey' });
  });

  it('gives what comes before damage, and then the damage', async () => {
    const damaged = path.join(bench.dir, 'damaged');
    cpSync(bench.copy, damaged, { recursive: true });
    const names = readdirSync(damaged, { recursive: true, encoding: 'utf8' });
    const stored = names
      .map((name) => path.join(damaged, name))
      .find((file) => statSync(file).size > 300_000);
    const bytes = readFileSync(stored ?? '');
    const inBlockTen = 18 + 10 * (4096 + 32) + 100;
    bytes.writeUInt8(bytes.readUInt8(inBlockTen) ^ 1, inBlockTen);
    rmSync(stored ?? '');
    writeFileSync(stored ?? '', bytes);
    const copy = await library.openCopy(damaged, { password: bench.password });
    const got: Uint8Array[] = [];
    const reading = async (): Promise<void> => {
      for await (const piece of copy.readFile('folder/large')) got.push(piece);
    };
    expect(await failureOf(reading())).toMatchObject({ code: 'tag-mismatch', exitCode: 26 });
    expect(Buffer.concat(got).equals(LARGE.subarray(0, 10 * 4096))).toBe(true);
    const found: string[] = [];
    const onFinding = ({ code }: { readonly code: string }) => void found.push(code);
    expect(await copy.fsck({ onFinding })).toMatchObject({ exitCode: 26, damaged: 1 });
    expect(found).toContain('tag-mismatch');
    await copy.close();
  });
});

describe('a copy behind a login', () => {
  const folder = (): string => path.join(bench.dir, 'over-ssh');

  it('asks the program whether the host is the right one, and for nothing else', async () => {
    const address = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${folder()}`;
    const rsh = { rsh: sshd.rsh };
    const vault = await library.openVault(bench.source, { password: bench.password });
    expect(await vault.push(address, rsh)).toMatchObject({ exitCode: 0 });
    await vault.close();
    const unknown = failureOf(library.openCopy(address, { password: bench.password }));
    expect(await unknown).toMatchObject({ code: 'host-key-unknown', exitCode: 13 });
    const asked: string[] = [];
    const askHostKey = ({ fingerprint }: { readonly fingerprint: string }) => {
      asked.push(fingerprint);
      return Promise.resolve(false);
    };
    const questions = { askHostKey };
    const refused = failureOf(library.openCopy(address, { password: bench.password, questions }));
    expect(await refused).toMatchObject({ exitCode: 13 });
    expect(asked).toEqual([expect.stringMatching(/^SHA256:/)]);
    const copy = await library.openCopy(address, { password: bench.password, ...rsh });
    const part = { offset: 200_000, length: 70_000 };
    const content = await contentOf(copy.readFile('folder/large', part));
    expect(content.equals(LARGE.subarray(200_000, 270_000))).toBe(true);
    await copy.close();
  });

  it('gets the password of a daemon from the program', async () => {
    const address = `rsync://joe@127.0.0.1:${daemon.port}/copies/here`;
    const questions = { daemonPassword: () => Promise.resolve(daemon.password) };
    const vault = await library.openVault(bench.source, { password: bench.password, questions });
    expect(await vault.push(address)).toMatchObject({ exitCode: 0 });
    expect(await all(vault.copy(address).list('folder'))).toMatchObject([{ size: LARGE.length }]);
    const reading = vault.copy(address).readFile('folder/large', { length: 100 });
    expect((await contentOf(reading)).equals(LARGE.subarray(0, 100))).toBe(true);
    await vault.close();
    const silent = await library.openVault(bench.source, { password: bench.password });
    expect(await failureOf(silent.push(address))).toMatchObject({ exitCode: 13 });
    await silent.close();
  });
});

describe('what the command line sees', () => {
  it('is what the library has made, and the other way round', async () => {
    const words = ['-C', bench.source, '--passfile', bench.passfile];
    const pushed = await ecsync(['push', bench.copy, ...words, '--json']);
    expect(pushed).toMatchObject({ code: 0 });
    expect(pushed.stdout).toContain('"filesSent":0');
    const shown = await ecsync(['cat', 'note.txt', '--from', bench.copy, ...words]);
    expect(shown).toMatchObject({ code: 0, stdout: 'a note' });
  });
});
