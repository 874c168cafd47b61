/**
 * Goal: ProxyJump reaches the same machines as with ssh, and verifies every machine on the way.
 * Method: real sshds, one behind the other, and the real ssh with the same configuration for
 * comparison.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConnectionError, EcsyncError, LoginError, UsageError } from '../../../../src/errors.ts';
import { parseProxyJump } from '../../../../src/transport/ssh/config/jump.ts';
import { resolveRoute } from '../../../../src/transport/ssh/route.ts';
import { connectSsh } from '../../../support/connect-ssh.ts';
import type { Remote } from '../../../../src/transport/connection.ts';
import { makeKey, readPublicKey, startSshd, type RunningSshd } from '../../../support/sshd.ts';
import { readAll, sendZeros, sha256 } from '../../streams.ts';

const run = promisify(execFile);

/** More bytes than the windows of both connections. */
const MIB = 40;

let gate: RunningSshd;
let inner: RunningSshd;
let shut: RunningSshd;
let home: string;
let homes = 0;

beforeAll(async () => {
  delete process.env['SSH_AUTH_SOCK'];
  gate = await startSshd();
  inner = await startSshd();
  shut = await startSshd({ configLines: ['AllowTcpForwarding no'] });
  for (const server of [inner, shut]) {
    await copyFile(gate.authorizedKeysFile, server.authorizedKeysFile);
  }
});

afterAll(async () => {
  for (const server of [gate, inner, shut]) await server.stop();
});

beforeEach(async () => {
  home = path.join(gate.dir, `jump-home-${++homes}`);
  await mkdir(path.join(home, '.ssh'), { recursive: true, mode: 0o700 });
  await copyFile(gate.keyFile, inSsh('id_ed25519'));
  for (const server of [gate, inner, shut]) {
    await appendFile(inSsh('known_hosts'), await readFile(server.knownHostsFile));
  }
});

const inSsh = (name: string): string => path.join(home, '.ssh', name);
const host = (name: string, server: RunningSshd, ...more: string[]): string =>
  [`Host ${name}`, `  HostName ${server.host}`, `  Port ${server.port}`, ...more, ''].join('\n');

async function configure(...blocks: string[]): Promise<void> {
  await writeFile(inSsh('config'), blocks.join(''), { mode: 0o600 });
}

function connect(name: string, more: { acceptNewHostKey?: boolean } = {}): Promise<Remote> {
  const options = { acceptNewHostKey: false, connectTimeoutMs: 20_000, homeDir: home, ...more };
  return connectSsh({ host: name }, options);
}

async function echo(name: string, more = {}): Promise<string> {
  const remote = await connect(name, more);
  try {
    const connection = await remote.start('echo', ['here']);
    return (await readAll(connection.input)).toString();
  } finally {
    await remote.close();
  }
}

async function failure(name: string, more = {}): Promise<EcsyncError> {
  const result: unknown = await echo(name, more).catch((error: unknown) => error);
  if (!(result instanceof EcsyncError)) throw new Error(`not refused: ${String(result)}`);
  return result;
}

/** The result of ssh with the same files. */
async function echoOfSsh(name: string): Promise<string> {
  const file = path.join(home, 'oracle');
  const text = await readFile(inSsh('config'), 'utf8');
  const usual = [
    `Host *\n  UserKnownHostsFile ${inSsh('known_hosts')}\n  IdentityFile ${inSsh('id_ed25519')}`,
    '  IdentityAgent none\n  BatchMode yes\n  StrictHostKeyChecking yes\n',
  ];
  await writeFile(file, `${text}\n${usual.join('\n')}`, { mode: 0o600 });
  const { stdout } = await run('ssh', ['-F', file, name, 'echo here']);
  return stdout;
}

const loginsSeen = (server: RunningSshd): number =>
  server.log().split('userauth-request for user').length - 1;

describe('ProxyJump', () => {
  test('through one jump host', async () => {
    await configure(host('gate', gate), host('inner', inner, '  ProxyJump gate'));
    const seen = [gate, inner].map(loginsSeen);
    expect(await echoOfSsh('inner')).toBe('here\n');
    expect(await echo('inner')).toBe('here\n');
    expect(loginsSeen(gate)).toBeGreaterThan(seen[0] ?? 0);
    expect(loginsSeen(inner)).toBeGreaterThan(seen[1] ?? 0);
  });

  test('through a list of jump hosts, each with its own ProxyJump', async () => {
    await configure(
      host('first', gate),
      host('second', inner, '  ProxyJump first'),
      host('far', gate, `  ProxyJump second,${inner.user}@${inner.host}:${inner.port}`),
    );
    const route = await resolveRoute({ host: 'far' }, { homeDir: home, configFile: undefined });
    expect(route.map(({ config }) => config.port)).toEqual([
      gate.port,
      inner.port,
      inner.port,
      gate.port,
    ]);
    expect(await echoOfSsh('far')).toBe('here\n');
    expect(await echo('far')).toBe('here\n');
  });

  test('bytes pass both ways, and the end is orderly', async () => {
    await configure(host('gate', gate), host('inner', inner, '  ProxyJump gate'));
    const remote = await connect('inner');
    const connection = await remote.start('cat', []);
    const sending = sendZeros(connection.output, MIB);
    const zeros = createHash('sha256').update(Buffer.alloc(MIB * 1024 * 1024));
    expect(await sha256(connection.input, { pauseEvery: 8 * 1024 * 1024 })).toBe(
      zeros.digest('hex'),
    );
    await sending;
    expect(await connection.exited).toEqual({ code: 0, signal: null });
    await remote.close();
  });

  test('an unknown jump host gets nothing, nor does the machine behind it', async () => {
    await configure(host('gate', gate), host('inner', inner, '  ProxyJump gate'));
    await copyFile(inner.knownHostsFile, inSsh('known_hosts'));
    const seen = [gate, inner].map(loginsSeen);
    const error = await failure('inner');
    expect(error).toBeInstanceOf(LoginError);
    expect(error).toMatchObject({ code: 'host-key-unknown' });
    expect(error.message).toContain(`[127.0.0.1]:${gate.port}`);
    expect([gate, inner].map(loginsSeen)).toEqual(seen);
    await expect(echoOfSsh('inner')).rejects.toThrow(/Host key verification failed/);
  });

  test('the target is verified too, and recorded under its own name', async () => {
    await configure(host('gate', gate), host('inner', inner, '  ProxyJump gate'));
    await copyFile(gate.knownHostsFile, inSsh('known_hosts'));
    const seen = loginsSeen(inner);
    expect(await failure('inner')).toMatchObject({ code: 'host-key-unknown' });
    expect(loginsSeen(inner)).toBe(seen);
    expect(await echo('inner', { acceptNewHostKey: true })).toBe('here\n');
    const { stdout } = await run('ssh-keygen', [
      ...['-F', `[127.0.0.1]:${inner.port}`, '-f', inSsh('known_hosts')],
    ]);
    expect(stdout).toContain('found: line 2');
    expect(await echoOfSsh('inner')).toBe('here\n');
  });

  test('a changed key of a jump host ends it', async () => {
    await configure(host('gate', gate), host('inner', inner, '  ProxyJump gate'));
    await makeKey(inSsh('other'));
    const line = `[127.0.0.1]:${gate.port} ${await readPublicKey(inSsh('other.pub'))}\n`;
    await writeFile(inSsh('known_hosts'), line);
    expect(await failure('inner', { acceptNewHostKey: true })).toMatchObject({
      code: 'host-key-changed',
    });
  });

  test('through a machine that forbids forwarding', async () => {
    await configure(host('shut', shut), host('inner', inner, '  ProxyJump shut'));
    const error = await failure('inner');
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: 'connect-failed' });
    expect(error.message).toContain('jump host');
  });

  test('in a loop', async () => {
    await configure('Host *\n  ProxyJump gate\n');
    const error = await failure('inner');
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code: 'ssh-config-invalid' });
    await expect(echoOfSsh('inner')).rejects.toThrow(/loop/);
  });

  test('the jump host dies during a transfer', async () => {
    await configure(host('gate', gate), host('inner', inner, '  ProxyJump gate'));
    const remote = await connect('inner');
    const connection = await remote.start('cat', []);
    const outcomes = Promise.allSettled([
      readAll(connection.input),
      sendZeros(connection.output, 4000),
      connection.exited,
    ]);
    await once(connection.input, 'data');
    await gate.killSessions();
    for (const outcome of await outcomes) {
      expect(outcome.status === 'rejected' ? outcome.reason : outcome).toBeInstanceOf(
        ConnectionError,
      );
    }
    await remote.close();
  });

  test('a silent machine behind a live one is detected', async () => {
    const alive = '  ServerAliveInterval 1\n  ServerAliveCountMax 1';
    await configure(host('gate', gate, alive), host('inner', inner, '  ProxyJump gate', alive));
    const remote = await connect('inner');
    const connection = await remote.start('cat', []);
    await inner.freezeSessions(true);
    try {
      await expect(connection.exited).rejects.toMatchObject({ code: 'connection-lost' });
    } finally {
      await inner.freezeSessions(false);
      await remote.close();
    }
  });

  test('a jump host that needs more than ssh2 is refused', async () => {
    await configure(
      host('gate', gate, '  ProxyCommand nc %h %p'),
      host('inner', inner, '  ProxyJump gate'),
    );
    const error = await failure('inner');
    expect(error).toMatchObject({ code: 'ssh-config-unsupported' });
    expect(error.message).toContain('ProxyCommand');
  });
});

describe('parseProxyJump()', () => {
  test.each([
    ['none', []],
    ['a', [{ host: 'a' }]],
    ['u@a:22 # c', [{ host: 'a', user: 'u', port: 22 }]],
    ['a@b@c', [{ host: 'c', user: 'a@b' }]],
    ['ssh://u@[fe80::1]:5/', [{ host: 'fe80::1', user: 'u', port: 5 }]],
    ['[::1],b', [{ host: '::1' }, { host: 'b' }]],
  ])('%s', (text, jumps) => {
    expect(parseProxyJump(text)).toEqual(jumps);
  });

  test('of any length takes a moment', () => {
    const text = 'h:1'.repeat(50_000);
    expect(parseProxyJump(text)).toEqual([{ host: text }]);
    expect(() => parseProxyJump(`${text}[`)).toThrow(UsageError);
  });

  test.each(['', 'a,', '@a', 'a:0', 'a:65536', 'a:b', '[a', 'a@'])('%j is invalid', (text) => {
    expect(() => parseProxyJump(text)).toThrow(UsageError);
  });

  afterAll(() => rm(home, { recursive: true, force: true }));
});
