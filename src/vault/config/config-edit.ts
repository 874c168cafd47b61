/** Writes and edits the text of a vault's `config.toml`, preserving comments. */
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'smol-toml';
import { UsageError } from '../../errors.ts';
import { parseConfig, type RemoteConfig, type VaultConfig } from './config.ts';

/** The values of a new vault's `config.toml`. */
export interface NewConfig extends Pick<
  VaultConfig,
  'conf' | 'flags' | 'long_name_max' | 'layout' | 'reverse_time_shift_sec' | 'source'
> {
  readonly confSha256: string;
  readonly keyCheck: string;
  readonly adoptedSha256?: string;
}

/** The text of a new vault's `config.toml`. */
export function formatNewConfig(config: NewConfig): string {
  const { conf, flags, long_name_max, layout, reverse_time_shift_sec, source } = config;
  const shape = linesOf({ flags, long_name_max });
  const reverse = linesOf({ layout, reverse_time_shift_sec });
  const named = linesOf({ conf });
  const adopted = linesOf({ adopted_sha256: config.adoptedSha256 });
  const sourced = linesOf({ source });
  const confName = conf === undefined ? 'gocryptfs.conf beside this file' : 'the conf';
  return [
    '# ecsync vault. Add remotes with `ecsync remote add NAME URL`; the first is the default.',
    'version = 1',
    ...(named.length > 0 ? ['# The conf of gocryptfs -reverse; this vault uses it, too.'] : []),
    ...named,
    `# SHA-256 of ${confName}, and a proof of the master key. Do not change them.`,
    `conf_sha256 = "${config.confSha256}"`,
    `key_check = "${config.keyCheck}"`,
    ...(adopted.length > 0
      ? ['# SHA-256 of the file `adopted` beside this one: what the copy had when it was adopted.']
      : []),
    ...adopted,
    ...(shape.length > 0
      ? [
          '# What the conf says about the copy: with this and the key, a lost conf can be recreated.',
        ]
      : []),
    ...shape,
    ...(reverse.length > 0
      ? [
          '# The copy is what `gocryptfs -reverse` shows; the mtimes of its diriv and .name files are those of their',
          '# objects, plus 10 s (since gocryptfs 2.5) or 0 s (before).',
        ]
      : []),
    ...reverse,
    ...(sourced.length > 0 ? ['# The source folder.'] : []),
    ...sourced,
    '',
    '# The source of the password when nobody can type it: the keychain (`ecsync key remember`),',
    '# the first line of a file, or the output of a command.',
    '# [password]',
    '# file = "/path/to/file"',
    '# command = "pass show ecsync/photos"',
    '',
  ].join('\n');
}

/** `key = value` for every defined value. */
function linesOf(values: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [stringify({ [key]: value }).trimEnd()],
  );
}

/**
 * Replaces the digest of the conf in the text; everything else stays unchanged.
 *
 * @throws {UsageError} `config-edit`
 */
export function setConfDigest(tomlText: string, shownFile: string, confSha256: string): string {
  const before = parseConfig(tomlText, shownFile);
  const edited = tomlText.replace(
    /^([ \t]*conf_sha256[ \t]*=[ \t]*)(["'])[0-9a-f]{64}\2/m,
    (_whole, key: string) => `${key}"${confSha256}"`,
  );
  assertEdit(edited, shownFile, { ...before, conf_sha256: confSha256 });
  return edited;
}

/**
 * Adds a remote at the end; everything else in the text stays unchanged, including comments.
 *
 * @throws {UsageError} `remote-exists`, `config-edit` — the text cannot be extended safely
 */
export function addRemote(tomlText: string, shownFile: string, remote: RemoteConfig): string {
  const before = parseConfig(tomlText, shownFile);
  if (before.remotes.some(({ name }) => name === remote.name)) {
    throw new UsageError('remote-exists', `there is already a remote named '${remote.name}'`, {
      hint: `To change its address: ecsync remote set-url ${remote.name} ADDRESS. To start over: ecsync remote remove ${remote.name}`,
    });
  }
  const newline = tomlText.includes('\r\n') ? '\r\n' : '\n';
  const block = [
    '[[remotes]]',
    ...stringify({ ...remote })
      .trimEnd()
      .split('\n'),
  ];
  const start = tomlText.replace(/\s*$/, '');
  const edited = [start, '', ...block, ''].join(newline);
  assertEdit(edited, shownFile, { ...before, remotes: [...before.remotes, remote] });
  return edited;
}

/**
 * Removes a remote: only the lines of its table.
 *
 * @throws {UsageError} `no-remote`, `config-edit` — the text cannot be edited safely
 */
export function removeRemote(tomlText: string, shownFile: string, name: string): string {
  const before = parseConfig(tomlText, shownFile);
  const index = before.remotes.findIndex((remote) => remote.name === name);
  if (index === -1) throw noRemote(name, before.remotes);
  const { newline, lines, headers, own } = findTable(tomlText, shownFile, index);
  // [remotes.push] and similar tables after it belong to it.
  const isOwn = (i: number): boolean => /^\s*\[{1,2}\s*remotes\s*\./.test(lines[i] ?? '');
  let end = headers.find((i) => i > own && !isOwn(i)) ?? lines.length;
  // Comments directly above the next table belong to that table.
  if (end < lines.length) while (end > own + 1 && /^\s*#/.test(lines[end - 1] ?? '')) end--;
  const edited = [...lines.slice(0, own), ...lines.slice(end)].join(newline);
  const remotes = before.remotes.filter((remote) => remote.name !== name);
  const ended = edited.replace(/\s*$/, newline);
  assertEdit(ended, shownFile, { ...before, remotes });
  return ended;
}

/**
 * Changes the address of a remote; everything else in the text stays unchanged.
 *
 * @throws {UsageError} as {@link removeRemote}
 */
export function setRemoteUrl(
  tomlText: string,
  shownFile: string,
  { name, url }: Pick<RemoteConfig, 'name' | 'url'>,
): string {
  const before = parseConfig(tomlText, shownFile);
  const index = before.remotes.findIndex((remote) => remote.name === name);
  if (index === -1) throw noRemote(name, before.remotes);
  const { newline, lines, headers, own } = findTable(tomlText, shownFile, index);
  const end = headers.find((i) => i > own) ?? lines.length;
  const at = lines.findIndex((line, i) => i > own && i < end && URL_LINE.test(line));
  if (at === -1) throw editError(shownFile);
  const value = stringify({ url })
    .trimEnd()
    .replace(/^url = /, '');
  const edited = lines.map((line, i) =>
    i === at ? line.replace(URL_LINE, (_whole, key: string) => `${key}${value}`) : line,
  );
  const remotes = before.remotes.map((remote) =>
    remote.name === name ? { ...remote, url } : remote,
  );
  const text = edited.join(newline);
  assertEdit(text, shownFile, { ...before, remotes });
  return text;
}

/** `url = ` and a string on one line; a comment may follow. */
const URL_LINE = /^(\s*(?:url|"url"|'url')\s*=\s*)(?:"(?:[^"\\]|\\.)*"|'[^']*')/;

/**
 * The lines of a text, the lines that start tables, and the line that starts the table of a remote.
 */
function findTable(
  tomlText: string,
  shownFile: string,
  index: number,
): {
  readonly newline: string;
  readonly lines: readonly string[];
  readonly headers: readonly number[];
  readonly own: number;
} {
  const newline = tomlText.includes('\r\n') ? '\r\n' : '\n';
  const lines = tomlText.split(/\r?\n/);
  const headers = lines.flatMap((line, i) => (/^\s*\[/.test(line) ? [i] : []));
  const own = headers.filter((i) => /^\s*\[\[\s*remotes\s*\]\]/.test(lines[i] ?? ''))[index];
  if (own === undefined) throw editError(shownFile);
  return { newline, lines, headers, own };
}

/** The error for a remote that is not configured, with the nearest name. */
export function noRemote(name: string, remotes: readonly RemoteConfig[]): UsageError {
  const names = remotes.map((remote) => remote.name);
  const hint =
    names.length === 0
      ? 'Add one: ecsync remote add NAME user@host:path'
      : `Configured remotes: ${names.join(', ')}.`;
  return new UsageError('no-remote', `there is no remote named '${name}'`, { hint });
}

/**
 * Checks that the edited text means exactly what was wanted; otherwise it must not be written.
 *
 * @throws {UsageError} `config-edit`
 */
export function assertEdit(edited: string, shownFile: string, wanted: VaultConfig): void {
  let found: VaultConfig;
  try {
    found = parseConfig(edited, shownFile);
  } catch {
    throw editError(shownFile);
  }
  if (!isDeepStrictEqual(plain(found), plain(wanted))) throw editError(shownFile);
}

/** The configuration without undefined values. */
function plain(config: VaultConfig): unknown {
  return JSON.parse(JSON.stringify(config));
}

/** The error for a text that cannot be edited safely. */
export function editError(shownFile: string): UsageError {
  return new UsageError('config-edit', `${shownFile} cannot be changed automatically`, {
    hint: 'Edit it by hand, one `key = value` a line and one [[remotes]] table for each remote.',
  });
}
