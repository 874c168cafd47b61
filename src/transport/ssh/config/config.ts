/** The ssh_config settings of one host, complete with defaults. */
import { userInfo } from 'node:os';
import path from 'node:path';
import { isWindows } from '../../../platform.ts';
import type { CipherAlgorithm, KexAlgorithm, MacAlgorithm, ServerHostKeyAlgorithm } from 'ssh2';
import {
  assembleAlgorithms,
  CIPHERS,
  HOST_KEYS,
  KEX,
  LOGIN_KEYS,
  MACS,
  prefersPostQuantum,
} from './algorithms.ts';
import { agentSocket } from './agent-socket.ts';
import { invalidConfig, readSshConfig, type SshConfigFile, type ConfigSettings } from './file.ts';
import { parseSshTime } from './keywords.ts';
import { expandFile, expandTokens, type Tokens } from './tokens.ts';
import { parseProxyJump } from './jump.ts';
import { assertTarget, type SshTarget } from '../../ssh-target.ts';

/** Login methods of the built-in ssh, by their protocol names (RFC 4252, RFC 4256). */
export type LoginMethod = 'publickey' | 'keyboard-interactive' | 'password';

/** All settings of a login, from the user's and the system's ssh_config. */
export interface SshHostConfig {
  /** The name or address to connect to. */
  readonly hostName: string;
  /** The name that the user gave, if the configuration has another address for it. */
  readonly alias: string | undefined;
  readonly port: number;
  readonly user: string;
  /** 4 or 6, or 0 for either. */
  readonly addressFamily: 0 | 4 | 6;
  /** The local address to connect from. */
  readonly bindAddress: string | undefined;
  readonly tcpKeepAlive: boolean;
  /** Jump hosts, the nearest first. */
  readonly jumps: readonly SshTarget[];
  /** Options in force that only the system's ssh supports, by their display names. */
  readonly unsupported: readonly string[];
  /** Options in force that the system's ssh handles better, likewise. */
  readonly preferSystem: readonly string[];
  /** Private key files in the order to try. */
  readonly identityFiles: readonly string[];
  /** False: these are the default files, most of which do not exist. */
  readonly identityFilesNamed: boolean;
  /** Offer only keys of the files, even from the agent. */
  readonly identitiesOnly: boolean;
  /** Socket or pipe of the agent; undefined for none. */
  readonly agentSocket: string | undefined;
  /** Signature algorithms that login keys may use. */
  readonly loginKeyAlgorithms: readonly ServerHostKeyAlgorithm[];
  /** In the order to try. */
  readonly loginMethods: readonly LoginMethod[];
  /** Methods in force that the built-in ssh does not have: `gssapi-with-mic`, `hostbased`. */
  readonly unsupportedMethods: readonly string[];
  /** How often to ask for a password. */
  readonly passwordPrompts: number;
  /** Ask no questions. */
  readonly batchMode: boolean;
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  /** The name to look up in known_hosts instead of host and port. */
  readonly hostKeyAlias: string | undefined;
  /**
   * With `yes`, not even `--accept-new-host-key` records a host; with `accept-new` that option is
   * not needed. `no` counts as `ask`: ecsync never accepts a changed key.
   */
  readonly strictHostKeyChecking: 'yes' | 'accept-new' | 'ask';
  readonly hashKnownHosts: boolean;
  /** True if HostKeyAlgorithms gives an explicit order, which known keys do not change. */
  readonly hostKeyOrderGiven: boolean;
  readonly algorithms: {
    readonly kex: readonly KexAlgorithm[];
    readonly cipher: readonly CipherAlgorithm[];
    readonly hmac: readonly MacAlgorithm[];
    readonly serverHostKey: readonly ServerHostKeyAlgorithm[];
  };
  /** Limit for one attempt. */
  readonly connectTimeoutMs: number | undefined;
  readonly connectionAttempts: number;
  /** 0 for none. */
  readonly serverAliveIntervalMs: number;
  readonly serverAliveCountMax: number;
}

/** The source of the configuration. */
export interface SshConfigSource {
  readonly homeDir: string;
  /** Read instead of the default files; `none` means no file. */
  readonly configFile: string | undefined;
}

const DEFAULT_IDENTITIES = ['id_rsa', 'id_ecdsa', 'id_ed25519'];
const DEFAULT_METHODS = 'publickey,keyboard-interactive,password';

/** Without keepalives only the kernel would notice a dead network, after hours. */
const ALIVE_INTERVAL_SEC = 30;

/** More attempts, one per second, would look like a hang. */
const ATTEMPTS_MAX = 1000;

/** Bounds timers, since longer ones fire at once in Node. */
const TIME_SEC_MAX = 2_000_000;

/** Options that change which host we reach or trust and that ssh2 lacks, with a harmless value. */
const UNSUPPORTED_OPTIONS: readonly (readonly [
  keyword: string,
  shown: string,
  harmless: string,
])[] = [
  ['proxycommand', 'ProxyCommand', 'none'],
  ['knownhostscommand', 'KnownHostsCommand', 'none'],
  ['revokedhostkeys', 'RevokedHostKeys', 'none'],
  ['pkcs11provider', 'PKCS11Provider', 'none'],
  ['certificatefile', 'CertificateFile', 'none'],
  ['canonicalizehostname', 'CanonicalizeHostname', 'no'],
  ['bindinterface', 'BindInterface', 'none'],
];

/**
 * Resolves the configuration of one host.
 *
 * @throws {UsageError} `ssh-config-invalid`, `host-invalid`, `user-invalid`, `port-invalid`
 */
export async function resolveSshHost(
  target: SshTarget,
  source: SshConfigSource,
): Promise<SshHostConfig> {
  assertTarget(target);
  const { homeDir } = source;
  const localUser = localUserName();
  const query = { host: target.host, user: target.user, localUser, homeDir };
  const settings = new Settings(await readSshConfig(configFiles(source), query));
  const port = target.port ?? settings.integer('port', 22);
  const user = target.user ?? settings.text('user') ?? localUser;
  const hostName = finalHostName(settings.text('hostname'), target.host);
  assertTarget({ host: hostName, user, port });
  const hostKeyAlias = settings.text('hostkeyalias')?.toLowerCase();
  const tokens = {
    host: hostName,
    original: target.host,
    port,
    user,
    localUser,
    homeDir,
    hostKeyAlias,
  };
  const algorithms = algorithmSettings(settings);
  const jumps = parseProxyJump(expandTokens(settings.text('proxyjump') ?? 'none', tokens));
  for (const jump of jumps) assertTarget(jump);
  return {
    hostName,
    alias: hostName.toLowerCase() === target.host.toLowerCase() ? undefined : target.host,
    port,
    user,
    jumps,
    hostKeyAlias,
    algorithms,
    hostKeyOrderGiven: /^[^-+]/.test(settings.text('hostkeyalgorithms') ?? ''),
    preferSystem: optionsForSystemSsh(settings),
    unsupported: [
      ...settings.unsupported,
      ...unsupportedOptions(settings),
      ...emptyAlgorithmLists(algorithms, settings),
    ],
    ...identitySettings(settings, tokens),
    ...methodSettings(settings),
    ...knownHostsSettings(settings, tokens),
    ...connectionSettings(settings),
  };
}

function configFiles({ homeDir, configFile }: SshConfigSource): SshConfigFile[] {
  const userDir = path.join(homeDir, '.ssh');
  if (configFile === 'none') return [];
  if (configFile !== undefined) {
    return [{ file: configFile, includeDir: userDir, required: true, mustBeOwn: false }];
  }
  const systemDir = systemSshDir();
  return [
    { file: path.join(userDir, 'config'), includeDir: userDir, required: false, mustBeOwn: true },
    {
      file: path.join(systemDir, 'ssh_config'),
      includeDir: systemDir,
      required: false,
      mustBeOwn: false,
    },
  ];
}

function systemSshDir(): string {
  if (!isWindows) return '/etc/ssh';
  return path.join(process.env['PROGRAMDATA'] ?? 'C:\\ProgramData', 'ssh');
}

function localUserName(): string {
  try {
    return userInfo().username;
  } catch {
    // The user id has no account entry, as in some containers.
    return process.env['USER'] ?? process.env['USERNAME'] ?? '';
  }
}

/**
 * Expands HostName, which has only the tokens `%h` and `%%`, in lower case. The host of a
 * destination is taken literally: there `%` begins the zone of an IPv6 address.
 */
function finalHostName(text: string | undefined, original: string): string {
  if (text === undefined) return original.toLowerCase();
  const name = text.replace(/%(.?)/gs, (_, letter: string) => {
    if (letter !== 'h' && letter !== '%') {
      throw invalidConfig(`the token %${letter} in HostName ${text} is unknown`);
    }
    return letter === 'h' ? original : '%';
  });
  return name.toLowerCase();
}

function unsupportedOptions(settings: Settings): string[] {
  const inForce = UNSUPPORTED_OPTIONS.filter(([keyword, , harmless]) => {
    const value = settings.text(keyword)?.toLowerCase();
    return ![undefined, harmless, 'none', 'false'].includes(value);
  });
  return inForce.map(([, shown]) => shown);
}

function optionsForSystemSsh(settings: Settings): string[] {
  const kex = settings.text('kexalgorithms');
  return prefersPostQuantum(kex) ? [`KexAlgorithms ${kex ?? ''}`] : [];
}

/** Lists of algorithms that leave the built-in ssh with none. */
function emptyAlgorithmLists(
  algorithms: SshHostConfig['algorithms'],
  settings: Settings,
): string[] {
  const lists = [
    ['kexalgorithms', 'KexAlgorithms', algorithms.kex],
    ['ciphers', 'Ciphers', algorithms.cipher],
    ['macs', 'MACs', algorithms.hmac],
    ['hostkeyalgorithms', 'HostKeyAlgorithms', algorithms.serverHostKey],
  ] as const;
  return lists
    .filter(([, , left]) => left.length === 0)
    .map(([keyword, shown]) => `${shown} ${settings.text(keyword) ?? ''}`);
}

function algorithmSettings(settings: Settings): SshHostConfig['algorithms'] {
  return {
    kex: assembleAlgorithms(KEX, settings.text('kexalgorithms')),
    cipher: assembleAlgorithms(CIPHERS, settings.text('ciphers')),
    hmac: assembleAlgorithms(MACS, settings.text('macs')),
    serverHostKey: assembleAlgorithms(HOST_KEYS, settings.text('hostkeyalgorithms')),
  };
}

function identitySettings(settings: Settings, tokens: Tokens) {
  const named = settings.all('identityfile');
  const usual = DEFAULT_IDENTITIES.map((name) => path.join(tokens.homeDir, '.ssh', name));
  const files = named
    .filter((file) => file.toLowerCase() !== 'none')
    .map((file) => expandFile(file, tokens));
  return {
    identityFiles: named.length === 0 ? usual : [...new Set(files)],
    identityFilesNamed: named.length > 0,
    identitiesOnly: settings.flag('identitiesonly', false),
    agentSocket: agentSocket(settings.text('identityagent') ?? 'SSH_AUTH_SOCK', (text) =>
      expandFile(text, tokens),
    ),
    loginKeyAlgorithms: assembleAlgorithms(LOGIN_KEYS, settings.text('pubkeyacceptedalgorithms')),
  };
}

function methodSettings(settings: Settings) {
  const usual = settings.flag('gssapiauthentication', false)
    ? `gssapi-with-mic,hostbased,${DEFAULT_METHODS}`
    : `hostbased,${DEFAULT_METHODS}`;
  const wanted = (settings.text('preferredauthentications') ?? usual).split(',');
  const isOn: Readonly<Record<string, boolean>> = {
    publickey: !/^(?:no|false)$/i.test(settings.text('pubkeyauthentication') ?? ''),
    'keyboard-interactive': settings.flag('kbdinteractiveauthentication', true),
    password: settings.flag('passwordauthentication', true),
    'gssapi-with-mic': settings.flag('gssapiauthentication', false),
    hostbased: settings.flag('hostbasedauthentication', false),
  };
  const inForce = wanted.filter((method) => isOn[method] === true);
  return {
    loginMethods: inForce.filter(isSupportedMethod),
    unsupportedMethods: inForce.filter((method) => !isSupportedMethod(method)),
    passwordPrompts: settings.integer('numberofpasswordprompts', 3),
    batchMode: settings.flag('batchmode', false),
  };
}

function isSupportedMethod(method: string): method is LoginMethod {
  return DEFAULT_METHODS.split(',').includes(method);
}

function knownHostsSettings(settings: Settings, tokens: Tokens) {
  const given = (keyword: string): string[] | undefined =>
    settings
      .words(keyword)
      ?.filter((name) => name.toLowerCase() !== 'none')
      .map((name) => expandFile(name, tokens));
  const inDir = (dir: string, names: readonly string[]): string[] =>
    names.map((name) => path.join(dir, name));
  const checking = settings.text('stricthostkeychecking')?.toLowerCase() ?? 'ask';
  const isStrict = checking === 'yes' || checking === 'true';
  const otherwise = checking === 'accept-new' ? checking : 'ask';
  const strictHostKeyChecking: SshHostConfig['strictHostKeyChecking'] = isStrict
    ? 'yes'
    : otherwise;
  return {
    userKnownHostsFiles:
      given('userknownhostsfile') ??
      inDir(path.join(tokens.homeDir, '.ssh'), ['known_hosts', 'known_hosts2']),
    globalKnownHostsFiles:
      given('globalknownhostsfile') ??
      inDir(systemSshDir(), ['ssh_known_hosts', 'ssh_known_hosts2']),
    strictHostKeyChecking,
    hashKnownHosts: settings.flag('hashknownhosts', false),
  };
}

const FAMILIES: Readonly<Record<string, 4 | 6>> = { inet: 4, inet6: 6 };

function connectionSettings(settings: Settings) {
  const connectSec = settings.seconds('connecttimeout', 0);
  return {
    addressFamily: FAMILIES[settings.text('addressfamily')?.toLowerCase() ?? ''] ?? (0 as const),
    bindAddress: settings.text('bindaddress'),
    tcpKeepAlive: settings.flag('tcpkeepalive', true),
    connectTimeoutMs: connectSec === 0 ? undefined : connectSec * 1000,
    connectionAttempts: Math.min(
      Math.max(1, settings.integer('connectionattempts', 1)),
      ATTEMPTS_MAX,
    ),
    serverAliveIntervalMs: settings.seconds('serveraliveinterval', ALIVE_INTERVAL_SEC) * 1000,
    serverAliveCountMax: settings.integer('serveralivecountmax', 3),
  };
}

/** Typed access to settings that were validated when they were read. */
class Settings {
  readonly unsupported: readonly string[];
  readonly #values: ConfigSettings['values'];

  constructor({ values, unsupported }: ConfigSettings) {
    this.unsupported = unsupported;
    this.#values = values;
  }

  words(keyword: string): readonly string[] | undefined {
    return this.#values.get(keyword)?.[0];
  }

  text(keyword: string): string | undefined {
    return this.words(keyword)?.[0];
  }

  all(keyword: string): string[] {
    return (this.#values.get(keyword) ?? []).flat();
  }

  flag(keyword: string, usual: boolean): boolean {
    const word = this.text(keyword)?.toLowerCase();
    return word === undefined ? usual : word === 'yes' || word === 'true';
  }

  integer(keyword: string, usual: number): number {
    const word = this.text(keyword);
    return word === undefined ? usual : Number(word);
  }

  seconds(keyword: string, usual: number): number {
    const word = this.text(keyword);
    if (word === undefined) return usual;
    return word === 'none' ? 0 : Math.min(parseSshTime(word) ?? 0, TIME_SEC_MAX);
  }
}
