import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import SSHConfig, { type Line } from 'ssh-config';
import { UsageError } from '../errors.ts';
import { matchesPattern, matchesPatternList } from './ssh-pattern.ts';

/** OpenSSH's own limit of Include in Include. */
const INCLUDE_DEPTH_MAX = 16;

const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** Who asks: what `Host` and `Match` compare with. */
export interface ConfigQuery {
  /** The host as the user wrote it. */
  readonly host: string;
  /** The user given with the host; undefined: what the files or the system say. */
  readonly user: string | undefined;
  readonly localUser: string;
  readonly homeDir: string;
}

/** Settings of one host: keyword in lower case -> its arguments, once for each line that counts. */
export type ConfigSettings = ReadonlyMap<string, readonly (readonly string[])[]>;

interface Pass {
  readonly query: ConfigQuery;
  /** The first value of a keyword wins; only IdentityFile and CertificateFile collect. */
  readonly settings: Map<string, string[][]>;
  final: boolean;
  sawFinal: boolean;
}

/** A file, and the folder that relative names in its Include lines are in. */
export interface ConfigFile {
  readonly file: string;
  readonly includeDir: string;
  /** A file the user named must be there; the usual ones need not. */
  readonly required: boolean;
}

const COLLECTED = new Set(['identityfile', 'certificatefile']);

/**
 * Reads ssh_config files in order and keeps what applies to a host, as ssh does: the first value
 * obtained for a keyword counts. Host, Include and Match (all, host, originalhost, user, localuser,
 * final) are obeyed; nothing is executed and no name is looked up.
 *
 * @throws {UsageError} `ssh-config-invalid` — a file cannot be read or understood;
 *   `ssh-config-unsupported` — a Match that would have to run a command or look at the network
 */
export async function readSshConfig(
  files: readonly ConfigFile[],
  query: ConfigQuery,
): Promise<ConfigSettings> {
  const pass: Pass = { query, settings: new Map(), final: false, sawFinal: false };
  for (const file of files) await applyFile(file, pass, 0);
  if (pass.sawFinal) {
    pass.final = true;
    for (const name of COLLECTED) pass.settings.delete(name); // else each would count twice
    for (const file of files) await applyFile(file, pass, 0);
  }
  return pass.settings;
}

/** The error of a file that makes no sense at some place. */
export function invalidConfig(what: string, cause?: unknown): UsageError {
  return new UsageError('ssh-config-invalid', `the ssh configuration is not valid: ${what}`, {
    hint: 'Check it with `ssh -G HOST`.',
    cause,
  });
}

/** The error of an option that only the system's ssh can honour. */
export function unsupportedConfig(option: string): UsageError {
  return new UsageError(
    'ssh-config-unsupported',
    `the ssh configuration of this host needs ${option}, which the built-in ssh does not have`,
    { hint: 'Use the system’s ssh: add `--rsh ssh`.' },
  );
}

async function applyFile(from: ConfigFile, pass: Pass, depth: number): Promise<void> {
  if (depth > INCLUDE_DEPTH_MAX) throw invalidConfig(`${from.file}: Include is nested too deeply`);
  let text: string;
  try {
    text = await readFile(from.file, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing && !from.required) return;
    throw invalidConfig(`${from.file} cannot be read`, error);
  }
  if (text.length > FILE_BYTES_MAX || text.includes('\0')) {
    throw invalidConfig(`${from.file} is not a text file of sensible size`);
  }
  await applyLines(parseLines(text, from.file), from, pass, depth);
}

function parseLines(text: string, file: string): readonly Line[] {
  try {
    return SSHConfig.parse(text);
  } catch (error) {
    const why = error instanceof Error && !(error instanceof TypeError) ? error.message : undefined;
    throw invalidConfig(
      `${file}${why === undefined ? ': a keyword has no value' : `: ${why}`}`,
      error,
    );
  }
}

async function applyLines(
  lines: readonly Line[],
  from: ConfigFile,
  pass: Pass,
  depth: number,
): Promise<void> {
  for (const line of lines) {
    if (!('param' in line)) continue;
    const keyword = line.param.toLowerCase();
    const values = argumentsOf(line.value);
    if (values.length === 0) throw invalidConfig(`${from.file}: ${line.param} has no value`);
    if ('config' in line) {
      const applies =
        keyword === 'host' ? matchesPatternList(pass.query.host, values) : matches(values, pass);
      if (applies) await applyLines(line.config, from, pass, depth);
    } else if (keyword === 'include') {
      for (const pattern of values) {
        for (const file of await expandInclude(pattern, from.includeDir, pass.query.homeDir)) {
          await applyFile({ ...from, file, required: false }, pass, depth + 1);
        }
      }
    } else {
      keep(pass, keyword, values);
    }
  }
}

function argumentsOf(value: string | readonly { val: string }[]): string[] {
  if (typeof value !== 'string') return value.map(({ val }) => val);
  return value === '' ? [] : [value];
}

function keep(pass: Pass, keyword: string, values: string[]): void {
  const known = pass.settings.get(keyword);
  if (known === undefined) pass.settings.set(keyword, [values]);
  else if (COLLECTED.has(keyword)) known.push(values);
}

/** All criteria of a Match line; the first that fails decides, so later ones need no answer. */
function matches(values: readonly string[], pass: Pass): boolean {
  const { query } = pass;
  const first = (keyword: string): string | undefined => pass.settings.get(keyword)?.[0]?.[0];
  const texts: Readonly<Record<string, string>> = {
    host: (first('hostname') ?? query.host).replaceAll('%h', query.host),
    originalhost: query.host,
    user: query.user ?? first('user') ?? query.localUser,
    localuser: query.localUser,
  };
  for (let i = 0; i < values.length; i++) {
    const word = (values[i] ?? '').toLowerCase();
    const negated = word.startsWith('!');
    const criterion = negated ? word.slice(1) : word;
    let holds: boolean;
    if (criterion === 'all') {
      holds = true;
    } else if (criterion === 'final') {
      pass.sawFinal = true;
      holds = pass.final;
    } else if (criterion === 'canonical') {
      holds = false; // names are not canonicalised
    } else {
      const text = texts[criterion];
      if (text === undefined) throw unsupportedConfig(`“Match ${criterion}”`);
      holds = matchesPatternList(text, (values[++i] ?? '').split(','));
    }
    if (holds === negated) return false;
  }
  return true;
}

/** Files an Include names, sorted; wildcards in the last part only, none of them for hidden files. */
async function expandInclude(
  pattern: string,
  includeDir: string,
  homeDir: string,
): Promise<string[]> {
  const absolute = pattern.startsWith('~/')
    ? path.join(homeDir, pattern.slice(2))
    : path.resolve(includeDir, pattern);
  const dir = path.dirname(absolute);
  const name = path.basename(absolute);
  if (!/[*?[]/.test(absolute)) return [absolute];
  if (/[*?[]/.test(dir) || name.includes('[')) throw unsupportedConfig(`“Include ${pattern}”`);
  try {
    const names = await readdir(dir);
    return names
      .filter((entry) => !entry.startsWith('.') && matchesPattern(entry, name))
      .sort()
      .map((entry) => path.join(dir, entry));
  } catch {
    return []; // like a pattern that matches nothing
  }
}
