/** The keywords of ssh_config and the forms of their values. */

/** The form of a keyword's value. */
export type ValueKind =
  /** One of these words, in any case. */
  | { readonly oneOf: readonly string[] }
  | 'count'
  | 'port'
  /** Seconds, or `1h30m`; `none`. */
  | 'time'
  | 'word'
  | 'words'
  /** The rest of the line unchanged. */
  | 'line'
  /** Has no effect here. */
  | 'ignored';

const FLAG = { oneOf: ['yes', 'no', 'true', 'false'] };
const YES_NO_ASK = { oneOf: [...FLAG.oneOf, 'ask'] };

/** Keywords that we support. */
const SUPPORTED: Readonly<Record<string, ValueKind>> = {
  addressfamily: { oneOf: ['any', 'inet', 'inet6'] },
  batchmode: FLAG,
  bindaddress: 'word',
  bindinterface: 'word',
  canonicalizehostname: { oneOf: [...FLAG.oneOf, 'always', 'none'] },
  certificatefile: 'word',
  ciphers: 'word',
  connectionattempts: 'count',
  connecttimeout: 'time',
  globalknownhostsfile: 'words',
  gssapiauthentication: FLAG,
  hashknownhosts: FLAG,
  hostbasedauthentication: FLAG,
  hostkeyalgorithms: 'word',
  hostkeyalias: 'word',
  hostname: 'word',
  identitiesonly: FLAG,
  identityagent: 'word',
  identityfile: 'word',
  ignoreunknown: 'word',
  kbdinteractiveauthentication: FLAG,
  kexalgorithms: 'word',
  knownhostscommand: 'line',
  macs: 'word',
  numberofpasswordprompts: 'count',
  passwordauthentication: FLAG,
  pkcs11provider: 'word',
  port: 'port',
  preferredauthentications: 'word',
  proxycommand: 'line',
  proxyjump: 'line',
  pubkeyacceptedalgorithms: 'word',
  pubkeyauthentication: { oneOf: [...FLAG.oneOf, 'unbound', 'host-bound'] },
  refuseconnection: 'word',
  revokedhostkeys: 'words',
  serveralivecountmax: 'count',
  serveraliveinterval: 'time',
  stricthostkeychecking: { oneOf: [...YES_NO_ASK.oneOf, 'off', 'accept-new'] },
  tag: 'word',
  tcpkeepalive: FLAG,
  user: 'word',
  userknownhostsfile: 'words',
  verifyhostkeydns: YES_NO_ASK,
};

/** Valid keywords that have no effect on a command whose output we read. */
const IGNORED = new Set(
  `addkeystoagent afstokenpassing canonicaldomains canonicalizefallbacklocal canonicalizemaxdots
  canonicalizepermittedcnames casignaturealgorithms channeltimeout checkhostip cipher
  clearallforwardings compression compressionlevel controlmaster controlpath controlpersist
  dynamicforward enableescapecommandline enablesshkeysign escapechar exitonforwardfailure
  fallbacktorsh fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout
  forwardx11trusted gatewayports globalknownhostsfile2 gssapiclientidentity
  gssapidelegatecredentials gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey
  gssapiserveridentity gssapitrustdns hostbasedacceptedalgorithms hostbasedkeytypes ipqos
  kbdinteractivedevices kerberosauthentication kerberostgtpassing localcommand localforward loglevel
  logverbose nohostauthenticationforlocalhost obscurekeystroketiming permitlocalcommand
  permitremoteopen protocol proxyusefdpass rekeylimit remotecommand remoteforward requesttty
  requiredrsasize rhostsauthentication rhostsrsaauthentication rsaauthentication
  securitykeyprovider sendenv sessiontype setenv stdinnull streamlocalbindmask
  streamlocalbindunlink syslogfacility tunnel tunneldevice updatehostkeys useprivilegedport
  userknownhostsfile2 useroaming usersh versionaddendum visualhostkey warnweakcrypto
  xauthlocation`.split(/\s+/),
);

const ALIASES: Readonly<Record<string, string>> = {
  challengeresponseauthentication: 'kbdinteractiveauthentication',
  skeyauthentication: 'kbdinteractiveauthentication',
  tisauthentication: 'kbdinteractiveauthentication',
  dsaauthentication: 'pubkeyauthentication',
  identityfile2: 'identityfile',
  keepalive: 'tcpkeepalive',
  pubkeyacceptedkeytypes: 'pubkeyacceptedalgorithms',
  smartcarddevice: 'pkcs11provider',
};

/** The current name of a keyword that may be an alias. */
export function canonicalKeyword(keyword: string): string {
  return ALIASES[keyword] ?? keyword;
}

/**
 * @param keyword - from {@link canonicalKeyword}
 * @returns undefined for a keyword that OpenSSH up to 10.2 does not have
 */
export function valueKind(keyword: string): ValueKind | undefined {
  return SUPPORTED[keyword] ?? (IGNORED.has(keyword) ? 'ignored' : undefined);
}

const SECONDS: Readonly<Record<string, number>> = {
  '': 1,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
};

/** OpenSSH's limit: the largest int. */
const NUMBER_MAX = 2_147_483_647;

/** Parses `90` or `1m30s`. @returns seconds; undefined for an invalid time */
export function parseSshTime(text: string): number | undefined {
  if (!/^(?:\d{1,10}[smhdw]?)+$/i.test(text)) return undefined;
  let seconds = 0;
  for (const [, digits = '', unit = ''] of text.matchAll(/(\d+)([smhdw]?)/gi)) {
    seconds += Number(digits) * (SECONDS[unit.toLowerCase()] ?? 1);
  }
  return seconds <= NUMBER_MAX ? seconds : undefined;
}

/** @returns the problem of a keyword's words, or undefined if they are valid */
export function valueProblem(kind: ValueKind, words: readonly string[]): string | undefined {
  const [first = ''] = words;
  if (kind === 'ignored' || kind === 'line') return undefined;
  if (words.length === 0 || words.includes('')) return 'has no value';
  if (kind === 'words') {
    const none = words.some((word) => word.toLowerCase() === 'none');
    return none && words.length > 1 ? 'has “none” together with other values' : undefined;
  }
  if (words.length > 1) return 'has more than one value';
  if (kind === 'word') return undefined;
  if (kind === 'count') return isNumberUpTo(first, NUMBER_MAX) ? undefined : 'is not a number';
  if (kind === 'port') {
    return isNumberUpTo(first, 65_535) && Number(first) > 0 ? undefined : 'is not a port number';
  }
  if (kind === 'time') {
    return first === 'none' || parseSshTime(first) !== undefined ? undefined : 'is not a time';
  }
  return kind.oneOf.includes(first.toLowerCase()) ? undefined : 'has an unknown value';
}

function isNumberUpTo(word: string, max: number): boolean {
  return /^\d{1,10}$/.test(word) && Number(word) <= max;
}
