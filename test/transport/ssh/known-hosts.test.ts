/**
 * Goal: our verdict on a host key is OpenSSH's. Method: the same known_hosts file is given to the
 * real `ssh -o StrictHostKeyChecking=yes` against a real sshd, and to `ssh-keygen -F`.
 */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EcsyncError, LoginError } from '../../../src/errors.ts';
import {
  judgeHostKey,
  knownHostLine,
  knownHostName,
  namesHost,
  parseKnownHosts,
  readKnownHosts,
} from '../../../src/transport/ssh/known-hosts.ts';
import { resolveSshHost } from '../../../src/transport/ssh/config/config.ts';
import { HostKeyCheck } from '../../../src/transport/ssh/host-key.ts';
import { makeKey, readPublicKey, startSshd, type RunningSshd } from '../../support/sshd.ts';

let sshd: RunningSshd;
let dir: string;
/** `type base64`: the server's key, another of the same type, one of another type. */
let own: string;
let other: string;
let rsa: string;
let ecdsa: string;

beforeAll(async () => {
  sshd = await startSshd();
  dir = await mkdtemp(path.join(tmpdir(), 'ecsync-known-hosts-'));
  await makeKey(path.join(dir, 'other'));
  await makeKey(path.join(dir, 'rsa'), { type: 'rsa' });
  await makeKey(path.join(dir, 'ecdsa'), { type: 'ecdsa' });
  ecdsa = await readPublicKey(path.join(dir, 'ecdsa.pub'));
  own = await readPublicKey(`${sshd.hostKeyFiles[0] ?? ''}.pub`);
  other = await readPublicKey(path.join(dir, 'other.pub'));
  rsa = await readPublicKey(path.join(dir, 'rsa.pub'));
});

afterAll(async () => {
  await sshd.stop();
  await rm(dir, { recursive: true, force: true });
});

type Verdict = 'known' | 'host-key-unknown' | 'host-key-changed' | 'host-key-revoked';

function verdictOfSsh(file: string, alias: string | undefined): Promise<Verdict> {
  const args = [
    ...['-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes'],
    ...['-o', `UserKnownHostsFile=${file}`, '-o', 'GlobalKnownHostsFile=/dev/null'],
    ...['-o', 'IdentityAgent=none', '-i', sshd.keyFile, '-p', `${sshd.port}`],
    ...(alias === undefined ? [] : ['-o', `HostKeyAlias=${alias}`]),
    ...[`${sshd.user}@127.0.0.1`, 'true'],
  ];
  return new Promise((resolve, reject) => {
    execFile('ssh', args, (error, _stdout, stderr) => {
      if (error === null) resolve('known');
      else if (/REVOKED HOST KEY/.test(stderr)) resolve('host-key-revoked');
      else if (/IDENTIFICATION HAS CHANGED/.test(stderr)) resolve('host-key-changed');
      else if (/host key is known for/.test(stderr)) resolve('host-key-unknown');
      else reject(new Error(stderr));
    });
  });
}

async function ourVerdict(file: string, alias: string | undefined): Promise<string> {
  const configFile = `${file}.config`;
  const lines = [
    `UserKnownHostsFile ${file}`,
    'GlobalKnownHostsFile /dev/null',
    ...(alias === undefined ? [] : [`HostKeyAlias ${alias}`]),
  ];
  await writeFile(configFile, lines.join('\n'));
  const target = { host: '127.0.0.1', port: sshd.port };
  const config = await resolveSshHost(target, { homeDir: dir, configFile });
  const check = await HostKeyCheck.load(config, { acceptNew: false, onNotice: () => undefined });
  try {
    await check.verify(Buffer.from(own.split(' ')[1] ?? '', 'base64'));
    return 'known';
  } catch (error) {
    return error instanceof EcsyncError ? error.code : String(error);
  }
}

function hashed(name: string): string {
  const salt = randomBytes(20);
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

/** Whether ssh-keygen can read a key from the part after the names of a line. */
function isKey(line: string): boolean {
  const fields = line.trim().split(/[ \t]+/);
  const input = fields.slice(fields[0]?.startsWith('@') === true ? 2 : 1).join(' ');
  return spawnSync('ssh-keygen', ['-l', '-f', '-'], { input: `${input}\n` }).status === 0;
}

interface Case {
  readonly name: string;
  /** Connect under this name instead of `[127.0.0.1]:port`. */
  readonly alias?: string;
  readonly text: () => string;
}

const here = (): string => `[127.0.0.1]:${sshd.port}`;
const corrupt = (key: string): string => key.replace(/.{12}$/, '');

const CASES: readonly Case[] = [
  { name: 'empty file', text: () => '' },
  { name: 'plain', text: () => `${here()} ${own}\n` },
  { name: 'no line end', text: () => `${here()} ${own}` },
  { name: 'CRLF', text: () => `${here()} ${own}\r\n` },
  { name: 'CRLF behind a comment', text: () => `${here()} ${own} me@here\r\n` },
  { name: 'tabs', text: () => `\t ${here()}\t${own.replace(' ', '\t\t')}\n` },
  { name: 'commented out', text: () => `#${here()} ${own}\n` },
  { name: 'comments and blank lines around', text: () => `# a\n\n  # b\n${here()} ${own}\n\n` },
  { name: 'another key', text: () => `${here()} ${other}\n` },
  { name: 'another type only', text: () => `${here()} ${rsa}\n` },
  { name: 'another type and ours', text: () => `${here()} ${rsa}\n${here()} ${own}\n` },
  { name: 'another key, then ours', text: () => `${here()} ${other}\n${here()} ${own}\n` },
  { name: 'ours, then another key', text: () => `${here()} ${own}\n${here()} ${other}\n` },
  { name: 'another host', text: () => `[127.0.0.2]:${sshd.port} ${own}\n` },
  { name: 'another port', text: () => `[127.0.0.1]:1 ${own}\n` },
  { name: 'without the port', text: () => `127.0.0.1 ${own}\n` },
  { name: 'without the port, another key', text: () => `127.0.0.1 ${other}\n` },
  {
    name: 'our key without the port, another one with it',
    text: () => `127.0.0.1 ${own}\n${here()} ${other}\n`,
  },
  { name: 'revoked without the port', text: () => `@revoked 127.0.0.1 ${own}\n127.0.0.1 ${own}\n` },
  { name: 'hashed', text: () => `${hashed(here())} ${own}\n` },
  { name: 'hashed, another key', text: () => `${hashed(here())} ${other}\n` },
  { name: 'hashed, another host', text: () => `${hashed('elsewhere')} ${own}\n` },
  { name: 'hashed with a second name', text: () => `${hashed(here())},x ${own}\n` },
  {
    name: 'hash of an unknown kind',
    text: () => `${hashed(here()).replace('|1|', '|2|')} ${own}\n`,
  },
  { name: 'revoked', text: () => `@revoked ${here()} ${own}\n` },
  { name: 'revoked after known', text: () => `${here()} ${own}\n@revoked * ${own}\n` },
  { name: 'another key revoked', text: () => `@revoked * ${other}\n${here()} ${own}\n` },
  { name: 'revoked for another host', text: () => `@revoked x ${own}\n${here()} ${own}\n` },
  { name: 'certificate authority only', text: () => `@cert-authority * ${other}\n` },
  { name: 'certificate authority with the same key', text: () => `@cert-authority * ${own}\n` },
  {
    name: 'certificate authority and plain',
    text: () => `@cert-authority * ${other}\n${here()} ${own}\n`,
  },
  { name: 'unknown marker', text: () => `@trusted ${here()} ${own}\n` },
  { name: 'wildcard', alias: 'db.lan', text: () => `*.lan ${own}\n` },
  { name: 'question mark', alias: 'db.lan', text: () => `d?.lan ${own}\n` },
  { name: 'question mark needs a character', alias: 'd.lan', text: () => `d?.lan ${own}\n` },
  { name: 'negated', alias: 'db.lan', text: () => `*.lan,!db.lan ${own}\n` },
  { name: 'negated first', alias: 'db.lan', text: () => `!db.lan,*.lan ${own}\n` },
  { name: 'negation of another', alias: 'db.lan', text: () => `*.lan,!x.lan ${own}\n` },
  { name: 'several names', alias: 'db.lan', text: () => `a,db.lan,10.0.0.1 ${own}\n` },
  { name: 'upper case in the file', alias: 'db.lan', text: () => `DB.Lan ${own}\n` },
  { name: 'upper case in the alias', alias: 'DB.lan', text: () => `db.lan ${own}\n` },
  { name: 'prefix is not enough', alias: 'db.lan', text: () => `db ${own}\n` },
  { name: 'type and key do not fit', text: () => `${here()} ${own.replace('ed25519', 'rsa')}\n` },
  { name: 'key cut short', text: () => `${here()} ${corrupt(own)}\n` },
  { name: 'no key', text: () => `${here()}\n` },
  { name: 'no base64', text: () => `${here()} ssh-ed25519 ????\n` },
  { name: 'a broken line, then ours', text: () => `garbage\n${here()} ${own}\n` },
  {
    name: 'another key cut short, then ours',
    text: () => `${here()} ${corrupt(other)}\n${here()} ${own}\n`,
  },
  { name: 'an old RSA1 line', text: () => `${here()} 1024 35 1234567\n${here()} ${own}\n` },
  { name: 'a comment behind', text: () => `${here()} ${own} root@db # x\n` },
  {
    name: 'a port in hashed brackets of upper case',
    text: () => `${here().toUpperCase()} ${own}\n`,
  },
  { name: 'the same line twice', text: () => `${here()} ${own}\n${here()} ${own}\n` },
  {
    name: 'ours among many',
    text: () => `${here()} ${rsa}\n${here()} ${other}\n${here()} ${own}\n`,
  },
  { name: 'all but ours', text: () => `${here()} ${rsa}\n${here()} ${other}\n` },
  {
    name: 'a hashed name and a plain one',
    text: () => `${hashed(here())} ${other}\n${here()} ${own}\n`,
  },
  {
    name: 'hashed and revoked',
    text: () => `@revoked ${hashed(here())} ${own}\n${here()} ${own}\n`,
  },
  { name: 'revoked with a wildcard', text: () => `@revoked [127.*]:* ${own}\n${here()} ${own}\n` },
  { name: 'negated and revoked', text: () => `@revoked *,!${here()} ${own}\n${here()} ${own}\n` },
  { name: 'marker in upper case', text: () => `@REVOKED * ${own}\n${here()} ${own}\n` },
  { name: 'marker without a space', text: () => `@revoked* ${own}\n${here()} ${own}\n` },
  { name: 'two markers', text: () => `@revoked @cert-authority * ${own}\n${here()} ${own}\n` },
  { name: 'wildcard for all ports', text: () => `[127.0.0.1]:* ${own}\n` },
  { name: 'wildcard for everything', text: () => `* ${own}\n` },
  { name: 'wildcard for everything, another key', text: () => `* ${other}\n${here()} ${own}\n` },
  { name: 'only a negation', text: () => `!nowhere ${own}\n` },
  { name: 'an empty name between commas', text: () => `a,,${here()} ${own}\n` },
  { name: 'blanks around the comma', text: () => `a, ${here()} ${own}\n` },
  {
    name: 'base64 with a line end inside',
    text: () => `${here()} ${own.slice(0, -6)}\n${own.slice(-6)}\n`,
  },
  { name: 'base64 with more behind', text: () => `${here()} ${own}AAAA\n` },
  { name: 'a hash sign behind the key', text: () => `${here()} ${own}#x\n` },
  { name: 'old Mac line ends', text: () => `# c\r${here()} ${own}\r` },
  { name: 'a byte order mark', text: () => `\xef\xbb\xbf${here()} ${own}\n` },
  { name: 'a byte order mark before a comment', text: () => `\xef\xbb\xbf# c\n${here()} ${own}\n` },
  {
    name: 'salt of another length',
    text: () => `|1|AAAA|${hashed(here()).split('|')[3] ?? ''} ${own}\n`,
  },
  { name: 'bytes that are no text', text: () => `\xff\xfe\0\n${here()} ${own}\n` },
];

describe('host key verdicts', () => {
  test.concurrent.each(CASES)('are those of ssh: $name', async ({ name, alias, text }) => {
    const file = path.join(dir, name.replaceAll(' ', '-'));
    await writeFile(file, Buffer.from(text(), 'latin1'));
    const [theirs, ours] = await Promise.all([verdictOfSsh(file, alias), ourVerdict(file, alias)]);
    expect(ours).toBe(theirs);
  });

  test('the cases reach every verdict', async () => {
    const verdicts = await Promise.all(
      CASES.slice(0, 30).map(({ name, alias }) =>
        ourVerdict(path.join(dir, name.replaceAll(' ', '-')), alias),
      ),
    );
    expect([...new Set(verdicts)].sort()).toEqual([
      'host-key-changed',
      'host-key-revoked',
      'host-key-unknown',
      'known',
    ]);
  });

  test('every case finds the lines of ssh-keygen -F that have valid keys', async () => {
    for (const { name, alias, text } of CASES) {
      const file = path.join(dir, `${name.replaceAll(' ', '-')}-f`);
      await writeFile(file, Buffer.from(text(), 'latin1'));
      const asked = alias?.toLowerCase() ?? here();
      const { stdout } = spawnSync('ssh-keygen', ['-F', asked, '-f', file], { encoding: 'latin1' });
      const found = [...stdout.matchAll(/found: line (\d+)/g)].map((match) => Number(match[1]));
      const lines = text().split('\n');
      const theirs = found.filter((line) => isKey(lines[line - 1] ?? ''));
      const ours = parseKnownHosts(await readFile(file, 'latin1'), file)
        .filter(({ hosts }) => namesHost(hosts, asked))
        .map(({ line }) => line);
      expect([name, ours]).toEqual([name, theirs]);
    }
  });

  test('a file that cannot be read fails closed', async () => {
    await expect(readKnownHosts([dir])).rejects.toBeInstanceOf(LoginError);
    await expect(readKnownHosts([dir])).rejects.toMatchObject({ code: 'known-hosts-unreadable' });
    expect(await readKnownHosts([path.join(dir, 'absent')])).toEqual([]);
  });

  test('a file without end is refused, and told as that', async () => {
    const endless = path.join(dir, 'endless');
    await writeFile(endless, '');
    await truncate(endless, 64 * 1024 * 1024 + 1);
    const refused = {
      code: 'known-hosts-too-large',
      hint: expect.stringContaining('Is it') as string,
    };
    await expect(readKnownHosts([endless])).rejects.toMatchObject(refused);
  });
});

describe('the order of host key algorithms', () => {
  const KNOWN: readonly (readonly [name: string, lines: () => string, config: string])[] = [
    ['nothing known', () => '', ''],
    ['an RSA key', () => `${here()} ${rsa}\n`, ''],
    ['an ECDSA key', () => `${here()} ${ecdsa}\n`, ''],
    ['two keys', () => `${here()} ${rsa}\n${here()} ${ecdsa}\n`, ''],
    ['a key of another host', () => `elsewhere ${rsa}\n`, ''],
    ['a hashed name', () => `${hashed(here())} ${ecdsa}\n`, ''],
    ['a revoked key', () => `@revoked ${here()} ${rsa}\n`, ''],
    ['an explicit order', () => `${here()} ${rsa}\n`, 'HostKeyAlgorithms ssh-ed25519,rsa-sha2-512'],
    ['an addition', () => `${here()} ${rsa}\n`, 'HostKeyAlgorithms +ssh-rsa'],
    ['a removal', () => `${here()} ${rsa}\n`, 'HostKeyAlgorithms -rsa-sha2-512'],
    [
      'an algorithm put first',
      () => `${here()} ${rsa}\n`,
      'HostKeyAlgorithms ^ecdsa-sha2-nistp384',
    ],
  ];

  test.each(KNOWN)('is the same as with ssh: %s', async (name, lines, config) => {
    const hosts = path.join(dir, `order-${name.replaceAll(' ', '-')}`);
    await writeFile(hosts, lines());
    const text = `UserKnownHostsFile ${hosts}\nGlobalKnownHostsFile /dev/null\n${config}\n`;
    await writeFile(`${hosts}.config`, text);
    const args = ['-vv', '-F', `${hosts}.config`, '-o', 'BatchMode=yes', '-p', `${sshd.port}`];
    const { stderr } = spawnSync('ssh', [...args, '127.0.0.1', 'true'], { encoding: 'utf8' });
    const offer = /local client KEXINIT proposal[^]*?host key algorithms: (\S+)/.exec(stderr)?.[1];
    const source = { homeDir: dir, configFile: `${hosts}.config` };
    const resolved = await resolveSshHost({ host: '127.0.0.1', port: sshd.port }, source);
    const options = { acceptNew: false, onNotice: () => undefined };
    const ours: string[] = (await HostKeyCheck.load(resolved, options)).algorithms();
    expect(ours).toEqual(offer?.split(',').filter((algorithm) => ours.includes(algorithm)));
    expect(ours.length).toBeGreaterThan(1);
  });
});

describe('knownHostLine()', () => {
  test('is found by ssh-keygen -F and by us, plain and hashed', async () => {
    const key = Buffer.from(own.split(' ')[1] ?? '', 'base64');
    for (const [host, port] of [
      ['Example.org', 22],
      ['10.1.2.3', 2222],
      ['fe80::1', 22],
    ] as const) {
      for (const salt of [undefined, randomBytes(20)]) {
        const name = knownHostName(host, port);
        const file = path.join(dir, 'written');
        await writeFile(file, knownHostLine(name, key, salt));
        const found = execFileSync('ssh-keygen', ['-F', name, '-f', file]).toString();
        expect(found).toContain('found: line 1');
        const entries = parseKnownHosts(await readFile(file, 'latin1'), file);
        expect(judgeHostKey(entries, name, key)).toEqual({ kind: 'known' });
      }
    }
  });
});

describe('parseKnownHosts()', () => {
  test('accepts any text, and finds only existing entries', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const entry of parseKnownHosts(text, 'f')) expect(text).toContain(entry.hosts);
      }),
    );
  });
});
