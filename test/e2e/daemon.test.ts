import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startDaemon, WITH_LOGIN, type RunningDaemon } from '../support/rsync-daemon.ts';
import { startSshd } from '../support/sshd.ts';
import {
  type Bench,
  ecsync,
  initVault,
  makeBench,
  summaryOf,
  type CliOptions,
} from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeHardTree, pattern } from './support/hard-tree.ts';
import { fsck, withMount } from './support/stock.ts';

const VAULT = ['.ecsync'];
const MIB = 1024 * 1024;

/** Stock `rsync --daemon` as a destination: what it stores, what it refuses, how it is reached. */
let daemon: RunningDaemon;
let passwordFile: string;
beforeAll(async () => {
  daemon = await startDaemon({
    open: [],
    login: WITH_LOGIN,
    chroot: ['use chroot = yes'],
    nobody: ['uid = nobody', 'gid = nogroup'],
    one: ['max connections = 1'],
    full: ['max connections = -1'],
    'write-only': ['write only = yes'],
    'read-only': ['read only = yes'],
    'no-delete': ['refuse options = delete'],
    'no-temp': ['refuse options = temp-dir link-dest'],
    'no-checksum': ['refuse options = checksum'],
    foreign: ['hosts allow = 192.0.2.1'],
    homeless: ['path = /nonexistent/folder'],
  });
  passwordFile = path.join(daemon.dir, 'password');
  writeFileSync(passwordFile, `${daemon.password}\r\n`, { mode: 0o600 });
});
afterAll(() => daemon.stop());

const url = (module: string, user = ''): string =>
  `rsync://${user}127.0.0.1:${daemon.port}/${module}`;

async function push(bench: Bench, words: readonly string[], options: CliOptions = {}) {
  const all = ['push', '-C', bench.source, '--json', '--passfile', bench.passfile, ...words];
  const result = await ecsync(all, options);
  return { ...result, summary: summaryOf(result) };
}

async function expectEqual(bench: Bench, copy: string, options = {}): Promise<void> {
  const report = await fsck(copy, bench.passfile);
  expect(report.text).toContain('no problems found');
  const found = await withMount(copy, bench.passfile, (mountpoint) =>
    Promise.resolve(differences(bench.source, mountpoint, { ignore: VAULT, ...options })),
  );
  expect(found).toEqual([]);
}

function makeSmallTree(source: string): void {
  mkdirSync(path.join(source, 'folder', 'deeper'), { recursive: true });
  writeFileSync(path.join(source, 'folder', 'file'), pattern(100_000, 7));
  writeFileSync(path.join(source, 'folder', 'deeper', 'L'.repeat(200)), 'long name');
  writeFileSync(path.join(source, 'goes'), 'goes');
}

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
});
afterEach(async () => {
  await bench.remove();
  for (const module of ['open', 'login', 'chroot', 'nobody', 'one', 'no-delete', 'no-temp']) {
    for (const name of readdirSync(daemon.folder(module))) {
      rmSync(path.join(daemon.folder(module), name), { recursive: true, force: true });
    }
  }
});

describe('a copy in a module', () => {
  it.each(['login', 'chroot'])(
    'of hard names, sizes and kinds is mounted by stock gocryptfs (%s)',
    { timeout: 300_000 },
    async (module) => {
      makeHardTree(bench.source);
      await initVault(bench);
      const words = ['-H', '--password-file', passwordFile, `${url(module, 'joe@')}/a folder`];
      const first = await push(bench, words);
      expect(first.stderr).toBe('');
      expect(first.code).toBe(0);
      const copy = path.join(daemon.folder(module), 'a folder');
      await expectEqual(bench, copy, { links: true });
      const second = await push(bench, words);
      expect(second.code).toBe(0);
      expect(second.summary).toMatchObject({ filesSent: 0, literalBytes: 0, filesDeleted: 0 });
    },
  );

  it.each([27, 29, 30, 31, 32])('is made with protocol %i', async (protocol) => {
    makeSmallTree(bench.source);
    await initVault(bench);
    const words = [`--protocol=${protocol}`, '--password-file', passwordFile, url('login', 'joe@')];
    expect(await push(bench, words)).toMatchObject({ code: 0, stderr: '' });
    await expectEqual(bench, daemon.folder('login'), { nanoseconds: protocol >= 31 });
    rmSync(path.join(bench.source, 'goes'));
    writeFileSync(path.join(bench.source, 'folder', 'file'), pattern(100_001, 8));
    const again = await push(bench, ['--delete', ...words]);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.summary.filesSent).toBe(1);
    if (protocol >= 29) expect(again.summary.filesDeleted).toBe(1);
    await expectEqual(bench, daemon.folder('login'), { nanoseconds: protocol >= 31 });
  });

  it('sends few bytes for a small change, and deletes what is gone', async () => {
    makeSmallTree(bench.source);
    writeFileSync(path.join(bench.source, 'big'), pattern(8 * MIB, 3));
    await initVault(bench);
    const host = `127.0.0.1::open/x`;
    expect((await push(bench, [`${url('open')}/x`])).code).toBe(0);
    const bytes = pattern(8 * MIB, 3);
    bytes.write('changed!', 5 * MIB);
    writeFileSync(path.join(bench.source, 'big'), bytes);
    rmSync(path.join(bench.source, 'folder'), { recursive: true });
    const result = await push(bench, ['-i', '--delete', `${url('open')}/x`]);
    expect(result.code).toBe(0);
    expect(result.summary.literalBytes).toBeLessThan(16 * 1024);
    expect(result.summary.filesDeleted).toBe(4);
    expect(result.stdout).toContain('*deleting');
    await expectEqual(bench, path.join(daemon.folder('open'), 'x'));
    // The other spelling of a module. Nothing listens on its port.
    expect(await push(bench, [host])).toMatchObject({
      code: 30,
      summary: { error: { code: 'connect-failed' } },
    });
  });

  it('works with one connection at a time', async () => {
    makeSmallTree(bench.source);
    await initVault(bench);
    expect(await push(bench, [url('one')])).toMatchObject({ code: 0, stderr: '' });
    expect(await push(bench, ['--delete', url('one')])).toMatchObject({ code: 0, stderr: '' });
  });

  it('works if the temporary directory is refused', async () => {
    makeSmallTree(bench.source);
    await initVault(bench);
    expect((await push(bench, [url('no-temp')])).code).toBe(0);
    await expectEqual(bench, daemon.folder('no-temp'));
  });

  it('stages new folders in the temporary directory of a subfolder', async () => {
    makeSmallTree(bench.source);
    await initVault(bench);
    expect((await push(bench, [`${url('open')}/sub`])).code).toBe(0);
    const log = await daemon.log();
    expect(log).not.toMatch(/(link-dest|temp-dir).*does not exist/);
  });
});

describe('a push that is cut off', () => {
  beforeEach(async () => {
    makeSmallTree(bench.source);
    for (let i = 0; i < 40; i++) {
      mkdirSync(path.join(bench.source, `d${i}`));
      writeFileSync(path.join(bench.source, `d${i}`, 'f'), pattern(MIB / 2, i));
    }
    await initVault(bench);
  });

  it('reports that the server died, and the next one completes it', async () => {
    const copy = path.join(daemon.folder('open'), 'lost');
    let isOver = false;
    const kill = async (): Promise<void> => {
      while (!isThere(path.join(copy, 'gocryptfs.conf')) && !isOver) await sleep(5);
      while (!isOver) {
        await daemon.killSessions();
        await sleep(20);
      }
    };
    const killing = kill();
    const result = await push(bench, [`${url('open')}/lost`]);
    isOver = true;
    await killing;
    // The second code means that the session was killed before it said anything.
    expect(['connection-lost', 'no-greeting']).toContain(result.summary.error?.code);
    expect(result.code).toBe(30);
    expect((await push(bench, [`${url('open')}/lost`])).code).toBe(0);
    await expectEqual(bench, copy);
  });

  it('leaves a clean copy when the client is killed, and the next one completes it', async () => {
    const copy = path.join(daemon.folder('open'), 'cut');
    const conf = path.join(copy, 'gocryptfs.conf');
    const kill = async (child: ChildProcess): Promise<void> => {
      while (!isThere(conf) && child.exitCode === null) await sleep(5);
      await sleep(60);
      child.kill('SIGKILL');
    };
    const killed = await ecsync(
      ['push', '-C', bench.source, '--passfile', bench.passfile, `${url('open')}/cut`],
      { onStart: (child) => void kill(child) },
    );
    expect(killed.signal).toBe('SIGKILL');
    await expect.poll(() => daemon.sessions(), { timeout: 20_000 }).toEqual([]);
    expect((await fsck(copy, bench.passfile)).text).toContain('no problems found');
    expect((await push(bench, [`${url('open')}/cut`])).code).toBe(0);
    await expectEqual(bench, copy);
  });
});

function isThere(file: string): boolean {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}

describe('what a daemon refuses', () => {
  beforeEach(async () => {
    makeSmallTree(bench.source);
    await initVault(bench);
  });

  it.each([
    ['nowhere', 5, 'module-unknown'],
    ['read-only', 5, 'destination-forbidden'],
    ['no-checksum', 5, 'option-refused'],
    ['foreign', 5, 'daemon-refused'],
    ['homeless', 5, 'daemon-refused'],
    ['full', 30, 'daemon-busy'],
    ['login', 13, 'daemon-password-missing'],
    ['open/a*b', 2, 'destination-unsupported'],
  ])('%s ends with exit code %i, %s', async (module, exitCode, code) => {
    const result = await push(bench, [url(module)]);
    expect(result.summary.error?.code).toBe(code);
    expect(result.code).toBe(exitCode);
    expect(result.summary.error?.hint).not.toBe(undefined);
  });

  it.each([29, 32])('a deleting push, with protocol %i', async (protocol) => {
    const words = [`--protocol=${protocol}`, url('no-delete')];
    expect((await push(bench, words)).code).toBe(0);
    const result = await push(bench, ['--delete', ...words]);
    expect(result.summary.error?.code).toBe('delete-forbidden');
    expect(result.code).toBe(5);
  });

  it('a folder it may not write to', async () => {
    const result = await push(bench, [`${url('nobody')}/x`]);
    expect(result.summary.error?.code).toBe('destination-forbidden');
    expect(result.code).toBe(5);
  });

  it('a wrong password, which is never shown', async () => {
    const wrong = path.join(bench.dir, 'wrong');
    writeFileSync(wrong, 'hunter2\n', { mode: 0o600 });
    const result = await push(bench, ['-v', '--password-file', wrong, url('login', 'joe@')]);
    expect(result.summary.error?.code).toBe('login-refused');
    expect(result.code).toBe(13);
    expect(result.stdout + result.stderr).not.toContain('hunter2');
  });
});

describe('the password of a daemon', () => {
  beforeEach(async () => {
    makeSmallTree(bench.source);
    await initVault(bench);
  });

  it('comes from the environment', async () => {
    const env = { ECSYNC_DAEMON_PASSWORD_FILE: passwordFile };
    expect((await push(bench, [url('login', 'joe@')], { env })).code).toBe(0);
    const asRsync = { RSYNC_PASSWORD: daemon.password };
    expect((await push(bench, [url('login', 'joe@')], { env: asRsync })).code).toBe(0);
    const wrong = await push(bench, [url('login', 'joe@')], { env: { RSYNC_PASSWORD: 'no' } });
    expect(wrong.summary.error?.code).toBe('login-refused');
  });

  it("comes from the remote's configuration, with a path from there", async () => {
    const vaultDir = path.join(bench.source, '.ecsync');
    writeFileSync(path.join(vaultDir, 'daemon-password'), daemon.password, { mode: 0o600 });
    const add = ['remote', 'add', '-C', bench.source, 'nas', url('login', 'joe@')];
    expect((await ecsync(add)).code).toBe(0);
    const config = path.join(vaultDir, 'config.toml');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, `${text.trimEnd()}\ndaemon_password_file = "daemon-password"\n`);
    expect((await push(bench, [])).code).toBe(0);
    expect((await push(bench, ['nas'])).code).toBe(0);
  });

  it('must be in an existing file', async () => {
    const missing = path.join(bench.dir, 'missing');
    const result = await push(bench, ['--password-file', missing, url('login', 'joe@')]);
    expect(result.summary.error?.code).toBe('passfile-unreadable');
    expect(result.code).toBe(12);
  });

  it('is not asked for if none is needed, and the message of the day is shown with -v', async () => {
    const words = ['push', '-C', bench.source, '--passfile', bench.passfile, url('open')];
    const quiet = await ecsync(words);
    expect(quiet).toMatchObject({ code: 0, stderr: '' });
    const verbose = await ecsync([...words, '-v']);
    expect(verbose.stderr).toContain('server: Welcome to the tests');
    expect(verbose.stderr).toContain('server: \\033[31mred');
  });
});

describe('a copy at a daemon is read', () => {
  it.each([27, 29, 30, 31, 32])('by a restore, with protocol %i', async (protocol) => {
    makeHardTree(bench.source);
    await initVault(bench);
    const from = `${url('login', 'joe@')}/a copy`;
    const reach = ['--password-file', passwordFile];
    expect((await push(bench, ['-H', ...reach, from])).code).toBe(0);
    const restored = path.join(bench.dir, 'restored');
    const words = ['restore', '-C', bench.source, ...reach, `--protocol=${protocol}`, '--json'];
    const modes = '--special-modes'; // those of the source
    const all = [...words, modes, '--passfile', bench.passfile, '--from', from, '--to', restored];
    const first = await ecsync(all);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    const how = { ignore: VAULT, links: true, nanoseconds: false };
    expect(differences(bench.source, restored, how)).toEqual([]);
    const second = await ecsync(all);
    expect(summaryOf(second)).toMatchObject({ exitCode: 0, filesRestored: 0, literalBytes: 0 });
  });

  it.each([29, 32])(
    'by every command, with protocol %i',
    { timeout: 120_000 },
    async (protocol) => {
      makeSmallTree(bench.source);
      await initVault(bench);
      const from = `${url('login', 'joe@')}/a copy`;
      const reach = ['--password-file', passwordFile, `--protocol=${protocol}`];
      const secret = ['--passfile', bench.passfile];
      expect((await push(bench, [...reach, from])).code).toBe(0);
      const here = ['-C', bench.source, ...reach, ...secret];

      const listed = await ecsync(['ls', ...here, '--from', from, 'folder']);
      expect(listed).toMatchObject({ code: 0, stderr: '' });
      expect(listed.stdout).toBe('deeper\nfile\n');
      const shown = await ecsync(['cat', ...here, '--from', from, 'goes']);
      expect(shown).toMatchObject({ code: 0, stdout: 'goes' });
      expect(await ecsync(['fsck', ...here, from])).toMatchObject({ code: 0, stderr: '' });
      expect(await ecsync(['verify', ...here, from])).toMatchObject({ code: 0, stderr: '' });
      expect(await ecsync(['plan', ...here, '--exact', from])).toMatchObject({ code: 0 });

      const restored = path.join(bench.dir, 'restored');
      const restore = await ecsync(['restore', ...here, '--from', from, '--to', restored]);
      expect(restore).toMatchObject({ code: 0, stderr: '' });
      const cloned = path.join(bench.dir, 'cloned');
      const clone = await ecsync(['clone', ...reach, ...secret, from, cloned]);
      expect(clone.code).toBe(0);
      for (const folder of [restored, cloned]) {
        const found = differences(bench.source, folder, { ignore: VAULT, nanoseconds: false });
        expect(found.filter((line) => !line.includes('extra ".ecsync"'))).toEqual([]);
      }
    },
  );

  it('or the reason is reported why it cannot be', async () => {
    const target = path.join(bench.dir, 'cloned');
    const words = ['clone', '--passfile', bench.passfile, '--json', url('write-only'), target];
    const result = await ecsync(words);
    expect(result.code).toBe(5);
    expect(summaryOf(result).error?.code).toBe('source-forbidden');
  });
});

describe('a daemon that a remote shell starts', () => {
  it('stores a copy', { timeout: 120_000 }, async () => {
    const sshd = await startSshd();
    try {
      makeSmallTree(bench.source);
      await initVault(bench);
      const words = ['-e', sshd.rsh, '--rsync-path', `rsync --config=${daemon.configFile}`];
      const target = `rsync://127.0.0.1:${sshd.port}/open/over ssh`;
      const env = { HOME: sshd.home };
      expect(await push(bench, [...words, target], { env })).toMatchObject({ code: 0, stderr: '' });
      await expectEqual(bench, path.join(daemon.folder('open'), 'over ssh'));
      const none = await push(bench, ['-e', sshd.rsh, '--rsync-path', 'no-such-rsync', target], {
        env,
      });
      expect(none.summary.error?.code).toBe('rsync-missing');
      const closed = target.replace(`:${sshd.port}`, ':1');
      const lost = await push(bench, [...words, closed], { env });
      expect(lost.summary.error?.code).toBe('connect-failed');
      expect(lost.code).toBe(30);
    } finally {
      await sshd.stop();
    }
  });
});
