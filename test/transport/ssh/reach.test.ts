/**
 * Goal: the system's ssh does what the built-in ssh cannot, as strictly, or the login is refused.
 * Method: a real sshd with certificates, the real ssh, and configurations that need it.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LoginError, UsageError } from '../../../src/errors.ts';
import { findSystemOnlyMethods } from '../../../src/transport/ssh/system-only-methods.ts';
import { reachSsh, type SshReachOptions } from '../../../src/transport/ssh/reach.ts';
import { resolveSshHost } from '../../../src/transport/ssh/config/config.ts';
import { makeKey, readPublicKey, startSshd, type RunningSshd } from '../../support/sshd.ts';
import { readAll } from '../streams.ts';

const run = promisify(execFile);
const PATH = process.env['PATH'];

/** Certificates: a CA, a host key with one, a user key with one. */
let keys: string;
let sshd: RunningSshd;
let home: string;
let homes = 0;

beforeAll(async () => {
  delete process.env['SSH_AUTH_SOCK'];
  delete process.env['KRB5CCNAME'];
  keys = await mkdtemp(path.join(tmpdir(), 'ecsync-certificates-'));
  for (const name of ['ca', 'host', 'user']) await makeKey(path.join(keys, name));
  const sign = (name: string, ...args: string[]): Promise<unknown> =>
    run('ssh-keygen', ['-q', '-s', path.join(keys, 'ca'), ...args, path.join(keys, `${name}.pub`)]);
  await sign('host', '-I', 'host', '-h', '-n', '127.0.0.1', '-V', '+1h');
  await sign('user', '-I', 'user', '-n', userInfo().username, '-V', '+1h');
  sshd = await startSshd({
    hostKeyTypes: ['rsa'],
    configLines: [
      `HostKey ${path.join(keys, 'host')}`,
      `HostCertificate ${path.join(keys, 'host-cert.pub')}`,
      `TrustedUserCAKeys ${path.join(keys, 'ca.pub')}`,
    ],
  });
});

afterAll(async () => {
  await sshd.stop();
  await rm(keys, { recursive: true, force: true });
});

beforeEach(async () => {
  home = path.join(sshd.dir, `reach-home-${++homes}`);
  await mkdir(path.join(home, '.ssh'), { recursive: true, mode: 0o700 });
  await copyFile(sshd.keyFile, inSsh('id_ed25519'));
  await copyFile(sshd.knownHostsFile, inSsh('known_hosts'));
});

afterEach(() => {
  process.env['PATH'] = PATH;
});

const inSsh = (name: string): string => path.join(home, '.ssh', name);

async function configure(...lines: string[]): Promise<void> {
  await writeFile(inSsh('config'), `${lines.join('\n')}\n`, { mode: 0o600 });
}

interface Reached {
  readonly out: string;
  readonly details: string;
  readonly notices: string;
}

async function reach(more: Partial<SshReachOptions> = {}): Promise<Reached> {
  const details: string[] = [];
  const notices: string[] = [];
  const remote = await reachSsh(
    { host: sshd.host, port: sshd.port },
    {
      acceptNewHostKey: false,
      connectTimeoutMs: 20_000,
      homeDir: home,
      interactive: false,
      onDetail: (text) => details.push(text),
      onNotice: (text) => notices.push(text),
      ...more,
    },
  );
  try {
    const connection = await remote.start('echo', ['here']);
    const out = (await readAll(connection.input)).toString();
    await connection.exited;
    return { out, details: details.join('\n'), notices: notices.join('\n') };
  } finally {
    await remote.close();
  }
}

describe('the system’s ssh is used', () => {
  test('only if it is needed', async () => {
    await configure('GSSAPIAuthentication yes', 'ForwardX11 yes', 'ControlMaster auto');
    expect(await reach()).toEqual({ out: 'here\n', details: '', notices: '' });
  });

  test('for ProxyCommand, with the same files', async () => {
    const pipe = path.join(home, 'pipe.mjs');
    const code = `import { connect } from 'node:net';
const socket = connect(Number(process.argv[2]), '127.0.0.1');
process.stdin.pipe(socket).pipe(process.stdout);\n`;
    await writeFile(pipe, code);
    await configure(`ProxyCommand ${process.execPath} ${pipe} %p`);
    const { out, details } = await reach();
    expect(out).toBe('here\n');
    expect(details).toMatch(/using the system's ssh \(\/.*ssh\): ProxyCommand/);
  });

  test('for “Match exec”', async () => {
    await configure('Match exec "true"', '  ConnectTimeout 9');
    const { out, details } = await reach();
    expect(out).toBe('here\n');
    expect(details).toContain('“Match exec”');
  });

  const POST_QUANTUM = 'sntrup761x25519-sha512@openssh.com';
  test.each([`KexAlgorithms ${POST_QUANTUM},curve25519-sha256`, `KexAlgorithms ^${POST_QUANTUM}`])(
    'for a requested post-quantum key exchange: %s',
    async (line) => {
      await configure(line);
      const { out, details } = await reach();
      expect(out).toBe('here\n');
      expect(details).toContain(POST_QUANTUM);
      await configure(`KexAlgorithms curve25519-sha256,${POST_QUANTUM}`);
      expect((await reach()).details).toBe('');
    },
  );

  test('for a host that is known only by a certificate authority', async () => {
    const line = `@cert-authority * ${await readPublicKey(path.join(keys, 'ca.pub'))}\n`;
    await writeFile(inSsh('known_hosts'), line);
    const { out, details } = await reach();
    expect(out).toBe('here\n');
    expect(details).toContain('@cert-authority');
    process.env['PATH'] = '/nonexistent';
    const error: unknown = await reach().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code: 'ssh-config-unsupported' });
  });

  test('for a certificate if the key alone is refused, without a question', async () => {
    await rm(inSsh('id_ed25519'));
    for (const name of ['user', 'user.pub', 'user-cert.pub']) {
      await copyFile(path.join(keys, name), inSsh(name));
    }
    await configure('IdentityFile ~/.ssh/user');
    const asked: string[] = [];
    const askPassword = (prompt: string): Promise<string> => {
      asked.push(prompt);
      return Promise.resolve('x');
    };
    const { out, details } = await reach({ askPassword });
    expect(out).toBe('here\n');
    expect(details).toContain('user-cert.pub');
    expect(asked).toEqual([]);
    process.env['PATH'] = '/nonexistent';
    await expect(reach()).rejects.toMatchObject({ code: 'login-refused' });
  });

  test('for a server whose algorithms the built-in ssh lacks', async () => {
    const odd = await startSshd({
      configLines: ['Ciphers aes128-ctr', 'MACs umac-128-etm@openssh.com'],
    });
    try {
      home = odd.home;
      const details: string[] = [];
      const options = { acceptNewHostKey: false, connectTimeoutMs: 20_000, interactive: false };
      const onDetail = (text: string): void => void details.push(text);
      const target = { host: odd.host, port: odd.port };
      const remote = await reachSsh(target, { ...options, homeDir: home, onDetail });
      const connection = await remote.start('echo', ['here']);
      expect((await readAll(connection.input)).toString()).toBe('here\n');
      await remote.close();
      expect(details.join()).toContain('no algorithm in common');
      process.env['PATH'] = '/nonexistent';
      const alone = reachSsh(target, { ...options, homeDir: home });
      await expect(alone).rejects.toMatchObject({ code: 'algorithms-mismatch', exitCode: 13 });
      // Both lists, and the setting to change.
      await expect(alone).rejects.toThrow(/umac-128-etm@openssh.com.*hmac-sha2-256/);
      await expect(alone).rejects.toHaveProperty('hint', expect.stringContaining('MACs +'));
    } finally {
      process.env['PATH'] = PATH;
      await odd.stop();
    }
  });

  test('or the need is refused by name if there is none', async () => {
    process.env['PATH'] = '/nonexistent';
    await configure('ProxyCommand nc %h %p');
    await expect(reach()).rejects.toThrow(/needs ProxyCommand/);
  });
});

describe('the system’s ssh is as strict', () => {
  /** An option that only it supports, and that changes nothing. */
  const NEEDED = ['Match exec "true"', '  ConnectTimeout 9', 'Match all'];

  test('StrictHostKeyChecking no does not relax the check', async () => {
    await writeFile(inSsh('known_hosts'), '');
    await configure(...NEEDED, '  StrictHostKeyChecking no');
    const error: unknown = await reach().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LoginError);
    expect(error).toMatchObject({ code: 'host-key-unknown' });
    expect(await readFile(inSsh('known_hosts'), 'utf8')).toBe('');
  });

  test('--accept-new-host-key records, unless the configuration has yes', async () => {
    await writeFile(inSsh('known_hosts'), '');
    await configure(...NEEDED, '  StrictHostKeyChecking yes');
    await expect(reach({ acceptNewHostKey: true })).rejects.toMatchObject({
      code: 'host-key-unknown',
    });
    await configure(...NEEDED);
    expect((await reach({ acceptNewHostKey: true })).out).toBe('here\n');
    expect((await reach()).out).toBe('here\n');
  });

  test('a changed key', async () => {
    await makeKey(inSsh('other'));
    const line = `[127.0.0.1]:${sshd.port} ${await readPublicKey(inSsh('other.pub'))}\n`;
    await writeFile(inSsh('known_hosts'), line);
    await configure(...NEEDED, '  StrictHostKeyChecking accept-new');
    await expect(reach({ acceptNewHostKey: true })).rejects.toMatchObject({
      code: 'host-key-changed',
    });
  });
});

describe('the built-in ssh by configuration', () => {
  test('StrictHostKeyChecking accept-new records a new host, but not a changed one', async () => {
    await writeFile(inSsh('known_hosts'), '');
    await configure('StrictHostKeyChecking accept-new');
    expect((await reach()).notices).toContain('recorded the new host key');
    expect(await reach()).toMatchObject({ out: 'here\n', notices: '' });
    await makeKey(inSsh('other'));
    const line = `[127.0.0.1]:${sshd.port} ${await readPublicKey(inSsh('other.pub'))}\n`;
    await writeFile(inSsh('known_hosts'), line);
    await expect(reach()).rejects.toMatchObject({ code: 'host-key-changed' });
  });

  test('BindAddress is the local address of the connection', async () => {
    await configure('BindAddress 127.0.0.3');
    expect((await reach()).out).toBe('here\n');
    expect(sshd.log()).toContain('Connection from 127.0.0.3');
    await configure('BindAddress 192.0.2.1');
    await expect(reach()).rejects.toThrow(/BindAddress/);
  });

  test('uses the named algorithms, and HostKeyAlgorithms before known keys', async () => {
    const own = await readPublicKey(path.join(keys, 'host.pub'));
    await writeFile(inSsh('known_hosts'), `[127.0.0.1]:${sshd.port} ${own}\n`, { flag: 'a' });
    await configure(
      'Ciphers aes256-ctr',
      'MACs hmac-sha2-512',
      'KexAlgorithms ecdh-sha2-nistp384',
      'HostKeyAlgorithms rsa-sha2-256',
    );
    const from = sshd.log().length;
    expect((await reach()).out).toBe('here\n');
    const log = sshd.log().slice(from);
    expect(log).toContain('cipher: aes256-ctr MAC: hmac-sha2-512');
    expect(log).toContain('kex: algorithm: ecdh-sha2-nistp384');
    expect(log).toContain('kex: host key algorithm: rsa-sha2-256');
  });

  test('PubkeyAcceptedAlgorithms and PubkeyAuthentication withhold keys', async () => {
    await configure('PubkeyAcceptedAlgorithms rsa-sha2-512');
    await expect(reach()).rejects.toThrow(/PubkeyAcceptedAlgorithms leaves out ssh-ed25519/);
    await configure('PubkeyAuthentication no');
    await expect(reach()).rejects.toMatchObject({ code: 'login-refused' });
    await configure('PreferredAuthentications password');
    await expect(reach()).rejects.toMatchObject({ code: 'login-refused' });
  });

  test('BatchMode asks nothing', async () => {
    await run('ssh-keygen', ['-q', '-p', '-N', 'open sesame', '-f', inSsh('id_ed25519')]);
    const askPassphrase = (): Promise<string> => Promise.resolve('open sesame');
    expect((await reach({ askPassphrase })).out).toBe('here\n');
    await configure('BatchMode yes');
    await expect(reach({ askPassphrase })).rejects.toThrow(/nobody can be asked/);
  });
});

describe('findSystemOnlyMethods()', () => {
  const ways = async (...lines: string[]): Promise<string[]> => {
    await configure(...lines);
    const source = { homeDir: home, configFile: inSsh('config') };
    return findSystemOnlyMethods(await resolveSshHost({ host: 'h' }, source), home);
  };

  test('finds security keys by their public half, including default files', async () => {
    expect(await ways()).toEqual([]);
    await writeFile(inSsh('id_ed25519_sk'), 'unreadable');
    await writeFile(inSsh('id_ed25519_sk.pub'), 'sk-ssh-ed25519@openssh.com AAAA me\n');
    expect(await ways()).toEqual([`the security key ${inSsh('id_ed25519_sk')}`]);
    expect(await ways('IdentityFile ~/.ssh/id_ed25519')).toEqual([]);
    expect(await ways('PubkeyAuthentication no')).toEqual([]);
  });

  test('finds security keys by the content of a key file', async () => {
    const string = (text: string): Buffer => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(text.length);
      return Buffer.concat([length, Buffer.from(text, 'latin1')]);
    };
    const one = Buffer.from([0, 0, 0, 1]);
    const publicKey = `${string('sk-ssh-ed25519@openssh.com').toString('latin1')}xxxx`;
    const bytes = Buffer.concat([
      Buffer.from('openssh-key-v1\0'),
      ...[string('none'), string('none'), string(''), one, string(publicKey)],
    ]);
    const armored = `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
    await writeFile(inSsh('hw'), armored);
    expect(await ways('IdentityFile ~/.ssh/hw')).toEqual([`the security key ${inSsh('hw')}`]);
  });

  test('finds Kerberos only with a ticket, and host-based login if it is enabled', async () => {
    expect(await ways('GSSAPIAuthentication yes')).toEqual([]);
    process.env['KRB5CCNAME'] = '/tmp/ticket';
    try {
      expect(await ways('GSSAPIAuthentication yes')).toEqual(['GSSAPIAuthentication']);
      expect(await ways('GSSAPIAuthentication no')).toEqual([]);
    } finally {
      delete process.env['KRB5CCNAME'];
    }
    expect(await ways('HostbasedAuthentication yes')).toEqual(['HostbasedAuthentication']);
  });
});
