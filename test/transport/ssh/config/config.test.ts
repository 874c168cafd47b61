/**
 * Goal: ssh_config has the same meaning for us as for ssh. Method: `ssh -G` on the same file where
 * it answers, known answers otherwise.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UsageError } from '../../../../src/errors.ts';
import { resolveSshHost, type SshHostConfig } from '../../../../src/transport/ssh/config/config.ts';
import type { SshTarget } from '../../../../src/transport/ssh-target.ts';

let home: string;
let configFile: string;

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'ecsync-ssh-config-'));
  await mkdir(path.join(home, '.ssh', 'conf.d'), { recursive: true });
  configFile = path.join(home, '.ssh', 'config');
});

afterAll(() => rm(home, { recursive: true, force: true }));

async function resolve(text: string, target: SshTarget): Promise<SshHostConfig> {
  await writeFile(configFile, text);
  return resolveSshHost(target, { homeDir: home, configFile });
}

/** What `ssh -G` says about a host: keyword -> first value. */
function askSsh(target: SshTarget): Map<string, string> {
  const user = target.user === undefined ? [] : ['-l', target.user];
  const port = target.port === undefined ? [] : ['-p', `${target.port}`];
  const out = execFileSync('ssh', ['-F', configFile, '-G', ...user, ...port, target.host]);
  const answers = new Map<string, string>();
  for (const line of out.toString().trim().split('\n')) {
    const [keyword = '', ...value] = line.split(' ');
    if (!answers.has(keyword)) answers.set(keyword, value.join(' '));
  }
  return answers;
}

const CONFIGS: readonly (readonly [name: string, text: string])[] = [
  ['first value wins', 'Port 2201\nHost db\n  Port 2202\nHost *\n  Port 2203\n  User all\n'],
  ['specific before general', 'Host db\n  Port 2202\n  HostName 10.0.0.9\nHost *\n  Port 2203\n'],
  ['patterns', 'Host *.lan !x.lan\n  User lan\nHost d?\n  User two\nHost *\n  User rest\n'],
  ['several patterns', 'Host a b db\n  Port 7\n'],
  ['case of keywords, equals signs, tabs', 'hOsT=db\n\tPORT = 99\n\tuser\t=\tme\n'],
  ['quotes and comments', '# c\nHost "db" # no\n  User "me"\n'],
  ['%h in HostName', 'Host *\n  HostName %h.example.org\n'],
  [
    'Match host',
    'Host db\n HostName db.lan\nMatch host *.lan\n  User lan\nMatch all\n  User rest\n',
  ],
  ['Match originalhost', 'Match originalhost db host db\n  Port 5\nMatch all\n  Port 6\n'],
  ['Match user', 'Match user root\n  Port 5\nMatch !user root\n  Port 6\n'],
  ['Match localuser', `Match localuser ${userInfo().username}\n  Port 5\n`],
  ['Match final', 'Host db\n  HostName h.lan\nMatch final host h.lan\n  User late\n  Port 8\n'],
  ['Match that stops before exec', 'Match host nowhere exec "false"\n  Port 5\nPort 6\n'],
  [
    'options without effect',
    'ForwardAgent yes\nCompression yes\nGSSAPIAuthentication yes\nPort 5\n',
  ],
  ['ports and timeouts', 'ConnectTimeout 7\nServerAliveInterval 3\nServerAliveCountMax 9\n'],
  ['CRLF', 'Host db\r\n  Port 44\r\n  User dos\r\n'],
  ['global after a block', 'Host x\n Port 1\nHost *\n User u\n'],
];

const TARGETS: readonly SshTarget[] = [
  { host: 'db' },
  { host: 'x.lan' },
  { host: 'y.lan', user: 'root' },
  { host: 'db', port: 77, user: 'given' },
  { host: 'fe80::1%lo' },
];

describe('resolveSshHost()', () => {
  test.each(CONFIGS)('agrees with ssh -G: %s', async (_name, text) => {
    for (const target of TARGETS) {
      const ours = await resolve(text, target);
      const theirs = askSsh(target);
      expect({
        hostname: ours.hostName,
        port: `${ours.port}`,
        user: ours.user,
        timeout: `${ours.connectTimeoutMs === undefined ? 'none' : ours.connectTimeoutMs / 1000}`,
      }).toEqual({
        hostname: theirs.get('hostname'),
        port: theirs.get('port'),
        user: theirs.get('user'),
        timeout: theirs.get('connecttimeout'),
      });
    }
  });

  test('Include reads files in order, relative to ~/.ssh, also inside a block', async () => {
    await writeFile(path.join(home, '.ssh/conf.d/1.conf'), 'Host db\n  Port 1111\n');
    await writeFile(path.join(home, '.ssh/conf.d/2.conf'), 'Port 2222\nUser two\n');
    await writeFile(path.join(home, '.ssh/conf.d/.3.conf'), 'HostName hidden\n');
    const ours = await resolve('Include conf.d/*.conf absent\n', { host: 'db' });
    expect(ours).toMatchObject({ port: 1111, user: 'two', hostName: 'db' });
    const block = 'Host other\n  Include conf.d/2.conf\nHost *\n  Port 9\n';
    expect(await resolve(block, { host: 'db' })).toMatchObject({ port: 9 });
    expect(await resolve(block, { host: 'other' })).toMatchObject({ port: 2222 });
  });

  test('Include of itself ends', async () => {
    await expect(resolve('Include config\n', { host: 'db' })).rejects.toThrow(/too deeply/);
  });

  test('paths expand ~, tokens and variables', async () => {
    process.env['ECSYNC_TEST_DIR'] = '/keys';
    const ours = await resolve(
      'IdentityFile ~/a\nIdentityFile %d/%r@%h:%p-%n-%%\nIdentityFile ${ECSYNC_TEST_DIR}/k\n' +
        'Host db\n  HostName real\n  UserKnownHostsFile ~/kh1 "/my hosts"\n  IdentityAgent none\n' +
        '  IdentitiesOnly yes\n  HostKeyAlias alias\n  HashKnownHosts yes\n  StrictHostKeyChecking yes\n',
      { host: 'db', user: 'u', port: 5 },
    );
    expect(ours.identityFiles).toEqual([
      path.join(home, 'a'),
      path.join(home, 'u@real:5-db-%'),
      '/keys/k',
    ]);
    expect(ours).toMatchObject({
      identityFilesNamed: true,
      userKnownHostsFiles: [path.join(home, 'kh1'), '/my hosts'],
      agentSocket: undefined,
      identitiesOnly: true,
      hostKeyAlias: 'alias',
      hashKnownHosts: true,
      strictHostKeyChecking: 'yes',
    });
  });

  test('without settings the default files are used', async () => {
    const ours = await resolveSshHost({ host: 'db' }, { homeDir: home, configFile: 'none' });
    expect(ours.identityFiles[2]).toBe(path.join(home, '.ssh/id_ed25519'));
    expect(ours.userKnownHostsFiles[0]).toBe(path.join(home, '.ssh/known_hosts'));
    expect(ours).toMatchObject({
      port: 22,
      user: userInfo().username,
      strictHostKeyChecking: 'ask',
      unsupported: [],
    });
  });

  test.each([
    ['ProxyCommand nc %h %p', 'ProxyCommand'],
    ['Match exec "true"\n  Port 5', '“Match exec”'],
    ['CertificateFile ~/x-cert.pub', 'CertificateFile'],
    ['PKCS11Provider /lib/x.so', 'PKCS11Provider'],
    ['RevokedHostKeys /etc/x', 'RevokedHostKeys'],
    ['KnownHostsCommand /bin/keys %H', 'KnownHostsCommand'],
    ['CanonicalizeHostname yes', 'CanonicalizeHostname'],
    ['BindInterface lo', 'BindInterface'],
    ['KexAlgorithms sntrup761x25519-sha512@openssh.com', 'KexAlgorithms sntrup761'],
    ['MACs umac-64@openssh.com', 'MACs umac-64'],
    ['OptionOfTomorrow yes', 'the option optionoftomorrow'],
    ['Include ${NOWHERE}/x', '“Include'],
  ])('%s: names the unsupported option', async (text, option) => {
    const { unsupported } = await resolve(text, { host: 'db' });
    expect(unsupported).toHaveLength(1);
    expect(unsupported[0]).toContain(option);
  });

  test.each([
    'ProxyCommand none\nProxyJump none',
    'CanonicalizeHostname no',
    'PKCS11Provider none\nCertificateFile none\nRevokedHostKeys none\nKnownHostsCommand none',
    'GSSAPIAuthentication yes\nForwardAgent yes\nControlPath ~/x\nLocalForward 1 h:2',
    'IgnoreUnknown optionof*\nOptionOfTomorrow yes',
    'Match host nowhere exec "true"\n  Port 5',
  ])('%j is supported', async (text) => {
    expect(await resolve(text, { host: 'db' })).toMatchObject({ unsupported: [] });
  });

  test('options of other hosts do not matter', async () => {
    const text = 'Host inner\n  ProxyCommand x\nHost *\n  ProxyCommand none\n';
    expect(await resolve(text, { host: 'db' })).toMatchObject({ unsupported: [] });
  });

  test.each([
    'Port abc\n',
    'Port 99999\n',
    'User "open\n',
    'Host\n',
    'Port\n',
    'Match host\n',
    'IdentitiesOnly perhaps\n',
    'IdentityFile %z\n',
    'IdentityFile ${NO_SUCH_VARIABLE_HERE}/x\n',
    'Port 5\0\n',
  ])('a broken file is a UsageError: %j', async (text) => {
    const resolving = resolve(text, { host: 'db' });
    await expect(resolving).rejects.toBeInstanceOf(UsageError);
    await expect(resolving).rejects.toMatchObject({ code: 'ssh-config-invalid' });
  });

  test('a named file must exist', async () => {
    const source = { homeDir: home, configFile: path.join(home, 'absent') };
    await expect(resolveSshHost({ host: 'db' }, source)).rejects.toThrow(/cannot be read/);
  });

  test.each([
    [{ host: '-oProxyCommand=x' }, 'host-invalid'],
    [{ host: 'a b' }, 'host-invalid'],
    [{ host: 'a\nb' }, 'host-invalid'],
    [{ host: '' }, 'host-invalid'],
    [{ host: 'a', user: '-l' }, 'user-invalid'],
    [{ host: 'a', user: 'x\u0000' }, 'user-invalid'],
    [{ host: 'a', port: 0 }, 'port-invalid'],
    [{ host: 'a', port: 65536 }, 'port-invalid'],
    [{ host: 'a', port: 1.5 }, 'port-invalid'],
  ])('refuses %j', async (target, code) => {
    await expect(resolve('', target)).rejects.toMatchObject({ code });
  });

  test('a HostName from a file is validated too', async () => {
    await expect(resolve('HostName -x\n', { host: 'db' })).rejects.toMatchObject({
      code: 'host-invalid',
    });
  });
});
