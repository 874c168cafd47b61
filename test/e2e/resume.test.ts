// A large file that is cut off on its way continues where it stopped.
import { type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  type Stats,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Relay } from '../../campaign/relay.ts';
import { startDaemon, type RunningDaemon } from '../support/rsync-daemon.ts';
import { startSshd, type RunningSshd } from '../support/sshd.ts';
import {
  type Bench,
  type CliResult,
  ecsync,
  initVault,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { differences } from './support/compare.ts';
import { fsck, withMount } from './support/stock.ts';

const MIB = 1024 * 1024;
const SCRATCH = 'gocryptfs.longname.ecsync-tmp.name';
/** This much must have arrived before anything is killed. */
const ARRIVED_MIN = 2 * MIB;
const LARGE = 10 * MIB;
/** The encrypted size, with room for small files. */
const LARGE_STORED = LARGE * 1.01;

/** Large files being received into a copy, with the stats of their partial files. */
function growing(copy: string): readonly Stats[] {
  const scratch = path.join(copy, SCRATCH);
  if (!existsSync(scratch)) return [];
  return readdirSync(scratch, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(path.join(scratch, name), { throwIfNoEntry: false }))
    .flatMap((stats) => (stats?.isFile() === true && stats.size > 200_000 ? [stats] : []));
}

function arrivedIn(copy: string): number {
  return growing(copy).reduce((sum, { size }) => sum + size, 0);
}

/** Calls `act` as soon as a condition is true. Stops when the process ends. */
function when(child: ChildProcess, isSo: () => boolean, act: () => void): void {
  const timer = setInterval(() => {
    if (!isSo()) return;
    clearInterval(timer);
    act();
  }, 5);
  child.once('exit', () => clearInterval(timer));
}

/** Kills every rsync that works in a folder, like a crash of the server. */
function killServers(copy: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const isServer =
        words.startsWith('rsync\0--server') || words.startsWith('/usr/bin/rsync\0--server');
      if (isServer && readlinkSync(`/proc/${pid}/cwd`).startsWith(copy))
        process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}

describe('a large file', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await makeBench();
    mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
    writeFileSync(path.join(bench.source, 'small'), 'small');
    writeFileSync(path.join(bench.source, 'folder', 'large'), randomBytes(LARGE));
    await initVault(bench);
    return () => bench.remove();
  });

  function push(words: readonly string[], onStart?: (child: ChildProcess) => void, home = '/') {
    const own = ['push', '-C', bench.source, '--passfile', bench.passfile, '--json', ...words];
    return ecsync(own, { env: { HOME: home }, ...(onStart && { onStart }) });
  }

  /**
   * Pushes slowly until enough has arrived, and does damage.
   *
   * @returns bytes that have arrived
   */
  async function cutOff(
    words: readonly string[],
    copy: string,
    harm: (child: ChildProcess) => void,
    { arrived = ARRIVED_MIN, home = '/' } = {},
  ): Promise<{ readonly result: CliResult; readonly left: number }> {
    const slowly = [...words, '--bwlimit', '3m'];
    const result = await push(
      slowly,
      (child) =>
        when(
          child,
          () => arrivedIn(copy) >= arrived,
          () => harm(child),
        ),
      home,
    );
    expect(result.code).not.toBe(0);
    const report = await fsck(copy, bench.passfile);
    expect(report.code, report.text).toBe(0);
    return { result, left: arrivedIn(copy) };
  }

  async function expectWhole(copy: string): Promise<void> {
    expect((await fsck(copy, bench.passfile)).code).toBe(0);
    const found = await withMount(copy, bench.passfile, (mountpoint) =>
      Promise.resolve(
        differences(bench.source, mountpoint, { ignore: ['.ecsync'], nanoseconds: false }),
      ),
    );
    expect(found).toEqual([]);
  }

  it('continues in a local folder, killed twice, with changes meanwhile', async () => {
    const kill = (child: ChildProcess): void => void child.kill('SIGKILL');
    const first = await cutOff([bench.copy], bench.copy, kill);
    expect(first.left).toBeGreaterThanOrEqual(ARRIVED_MIN);
    const name = ['remote', 'add', 'here', bench.copy, '-C', bench.source];
    expect((await ecsync(name)).code).toBe(0);
    const status = await ecsync(['status', '-C', bench.source]);
    expect(status.stdout).toContain('a push was cut off');
    const checked = await ecsync(['fsck', '-v', '--passfile', bench.passfile, bench.copy]);
    expect(checked.stdout + checked.stderr).toContain(
      'a push that did not finish has left files here',
    );
    const arrived = first.left + MIB;
    const second = await cutOff([bench.copy], bench.copy, kill, { arrived });
    expect(second.left).toBeGreaterThanOrEqual(arrived);
    // Overwrites one megabyte at the beginning, so that the length stays.
    const fd = openSync(path.join(bench.source, 'folder', 'large'), 'r+');
    writeSync(fd, randomBytes(MIB), 0, MIB, 0);
    closeSync(fd);
    const end = await push([bench.copy]);
    expect(end.code).toBe(0);
    const { literalBytes, matchedBytes } = summaryOf(end);
    // There are block sums only for whole blocks.
    expect(matchedBytes).toBeGreaterThan(second.left - 1.1 * MIB);
    expect(literalBytes).toBeLessThan(LARGE_STORED - second.left + 1.1 * MIB);
    expect(readdirSync(path.join(bench.copy, SCRATCH))).toEqual([]);
    await expectWhole(bench.copy);
    // An existing older version is used too, even if the push that replaces it is cut off.
    const large = openSync(path.join(bench.source, 'folder', 'large'), 'r+');
    writeSync(large, randomBytes(8 * MIB), 0, 8 * MIB, 2 * MIB);
    closeSync(large);
    writeFileSync(path.join(bench.source, 'other'), randomBytes(9 * MIB));
    await cutOff([bench.copy], bench.copy, (child) => child.kill('SIGINT'));
    // The server's copy of it has an old time until it is written to.
    const isWritten = (): boolean =>
      growing(bench.copy).some(({ size, mtimeMs }) => size > LARGE && mtimeMs > 10_000);
    const killed = await push([bench.copy, '--bwlimit', '3m'], (child) => {
      when(child, isWritten, () => kill(child));
    });
    expect(killed.signal).toBe('SIGKILL');
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    expect((await push([bench.copy])).code).toBe(0);
    await expectWhole(bench.copy);
    expect(readdirSync(path.join(bench.copy, SCRATCH))).toEqual([]);
  }, 120_000);

  it('continues behind a remote shell whose rsync was killed', async () => {
    const shell = path.join(bench.dir, 'shell');
    writeFileSync(shell, '#!/bin/sh\nshift\nexec sh -c "$*"\n', { mode: 0o755 });
    const words = ['-e', shell, `host:${bench.copy}`];
    const { result, left } = await cutOff(words, bench.copy, () => killServers(bench.copy));
    expect(result.code).toBe(30);
    expect(summaryOf(result).error?.hint).toContain('continue');
    const end = await push(words);
    expect(end.code).toBe(0);
    expect(summaryOf(end).literalBytes).toBeLessThan(LARGE_STORED - left + 10_000);
    expect(readdirSync(path.join(bench.copy, SCRATCH))).toEqual([]);
    await expectWhole(bench.copy);
  }, 120_000);

  it.each([
    { flags: '-wo -no-del', append: [] },
    { flags: '-wo -no-del -no-overwrite', append: ['--append-only'] },
  ])(
    'continues behind rrsync $flags $append',
    async ({ flags, append }) => {
      const shell = path.join(bench.dir, 'shell');
      const restricted = `SSH_ORIGINAL_COMMAND="$*" exec rrsync ${flags} ${bench.dir}`;
      writeFileSync(shell, `#!/bin/sh\nshift\n${restricted}\n`, { mode: 0o755 });
      const words = ['-e', shell, 'host:copy', ...append];
      const { left } = await cutOff(words, bench.copy, (child) => child.kill('SIGINT'));
      const end = await push(words);
      expect(end.stderr).toBe('');
      expect(end.code).toBe(0);
      expect(summaryOf(end).literalBytes).toBeLessThan(LARGE_STORED - left + 10_000);
      await expectWhole(bench.copy);
    },
    120_000,
  );

  describe('of a daemon', () => {
    let daemon: RunningDaemon;
    beforeAll(async () => {
      daemon = await startDaemon({ plain: [], strict: ['refuse options = inplace'] });
    });
    afterAll(() => daemon.stop());

    it('continues after its process was killed', async () => {
      const copy = path.join(daemon.folder('plain'), 'copy');
      const words = [`rsync://127.0.0.1:${daemon.port}/plain/copy`];
      const { left } = await cutOff(words, copy, () => void daemon.killSessions());
      const end = await push(words);
      expect(end.code).toBe(0);
      expect(summaryOf(end).literalBytes).toBeLessThan(LARGE_STORED - left + 10_000);
      await expectWhole(copy);
    }, 120_000);

    it('arrives even if --inplace is refused', async () => {
      const copy = path.join(daemon.folder('strict'), 'copy');
      const end = await push([`rsync://127.0.0.1:${daemon.port}/strict/copy`]);
      expect(end.stderr).toBe('');
      expect(end.code).toBe(0);
      await expectWhole(copy);
    });
  });
});

describe('a first push over a line that breaks after every six megabytes', () => {
  let sshd: RunningSshd;
  let relay: Relay;
  let bench: Bench;
  beforeAll(async () => {
    [sshd, bench] = await Promise.all([startSshd(), makeBench()]);
    relay = await Relay.start(sshd.port);
    mkdirSync(bench.source);
    writeFileSync(path.join(bench.source, 'large'), randomBytes(24 * MIB));
    writeFileSync(path.join(bench.source, 'other'), randomBytes(9 * MIB));
    await initVault(bench);
    const hosts = readFileSync(sshd.knownHostsFile, 'utf8');
    const own = hosts.replaceAll(`:${sshd.port} `, `:${relay.port} `);
    mkdirSync(path.join(bench.dir, '.ssh'), { mode: 0o700 });
    writeFileSync(path.join(bench.dir, '.ssh/known_hosts'), own);
    writeFileSync(path.join(bench.dir, '.ssh/config'), `IdentityFile ${sshd.keyFile}\n`);
  });
  afterAll(async () => {
    await relay.stop();
    await sshd.stop();
    await bench.remove();
  });

  it('arrives, and each byte is sent about once', async () => {
    const url = `ssh://${sshd.user}@127.0.0.1:${relay.port}${bench.copy}`;
    const words = ['push', '-C', bench.source, '--passfile', bench.passfile, '--json', url];
    let bytesUp = 0;
    let pushes = 0;
    for (let code: number | null = 30; code === 30; pushes++) {
      expect(pushes).toBeLessThan(12);
      relay.arm({ counts: 'up', afterBytes: 6 * MIB, act: 'cut' });
      ({ code } = await ecsync(words, { env: { HOME: bench.dir } }));
      bytesUp += Math.min(relay.passed.up, 6 * MIB);
      if (code !== 0) expect(code).toBe(30);
      expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    }
    expect(pushes).toBeGreaterThan(5);
    // What was in transit when the line broke is sent again: part of ssh's window each time.
    expect(bytesUp).toBeLessThan(33 * MIB + pushes * MIB);

    expect(readdirSync(path.join(bench.copy, SCRATCH))).toEqual([]);
  }, 180_000);
});
