import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import {
  type Bench,
  type CliOptions,
  type CliResult,
  ecsync,
  initVault,
  type JsonSummary,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { type CompareOptions, differences } from './support/compare.ts';
import { fsck, withMount } from './support/stock.ts';

/** Content large enough that sending any of it would show. */
const CONTENT = randomBytes(60_000);
/** After this time a new file is old enough to be recognised by its times. */
const SETTLED_MS = 2100;

let sshd: RunningSshd;
let bench: Bench;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.stop());
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(bench.source);
  await initVault(bench);
});
afterEach(() => bench.remove());

const at = (...names: string[]): string => path.join(bench.source, ...names);

/** Writes a file with an old time, so that no push checks it twice. */
function write(
  name: string,
  content: Uint8Array | string = CONTENT,
  mtimeSec = 1_600_000_000,
): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
  utimesSync(at(name), mtimeSec, mtimeSec);
}

function move(from: string, to: string): void {
  mkdirSync(path.dirname(at(to)), { recursive: true });
  renameSync(at(from), at(to));
}

const overSsh = (copy: string): string => `ssh://${sshd.user}@127.0.0.1:${sshd.port}${copy}`;

interface Pushed extends JsonSummary {
  readonly items: readonly { change: string; path: string; target?: string }[];
}

/** At most the note of a first push about hard links. */
const QUIET = /^(?:warning: 1 file has several names .*\n)?$/;

const push = (destination: string, ...more: string[]): Promise<Pushed> =>
  pushBy({}, destination, more);

async function pushBy(
  options: Pick<CliOptions, 'alone'>,
  destination: string,
  more: readonly string[],
): Promise<Pushed> {
  const words = ['push', '-C', bench.source, '--json', '-i', '--passfile', bench.passfile];
  const result: CliResult = await ecsync([...words, destination, ...more], {
    env: { HOME: sshd.home },
    ...options,
  });
  expect(result.stderr).toMatch(QUIET);
  expect(result.code, result.stdout).toBe(0);
  const lines = result.stdout.trimEnd().split('\n');
  const events = lines.map((line) => JSON.parse(line) as { type: string });
  const items = events.filter(({ type }) => type === 'item') as unknown as Pushed['items'];
  return { ...summaryOf(result), items };
}

/** Node sets times to the microsecond, so a local folder has no more precise ones. */
async function expectEqual(copy: string, options: CompareOptions = {}): Promise<void> {
  const report = await fsck(copy, bench.passfile);
  expect(report.code, report.text).toBe(0);
  const found = await withMount(copy, bench.passfile, (mountpoint) =>
    Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync'], ...options })),
  );
  expect(found).toEqual([]);
}

describe.each(['rsync over sshd', 'a local folder'] as const)('renames, to %s', (kind) => {
  const to = (copy = bench.copy): string => (kind === 'a local folder' ? copy : overSsh(copy));
  const sync = (...more: string[]): Promise<Pushed> => push(to(), '--delete', ...more);
  const nanoseconds = kind !== 'a local folder';
  /** Pushes a file and a folder under one name and then under another. */
  const pushRenamed = async (): Promise<void> => {
    write('before');
    write('dir/file');
    await sync();
    move('before', 'after');
    move('dir', 'folder');
    await sync();
  };
  const expectVerified = async (): Promise<void> => {
    const words = ['verify', '-C', bench.source, '--passfile', bench.passfile, to()];
    const verified = await ecsync(words, { env: { HOME: sshd.home } });
    expect(verified).toMatchObject({ code: 0, stdout: '' });
  };

  it('sends nothing of a renamed file, and reports the new name', async () => {
    write('before');
    await sync();
    move('before', 'sub/after');
    const words = ['plan', '-C', bench.source, '--delete', '--exact', '--json'];
    const planned = await ecsync([...words, '--passfile', bench.passfile, to()], {
      env: { HOME: sshd.home },
    });
    expect(summaryOf(planned)).toMatchObject({ filesSent: 0, filesDeleted: 0, exitCode: 0 });
    const preview = await sync('-n');
    const done = await sync();
    for (const { items, filesDeleted } of [preview, done]) {
      const linked = items.filter(({ change }) => change === 'hf+++++++++');
      expect(linked).toMatchObject([{ path: 'sub/after', target: 'before' }]);
      expect(items.map(({ change }) => change)).not.toContain('*deleting  ');
      expect(filesDeleted).toBe(0);
    }
    expect(done.literalBytes).toBeLessThan(1000);
    expect(done.filesSent).toBe(0);
    await expectEqual(bench.copy);
    expect((await sync()).items).toEqual([]);
  });

  it('reports nothing about a folder that takes the name of a renamed file, nor the other way round', async () => {
    write('config');
    write('file', 'goes where the folder was');
    write('folder/inside', 'inside');
    await sync();
    move('config', 'config.old');
    write('config/main', 'x');
    move('folder', 'elsewhere');
    move('file', 'folder');
    await sync('--max-delete', '100%');
    await expectEqual(bench.copy, { nanoseconds });
    expect((await sync()).items).toEqual([]);
  });

  it('sends nothing of a renamed folder with 1,000 files in sub-folders', async () => {
    for (let i = 0; i < 1000; i++) write(`tree/${i % 20}/deep/file ${i}`, `content ${i}`);
    write('tree/big', randomBytes(4 << 20));
    await sync();
    move('tree', 'elsewhere/wood');
    const done = await sync();
    expect(done.filesSent).toBe(0);
    expect(done.filesDeleted).toBe(0);
    // Only the folders' IVs.
    expect(done.literalBytes).toBeLessThan(3000);
    expect(done.bytesSent).toBeLessThan(300_000);
    await expectEqual(bench.copy);
    expect(readdirSync(bench.copy).some((name) => name.includes('ecsync-tmp'))).toBe(true);
    const again = await sync();
    expect(again.items).toEqual([]);
  });

  it('moves files between folders, onto other files, and in circles', async () => {
    write('one/a', randomBytes(50_000));
    write('one/b', randomBytes(60_000));
    write('two/c', randomBytes(70_000));
    write('two/gone', randomBytes(80_000));
    write('one/log', randomBytes(30_000));
    write('one/log.1', randomBytes(31_000));
    write('one/log.2', randomBytes(32_000));
    await sync();
    move('one/a', 'x');
    move('one/b', 'one/a');
    move('two/c', 'one/b');
    move('x', 'two/c');
    move('one/log.2', 'one/log.3');
    move('one/log.1', 'one/log.2');
    move('one/log', 'one/log.1');
    write('one/log', 'new');
    const done = await sync();
    expect(done.filesSent, JSON.stringify(done.items)).toBe(1);
    expect(done.literalBytes).toBeLessThan(2000);
    await expectEqual(bench.copy);
    move('two/c', 'two/gone');
    expect((await sync()).filesSent).toBe(0);
    await expectEqual(bench.copy);
    const leftovers = readdirSync(bench.copy, { recursive: true });
    expect(leftovers.filter((name) => String(name).includes('ecsync-moved'))).toEqual([]);
    expect((await sync()).items).toEqual([]);
  });

  it('distinguishes files of the same size and time', async () => {
    for (const name of ['a', 'b', 'c', 'd']) write(name, name.repeat(5000));
    await sync();
    move('a', 'x');
    move('b', 'a');
    move('x', 'b');
    move('c', 'd');
    write('c', 'C'.repeat(5000));
    await sync();
    await expectEqual(bench.copy);
    move('a', 'e');
    write('a', 'A'.repeat(5000));
    await sync();
    await expectEqual(bench.copy);
  });

  it('keeps identities over many pushes, with new files where the old ones were', async () => {
    for (const step of [0, 1, 2, 3, 4]) {
      write('name', randomBytes(50_000 + step));
      await sync();
      move('name', `kept/${step}`);
      if (step > 0) move(`kept/${step - 1}`, `older/${step - 1}`);
    }
    const done = await sync();
    expect(done.filesSent).toBe(0);
    await expectEqual(bench.copy);
    // Each still has its birth: after an edit the change is sent, not the file.
    for (const name of ['older/0', 'older/1', 'older/2', 'older/3', 'kept/4']) {
      const now = Buffer.concat([CONTENT.subarray(0, 10), Buffer.alloc(10)]);
      execFileSync('dd', ['conv=notrunc', 'status=none', `of=${at(name)}`], { input: now });
    }
    const edited = await sync();
    expect(edited.filesSent).toBe(5);
    expect(edited.literalBytes).toBeLessThan(5 * 10_000);
    await expectEqual(bench.copy, { nanoseconds });
  });

  it('sends only the edits of a file that was renamed and edited', async () => {
    write('a', randomBytes(400_000));
    write('b/f', randomBytes(400_000));
    await sync();
    move('a', 'c');
    move('b', 'd');
    for (const name of ['c', 'd/f']) {
      const input = Buffer.from('edited');
      execFileSync('dd', ['conv=notrunc', 'status=none', `of=${at(name)}`], { input });
    }
    write('a', 'another one');
    const done = await sync();
    expect(done.filesSent).toBe(3);
    expect(done.literalBytes).toBeLessThan(25_000);
    expect(done.matchedBytes).toBeGreaterThan(750_000);
    await expectEqual(bench.copy, { nanoseconds });
  });

  it('also moves long names, links, pipes and hard links', async () => {
    const long = 'l'.repeat(200);
    write(`${long}/${long}`);
    write(`dir/${long}`);
    symlinkSync('target', at('dir', 'link'));
    execFileSync('mkfifo', [at('dir', 'pipe')]);
    write('dir/one');
    linkSync(at('dir', 'one'), at('dir', 'two'));
    write('near');
    linkSync(at('near'), at('dir', 'far'));
    // A file that is renamed in the second in which it was made may have changed too.
    await delay(SETTLED_MS);
    const links = ['-H', '--delete'];
    await push(to(), ...links);
    move(long, `${long}2`);
    move('dir', 'folder');
    const done = await push(to(), ...links);
    expect(done.filesSent).toBe(0);
    expect(done.filesDeleted).toBe(0);
    expect(done.literalBytes).toBeLessThan(3000);
    await expectEqual(bench.copy, { links: true });
    move('folder/one', 'folder/three');
    move('folder/far', 'farther');
    const third = await push(to(), ...links);
    expect(third.filesSent).toBe(0);
    await expectEqual(bench.copy, { links: true });
  });

  it.each(['one', 'two'])(
    'recognises a file with two names that loses and regains %s',
    async (name) => {
      write('one');
      utimesSync(at('one'), 1_234_567_890, 1_234_567_890);
      linkSync(at('one'), at('two'));
      const check = async (): Promise<void> => {
        await push(to(), '-H', '--delete');
        const words = ['verify', '-C', bench.source, '--passfile', bench.passfile, '-H', to()];
        const verified = await ecsync(words, { env: { HOME: sshd.home } });
        expect(verified).toMatchObject({ code: 0, stdout: '' });
        await expectEqual(bench.copy, { links: true });
      };
      await check();
      rmSync(at(name));
      await check();
      // Of the same size and time, so only its identity shows that it is another file.
      copyFileSync(at(name === 'one' ? 'two' : 'one'), at(name));
      utimesSync(at(name), 1_234_567_890, 1_234_567_890);
      await check();
      renameSync(at('one'), at('three'));
      linkSync(at('three'), at('four'));
      await check();
      move('three', 'five');
      move('four', 'six');
      await check();
    },
  );

  it('treats each name of a hard-linked file as a file, unless -H is given', async () => {
    write('one');
    linkSync(at('one'), at('two'));
    await sync();
    move('two', 'three');
    linkSync(at('one'), at('four'));
    const { items } = await sync();
    const made = items.filter(({ path: shown }) => shown === 'three' || shown === 'four');
    expect(made.map(({ change }) => change).sort()).toEqual(['<f+++++++++', 'hf+++++++++']);
    await expectEqual(bench.copy);
    expect((await sync()).items).toEqual([]);
  });

  it('finds files that were renamed twice, and renames that a second destination missed', async () => {
    const other = path.join(bench.dir, 'other');
    write('first/sub/file');
    write('first/file');
    await sync();
    await push(to(other), '--delete');
    move('first', 'second');
    expect((await sync()).filesSent).toBe(0);
    write('first/file', randomBytes(40_000));
    expect((await sync()).filesSent).toBe(1);
    move('second', 'third');
    move('third', 'fourth');
    expect((await sync()).filesSent).toBe(0);
    const late = await push(to(other), '--delete');
    expect(late.filesSent).toBe(1);
    expect(late.filesDeleted).toBe(0);
    for (const copy of [bench.copy, other]) await expectEqual(copy);
    expect((await push(to(other), '--delete')).items).toEqual([]);
  });

  it('is right by checksum, for push -c and for verify', async () => {
    write('before');
    write('dir/file');
    write('dir/other', randomBytes(9000));
    await sync();
    move('before', 'after');
    move('dir', 'folder');
    write('dir/file', 'in its place');
    await sync('-c');
    expect((await sync('-c')).items).toEqual([]);
    const words = ['verify', '-C', bench.source, '--passfile', bench.passfile, to()];
    const verified = await ecsync(words, { env: { HOME: sshd.home } });
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
    await expectEqual(bench.copy);
  });

  it('costs a full transfer if its memory is lost', async () => {
    await pushRenamed();
    rmSync(at('.ecsync', 'index'), { recursive: true });
    const words = ['verify', '-C', bench.source, '--passfile', bench.passfile, to()];
    const verified = await ecsync(words, { env: { HOME: sshd.home } });
    expect(verified.stdout).toBe('changed after\nchanged folder/file\n');
    expect(verified.stderr).toMatch(
      /hint: Nothing is remembered .* renamed .* `ecsync fsck` tells/,
    );
    const again = [
      'push',
      '-C',
      bench.source,
      '--passfile',
      bench.passfile,
      '-i',
      '--delete',
      to(),
    ];
    const forgetful = async (): Promise<CliResult> => ecsync(again, { env: { HOME: sshd.home } });
    expect(await forgetful()).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('remembers nothing of its copy') as string,
    });
    await expectEqual(bench.copy);
    move('after', 'last');
    rmSync(at('.ecsync', 'index'), { recursive: true });
    expect((await forgetful()).stdout).toContain(' last');
    await expectEqual(bench.copy);
    const repair = ['verify', '--repair', '-C', bench.source, '--passfile', bench.passfile, to()];
    expect((await ecsync(repair, { env: { HOME: sshd.home } })).code).toBe(0);
    expect((await sync()).items).toEqual([]);
    await expectVerified();
  });

  it('recognises a renamed file that went and came back, as long as the copy has it', async () => {
    await pushRenamed();
    const aside = path.join(bench.dir, 'aside');
    mkdirSync(aside);
    for (const name of ['after', 'folder']) renameSync(at(name), path.join(aside, name));
    write('before', 'another');
    await push(to());
    for (const name of ['after', 'folder']) renameSync(path.join(aside, name), at(name));
    expect((await push(to())).filesSent).toBe(0);
    await expectVerified();
    for (const name of ['after', 'folder']) renameSync(at(name), path.join(aside, name));
    expect((await sync()).filesDeleted).toBe(3);
    for (const name of ['after', 'folder']) renameSync(path.join(aside, name), at(name));
    expect((await sync()).filesSent).toBe(2);
    await expectVerified();
    await expectEqual(bench.copy);
  });

  it('links no file that was changed at the destination', async () => {
    for (const name of ['changed', 'touched', 'gone', 'dir/inside', 'dir/more', 'as it was']) {
      write(name);
    }
    await sync();
    const own = await namesInCopy(['changed', 'touched', 'gone', 'dir']);
    writeFileSync(path.join(bench.copy, own['changed'] ?? ''), 'something else');
    utimesSync(path.join(bench.copy, own['touched'] ?? ''), 1_500_000_000, 1_500_000_000);
    rmSync(path.join(bench.copy, own['gone'] ?? ''));
    rmSync(path.join(bench.copy, own['dir'] ?? ''), { recursive: true });
    for (const name of ['changed', 'touched', 'gone', 'dir', 'as it was']) move(name, `${name} 2`);
    // Without --delete, so that a folder made by mistake would stay.
    const done = await push(to());
    const linked = done.items.filter(({ change }) => change.startsWith('hf'));
    expect(linked).toMatchObject([{ path: 'as it was 2', target: 'as it was' }]);
    expect(done.filesSent).toBe(5);
    expect(readdirSync(bench.copy)).not.toContain(own['dir']);
    await sync();
    await expectEqual(bench.copy);
  });

  it('is no deletion for --max-delete, and leaves the old name without --delete', async () => {
    for (const name of ['dir/a', 'dir/b', 'real']) write(name);
    await sync();
    move('dir', 'folder');
    rmSync(at('real'));
    const kept = await push(to());
    expect(kept.filesSent).toBe(0);
    await withMount(bench.copy, bench.passfile, (mountpoint) => {
      expect(readdirSync(mountpoint).sort()).toEqual(['dir', 'folder', 'real']);
      return Promise.resolve();
    });
    expect((await sync()).filesDeleted).toBe(4);
    await expectEqual(bench.copy);
    move('folder', 'dir');
    write('other');
    await sync();
    move('dir', 'folder');
    rmSync(at('other'));
    const limit = ['--max-delete', '1'];
    for (const words of [[...limit, '-n'], limit]) {
      const limited = await sync(...words);
      const deletions = limited.items.filter(({ change }) => change.startsWith('*'));
      expect(deletions).toMatchObject([{ path: 'other' }]);
    }
    await expectEqual(bench.copy);
  });

  it('takes nothing from outside of the filter or the given paths', async () => {
    write('a/file');
    write('b/file');
    await sync();
    move('a/file', 'b/from a');
    linkSync(at('b', 'file'), at('a', 'second name'));
    const part = await push(to(), at('b'));
    expect(part.items.some(({ change }) => change.startsWith('h'))).toBe(false);
    const done = await push(to(), '--exclude=/b/file');
    const linked = done.items.filter(({ change }) => change.startsWith('h'));
    expect(linked.map(({ path }) => path)).not.toContain('a/second name');
    await sync();
    await expectEqual(bench.copy);
  });

  /** The cipher names of objects in the root of the copy. */
  async function namesInCopy(names: readonly string[]): Promise<Record<string, string>> {
    const words = ['name', 'encode', '-C', bench.source, '--passfile', bench.passfile, ...names];
    const { stdout } = await ecsync(words);
    return Object.fromEntries(
      stdout
        .trimEnd()
        .split('\n')
        .map((line, i) => [names[i] ?? '', line]),
    );
  }
});

it('reports once that the memory of renamed files is damaged, and a repair sends them again', async () => {
  const run = (...words: string[]): Promise<CliResult> =>
    ecsync([...words, '-C', bench.source, bench.copy, '--passfile', bench.passfile]);
  write('before');
  await run('push');
  move('before', 'after');
  await run('push', '--delete');
  writeFileSync(at('.ecsync', 'index', 'births'), 'torn');
  const told = expect.stringContaining('renamed files') as string;
  expect(await run('push')).toMatchObject({ code: 0, stderr: told });
  expect(await run('push')).toEqual(expect.objectContaining({ code: 0, stderr: '' }));
  expect(await run('verify', '--repair')).toMatchObject({ code: 0 });
  expect(await run('verify')).toMatchObject({ code: 0 });
  await expectEqual(bench.copy, { nanoseconds: false });
});

it('does not delete files that were pushed after the backup from which folder and vault were restored', async () => {
  const run = (...words: string[]): Promise<CliResult> =>
    ecsync(['push', '-C', bench.source, bench.copy, '--passfile', bench.passfile, ...words]);
  for (let i = 0; i < 10; i++) write(`old ${i}`, 'old');
  await run('--delete');
  await run('--delete');
  const backup = path.join(bench.dir, 'backup');
  execFileSync('cp', ['-a', bench.source, backup]);
  for (let i = 0; i < 60; i++) write(`new ${i}`, 'new');
  await run('--delete');
  const full = readdirSync(bench.copy).length;
  rmSync(bench.source, { recursive: true });
  execFileSync('cp', ['-a', backup, bench.source]);
  expect(await run('--delete')).toMatchObject({ code: 25 });
  expect(readdirSync(bench.copy)).toHaveLength(full);
});

describe('a disk that has another device number at each mount', () => {
  const image = (): string => path.join(bench.dir, 'disk');
  const mount = (file: string, folder: string): void => {
    execFileSync('mount', ['-o', 'loop', file, folder]);
  };
  // An ended process keeps no file of the disk open.
  const pushAlone = (): Promise<Pushed> => pushBy({ alone: true }, bench.copy, ['--delete', '-H']);
  const unmount = (folder: string): Promise<void> =>
    expect.poll(() => spawnSync('umount', [folder]).status, { timeout: 20_000 }).toBe(0);
  afterEach(() => {
    for (const folder of ['other', 'source']) {
      spawnSync('umount', ['-l', path.join(bench.dir, folder)]);
    }
  });

  it('renames and other names of a file are recognised, and nothing counts as new', async () => {
    for (const file of [image(), `${image()}2`]) {
      writeFileSync(file, '');
      truncateSync(file, 16 << 20);
      execFileSync('mkfs.ext4', ['-q', file]);
    }
    mount(image(), bench.source);
    await initVault(bench);
    for (let i = 0; i < 20; i++) write(`stays ${i}`, `content ${i}`);
    write('before');
    write('name', randomBytes(50_000));
    linkSync(at('name'), at('other name'));
    await pushAlone();
    const device = statSync(bench.source).dev;
    await unmount(bench.source);
    mkdirSync(path.join(bench.dir, 'other'));
    mount(`${image()}2`, path.join(bench.dir, 'other'));
    mount(image(), bench.source);
    expect(statSync(bench.source).dev).not.toBe(device);
    move('before', 'after');
    const done = await pushAlone();
    expect(done.filesSent, JSON.stringify(done.items)).toBe(0);
    expect(done.literalBytes).toBeLessThan(1000);
    const changed = done.items.filter(({ path: name }) => name !== './');
    expect(changed).toMatchObject([{ path: 'after', target: 'before' }]);
    await expectEqual(bench.copy, { ignore: ['.ecsync', 'lost+found'] });
    expect((await pushAlone()).items).toEqual([]);
  });
});
