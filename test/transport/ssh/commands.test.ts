/**
 * Goal: commands over the built-in ssh carry any amount of bytes in bounded memory, end with their
 * status, and a lost connection is always an error. Method: a real sshd, killed, frozen and
 * limited.
 */
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ConnectionError, RemoteError } from '../../../src/errors.ts';
import type { Connection, Remote } from '../../../src/transport/connection.ts';
import { connectSsh } from '../../support/connect-ssh.ts';
import { startSshd, type RunningSshd, type SshdOptions } from '../../support/sshd.ts';
import { readAll, sendZeros, sha256, ZEROS_200_MIB } from '../streams.ts';

let sshd: RunningSshd;
let remote: Remote;

async function connect(options: SshdOptions = {}, config = ''): Promise<void> {
  sshd = await startSshd(options);
  await writeFile(path.join(sshd.home, '.ssh/config'), `IdentityAgent none\n${config}`);
  remote = await connectSsh(
    { host: sshd.host, port: sshd.port },
    { acceptNewHostKey: false, connectTimeoutMs: 20_000, homeDir: sshd.home },
  );
}

afterEach(async () => {
  await remote.close();
  await sshd.stop();
});

const shell = (script: string): Promise<Connection> => remote.start('sh -c', [script]);
const textOf = async (connection: Connection): Promise<string> =>
  (await readAll(connection.input)).toString();
const loginsSeen = (): number => sshd.log().split('Accepted publickey').length - 1;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a command', () => {
  test('gets its arguments verbatim, and returns output, standard error and status', async () => {
    await connect();
    const words = ['a  b', '*', '$HOME', "it's", '', '"q"', '\\', 'ü\u00a0', '~', ';exit'];
    const connection = await remote.start("printf '<%s>'", words);
    expect(await textOf(connection)).toBe(words.map((word) => `<${word}>`).join(''));
    expect(await connection.exited).toEqual({ code: 0, signal: null });

    const failing = await shell('cat; echo why >&2; exit 23');
    failing.output.end('in and out');
    expect(await textOf(failing)).toBe('in and out');
    expect(await failing.exited).toEqual({ code: 23, signal: null });
    expect(failing.stderrText()).toBe('why\n');
  });

  test('that does not exist ends with 127, the shell’s code', async () => {
    await connect();
    const connection = await remote.start('no-such-rsync', ['--server']);
    expect(await textOf(connection)).toBe('');
    expect(await connection.exited).toEqual({ code: 127, signal: null });
    expect(connection.stderrText()).toContain('no-such-rsync');
  });

  test('that a signal ended reports the signal', async () => {
    await connect();
    const connection = await shell('kill -KILL $$');
    connection.input.resume();
    expect(await connection.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('is replaced by a forced command, which sees the requested one', async () => {
    await connect({ forcedCommand: 'printf %s "$SSH_ORIGINAL_COMMAND"', keyOptions: 'restrict' });
    const connection = await remote.start('rsync', ['--server', '.', 'a b/']);
    expect(await textOf(connection)).toBe('rsync --server . a\\ b/');
  });

  test('is ended by destroy(), and the login stays open', async () => {
    await connect();
    const connection = await remote.start('cat', []);
    connection.destroy();
    connection.destroy();
    await connection.exited;
    expect(await textOf(await remote.start('echo', ['on']))).toBe('on\n');
    expect(loginsSeen()).toBe(1);
  });

  test('that has ended makes writing a ConnectionError', async () => {
    await connect();
    const connection = await shell('echo bye; exit 2');
    expect(await textOf(connection)).toBe('bye\n');
    expect(await connection.exited).toEqual({ code: 2, signal: null });
    const error = await new Promise((resolve) => connection.output.write('x', resolve));
    expect(error).toBeInstanceOf(Error);
    expect(connection.output.errored).toBeInstanceOf(ConnectionError);
  });
});

describe('one login', () => {
  test('carries commands one after the other and concurrently', async () => {
    await connect();
    for (const word of ['one', 'two']) {
      expect(await textOf(await remote.start('echo', [word]))).toBe(`${word}\n`);
    }
    const both = await Promise.all([remote.start('cat', []), remote.start('cat', [])]);
    both[0].output.end('first');
    both[1].output.end('second');
    expect(await Promise.all(both.map(textOf))).toEqual(['first', 'second']);
    expect(loginsSeen()).toBe(1);
  });

  test('that accepts no more commands is followed by another', async () => {
    await connect({ maxSessions: 1 });
    const first = await remote.start('cat', []);
    const second = await remote.start('cat', []);
    expect(loginsSeen()).toBe(2);
    for (const connection of [first, second]) connection.output.end('x');
    expect(await textOf(first)).toBe('x');
    expect(await textOf(second)).toBe('x');
  });

  test('to an account that may run nothing is a RemoteError', async () => {
    await connect({ maxSessions: 0 });
    const starting = remote.start('rsync', []);
    await expect(starting).rejects.toBeInstanceOf(RemoteError);
    await expect(starting).rejects.toMatchObject({ code: 'command-not-started' });
  });

  test('that was lost is followed by another', async () => {
    await connect();
    const connection = await remote.start('cat', []);
    await sshd.killSessions();
    await expect(connection.exited).rejects.toMatchObject({ code: 'connection-lost' });
    expect(await textOf(await remote.start('echo', ['again']))).toBe('again\n');
    expect(loginsSeen()).toBe(2);
  });
});

describe('a command started ahead', () => {
  const started = (): Promise<string[]> =>
    readFile(path.join(sshd.home, 'started'), 'utf8').then((text) => text.trimEnd().split('\n'));
  /** Records that it was started, then answers. */
  const noting = (word: string, then = 'cat'): readonly [string, readonly string[]] => [
    'sh -c',
    [`echo ${word} >>${path.join(sshd.home, 'started')}; ${then}`],
  ];
  const untilStarted = async (count: number): Promise<void> => {
    while ((await started().catch(() => [])).length < count) await pause(20);
  };

  test('is used for the next start, and is marked as such', async () => {
    await connect();
    remote.startAhead?.(...noting('once'));
    await untilStarted(1);
    const connection = await remote.start(...noting('once'));
    expect(connection.startedAhead).toBe(true);
    connection.output.end('through');
    expect(await textOf(connection)).toBe('through');
    expect(await connection.exited).toEqual({ code: 0, signal: null });
    expect(await started()).toEqual(['once']);
  });

  test('is ended when another is started, which it may obstruct', async () => {
    await connect();
    const done = path.join(sshd.home, 'done');
    remote.startAhead?.(...noting('ahead', `cat; touch ${done}`));
    await untilStarted(1);
    const other = await remote.start(...noting('other'));
    expect(other.startedAhead).toBe(true);
    other.output.end('own');
    expect(await textOf(other)).toBe('own');
    expect(await started()).toEqual(['ahead', 'other']);
    while (!existsSync(done)) await pause(20);
  });

  test('that was not needed must end before a retry', async () => {
    await connect();
    const lock = path.join(sshd.home, 'lock');
    const alone = (then: string): string =>
      `exec 9>${lock}; flock -n 9 || { echo refused; exit 1; }; ${then}`;
    remote.startAhead?.(...noting('ahead', alone('cat; sleep 0.5')));
    await untilStarted(1);
    const other = noting('other', alone('cat'));
    const refused = await remote.start(...other);
    expect(refused.startedAhead).toBe(true);
    expect(await textOf(refused)).toBe('refused\n');
    const accepted = await remote.start(...other);
    expect(accepted.startedAhead).toBe(false);
    accepted.output.end('own');
    expect(await textOf(accepted)).toBe('own');
  });

  test('frees the only channel of a server', async () => {
    await connect({ maxSessions: 1 });
    remote.startAhead?.(...noting('ahead'));
    await untilStarted(1);
    const other = await remote.start(...noting('other'));
    other.output.end('own');
    expect(await textOf(other)).toBe('own');
    expect(loginsSeen()).toBe(1);
  });

  test('ends with the login', async () => {
    await connect();
    const done = path.join(sshd.home, 'done');
    remote.startAhead?.(...noting('ahead', `cat; touch ${done}`));
    await untilStarted(1);
    await remote.close();
    while (!existsSync(done)) await pause(20);
  });

  test('that ended too soon is started again', async () => {
    await connect();
    remote.startAhead?.(...noting('short', 'exit 9'));
    await untilStarted(1);
    await pause(500);
    const connection = await remote.start(...noting('short', 'exit 9'));
    expect(connection.startedAhead).toBe(false);
    expect(await textOf(connection)).toBe('');
    expect(await connection.exited).toEqual({ code: 9, signal: null });
    expect(await started()).toEqual(['short', 'short']);
  });

  test('costs no login on a server with a channel limit, and fails only when it is needed', async () => {
    await connect({ maxSessions: 1 });
    const running = await remote.start('cat', []);
    remote.startAhead?.('cat', []);
    await pause(200);
    expect(loginsSeen()).toBe(1);
    running.output.end('x');
    expect(await textOf(running)).toBe('x');
    const next = await remote.start('cat', []);
    expect(next.startedAhead).toBe(false);
    next.output.end('y');
    expect(await textOf(next)).toBe('y');
  });
});

describe('bytes', () => {
  test('200 MiB pass both ways, with back-pressure from a slow reader', async () => {
    await connect();
    const connection = await remote.start('cat', []);
    const sending = sendZeros(connection.output, 200);
    expect(await sha256(connection.input, { pauseEvery: 8 * 1024 * 1024 })).toBe(ZEROS_200_MIB);
    await sending;
    expect(await connection.exited).toEqual({ code: 0, signal: null });
  });

  test('pass unchanged while keys are exchanged again and again', async () => {
    await connect({ configLines: ['RekeyLimit 1M'] });
    const connection = await remote.start('cat', []);
    const sending = sendZeros(connection.output, 200);
    expect(await sha256(connection.input, { pauseEvery: 64 * 1024 * 1024 })).toBe(ZEROS_200_MIB);
    await sending;
    expect(sshd.log().split('rekey').length).toBeGreaterThan(10);
  });

  test('without a reader the server gets back-pressure, and nothing is lost', async () => {
    await connect();
    const done = path.join(sshd.dir, 'done');
    const connection = await shell(`head -c 100000000 /dev/zero; touch ${done}; echo err >&2`);
    await pause(700);
    expect(existsSync(done)).toBe(false);
    expect((await readAll(connection.input)).length).toBe(100_000_000);
    expect(await connection.exited).toEqual({ code: 0, signal: null });
    expect(existsSync(done)).toBe(true);
  });

  test('if the server does not read, the writer gets back-pressure', async () => {
    await connect();
    const connection = await remote.start('sleep', ['100']);
    let written = 0;
    for (let calm = 0; calm < 20;) {
      const free = connection.output.writableLength < connection.output.writableHighWaterMark;
      if (free) written += 65_536;
      if (free) connection.output.write(Buffer.alloc(65_536));
      calm = free ? 0 : calm + 1;
      await pause(free ? 0 : 20);
      expect(written).toBeLessThan(16 * 1024 * 1024);
    }
    connection.destroy();
  });

  test('a flood on standard error is drained, and its end is kept', async () => {
    await connect();
    const connection = await shell('head -c 30000000 /dev/zero >&2; echo the end >&2; echo done');
    expect(await textOf(connection)).toBe('done\n');
    await connection.exited;
    expect(connection.stderrText().length).toBe(65_536);
    expect(connection.stderrText().endsWith('the end\n')).toBe(true);
  });

  test('without a reader the server gets back-pressure even while standard error trickles', async () => {
    await connect();
    const script =
      'i=0; while [ $i -lt 2000 ]; do head -c 20000 /dev/zero; echo x >&2; i=$((i+1)); done';
    const done = path.join(sshd.dir, 'done');
    const connection = await shell(`${script}; touch ${done}`);
    await pause(4000);
    expect(existsSync(done)).toBe(false);
    expect((await readAll(connection.input)).length).toBe(40_000_000);
    expect(await connection.exited).toEqual({ code: 0, signal: null });
    expect(connection.stderrText()).toBe('x\n'.repeat(2000));
  });

  test('of a command that ended well can still be read after the server is gone', async () => {
    await connect();
    const connection = await shell('head -c 1000000 /dev/zero');
    await once(connection.input, 'readable');
    await pause(500);
    await sshd.killSessions();
    await pause(200);
    expect((await readAll(connection.input)).length).toBe(1_000_000);
    expect(await connection.exited).toEqual({ code: 0, signal: null });
  });
});

describe('a lost connection', () => {
  test('is an error of input, output and exited, in the middle of a transfer', async () => {
    await connect();
    const connection = await remote.start('cat', []);
    const reading = readAll(connection.input);
    const sending = sendZeros(connection.output, 4000);
    const outcomes = Promise.allSettled([reading, sending, connection.exited]);
    await once(connection.input, 'data');
    await sshd.killSessions();
    for (const outcome of await outcomes) {
      const reason: unknown = outcome.status === 'rejected' ? outcome.reason : outcome;
      expect(reason).toBeInstanceOf(ConnectionError);
      expect(reason).toMatchObject({ code: 'connection-lost' });
    }
  });

  test('without a listener does not crash the process', async () => {
    await connect();
    const connection = await shell('echo up; sleep 100');
    await once(connection.input, 'readable');
    await sshd.killSessions();
    await pause(300);
    expect(connection.input.errored).toBeInstanceOf(ConnectionError);
    expect(connection.output.errored).toBeInstanceOf(ConnectionError);
  });

  test('is detected when the server falls silent', async () => {
    await connect({}, 'ServerAliveInterval 1\nServerAliveCountMax 1\n');
    const connection = await remote.start('cat', []);
    await sshd.freezeSessions(true);
    await expect(connection.exited).rejects.toMatchObject({ code: 'connection-lost' });
  });

  test('is not reported while the server is merely busy', async () => {
    await connect({}, 'ServerAliveInterval 1\nServerAliveCountMax 1\n');
    expect(await textOf(await shell('sleep 4; echo ready'))).toBe('ready\n');
  });

  test('refuses the next command if the server is gone for good', async () => {
    await connect();
    const connection = await remote.start('cat', []);
    await appendFile(path.join(sshd.home, '.ssh/config'), '\n');
    await sshd.stop();
    await expect(connection.exited).rejects.toBeInstanceOf(ConnectionError);
    await expect(remote.start('echo', [])).rejects.toBeInstanceOf(Error);
  });
});

test('close() ends the commands and the login', async () => {
  await connect();
  const connection = await remote.start('cat', []);
  await remote.close();
  await connection.exited;
  await expect(readAll(connection.input)).rejects.toBeInstanceOf(ConnectionError);
});
