import { hostname, userInfo } from 'node:os';
import path from 'node:path';
import {
  invalidConfig,
  readSshConfig,
  unsupportedConfig,
  type ConfigFile,
  type ConfigSettings,
} from './ssh-config-file.ts';
import { assertTarget, type SshTarget } from './ssh-target.ts';

/** Everything a login needs to know, after the user's and the system's ssh_config. */
export interface SshHostConfig {
  /** Where to connect: a name or an address. */
  readonly hostName: string;
  readonly port: number;
  readonly user: string;
  /** 4 or 6, or 0 for either. */
  readonly addressFamily: 0 | 4 | 6;
  /** Private key files in the order to try. */
  readonly identityFiles: readonly string[];
  /** False: the usual files, of which most do not exist. */
  readonly identityFilesNamed: boolean;
  /** Offer only keys of the files, also from the agent. */
  readonly identitiesOnly: boolean;
  /** Socket or pipe of the agent; undefined: none. */
  readonly agentSocket: string | undefined;
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  /** The name in known_hosts instead of host and port. */
  readonly hostKeyAlias: string | undefined;
  /** `StrictHostKeyChecking yes`: not even `--accept-new-host-key` records a host. */
  readonly strictHostKeyChecking: boolean;
  readonly hashKnownHosts: boolean;
  readonly connectTimeoutMs: number | undefined;
  /** 0: none. */
  readonly serverAliveIntervalMs: number;
  readonly serverAliveCountMax: number;
}

/** Where the configuration comes from. */
export interface SshConfigSource {
  readonly homeDir: string;
  /** Read instead of the usual files; `none`: read nothing. */
  readonly configFile: string | undefined;
}

const DEFAULT_IDENTITIES = ['id_ed25519', 'id_ecdsa', 'id_rsa'];
const WINDOWS_AGENT = '\\\\.\\pipe\\openssh-ssh-agent';

/** Without a keepalive a dead network would be noticed only by the kernel, after hours. */
const ALIVE_INTERVAL_SEC = 30;

/** Options that change whom or how we would reach, and that ssh2 cannot do. */
const UNSUPPORTED: readonly (readonly [
  keyword: string,
  shown: string,
  harmless: readonly string[],
])[] = [
  ['proxycommand', 'ProxyCommand', ['none']],
  ['proxyjump', 'ProxyJump', ['none']],
  ['knownhostscommand', 'KnownHostsCommand', ['none']],
  ['revokedhostkeys', 'RevokedHostKeys', ['none']],
  ['pkcs11provider', 'PKCS11Provider', ['none']],
  ['certificatefile', 'CertificateFile', ['none']],
  ['canonicalizehostname', 'CanonicalizeHostname', ['no', 'none']],
];

/**
 * The configuration of one host.
 *
 * @throws {UsageError} `ssh-config-invalid`, `ssh-config-unsupported`, `host-invalid`,
 *   `user-invalid`, `port-invalid`
 */
export async function resolveSshHost(
  target: SshTarget,
  source: SshConfigSource,
): Promise<SshHostConfig> {
  assertTarget(target);
  const localUser = localUserName();
  const query = { host: target.host, user: target.user, localUser, homeDir: source.homeDir };
  const settings = new Settings(await readSshConfig(configFiles(source), query));
  for (const [keyword, shown, harmless] of UNSUPPORTED) {
    const value = settings.text(keyword);
    if (value !== undefined && !harmless.includes(value.toLowerCase())) {
      throw unsupportedConfig(shown);
    }
  }
  const port = target.port ?? settings.integer('port', 22, 65_535);
  const user = target.user ?? settings.text('user') ?? localUser;
  const hostName = (settings.text('hostname') ?? target.host)
    .replaceAll('%h', target.host)
    .replaceAll('%%', '%');
  assertTarget({ host: hostName, user, port });
  const tokens = { host: hostName, original: target.host, port, user, localUser };
  const expand = (text: string): string => expandPath(text, tokens, source.homeDir);
  return {
    hostName,
    port,
    user,
    ...identitySettings(settings, source.homeDir, expand),
    ...knownHostsSettings(settings, source.homeDir, expand),
    ...timingSettings(settings),
    addressFamily: settings.choice('addressfamily', { any: 0, inet: 4, inet6: 6 } as const, 'any'),
  };
}

function configFiles(source: SshConfigSource): ConfigFile[] {
  const userDir = path.join(source.homeDir, '.ssh');
  if (source.configFile === 'none') return [];
  if (source.configFile !== undefined) {
    return [{ file: source.configFile, includeDir: userDir, required: true }];
  }
  const systemDir = systemSshDir();
  return [
    { file: path.join(userDir, 'config'), includeDir: userDir, required: false },
    { file: path.join(systemDir, 'ssh_config'), includeDir: systemDir, required: false },
  ];
}

function systemSshDir(): string {
  if (process.platform !== 'win32') return '/etc/ssh';
  return path.join(process.env['PROGRAMDATA'] ?? 'C:\\ProgramData', 'ssh');
}

function localUserName(): string {
  try {
    return userInfo().username;
  } catch {
    // An account without an entry in the system's list, as in some containers.
    return process.env['USER'] ?? process.env['USERNAME'] ?? '';
  }
}

type Expand = (text: string) => string;

function identitySettings(settings: Settings, homeDir: string, expand: Expand) {
  const named = settings.all('identityfile');
  const usual = DEFAULT_IDENTITIES.map((name) => path.join(homeDir, '.ssh', name));
  const files = named.filter((file) => file.toLowerCase() !== 'none').map(expand);
  const agent = settings.text('identityagent') ?? 'SSH_AUTH_SOCK';
  return {
    identityFiles: named.length === 0 ? usual : [...new Set(files)],
    identityFilesNamed: named.length > 0,
    identitiesOnly: settings.flag('identitiesonly', false),
    agentSocket: agentSocket(agent, expand),
  };
}

function agentSocket(agent: string, expand: Expand): string | undefined {
  if (agent.toLowerCase() === 'none') return undefined;
  if (agent === 'SSH_AUTH_SOCK') {
    const socket = process.env['SSH_AUTH_SOCK'];
    if (socket !== undefined && socket !== '') return socket;
    return process.platform === 'win32' ? WINDOWS_AGENT : undefined;
  }
  if (/^\$[A-Za-z_]/.test(agent)) return process.env[agent.slice(1)];
  return expand(agent);
}

function knownHostsSettings(settings: Settings, homeDir: string, expand: Expand) {
  const files = (keyword: string, usual: readonly string[]): string[] => {
    const given = settings.words(keyword);
    const names = given === undefined ? usual : given.filter((name) => name !== 'none').map(expand);
    return [...names];
  };
  const inDir = (dir: string, names: readonly string[]): string[] =>
    names.map((name) => path.join(dir, name));
  return {
    userKnownHostsFiles: files(
      'userknownhostsfile',
      inDir(path.join(homeDir, '.ssh'), ['known_hosts', 'known_hosts2']),
    ),
    globalKnownHostsFiles: files(
      'globalknownhostsfile',
      inDir(systemSshDir(), ['ssh_known_hosts', 'ssh_known_hosts2']),
    ),
    hostKeyAlias: settings.text('hostkeyalias'),
    strictHostKeyChecking: settings.text('stricthostkeychecking')?.toLowerCase() === 'yes',
    hashKnownHosts: settings.flag('hashknownhosts', false),
  };
}

function timingSettings(settings: Settings) {
  const connectSec = settings.integer('connecttimeout', 0, 1_000_000);
  return {
    connectTimeoutMs: connectSec === 0 ? undefined : connectSec * 1000,
    serverAliveIntervalMs:
      settings.integer('serveraliveinterval', ALIVE_INTERVAL_SEC, 1_000_000) * 1000,
    serverAliveCountMax: settings.integer('serveralivecountmax', 3, 1_000_000),
  };
}

/** Typed access to the raw settings. */
class Settings {
  readonly #raw: ConfigSettings;

  constructor(raw: ConfigSettings) {
    this.#raw = raw;
  }

  words(keyword: string): readonly string[] | undefined {
    return this.#raw.get(keyword)?.[0];
  }

  text(keyword: string): string | undefined {
    return this.words(keyword)?.[0];
  }

  all(keyword: string): string[] {
    return (this.#raw.get(keyword) ?? []).flat();
  }

  flag(keyword: string, usual: boolean): boolean {
    return this.choice(keyword, { yes: true, true: true, no: false, false: false }, `${usual}`);
  }

  choice<T>(keyword: string, meanings: Readonly<Record<string, T>>, usual: string): T {
    const word = (this.text(keyword) ?? usual).toLowerCase();
    const meaning = meanings[word];
    if (meaning === undefined) throw invalidConfig(`${keyword} ${word} means nothing`);
    return meaning;
  }

  integer(keyword: string, usual: number, max: number): number {
    const word = this.text(keyword);
    if (word === undefined || word.toLowerCase() === 'none') return usual;
    const value = Number(word);
    if (!/^\d{1,7}$/.test(word) || value > max) {
      throw invalidConfig(`${keyword} ${word} is not a number up to ${max}`);
    }
    return value;
  }
}

interface Tokens {
  readonly host: string;
  readonly original: string;
  readonly port: number;
  readonly user: string;
  readonly localUser: string;
}

/** `~/`, `${VARIABLE}` and the `%` tokens of ssh_config(5) in a file name. */
function expandPath(text: string, tokens: Tokens, homeDir: string): string {
  const values: Readonly<Record<string, string>> = {
    '%': '%',
    d: homeDir,
    h: tokens.host,
    n: tokens.original,
    p: `${tokens.port}`,
    r: tokens.user,
    u: tokens.localUser,
    l: hostname(),
    L: hostname().split('.')[0] ?? '',
    i: `${process.getuid?.() ?? 0}`,
  };
  const expanded = text
    .replace(/\$\{([^}]*)\}/g, (_, name: string) => {
      const value = process.env[name];
      if (value === undefined) throw invalidConfig(`the variable ${name} in ${text} is not set`);
      return value;
    })
    .replace(/%(.?)/g, (_, letter: string) => {
      const value = values[letter];
      if (value === undefined) throw invalidConfig(`the token %${letter} in ${text} is unknown`);
      return value;
    });
  if (expanded === '~' || /^~[/\\]/.test(expanded)) return path.join(homeDir, expanded.slice(1));
  return path.resolve(expanded);
}
