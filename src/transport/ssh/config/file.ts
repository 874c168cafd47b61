/** Reads ssh_config files and collects the settings that apply to a host. */
import { open } from 'node:fs/promises';
import { UsageError } from '../../../errors.ts';
import { errnoOf, isWindows } from '../../../platform.ts';
import { reasonOf } from '../../../system-errors.ts';
import { expandInclude } from './include.ts';
import { canonicalKeyword, valueKind, valueProblem } from './keywords.ts';
import { parseConfigLine, type ConfigLine } from './line.ts';
import { evaluateMatch } from './match.ts';
import { matchesPattern, matchesPatternList } from './pattern.ts';

/** OpenSSH's own limit of nested Includes. */
const INCLUDE_DEPTH_MAX = 16;

const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** The values that `Host` and `Match` compare with. */
export interface ConfigQuery {
  /** The host as the user wrote it. */
  readonly host: string;
  /** The user given with the host; undefined means the files or the system decide. */
  readonly user: string | undefined;
  readonly localUser: string;
  readonly homeDir: string;
}

/** The settings of the files for one host. */
export interface ConfigSettings {
  /** Keyword in lower case → its arguments, once for each line that counts. */
  readonly values: ReadonlyMap<string, readonly (readonly string[])[]>;
  /** Features of the files that only ssh itself supports, such as “Match exec”. */
  readonly unsupported: readonly string[];
}

/** A configuration file and the folder for relative names in its Include lines. */
export interface SshConfigFile {
  readonly file: string;
  readonly includeDir: string;
  /** A file that the user named must exist; the default files need not. */
  readonly required: boolean;
  /**
   * Others must not be able to write it: ssh requires this of `~/.ssh/config` and included files.
   */
  readonly mustBeOwn: boolean;
}

interface Pass {
  readonly query: ConfigQuery;
  /** The first value of a keyword counts; only IdentityFile and CertificateFile accumulate. */
  readonly values: Map<string, string[][]>;
  readonly unsupported: Set<string>;
  final: boolean;
  wantsFinal: boolean;
}

/** The state while reading one file. */
interface Scope {
  readonly from: SshConfigFile;
  readonly depth: number;
  /** In a file included from a block that does not apply, no Host or Match applies either. */
  readonly never: boolean;
  active: boolean;
}

const COLLECTED = new Set(['identityfile', 'certificatefile']);

/** Whichever of the two comes first disables the other. */
const EXCLUDES: Readonly<Record<string, string>> = {
  proxyjump: 'proxycommand',
  proxycommand: 'proxyjump',
};

/**
 * Reads ssh_config files in order and collects the settings of a host, as ssh does: the first value
 * for a keyword counts. Host, Include and Match (all, final, host, originalhost, user, localuser,
 * tagged) are obeyed; nothing is executed and no name is looked up. Blocks of other hosts are
 * validated too, since ssh rejects a file that is invalid anywhere.
 *
 * @throws {UsageError} `ssh-config-invalid` — a file cannot be read or understood
 * @see OpenSSH readconf.c read_config_file_depth() (9.2)
 */
export async function readSshConfig(
  files: readonly SshConfigFile[],
  query: ConfigQuery,
): Promise<ConfigSettings> {
  const pass: Pass = {
    query,
    values: new Map(),
    unsupported: new Set(),
    final: false,
    wantsFinal: false,
  };
  for (const from of files) await applyFile({ from, depth: 0, never: false, active: true }, pass);
  if (pass.wantsFinal) {
    pass.final = true;
    pass.values.set('hostname', [[hostSoFar(pass).replaceAll('%', '%%')]]);
    for (const from of files) await applyFile({ from, depth: 0, never: false, active: true }, pass);
  }
  return { values: pass.values, unsupported: [...pass.unsupported] };
}

/** The error for an invalid file. */
export function invalidConfig(what: string, cause?: unknown): UsageError {
  return new UsageError('ssh-config-invalid', `the ssh configuration is not valid: ${what}`, {
    hint: 'Check it with `ssh -G HOST`.',
    cause,
  });
}

async function applyFile(scope: Scope, pass: Pass): Promise<void> {
  const { from, depth } = scope;
  if (depth > INCLUDE_DEPTH_MAX) throw invalidConfig(`${from.file}: Include is nested too deeply`);
  const text = await readText(from);
  if (text === undefined) return;
  let number = 0;
  for (const lineText of text.split('\n')) {
    number++;
    const line = parseConfigLine(lineText);
    if (line === undefined) continue;
    const where = `${from.file} line ${number}`;
    if (typeof line === 'string') throw invalidConfig(`${where}: ${line}`);
    await applyLine(line, where, scope, pass);
  }
}

async function readText(from: SshConfigFile): Promise<string | undefined> {
  let bytes: Buffer;
  try {
    const handle = await open(from.file, 'r');
    try {
      const { uid, mode, size } = await handle.stat();
      const isOwn = uid === 0 || uid === process.getuid?.();
      if (from.mustBeOwn && !isWindows && (!isOwn || (mode & 0o022) !== 0)) {
        throw invalidConfig(`${from.file} belongs to another user, or others may write to it`);
      }
      if (size > FILE_BYTES_MAX) throw invalidConfig(`${from.file} is too large`);
      bytes = await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const missing = errnoOf(error) === 'ENOENT';
    if (missing && !from.required) return undefined;
    throw invalidConfig(`${from.file} cannot be read: ${reasonOf(error)}`, error);
  }
  if (bytes.length > FILE_BYTES_MAX || bytes.includes(0)) {
    throw invalidConfig(`${from.file} is not a text file of reasonable size`);
  }
  return bytes.toString('utf8');
}

async function applyLine(line: ConfigLine, where: string, scope: Scope, pass: Pass): Promise<void> {
  const { words } = line;
  const keyword = canonicalKeyword(line.keyword);
  if (keyword === 'host') {
    if (words.length === 0 || words.includes(''))
      throw invalidConfig(`${where}: Host has no value`);
    scope.active = !scope.never && namesHost(words, pass.query.host);
  } else if (keyword === 'match') {
    const applies = matchApplies(words, where, pass);
    scope.active = !scope.never && applies;
  } else if (keyword === 'include') {
    if (words.includes('')) throw invalidConfig(`${where}: Include has no value`);
    await include(words, scope, pass);
  } else {
    setOption({ ...line, keyword }, where, scope, pass);
  }
}

/** Whether a pattern matches and no negated pattern does. */
function namesHost(patterns: readonly string[], host: string): boolean {
  const matches = patterns
    .map((pattern) => pattern.replace(/^!/, ''))
    .map((p) => matchesPattern(host, p));
  const isNegated = (i: number): boolean => patterns[i]?.startsWith('!') === true;
  return (
    matches.some((yes, i) => yes && !isNegated(i)) && !matches.some((yes, i) => yes && isNegated(i))
  );
}

function matchApplies(words: readonly string[], where: string, pass: Pass): boolean {
  const { query } = pass;
  const outcome = evaluateMatch(words, {
    host: hostSoFar(pass),
    originalHost: query.host,
    user: query.user ?? firstOf(pass, 'user') ?? query.localUser,
    localUser: query.localUser,
    tag: firstOf(pass, 'tag') ?? '',
    finalPass: pass.final,
  });
  if (typeof outcome === 'string') throw invalidConfig(`${where}: ${outcome}`);
  pass.wantsFinal ||= outcome.wantsFinal;
  if (outcome.undecided !== undefined) pass.unsupported.add(`“Match ${outcome.undecided}”`);
  return outcome.matched && outcome.undecided === undefined;
}

async function include(words: readonly string[], scope: Scope, pass: Pass): Promise<void> {
  const { from, depth, active, never } = scope;
  for (const pattern of words) {
    if (/[%$]/.test(pattern)) {
      pass.unsupported.add(`“Include ${pattern}”`); // newer releases expand these
      continue;
    }
    const dirs = { baseDir: from.includeDir, homeDir: pass.query.homeDir };
    for (const file of await expandInclude(pattern, dirs)) {
      const included = { ...from, file, required: false, mustBeOwn: true };
      const inside = { from: included, depth: depth + 1, never: never || !active, active };
      await applyFile(inside, pass);
    }
  }
}

function setOption(line: ConfigLine, where: string, scope: Scope, pass: Pass): void {
  const { keyword, words, rest } = line;
  const kind = valueKind(keyword);
  if (kind === undefined) {
    const ignored = (firstOf(pass, 'ignoreunknown') ?? '').toLowerCase().split(',');
    // A newer option or a mistake: ssh itself decides.
    if (!matchesPatternList(keyword, ignored)) pass.unsupported.add(`the option ${keyword}`);
    return;
  }
  const problem = valueProblem(kind, words);
  if (problem !== undefined) throw invalidConfig(`${where}: ${keyword} ${problem}`);
  if (!scope.active) return;
  if (keyword === 'refuseconnection') throw invalidConfig(`${where}: ${words[0] ?? ''}`);
  const rival = EXCLUDES[keyword];
  if (rival !== undefined && pass.values.has(rival) && !isNoJump(rival, pass)) return;
  const value = kind === 'line' ? [rest] : [...words];
  const known = pass.values.get(keyword);
  if (known === undefined) pass.values.set(keyword, [value]);
  else if (COLLECTED.has(keyword) && !known.some(([name]) => name === value[0])) {
    known.push(value);
  }
}

/** `ProxyJump none` only disables another ProxyJump. */
function isNoJump(rival: string, pass: Pass): boolean {
  return rival === 'proxyjump' && firstOf(pass, 'proxyjump')?.toLowerCase() === 'none';
}

function firstOf(pass: Pass, keyword: string): string | undefined {
  return pass.values.get(keyword)?.[0]?.[0];
}

function hostSoFar(pass: Pass): string {
  const { host } = pass.query;
  return (firstOf(pass, 'hostname') ?? host).replace(/%([%h])/g, (_, c) =>
    c === 'h' ? host : '%',
  );
}
