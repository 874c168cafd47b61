import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeKey, readPublicKey, type RunningSshd, startSshd } from '../support/sshd.ts';
import {
  type Bench,
  type CliOptions,
  ecsync,
  initVault,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { makeBusyTree, pattern } from './support/hard-tree.ts';
import { fsck } from './support/stock.ts';

const NOBODY = 65534;
/** Takes long enough to be interrupted. */
const LARGE_BYTES = 192 * 1024 * 1024;

/**
 * Whether rsync is writing into the temporary directory of a copy, so that content is being sent.
 */
function isTransferring(copy: string): boolean {
  if (!existsSync(path.join(copy, 'gocryptfs.conf'))) return false;
  const scratch = path.join(copy, 'gocryptfs.longname.ecsync-tmp.name');
  if (!existsSync(scratch)) return false;
  const names = readdirSync(scratch, { recursive: true, encoding: 'utf8' });
  return names.some((name) => /\.[A-Za-z0-9]{6}$|^large-[0-9a-f]+\//.test(name));
}

/** Calls `act` once as soon as content is sent into `copy`. The result stops the watching. */
function whenTransferring(copy: string, act: () => void): () => void {
  const timer = setInterval(() => {
    if (!isTransferring(copy)) return;
    clearInterval(timer);
    act();
  }, 2);
  return () => clearInterval(timer);
}

/** Every way in which a push can fail has its exit code and a message with a remedy. */
describe('a push that cannot succeed', () => {
  let sshd: RunningSshd;
  let bench: Bench;
  beforeAll(async () => {
    sshd = await startSshd();
    bench = await makeBench();
    makeBusyTree(bench.source, 6, 4);
    await initVault(bench);
  });
  afterAll(async () => {
    await bench.remove();
    await sshd.stop();
  });
  beforeEach(() => {
    rmSync(bench.copy, { recursive: true, force: true });
    rmSync(path.join(bench.source, '.ecsync', 'index'), { recursive: true, force: true });
  });

  function remote(): string {
    return `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
  }
  function push(words: readonly string[], options: CliOptions = {}) {
    const all = ['push', '-C', bench.source, '--timeout', '5', ...words];
    return ecsync(all, { env: { HOME: sshd.home }, ...options });
  }
  function pushWithPassword(...words: string[]) {
    return push(['--passfile', bench.passfile, ...words]);
  }

  it('12: wrong password, and nothing is written', async () => {
    const wrong = path.join(bench.dir, 'wrong');
    writeFileSync(wrong, 'not it\n', { mode: 0o600 });
    const result = await push(['--passfile', wrong, remote()]);
    expect(result.code).toBe(12);
    expect(result.stderr).toMatch(/^ecsync: .*password/m);
    expect(result.stderr).toMatch(/^hint: /m);
    expect(existsSync(bench.copy)).toBe(false);
  });

  it('0: a login that prints something after the end of rsync', async () => {
    const wrapper = path.join(bench.dir, 'noisy-rsync');
    const script = '#!/bin/sh\nrsync "$@"; status=$?; echo "fish is now exiting"; exit $status\n';
    writeFileSync(wrapper, script, { mode: 0o755 });
    const pushed = await pushWithPassword('--rsync-path', wrapper, remote());
    expect([pushed.code, pushed.stderr]).toEqual([0, '']);
    const target = path.join(bench.dir, 'restored-from-noise');
    const restored = await ecsync(
      [
        'restore',
        '--from',
        remote(),
        '--to',
        target,
        '--rsync-path',
        wrapper,
        '-C',
        bench.source,
      ].concat(['--passfile', bench.passfile]),
      { env: { HOME: sshd.home } },
    );
    expect([restored.code, restored.stderr]).toEqual([0, '']);
    expect(readdirSync(target).sort()).toEqual(
      readdirSync(bench.source)
        .filter((name) => name !== '.ecsync')
        .sort(),
    );
  });

  it('12: missing passfile', async () => {
    const result = await push(['--passfile', '/nonexistent/passfile', remote()]);
    expect(result.code).toBe(12);
    expect(result.stderr).toContain('/nonexistent/passfile');
  });

  it('12: no password and no terminal, at once', async () => {
    const result = await push([remote()]);
    expect(result.code).toBe(12);
    expect(result.stderr).toMatch(/--passfile/);
  });

  it('10: a folder that is no vault', async () => {
    const plain = path.join(bench.dir, 'plain');
    mkdirSync(plain, { recursive: true });
    const result = await ecsync(['push', '-C', plain, '--passfile', bench.passfile, remote()]);
    expect(result.code).toBe(10);
    expect(result.stderr).toContain('ecsync init');
  });

  it("10: a destination that holds another vault's copy is not touched", async () => {
    const other = await makeBench();
    mkdirSync(other.source);
    writeFileSync(path.join(other.source, 'precious'), 'precious');
    await initVault(other);
    const first = await ecsync([
      'push',
      '-C',
      other.source,
      '--passfile',
      other.passfile,
      bench.copy,
    ]);
    expect(first.code).toBe(0);
    const conf = readFileSync(path.join(bench.copy, 'gocryptfs.conf'));
    for (const destination of [bench.copy, remote()]) {
      const result = await pushWithPassword(destination);
      expect(result.code).toBe(10);
      expect(result.stderr).toMatch(/another vault/);
      expect(readFileSync(path.join(bench.copy, 'gocryptfs.conf')).equals(conf)).toBe(true);
    }
    expect((await fsck(bench.copy, other.passfile)).code).toBe(0);
    await other.remove();
  });

  it('10: --delete into a folder with other things in it is refused', async () => {
    mkdirSync(bench.copy);
    writeFileSync(path.join(bench.copy, 'holiday.jpg'), 'not ours');
    for (const destination of [bench.copy, remote()]) {
      const result = await pushWithPassword('--delete', destination);
      expect(result.code).toBe(10);
      expect(result.stderr).toContain('holiday.jpg');
      expect(readdirSync(bench.copy)).toEqual(['holiday.jpg']);
    }
  });

  it('2: a destination inside the source', async () => {
    const result = await pushWithPassword(path.join(bench.source, 'folder 0', 'copy'));
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/^hint: /m);
  });

  it('13: unknown host key, with the fingerprint and a remedy', async () => {
    const home = path.join(bench.dir, 'home-unknown');
    mkdirSync(path.join(home, '.ssh'), { recursive: true });
    execFileSync('cp', [sshd.keyFile, path.join(home, '.ssh', 'id_ed25519')]);
    const result = await push(['--passfile', bench.passfile, remote()], { env: { HOME: home } });
    expect(result.code).toBe(13);
    expect(result.stderr).toMatch(/SHA256:[A-Za-z0-9+/]{43}/);
    expect(result.stderr).toContain('--accept-new-host-key');
    const accepted = await push(['--passfile', bench.passfile, '--accept-new-host-key', remote()], {
      env: { HOME: home },
    });
    expect(accepted.code).toBe(0);
    expect(readFileSync(path.join(home, '.ssh', 'known_hosts'), 'utf8')).toContain('ssh-ed25519');
  });

  it('13: changed host key, also with --accept-new-host-key', async () => {
    const home = path.join(bench.dir, 'home-changed');
    mkdirSync(path.join(home, '.ssh'), { recursive: true });
    await makeKey(path.join(bench.dir, 'other-host-key'));
    const key = await readPublicKey(path.join(bench.dir, 'other-host-key.pub'));
    execFileSync('cp', [sshd.keyFile, path.join(home, '.ssh', 'id_ed25519')]);
    writeFileSync(path.join(home, '.ssh', 'known_hosts'), `[127.0.0.1]:${sshd.port} ${key}\n`);
    const words = ['--passfile', bench.passfile, '--accept-new-host-key', remote()];
    const result = await push(words, { env: { HOME: home } });
    expect(result.code).toBe(13);
    expect(result.stderr).toMatch(/changed/);
    expect(result.stderr).toContain('known_hosts');
    expect(existsSync(bench.copy)).toBe(false);
  });

  it('13: refused login names the user and the keys tried', async () => {
    const home = path.join(bench.dir, 'home-refused');
    mkdirSync(path.join(home, '.ssh'), { recursive: true });
    await makeKey(path.join(home, '.ssh', 'id_ed25519'));
    execFileSync('cp', [sshd.knownHostsFile, path.join(home, '.ssh', 'known_hosts')]);
    const result = await push(['--passfile', bench.passfile, remote()], { env: { HOME: home } });
    expect(result.code).toBe(13);
    expect(result.stderr).toContain(`${sshd.user}@127.0.0.1`);
    expect(result.stderr).toContain('id_ed25519');
  });

  it('5: rsync missing on the server', async () => {
    const result = await pushWithPassword('--rsync-path', '/nonexistent/rsync', remote());
    expect(result.code).toBe(5);
    expect(result.stderr).toMatch(/rsync/);
    expect(result.stderr).toMatch(/^hint: /m);
  });

  it('30: nothing listens there', async () => {
    const result = await pushWithPassword('ssh://127.0.0.1:1/x');
    expect(result.code).toBe(30);
    expect(result.stderr).toContain('127.0.0.1');
  });

  it('30: nobody answers while the key is still being made', async () => {
    const tree = await makeBench();
    mkdirSync(tree.source);
    const pass = ['--passfile', tree.passfile];
    // Takes longer than the refusal of a port on which nobody listens.
    expect((await ecsync(['init', tree.source, '--scryptn', '17', ...pass])).code).toBe(0);
    const words = ['push', '-C', tree.source, '--json', ...pass, 'ssh://127.0.0.1:1/x'];
    const result = await ecsync(words);
    expect(result.stderr).not.toMatch(/unexpected|^ +at /m);
    expect(summaryOf(result)).toMatchObject({ exitCode: 30, filesTotal: 0, bytesSent: 0 });
    await tree.remove();
  });

  it('30: the server is killed in the middle', async () => {
    writeFileSync(path.join(bench.source, 'large'), pattern(LARGE_BYTES, 9));
    const stop = whenTransferring(bench.copy, () => void sshd.killSessions());
    const result = await pushWithPassword(remote(), '--json');
    stop();
    rmSync(path.join(bench.source, 'large'));
    expect(result.code).toBe(30);
    const { filesTotal, bytesSent, bytesReceived, ...rest } = summaryOf(result);
    expect(rest).toMatchObject({ exitCode: 30, error: { code: 'connection-lost' } });
    // The figures until then.
    expect([filesTotal > 24, bytesSent > 1000, bytesReceived > 100]).toEqual([true, true, true]);
    expect(result.stderr).toMatch(/again/);
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
  });

  it('30: the server falls silent', async () => {
    writeFileSync(path.join(bench.source, 'large'), pattern(LARGE_BYTES, 9));
    const stop = whenTransferring(bench.copy, () => void sshd.freezeSessions(true));
    const startedMs = performance.now();
    const result = await pushWithPassword(remote());
    stop();
    await sshd.freezeSessions(false);
    rmSync(path.join(bench.source, 'large'));
    expect(result.code).toBe(30);
    expect(performance.now() - startedMs).toBeLessThan(30_000);
  });

  it('5: destination read-only', async () => {
    const shelf = path.join(bench.dir, 'read-only');
    mkdirSync(shelf);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', shelf]);
    try {
      for (const base of [shelf, `ssh://${sshd.user}@127.0.0.1:${sshd.port}${shelf}`]) {
        const result = await pushWithPassword(`${base}/copy`);
        expect(result.code).toBe(5);
        expect(result.stderr).toMatch(/read-only/i);
        expect(result.stderr).toMatch(/^hint: /m);
      }
    } finally {
      execFileSync('umount', [shelf]);
    }
  });

  it('5: destination that the login may not write to', async () => {
    const tree = await makeBench();
    makeBusyTree(tree.source, 2, 2);
    await initVault(tree);
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, tree.dir]);
    const shelf = path.join(bench.dir, 'not-yours');
    mkdirSync(shelf);
    chmodSync(bench.dir, 0o755);
    const words = ['push', '-C', tree.source, '--passfile', tree.passfile];
    for (const way of [[], ['--rsync-path', 'rsync']]) {
      const result = await ecsync([...words, ...way, path.join(shelf, 'copy')], { uid: NOBODY });
      expect(result.code).toBe(5);
      expect(result.stderr).toMatch(/permission|may not write/i);
      expect(result.stderr).toMatch(/^hint: /m);
    }
    await tree.remove();
  });

  it('5: the parent of the destination does not exist, and cannot be made', async () => {
    for (const base of ['', `ssh://${sshd.user}@127.0.0.1:${sshd.port}`]) {
      const result = await pushWithPassword(`${base}/proc/nonexistent/parent/copy`);
      expect(result.code).toBe(5);
      expect(result.stderr).toContain('/nonexistent/parent');
      expect(result.stderr).toMatch(/^hint: /m);
    }
  });

  it('23: destination disk full', async () => {
    const small = path.join(bench.dir, 'small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', small]);
    writeFileSync(path.join(bench.source, 'large'), pattern(8 * 1024 * 1024, 9));
    try {
      for (const base of [small, `ssh://${sshd.user}@127.0.0.1:${sshd.port}${small}`]) {
        rmSync(path.join(small, 'copy'), { recursive: true, force: true });
        const result = await pushWithPassword(`${base}/copy`);
        expect(result.code).toBe(23);
        expect(result.stderr).toMatch(/space/i);
        expect((await fsck(path.join(small, 'copy'), bench.passfile)).code).toBe(0);
      }
    } finally {
      rmSync(path.join(bench.source, 'large'));
      execFileSync('umount', [small]);
    }
  });

  it('23: unreadable source files are reported, the rest is pushed, nothing is deleted', async () => {
    const tree = await makeBench();
    makeBusyTree(tree.source, 3, 3);
    writeFileSync(path.join(tree.source, 'secret'), 'secret');
    mkdirSync(path.join(tree.source, 'closed'));
    writeFileSync(path.join(tree.source, 'closed', 'inside'), 'inside');
    writeFileSync(path.join(tree.source, 'doomed'), 'doomed');
    await initVault(tree);
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, tree.dir]);
    const words = ['push', '-C', tree.source, '--json', '--passfile', tree.passfile];
    expect((await ecsync([...words, tree.copy], { uid: NOBODY })).code).toBe(0);
    chmodSync(path.join(tree.source, 'secret'), 0o000);
    chownSync(path.join(tree.source, 'secret'), 0, 0);
    chmodSync(path.join(tree.source, 'closed'), 0o000);
    writeFileSync(path.join(tree.source, 'new'), 'new');
    chownSync(path.join(tree.source, 'new'), NOBODY, NOBODY);
    rmSync(path.join(tree.source, 'doomed'));
    writeFileSync(path.join(tree.source, 'secret'), 'secret, longer');
    const result = await ecsync([...words, '--delete', tree.copy], { uid: NOBODY });
    expect(result.code).toBe(23);
    expect(result.stderr).toContain('secret');
    expect(result.stderr).toContain('closed');
    expect(result.stderr).toMatch(/nothing was deleted/);
    expect(summaryOf(result)).toMatchObject({ exitCode: 23, filesSent: 1, filesDeleted: 0 });
    expect((await fsck(tree.copy, tree.passfile)).code).toBe(0);
    await tree.remove();
  });

  it('23: an inaccessible folder of the copy is named in plaintext', async () => {
    const tree = await makeBench();
    mkdirSync(path.join(tree.source, 'closed'), { recursive: true });
    writeFileSync(path.join(tree.source, 'closed', 'inside'), 'inside');
    await initVault(tree);
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, tree.dir]);
    const pass = ['-C', tree.source, '--passfile', tree.passfile];
    expect((await ecsync(['push', ...pass, tree.copy], { uid: NOBODY })).code).toBe(0);
    const folders = readdirSync(tree.copy, { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    const closed = folders.find(({ name }) => !name.startsWith('gocryptfs'))?.name ?? '';
    chmodSync(path.join(tree.copy, closed), 0o000);
    const restored = path.join(tree.dir, 'restored');
    const restore = await ecsync(['restore', ...pass, '--from', tree.copy, '--to', restored], {
      uid: NOBODY,
    });
    expect(restore.code).toBe(23);
    expect(restore.stderr.split('\n')[0]).toBe(
      `warning: ${tree.copy}: cannot list closed: permission denied`,
    );
    chownSync(path.join(tree.copy, closed), 0, 0);
    writeFileSync(path.join(tree.source, 'closed', 'new'), 'new');
    const push = await ecsync(['push', ...pass, tree.copy], { uid: NOBODY });
    expect(push.code).toBe(23);
    expect(push.stderr).toContain(
      `warning: ${tree.copy}: cannot examine closed/new: permission denied\n`,
    );
    expect(push.stderr).toContain('cannot examine the key file of closed: permission denied\n');
    expect(push.stderr).not.toMatch(/server|[A-Za-z0-9_-]{22}/);
    await tree.remove();
  });

  it('23: files that a server cannot write are named in plaintext, temporary ones too', async () => {
    const tree = await makeBench();
    chmodSync(tree.dir, 0o755);
    const files = ['top', 'sub/a b', `sub/deep/${'l'.repeat(200)}`];
    mkdirSync(path.join(tree.source, 'sub/deep'), { recursive: true });
    for (const file of files) writeFileSync(path.join(tree.source, file), file);
    await initVault(tree);
    const copy = path.join(tree.dir, 'a shelf', 'copy');
    const words = ['push', '-C', tree.source, '--passfile', tree.passfile, '--checksum', copy];
    expect((await ecsync([...words, '--rsync-path', 'rsync'])).code).toBe(0);
    for (const file of files) writeFileSync(path.join(tree.source, file), `${file}!`);
    const nobody = `setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups rsync`;
    const { code, stderr } = await ecsync([...words, '--rsync-path', nobody]);
    expect(code).toBe(23);
    for (const file of files) expect(stderr).toMatch(new RegExp(`mkstemp "${file}" failed`));
    expect(stderr).not.toMatch(/(?!l{22})[A-Za-z0-9_-]{22}/);
    await tree.remove();
  });

  it('25: more deletions than --max-delete, and none is made', async () => {
    const tree = await makeBench();
    makeBusyTree(tree.source, 3, 4);
    await initVault(tree);
    const words = ['push', '-C', tree.source, '--json', '--passfile', tree.passfile];
    expect((await ecsync([...words, tree.copy])).code).toBe(0);
    rmSync(path.join(tree.source, 'folder 1'), { recursive: true, force: true });
    rmSync(path.join(tree.source, 'folder 0'), { recursive: true, force: true });
    const result = await ecsync([...words, '--delete', '--max-delete', '2', tree.copy]);
    expect(result.code).toBe(25);
    expect(summaryOf(result)).toMatchObject({ exitCode: 25, filesDeleted: 0 });
    expect(result.stderr).toContain('--max-delete');
    await tree.remove();
  });

  it('130: interrupted, and the next push continues', async () => {
    writeFileSync(path.join(bench.source, 'large'), pattern(LARGE_BYTES, 9));
    let stop = (): void => undefined;
    const result = await push(['--passfile', bench.passfile, remote()], {
      env: { HOME: sshd.home },
      onStart: (child) => {
        stop = whenTransferring(bench.copy, () => child.kill('SIGINT'));
      },
    });
    stop();
    expect(result.code).toBe(130);
    expect(existsSync(path.join(bench.source, '.ecsync', 'lock'))).toBe(false);
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    expect((await pushWithPassword(remote())).code).toBe(0);
    rmSync(path.join(bench.source, 'large'));
  });
});
