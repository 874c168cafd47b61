/**
 * Goal: an ssh_config file gives our login the same parameters as ssh's, and is refused if ssh
 * refuses it. Method: `ssh -G -F FILE` answers each case during the test.
 */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UsageError } from '../../../../src/errors.ts';
import { resolveSshHost, type SshHostConfig } from '../../../../src/transport/ssh/config/config.ts';
import type { SshTarget } from '../../../../src/transport/ssh-target.ts';

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'ecsync-ssh-g-'));
  await mkdir(path.join(dir, 'a1'));
  await mkdir(path.join(dir, 'a2'));
  const parts: readonly (readonly [name: string, text: string])[] = [
    ['a1/x.conf', 'Host db\n  Port 1111\nHost *\n  User one\n'],
    ['a2/x.conf', 'Port 2222\nUser two\n'],
    ['a2/y.conf', 'Match final\n  Port 3333\n'],
    ['a2/.hidden.conf', 'Port 4444\n'],
    ['bad.conf', 'Port abc\n'],
    ['open.conf', 'User anybody\n'],
  ];
  for (const [name, text] of parts) await writeFile(path.join(dir, name), text, { mode: 0o600 });
  await chmod(path.join(dir, 'open.conf'), 0o666);
});

afterAll(() => rm(dir, { recursive: true, force: true }));

type Answers = ReadonlyMap<string, readonly string[]>;

/** The answer of `ssh -G`: keyword → one value for each line; undefined if it refuses the file. */
function askSsh(file: string, target: SshTarget): Answers | undefined {
  const user = target.user === undefined ? [] : ['-l', target.user];
  const port = target.port === undefined ? [] : ['-p', `${target.port}`];
  let out: string;
  try {
    const argv = ['-F', file, '-G', ...user, ...port, target.host];
    out = execFileSync('ssh', argv, { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
  } catch {
    return undefined;
  }
  const answers = new Map<string, string[]>();
  for (const line of out.trimEnd().split('\n')) {
    const [keyword = '', ...rest] = line.split(' ');
    answers.set(keyword, [...(answers.get(keyword) ?? []), rest.join(' ')]);
  }
  return answers;
}

const yesNo = (flag: boolean): string => (flag ? 'yes' : 'no');
const inHome = (file: string): string => file.replace(/^~/, userInfo().homedir);

/** The parameters that both must agree on, in the form of `ssh -G`. */
function shown(ours: SshHostConfig): Record<string, unknown> {
  return {
    hostname: ours.hostName,
    port: `${ours.port}`,
    user: ours.user,
    connecttimeout:
      ours.connectTimeoutMs === undefined ? 'none' : `${ours.connectTimeoutMs / 1000}`,
    connectionattempts: `${ours.connectionAttempts}`,
    addressfamily: { 0: 'any', 4: 'inet', 6: 'inet6' }[ours.addressFamily],
    bindaddress: ours.bindAddress,
    tcpkeepalive: yesNo(ours.tcpKeepAlive),
    batchmode: yesNo(ours.batchMode),
    identitiesonly: yesNo(ours.identitiesOnly),
    hashknownhosts: yesNo(ours.hashKnownHosts),
    hostkeyalias: ours.hostKeyAlias,
    numberofpasswordprompts: `${ours.passwordPrompts}`,
    serveralivecountmax: `${ours.serverAliveCountMax}`,
    proxyjump: ours.jumps.map(({ user, host, port }) => ({ user, host, port })),
    proxycommand: ours.unsupported.includes('ProxyCommand'),
    userknownhostsfile: ours.userKnownHostsFiles.join(' '),
    globalknownhostsfile: ours.globalKnownHostsFiles.join(' '),
    identityfile: ours.identityFiles,
    publickey: yesNo(ours.loginMethods.includes('publickey')),
    password: yesNo(ours.loginMethods.includes('password')),
    kbdint: yesNo(ours.loginMethods.includes('keyboard-interactive')),
    stricthostkeychecking: ours.strictHostKeyChecking,
  };
}

/** Defaults that differ on purpose: key types that ssh2 lacks. */
const NOT_OURS = /id_(?:ecdsa_sk|ed25519_sk|xmss|dsa)$/;

function shownBySsh(answers: Answers): Record<string, unknown> {
  const first = (keyword: string): string | undefined => answers.get(keyword)?.[0];
  const methods = first('preferredauthentications')?.split(',');
  const isOn = (keyword: string, method: string): string => {
    const on = first(keyword) !== 'no' && first(keyword) !== 'false';
    return yesNo(on && (methods === undefined || methods.includes(method)));
  };
  const strictness: Record<string, string> = { true: 'yes', false: 'ask' };
  const strict = first('stricthostkeychecking') ?? '';
  return {
    ...Object.fromEntries(
      [
        ...['hostname', 'port', 'user', 'connecttimeout', 'connectionattempts', 'addressfamily'],
        ...['bindaddress', 'tcpkeepalive', 'batchmode', 'identitiesonly', 'hashknownhosts'],
        ...['hostkeyalias', 'numberofpasswordprompts', 'serveralivecountmax'],
      ].map((keyword) => [keyword, first(keyword)]),
    ),
    proxyjump: jumpsOf(first('proxyjump')),
    proxycommand: first('proxycommand') !== undefined,
    userknownhostsfile: first('userknownhostsfile')?.split(' ').map(inHome).join(' '),
    globalknownhostsfile: first('globalknownhostsfile'),
    identityfile: (answers.get('identityfile') ?? [])
      .filter((file) => !NOT_OURS.test(file))
      .map(inHome),
    publickey: isOn('pubkeyauthentication', 'publickey'),
    password: isOn('passwordauthentication', 'password'),
    kbdint: isOn('kbdinteractiveauthentication', 'keyboard-interactive'),
    stricthostkeychecking: strictness[strict] ?? strict,
  };
}

function jumpsOf(text: string | undefined): unknown[] {
  if (text === undefined) return [];
  return text.split(',').map((jump) => {
    const [, user, host, port] = /^(?:(.*)@)?\[?(.*?)\]?(?::(\d+))?$/.exec(jump) ?? [];
    return { user, host, port: port === undefined ? undefined : Number(port) };
  });
}

const TARGETS: readonly SshTarget[] = [
  { host: 'db' },
  { host: 'DB.Lan', user: 'root' },
  { host: 'x.lan', port: 77, user: 'given' },
];

/** `DIR` stands for a folder with files to include. */
const CASES: readonly (readonly [name: string, text: string])[] = [
  ['an empty file', ''],
  ['first value wins', 'Port 2201\nHost db\n  Port 2202\nHost *\n  Port 2203\n  User all\n'],
  ['patterns', 'Host *.lan !x.lan\n  User lan\nHost d?\n  User two\nHost *\n  User rest\n'],
  ['negation first', 'Host !db *\n  Port 5\n'],
  ['only a negation', 'Host !db\n  Port 5\n'],
  ['several patterns', 'Host a b db x.*\n  Port 7\n'],
  ['quoted pattern', 'Host "db" \'x.lan\'\n  Port 7\n'],
  ['case of hosts', 'Host DB\n  Port 3\nHost db.lan\n  Port 4\n'],
  ['equals signs, tabs, case', 'hOsT=db\n\tPORT = 99\n\tuser\t=\tme\n'],
  ['comments', '# c\n  # d\nHost db # no\n  User me #x\n  Port 4 # y\n'],
  ['a hash inside a word', 'User a#b\n'],
  ['quotes and backslashes', 'User "a"b\nIdentityFile /k\\ 1\nIdentityFile "/k \\" 2"\n'],
  ['single quotes', "IdentityFile '/my keys/id'\nUser 'u'\n"],
  ['CRLF', 'Host db\r\n  Port 44\r\n  User dos\r\n'],
  ['form feed and trailing blanks', 'Port 44 \t \f\nUser u  \n'],
  ['%h and %% in HostName', 'Host db\n  HostName %h.example.org\nHost *\n  HostName a%%b\n'],
  ['HostName in upper case', 'HostName Server.Example.ORG\n'],
  ['Match host and user', 'Match host *.lan user root\n  Port 5\nMatch !user root\n  Port 6\n'],
  ['Match host after HostName', 'Host db\n HostName db.lan\nMatch host *.lan\n  User lan\n'],
  ['Match originalhost', 'HostName h.lan\nMatch originalhost db host h.lan\n  Port 5\n'],
  ['Match localuser', `Match localuser ${userInfo().username},x\n  Port 5\n`],
  ['Match all', 'Host nothing\n  Port 1\nMatch all\n  Port 2\n'],
  ['Match final', 'Host db\n  HostName h.lan\nMatch final host h.lan\n  User late\n  Port 8\n'],
  ['Match final all', 'Host db\n  IdentityFile /a\nMatch final all\n  IdentityFile /b\n  Port 8\n'],
  ['Match !final', 'Match !final host db\n  Port 8\nMatch final\n  HostName late\n'],
  ['Match canonical', 'Match canonical\n  Port 8\nMatch final\n  User f\n'],
  ['HostName in the final pass', 'Match final\n  HostName other\n  User f\n'],
  ['Match exec that is not reached', 'Match host nowhere exec "false"\n  Port 5\nPort 6\n'],
  ['Include with wildcards everywhere', 'Include DIR/a?/*.conf DIR/absent\nPort 9\n'],
  ['Include with a set', 'Include DIR/a[2-9]/[!y].conf\nPort 9\n'],
  ['Include inside a block', 'Host db\n  Include DIR/a1/x.conf\nHost *\n  Port 9\n'],
  ['Include of a final block', 'Include DIR/a2/y.conf\nUser u\n'],
  ['Include in a block that does not apply', 'Host nobody\n  Include DIR/a1/x.conf\n  Port 1\n'],
  ['Include of a broken file where it does not apply', 'Host no\n  Include DIR/bad.conf\n'],
  ['Include of a file that others may write', 'Include DIR/open.conf\n'],
  ['identity files in order, each once', 'IdentityFile /b\nIdentityFile ~/a\nIdentityFile /b\n'],
  ['known hosts files', 'UserKnownHostsFile ~/kh1 /kh2\nGlobalKnownHostsFile /g1 /g2\n'],
  ['tokens', 'HostName real\nUserKnownHostsFile %d/%r@%h:%p-%n-%%-%u-%i-%k-%L-%l\n'],
  ['the hash token', 'UserKnownHostsFile /x/%C\n'],
  ['a variable', 'UserKnownHostsFile ${HOME}/kh\n'],
  ['times', 'ConnectTimeout 1m30s\nServerAliveInterval 2m\nServerAliveCountMax 9\n'],
  ['no time', 'ConnectTimeout none\n'],
  ['reach', 'AddressFamily inet6\nBindAddress 127.0.0.2\nConnectionAttempts 4\nTCPKeepAlive no\n'],
  [
    'flags',
    'BatchMode yes\nIdentitiesOnly true\nHashKnownHosts YES\nPasswordAuthentication false\n',
  ],
  [
    'aliases of options',
    'ChallengeResponseAuthentication no\nDSAAuthentication no\nKeepAlive no\n',
  ],
  ['methods', 'PreferredAuthentications publickey,password\nNumberOfPasswordPrompts 1\n'],
  ['host key policy yes', 'StrictHostKeyChecking yes\nHostKeyAlias Alias\n'],
  ['host key policy accept-new', 'StrictHostKeyChecking accept-new\nStrictHostKeyChecking yes\n'],
  ['host key policy ask', 'StrictHostKeyChecking ask\n'],
  ['ProxyJump', 'Host db\n  ProxyJump j1,me@j2:23,ssh://you@j3:24\nHost *\n  ProxyJump [::1]:5\n'],
  ['ProxyJump none', 'Host db\n  ProxyJump none\nHost *\n  ProxyJump j\n'],
  ['ProxyCommand before ProxyJump', 'ProxyCommand nc %h %p # x\nProxyJump j\n'],
  ['ProxyJump before ProxyCommand', 'ProxyJump j\nProxyCommand nc %h %p\n'],
  ['ProxyJump none before ProxyCommand', 'ProxyJump none\nProxyCommand nc %h %p\n'],
  ['ProxyCommand none before ProxyJump', 'ProxyCommand none\nProxyJump j\n'],
  ['options without effect', 'ForwardAgent yes\nLocalForward 1 h:2\nSendEnv A B\nIPQoS cs0\n'],
  ['an unknown option that may be ignored', 'IgnoreUnknown fu*,x\nFuture yes\nPort 5\n'],
  ['refused: port', 'Host elsewhere\n  Port 70000\n'],
  ['refused: flag', 'BatchMode perhaps\n'],
  ['refused: no value', 'Port\n'],
  ['refused: two values', 'Port 5 6\n'],
  ['refused: quote', 'User "open\n'],
  ['refused: time', 'ConnectTimeout soon\n'],
  ['refused: empty word', 'User ""\n'],
  ['refused: none with others', 'UserKnownHostsFile /a none\n'],
  ['refused: Match', 'Match host\n'],
  ['refused: Match criterion', 'Match colour red\n'],
  ['Match all after one other', 'Match host db all\n  Port 5\n'],
  ['refused: Match all with others', 'Match host db user x all\n'],
  ['refused: ProxyJump', 'ProxyJump a@\n'],
  ['refused: ProxyJump port', 'ProxyJump a:b\n'],
  ['refused: policy', 'StrictHostKeyChecking maybe\n'],
  ['refused: no keyword', '"" x\n'],
];

describe('resolveSshHost() agrees with ssh -G', () => {
  test.each(CASES)('%s', async (name, text) => {
    const file = path.join(dir, name.replaceAll(/[^a-z]+/gi, '-'));
    await writeFile(file, text.replaceAll('DIR', dir));
    for (const target of TARGETS) {
      const theirs = askSsh(file, target);
      const source = { homeDir: userInfo().homedir, configFile: file };
      const ours: unknown = await resolveSshHost(target, source).catch((error: unknown) => error);
      if (theirs === undefined) {
        expect(ours).toBeInstanceOf(UsageError);
        expect(ours).toMatchObject({ code: 'ssh-config-invalid' });
      } else {
        if (ours instanceof Error) throw ours;
        expect(shown(ours as SshHostConfig)).toEqual(shownBySsh(theirs));
      }
    }
  });

  test('the cases named “refused” are refused, and others are not', () => {
    for (const [name] of CASES) {
      const file = path.join(dir, name.replaceAll(/[^a-z]+/gi, '-'));
      const refused = /^refused|broken|others may write/.test(name);
      expect([name, askSsh(file, { host: 'db' }) === undefined]).toEqual([name, refused]);
    }
  });

  test('an unknown option is left to ssh', async () => {
    const file = path.join(dir, 'unknown');
    await writeFile(file, 'OptionOfTomorrow yes\n');
    expect(askSsh(file, { host: 'db' })).toBeUndefined();
    const source = { homeDir: dir, configFile: file };
    expect((await resolveSshHost({ host: 'db' }, source)).unsupported).toEqual([
      'the option optionoftomorrow',
    ]);
  });
});

describe('lists of algorithms', () => {
  const LISTS = [
    'Ciphers aes256-ctr,aes128-gcm@openssh.com',
    'Ciphers -aes128*,chacha20*',
    'Ciphers ^aes256-ctr',
    'Ciphers +aes128-cbc,aes256-cbc',
    'MACs hmac-sha2-512,hmac-sha1',
    'MACs -*-etm@openssh.com',
    'KexAlgorithms ecdh-sha2-nistp384,curve25519-sha256',
    'KexAlgorithms +diffie-hellman-group14-sha1',
    'KexAlgorithms ^ecdh-sha2-nistp521',
    'HostKeyAlgorithms ecdsa-sha2-nistp256,ssh-ed25519',
    'HostKeyAlgorithms +ssh-rsa',
    'HostKeyAlgorithms -ssh-ed25519,ecdsa*',
    'HostKeyAlgorithms ^rsa-sha2-512',
    'PubkeyAcceptedAlgorithms rsa-sha2-256',
    'PubkeyAcceptedKeyTypes +ssh-rsa',
  ];

  test.each(LISTS)('%s: the algorithms of ssh that we have', async (text) => {
    const file = path.join(dir, 'algorithms');
    await writeFile(file, `${text}\n`);
    const source = { homeDir: dir, configFile: file };
    const ours = await resolveSshHost({ host: 'db' }, source);
    const keyword = text.split(' ')[0]?.toLowerCase().replace('keytypes', 'algorithms') ?? '';
    const list: readonly string[] =
      {
        ciphers: ours.algorithms.cipher,
        macs: ours.algorithms.hmac,
        kexalgorithms: ours.algorithms.kex,
        hostkeyalgorithms: ours.algorithms.serverHostKey,
        pubkeyacceptedalgorithms: ours.loginKeyAlgorithms,
      }[keyword] ?? [];
    const theirs = askSsh(file, { host: 'db' })?.get(keyword)?.[0]?.split(',') ?? [];
    expect(list.length).toBeGreaterThan(0);
    expect(theirs).toEqual(expect.arrayContaining([...list]));
    const named = /[\^+]/.test(text) ? (/[\^+](.*)/.exec(text)?.[1]?.split(',') ?? []) : [];
    if (text.includes('^')) expect(list.slice(0, named.length)).toEqual(named);
    else if (text.includes('+')) expect(list.slice(-named.length)).toEqual(named);
    else if (!text.includes(' -')) expect(list).toEqual(theirs);
  });
});
