/**
 * Goal: the system's ssh (or another program) carries commands, and its failures are distinguished.
 * Method: the real ssh against a real sshd; programs that print their arguments.
 */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConnectionError, LoginError, RemoteError, UsageError } from '../../../src/errors.ts';
import type { Connection } from '../../../src/transport/connection.ts';
import type { SshTarget } from '../../../src/transport/ssh-target.ts';
import { systemSsh } from '../../../src/transport/ssh/system-ssh.ts';
import {
  freePort,
  makeKey,
  readPublicKey,
  startSshd,
  type RunningSshd,
} from '../../support/sshd.ts';
import { readAll, sendZeros, sha256, ZEROS_200_MIB } from '../streams.ts';

let sshd: RunningSshd;
let dir: string;

beforeAll(async () => {
  sshd = await startSshd();
  dir = await mkdtemp(path.join(tmpdir(), 'ecsync-rsh-'));
});

afterAll(async () => {
  await sshd.stop();
  await rm(dir, { recursive: true, force: true });
});

function start(
  rsh: string,
  program: string,
  words: readonly string[],
  target: Partial<SshTarget> = {},
): Promise<Connection> {
  const whole = { host: sshd.host, port: sshd.port, user: sshd.user, ...target };
  return systemSsh(rsh, whole, { interactive: false }).start(program, words);
}

/** The error of a login that must fail; input and exited must fail with the same error. */
async function failure(rsh: string, target: Partial<SshTarget> = {}): Promise<unknown> {
  const connection = await start(rsh, 'true', [], target);
  const [exited, input] = await Promise.allSettled([connection.exited, readAll(connection.input)]);
  const reason: unknown = exited.status === 'rejected' ? exited.reason : exited;
  expect(input.status === 'rejected' ? input.reason : input).toBe(reason);
  return reason;
}

describe('the real ssh', () => {
  test('carries arguments, bytes, standard error and status', async () => {
    const words = ['a  b', '*', "it's", '', '$HOME'];
    const connection = await start(sshd.rsh, "cat; printf '<%s>'", words);
    connection.output.end('in;');
    expect((await readAll(connection.input)).toString()).toBe(
      `in;${words.map((word) => `<${word}>`).join('')}`,
    );
    expect(await connection.exited).toEqual({ code: 0, signal: null });
    const missing = await start(sshd.rsh, 'no-such-rsync', ['--server']);
    missing.input.resume();
    expect(await missing.exited).toEqual({ code: 127, signal: null });
    expect(missing.stderrText()).toContain('no-such-rsync');
  });

  test('200 MiB pass both ways', async () => {
    const connection = await start(sshd.rsh, 'cat', []);
    const sending = sendZeros(connection.output, 200);
    expect(await sha256(connection.input, { pauseEvery: 16 * 1024 * 1024 })).toBe(ZEROS_200_MIB);
    await sending;
  });

  test('host key unknown and changed, login refused', async () => {
    const empty = sshd.rsh.replace(sshd.knownHostsFile, '/dev/null');
    expect(await failure(empty)).toBeInstanceOf(LoginError);
    expect(await failure(empty)).toMatchObject({ code: 'host-key-unknown' });

    await makeKey(path.join(dir, 'other'));
    const line = `[127.0.0.1]:${sshd.port} ${await readPublicKey(path.join(dir, 'other.pub'))}\n`;
    await writeFile(path.join(dir, 'hosts'), line);
    const changed = sshd.rsh.replace(sshd.knownHostsFile, path.join(dir, 'hosts'));
    expect(await failure(changed)).toMatchObject({ code: 'host-key-changed' });

    const stranger = sshd.rsh.replace(sshd.keyFile, path.join(dir, 'other'));
    expect(await failure(stranger)).toBeInstanceOf(LoginError);
    expect(await failure(stranger)).toMatchObject({ code: 'login-refused' });
  });

  test('nothing listens, and a name that does not exist', async () => {
    const refused = await failure(sshd.rsh, { port: await freePort() });
    expect(refused).toBeInstanceOf(ConnectionError);
    expect(refused).toMatchObject({ code: 'connect-failed' });
    expect(await failure(sshd.rsh, { host: 'no-such-host.invalid' })).toMatchObject({
      code: 'connect-failed',
    });
  });

  test('a session killed in the middle is a ConnectionError everywhere', async () => {
    const connection = await start(sshd.rsh, 'cat', []);
    const outcomes = Promise.allSettled([
      readAll(connection.input),
      sendZeros(connection.output, 4000),
      connection.exited,
    ]);
    await once(connection.input, 'data');
    await sshd.killSessions();
    for (const outcome of await outcomes) {
      expect(outcome.status === 'rejected' ? outcome.reason : outcome).toBeInstanceOf(
        ConnectionError,
      );
    }
  });

  test('close() ends it, which is not a lost connection', async () => {
    const remote = systemSsh(
      sshd.rsh,
      { host: sshd.host, port: sshd.port },
      { interactive: false },
    );
    const connection = await remote.start('cat', []);
    await remote.close();
    expect(await connection.exited).toMatchObject({ code: null });
  });
});

describe('the messages of a failed ssh', () => {
  /** The error for a program that prints these lines and ends as ssh does. */
  async function saying(...lines: string[]): Promise<unknown> {
    const file = path.join(await mkdtemp(path.join(dir, 'failing-')), 'ssh');
    await writeFile(file, `#!/bin/sh\ncat >&2 <<'END'\n${lines.join('\n')}\nEND\nexit 255\n`);
    await chmod(file, 0o755);
    return failure(file);
  }
  const OFFER = 'no matching key exchange method found. Their offer: diffie-hellman-group1-sha1';
  const NO_PROXY = 'Connection closed by UNKNOWN port 65535';

  test.each([
    ['no common key exchange', 13, ['Unable to negotiate with 192.0.2.1 port 22: ' + OFFER]],
    [
      'a mistake in the configuration',
      2,
      [
        '/home/me/.ssh/config: line 3: Bad configuration option: foobar',
        '/home/me/.ssh/config: terminating, 1 bad configuration options',
      ],
    ],
    ['a missing ProxyCommand', 2, ['/bin/sh: 1: exec: nosuch: not found', NO_PROXY]],
    ['a ProxyCommand that was cut off', 30, ['proxy: no route', NO_PROXY]],
    [
      'a lost connection after output of a shell',
      30,
      ['/etc/profile: line 3: foo: not found', 'Connection reset by peer'],
    ],
    [
      'a connection cut in the key exchange',
      30,
      [
        'kex_exchange_identification: read: Connection reset by peer',
        'Connection reset by 192.0.2.1 port 22',
      ],
    ],
  ])('%s is %i', async (_what, exitCode, lines) => {
    expect(await saying(...lines)).toMatchObject({ exitCode });
  });

  test('no common algorithm: names the server’s offer and the keyword to set', async () => {
    const error = await saying('Unable to negotiate with 192.0.2.1 port 22: ' + OFFER);
    expect(error).toHaveProperty('message', expect.stringContaining('diffie-hellman-group1-sha1'));
    expect(error).toHaveProperty('hint', expect.stringContaining('KexAlgorithms +'));
  });
});

describe('the arguments of the program', () => {
  /** A program with a given name that prints its arguments, one per line. */
  async function printer(name: string): Promise<string> {
    const file = path.join(dir, name);
    await writeFile(file, '#!/bin/sh\nprintf "%s\\n" "$@"\n');
    await chmod(file, 0o755);
    return file;
  }

  async function wordsOf(rsh: string, target: SshTarget, interactive: boolean): Promise<string[]> {
    const connection = await systemSsh(rsh, target, { interactive }).start('rsync', ['a b']);
    return (await readAll(connection.input)).toString().trimEnd().split('\n');
  }

  test('ssh: user, port, and no questions without a terminal', async () => {
    const rsh = `${await printer('ssh')} -i "my key"`;
    const target = { host: 'h', user: 'u', port: 5 };
    const own = ['-i', 'my key'];
    const login = ['-l', 'u', '-p', '5', 'h', 'rsync a\\ b'];
    expect(await wordsOf(rsh, target, true)).toEqual([...own, ...login]);
    expect(await wordsOf(rsh, target, false)).toEqual([...own, '-o', 'BatchMode=yes', ...login]);
    expect(await wordsOf(rsh, { host: 'h' }, true)).toEqual([...own, 'h', 'rsync a\\ b']);
  });

  test('plink has its own options', async () => {
    const target = { host: 'h', user: 'u', port: 5 };
    expect(await wordsOf(await printer('plink.exe'), target, false)).toEqual([
      '-batch',
      '-l',
      'u',
      '-P',
      '5',
      'h',
      'rsync a\\ b',
    ]);
  });

  test('another program gets user and host, and a port is refused', async () => {
    const rsh = await printer('via-jump');
    expect(await wordsOf(rsh, { host: 'h', user: 'u' }, false)).toEqual([
      '-l',
      'u',
      'h',
      'rsync a\\ b',
    ]);
    expect(() => systemSsh(rsh, { host: 'h', port: 5 }, { interactive: false })).toThrow(
      UsageError,
    );
  });

  test('no password of ecsync is in its environment', async () => {
    const file = path.join(dir, 'env-printer');
    await writeFile(file, `#!/bin/sh\nenv >${file}.out\n`);
    await chmod(file, 0o755);
    process.env['ECSYNC_PASSWORD_COMMAND'] = 'secret';
    const remote = systemSsh(file, { host: 'h' }, { interactive: false });
    const connection = await remote.start('x', []);
    connection.input.resume();
    await connection.exited;
    expect(await readFile(`${file}.out`, 'utf8')).toContain('PATH=');
    expect(await readFile(`${file}.out`, 'utf8')).not.toContain('ECSYNC_PASSWORD');
  });

  test('refuses a missing program, an invalid one, and a host that looks like an option', async () => {
    const missing = systemSsh('no-such-ssh', { host: 'h' }, { interactive: false });
    await expect(missing.start('x', [])).rejects.toBeInstanceOf(RemoteError);
    await expect(missing.start('x', [])).rejects.toMatchObject({ code: 'program-missing' });
    expect(() => systemSsh('ssh "', { host: 'h' }, { interactive: false })).toThrow(UsageError);
    expect(() => systemSsh('ssh', { host: '-oX=y' }, { interactive: false })).toThrow(UsageError);
  });
});
