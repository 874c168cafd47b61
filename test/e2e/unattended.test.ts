import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { freePort, startSshd, type RunningSshd } from '../support/sshd.ts';
import { ecsync, makeBench, initVault, type Bench, type CliResult } from './support/cli.ts';

// A scheduled push: everything is in config.toml, there is no terminal, no agent, and the
// environment holds only the home folder. Each missing piece has its exit code and a remedy at
// once, and nothing asks.

let bench: Bench;
let first: RunningSshd;
let second: RunningSshd;
let plainConfig: string;

const config = (): string => path.join(bench.source, '.ecsync/config.toml');
const at = (name: string): string => path.join(bench.dir, name);
const urlOf = (sshd: RunningSshd, name: string): string =>
  `ssh://${sshd.user}@127.0.0.1:${sshd.port}${at(name)}`;

beforeAll(async () => {
  bench = await makeBench();
  mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
  writeFileSync(path.join(bench.source, 'folder/file'), 'content');
  await initVault(bench);
  [first, second] = await Promise.all([startSshd(), startSshd()]);
  // One home that knows both servers, each by its own key.
  mkdirSync(at('home/.ssh'), { recursive: true, mode: 0o700 });
  const both = [first, second];
  writeFileSync(
    at('home/.ssh/known_hosts'),
    both.map(({ knownHostsFile }) => readFileSync(knownHostsFile, 'utf8')).join(''),
  );
  for (const [i, { keyFile }] of both.entries()) {
    writeFileSync(at(`home/.ssh/key${i}`), readFileSync(keyFile), { mode: 0o600 });
  }
  const keys = [0, 1].map((i) => `IdentityFile ${at(`home/.ssh/key${i}`)}\n`);
  writeFileSync(at('home/.ssh/config'), keys.join(''));
  appendFileSync(
    config(),
    [
      `[password]\nfile = "${bench.passfile}"\n`,
      `[push]\ndelete = true\n`,
      `[[remotes]]\nname = "one"\nurl = "${urlOf(first, 'one')}"\n`,
      `[[remotes]]\nname = "two"\nurl = "${urlOf(second, 'two')}"\n`,
    ].join('\n'),
  );
  plainConfig = readFileSync(config(), 'utf8');
});
afterAll(async () => {
  await Promise.all([first.stop(), second.stop()]);
  await bench.remove();
});

/** `env -i HOME=… node ecsync …` in a session of its own, which has no terminal to open. */
function unattended(words: readonly string[]): CliResult {
  const command = [process.execPath, inject('cliPath'), ...words, '-C', bench.source];
  const clean = ['-i', `HOME=${at('home')}`, ...command];
  const ended = spawnSync('setsid', ['--wait', 'env', ...clean], {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: 50_000,
  });
  const { status, signal, stdout, stderr } = ended;
  return { code: status, signal, stdout, stderr };
}

/** The recorded runs, the last one at the end. */
function log(): readonly { remote: string; exitCode: number }[] {
  return unattended(['log', '--json'])
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { remote: string; exitCode: number; type?: string })
    .filter(({ type }) => type !== 'summary')
    .reverse();
}

describe('a vault that is configured once', () => {
  it('is pushed to two remotes without output, and both are recorded', () => {
    expect(unattended(['push', '--all'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(existsSync(at('one/gocryptfs.conf')) && existsSync(at('two/gocryptfs.conf'))).toBe(true);
    expect(log().map(({ remote, exitCode }) => [remote, exitCode])).toEqual([
      ['one', 0],
      ['two', 0],
    ]);
    expect(unattended(['status', '--max-age', '1h']).code).toBe(0);
  });
});

describe('what is missing', () => {
  /** A change, the result of the push to the first remote then, and how the change is reverted. */
  const cases: readonly {
    readonly what: string;
    readonly code: number;
    readonly says: RegExp;
    readonly spoil: () => void | Promise<void>;
  }[] = [
    {
      what: 'the password',
      code: 12,
      says: /no password is given/,
      spoil: () => writeFileSync(config(), plainConfig.replace(/^\[password\]\nfile = .*\n/m, '')),
    },
    {
      what: 'the password file',
      code: 12,
      says: /does not exist/,
      spoil: () => renameSync(bench.passfile, at('away')),
    },
    {
      what: 'the ssh key',
      code: 13,
      says: /refused|no .*key/i,
      spoil: () => renameSync(at('home/.ssh/config'), at('away')),
    },
    {
      what: 'the host key',
      code: 13,
      says: /known|host key/i,
      spoil: () => renameSync(at('home/.ssh/known_hosts'), at('away')),
    },
    {
      what: 'the network',
      code: 30,
      says: /127\.0\.0\.1/,
      spoil: async () =>
        writeFileSync(config(), plainConfig.replace(`:${first.port}/`, `:${await freePort()}/`)),
    },
    {
      what: 'the disk of a local copy',
      code: 75,
      says: /the copy is gone.*\n.*mounted/,
      spoil: () => {
        writeFileSync(config(), plainConfig.replace(urlOf(first, 'one'), at('disk/copy')));
        expect(unattended(['push'])).toMatchObject({ code: 0 });
        renameSync(at('disk'), at('unplugged'));
      },
    },
  ];

  it.each(cases)('$what: $code, and a remedy', async ({ what, code, says, spoil }) => {
    const restoreTo = new Map([
      ['the password file', bench.passfile],
      ['the ssh key', at('home/.ssh/config')],
      ['the host key', at('home/.ssh/known_hosts')],
    ]).get(what);
    await spoil();
    try {
      const result = unattended(['push']);
      expect(result).toMatchObject({ code, stdout: '', signal: null });
      expect(result.stderr).toMatch(says);
      expect(result.stderr).toMatch(/^ecsync: .*\nhint: .+\n$/);
      expect(log().at(-1)?.exitCode).toBe(code);
    } finally {
      if (restoreTo !== undefined) renameSync(at('away'), restoreTo);
      writeFileSync(config(), plainConfig);
    }
  });

  it('the disk of the vault: 75 for the schedule', () => {
    const words = ['schedule', 'run', '--every', '1h', '--vault-dir', at('not-mounted/vault')];
    const result = unattended(words);
    expect(result.code).toBe(75);
    expect(result.stderr).toMatch(/hint: Is its disk mounted/);
  });
});

describe('two pushes at once', () => {
  const lock = (): string => path.join(bench.source, '.ecsync/lock');

  /** A push that holds the lock and is busy for a while. */
  async function busyPush() {
    rmSync(path.join(bench.source, 'large'), { force: true });
    writeFileSync(
      path.join(bench.source, 'large'),
      Buffer.alloc(2_000_000, Math.random().toString()),
    );
    const words = ['push', '--bwlimit', '200K', '-C', bench.source];
    const child = spawn(process.execPath, [inject('cliPath'), ...words], {
      env: { HOME: at('home') },
      stdio: 'ignore',
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    while (!existsSync(lock())) await new Promise((resolve) => setTimeout(resolve, 10));
    return { child, ended };
  }

  it('one completes, the other ends with 11', async () => {
    const { ended } = await busyPush();
    const other = await ecsync(['push', '-C', bench.source], { env: { HOME: at('home') } });
    expect(other.code).toBe(11);
    expect(other.stderr).toMatch(/^hint: /m);
    expect(existsSync(lock())).toBe(true); // the first one is still running: nobody waited
    expect(await ended).toBe(0);
  });

  it('after kill -9 the next one takes the lock by itself', async () => {
    const { child, ended } = await busyPush();
    child.kill('SIGKILL');
    await ended;
    expect(existsSync(lock())).toBe(true);
    expect(unattended(['push'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(existsSync(lock())).toBe(false);
  });
});
