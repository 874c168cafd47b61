// Targets for everything that a file may hold: configurations, keys, known hosts, state of the
// vault, filter rules, gocryptfs.conf.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseConf } from '../../src/gocryptfs/conf/config.ts';
import { parseConfJson } from '../../src/gocryptfs/conf/conf-json.ts';
import { parseFileHeader } from '../../src/gocryptfs/format/file-header.ts';
import { parseMasterkey } from '../../src/gocryptfs/conf/keys.ts';
import { parseEvery, parseDuration, parseTime } from '../../src/schedule/rhythm.ts';
import { findBlock, withoutBlock } from '../../src/schedule/crontab.ts';
import { decodeBirths } from '../../src/sync/push/memory/births.ts';
import { readLocations } from '../../src/sync/push/memory/locations.ts';
import { decodeState, emptyState, encodeState } from '../../src/sync/push/memory/push-state.ts';
import { splitWords } from '../../src/transport/quote.ts';
import { namesHost, parseKnownHosts } from '../../src/transport/ssh/known-hosts.ts';
import { readSshConfig } from '../../src/transport/ssh/config/file.ts';
import { parseConfigLine } from '../../src/transport/ssh/config/line.ts';
import { expandTokens } from '../../src/transport/ssh/config/tokens.ts';
import { parseProxyJump } from '../../src/transport/ssh/config/jump.ts';
import { parsedKey, publicBlobInside, readKeyFile } from '../../src/transport/ssh/key-file.ts';
import { LoginMemory } from '../../src/transport/ssh/memory.ts';
import { matchesPatternList } from '../../src/transport/ssh/config/pattern.ts';
import { FilterRules } from '../../src/tree/filter/filter-syntax.ts';
import { WildPattern } from '../../src/tree/filter/wildmatch.ts';
import {
  ANY_NAMES,
  targetNames,
  unescapeName,
  WINDOWS_NAMES,
} from '../../src/tree/target/target-names.ts';
import { splitCommand } from '../../src/vault/password/split-command.ts';
import { addRemote, removeRemote, setConfDigest } from '../../src/vault/config/config-edit.ts';
import { parseConfig } from '../../src/vault/config/config.ts';
import { parseDestination } from '../../src/vault/destination/destination.ts';
import { readHistory } from '../../src/vault/memory/history.ts';
import { lockHolder } from '../../src/vault/lock/lock.ts';
import { masterkeyIn } from '../../src/vault/password/password.ts';
import { readOutcome } from '../../src/vault/memory/push-record.ts';
import { readState } from '../../src/vault/memory/state.ts';
import { readUserConfig } from '../../src/vault/user/user-config.ts';
import { InheritedIndex } from '../../src/view/inherited.ts';
import { type Target, textTarget } from './target.ts';

const CONF = `{"Creator":"gocryptfs 2.3","EncryptedKey":"${'A'.repeat(86)}==","ScryptObject":{"Salt":"${'B'.repeat(43)}=","N":65536,"R":8,"P":1,"KeyLen":32},"Version":2,"FeatureFlags":["HKDF","GCMIV128","DirIV","EMENames","LongNames","Raw64"]}`;
const CONFIG = `version = 1
conf_sha256 = "${'0'.repeat(64)}"
flags = ["HKDF", "GCMIV128", "DirIV", "EMENames", "LongNames", "Raw64"]

[[remote]]
name = "box"
url = "ssh://me@example.org:22/backup"

[push]
delete = true
exclude = ["*.tmp"]
`;
const SSH_CONFIG = `Host *.example.org !bad
  User "some one"
  Port 2222
  IdentityFile ~/.ssh/id_%h
  ProxyJump a@b:22,c
Match host x,y user z
  HostName %h.example.org
Include nothing/*
`;
const KNOWN = `|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
@cert-authority *.example.org,!x ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
[host]:2222 ssh-rsa AAAAB3NzaC1yc2E=
`;
const KEY = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACDjKqp5Fc65tEnRulDqKii7Gm4B+QvaJFotHYdpfRiiZQAAAJgAAAAAAAAA
AAAAAAtzc2gtZWQyNTUxOQAAACDjKqp5Fc65tEnRulDqKii7Gm4B+QvaJFotHYdpfRiiZQ
-----END OPENSSH PRIVATE KEY-----
`;
const PEM = `-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF

AAAA
-----END EC PRIVATE KEY-----
`;
const TOKENS = {
  host: 'host',
  original: 'o',
  port: 22,
  user: 'u',
  localUser: 'l',
  homeDir: '/home/u',
  hostKeyAlias: undefined,
};

const TEXTS: readonly Target[] = [
  textTarget('gocryptfs.conf', [CONF], (text) => parseConf(Buffer.from(text))),
  textTarget('JSON of a conf', [CONF, '{"a":[1,{"b":null}]}'], (text) =>
    parseConfJson(Buffer.from(text)),
  ),
  textTarget('config.toml', [CONFIG], (text) => parseConfig(text, 'config.toml')),
  textTarget('config.toml, edited', [CONFIG], (text) => {
    const remote = { name: 'new', url: '/x' };
    addRemote(text, 'config.toml', remote);
    setConfDigest(text, 'config.toml', '1'.repeat(64));
    removeRemote(text, 'config.toml', 'box');
  }),
  textTarget(
    'destination',
    ['ssh://u@h:22/./a%20b', 'u@[::1%eth0]:x', 'rsync://h/m/p', './x', 'E:\\x'],
    (text) => {
      for (const platform of ['linux', 'win32'] as const) parseDestination(text, { platform });
    },
  ),
  textTarget('known_hosts', [KNOWN], (text) => {
    for (const { hosts } of parseKnownHosts(text, 'known_hosts')) namesHost(hosts, 'host');
  }),
  textTarget('a line of ssh_config', SSH_CONFIG.split('\n'), parseConfigLine),
  textTarget('tokens of ssh_config', ['%h-%p-%u-%%-%C'], (text) => expandTokens(text, TOKENS)),
  textTarget('ProxyJump', ['a@b:22,[::1]:2,ssh://u@h:1', 'none'], parseProxyJump),
  textTarget('patterns of ssh', ['*.a?b,!x*,*'], (text) => {
    matchesPatternList('a host', text.split(','));
  }),
  textTarget('ssh keys', [KEY, PEM], (text) => [
    parsedKey(text),
    publicBlobInside(Buffer.from(text)),
  ]),
  textTarget('words of a command', ['a "b c" \\d \'e\''], (text) => {
    splitWords(text, true);
    splitWords(text, false);
    splitCommand(text, 'here');
  }),
  textTarget(
    'filter rules',
    ['- *.o\n+ /a/**\nmerge x\n!\nP keep\n:- .rules', '-,sr a'],
    (text) => {
      const rules = new FilterRules();
      for (const line of text.split('\n')) {
        if (/^(\.|merge|:|dir-merge)/.test(line)) continue; // these read a file
        rules.filter(line);
      }
    },
  ),
  textTarget('wildcards', ['a*b?[!c-d]**/e', '[[:alpha:]]\\*'], (text) => {
    const pattern = Buffer.from(text);
    if (pattern.length > 60) return; // long patterns of stars are slow in rsync too
    new WildPattern(pattern).matches(Buffer.from('a/b/c/d/e'));
  }),
  textTarget('times and spans', ['1h30m', '26h', '02:30', '2d'], (text) => {
    const duration = (value: string): number => parseDuration(value, '--wait');
    for (const parse of [parseEvery, duration, parseTime]) {
      try {
        parse(text);
      } catch (error) {
        if (!(error instanceof Error) || !('exitCode' in error)) throw error;
      }
    }
  }),
  textTarget('crontab', ['# ecsync begin x\n0 * * * * y\n# ecsync end x\n'], (text) => {
    findBlock(text, 'x');
    withoutBlock(text, 'x');
  }),
  textTarget('master key', [`${'0123abcd-'.repeat(7)}0123abcd`], (text) => {
    masterkeyIn(Buffer.from(text));
    parseMasterkey(text);
  }),
];

const BYTES: readonly Target[] = [
  {
    name: 'births',
    samples: [Buffer.alloc(0), Buffer.from('01000000', 'hex')],
    read: decodeBirths,
  },
  {
    name: 'locations',
    samples: [Buffer.concat([Buffer.from('01000000', 'hex'), Buffer.alloc(80, 1)])],
    read: (bytes) => [...readLocations(bytes)].length,
  },
  { name: 'state of a push', samples: [encodeState(emptyState())], read: decodeState },
  { name: 'file header', samples: [Buffer.alloc(18, 2)], read: parseFileHeader },
  {
    name: 'what an adopted copy has',
    samples: [Buffer.alloc(64, 1)],
    read: (bytes) => InheritedIndex.decode(bytes),
  },
  {
    name: 'names of a target',
    samples: [Buffer.from('a\0con\0b%2f\0c.\0%%')],
    read: (bytes) => {
      const names = bytes
        .toString('latin1')
        .split('\0')
        .filter((name) => name !== '');
      const all = [...new Set(names)].map((name) => Buffer.from(name, 'latin1'));
      for (const rules of [ANY_NAMES, WINDOWS_NAMES]) targetNames(all, rules);
      for (const name of all) unescapeName(name);
    },
  },
];

/** Targets that read a file by its name, in a folder of their own. */
function onDisk(dir: string): readonly Target[] {
  const vault = path.join(dir, 'vault');
  mkdirSync(path.join(vault, 'log'), { recursive: true });
  mkdirSync(path.join(vault, 'index'), { recursive: true });
  const put = (name: string, bytes: Uint8Array): string => {
    const file = path.join(dir, name);
    writeFileSync(file, bytes, { mode: 0o600 });
    return file;
  };
  const history = '{"command":"push","exitCode":0,"started":"2026-01-01T00:00:00Z"}\n';
  const lock =
    '{"id":"a","pid":1,"host":"h","pidSpace":"p","started":"s","since":"x","uptimeSec":1}';
  return [
    {
      name: 'ssh_config',
      samples: [Buffer.from(SSH_CONFIG)],
      read: (bytes) => {
        const file = put('ssh_config', bytes);
        const query = { host: 'host', user: 'u', localUser: 'l', homeDir: dir, tag: '' };
        return readSshConfig(
          [{ file, mustBeOwn: true, includeDir: dir }] as unknown as Parameters<
            typeof readSshConfig
          >[0],
          query,
        );
      },
    },
    {
      name: 'ssh key file',
      samples: [Buffer.from(KEY), Buffer.from(PEM)],
      read: async (bytes) => {
        const key = await readKeyFile(put('key', bytes), true, {
          askPassphrase: undefined,
          memory: new LoginMemory(),
          note: () => undefined,
        });
        await key?.sign?.(bytes, 'sha512').catch(() => undefined); // an error of OpenSSL, which is reported
      },
    },
    {
      name: 'history',
      samples: [Buffer.from(history.repeat(3))],
      read: (bytes) => {
        put('vault/log/history.jsonl', bytes);
        return readHistory(vault);
      },
    },
    {
      name: 'lock',
      samples: [Buffer.from(lock)],
      // An invalid text is read a second time, a moment later.
      executions: 60,
      read: (bytes) => lockHolder(put('vault/lock', bytes)),
    },
    {
      name: 'outcome of a scheduled push',
      samples: [Buffer.from('{"exitCode":0,"endedMs":1}')],
      read: (bytes) => {
        put('vault/index/schedule', bytes);
        return readOutcome(vault);
      },
    },
    {
      name: 'state file',
      samples: [Buffer.alloc(100, 1)],
      read: (bytes) => {
        put('vault/index/key', bytes);
        return readState(vault, 'key');
      },
    },
    {
      name: "the user's config.toml",
      samples: [Buffer.from('[push]\ndelete = true\n')],
      read: (bytes) => readUserConfig(put('user.toml', bytes)),
    },
  ];
}

/** All file targets. Those that read by name use a folder. */
export function fileTargets(dir: string): readonly Target[] {
  return [...TEXTS, ...BYTES, ...onDisk(dir)];
}
