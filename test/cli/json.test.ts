import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildSources } from './support/built.ts';
import { Cli } from './support/cli.ts';

// docs/json.md says what `--json` prints: the real output of the commands has the types and fields it lists.

let built: string;
let cli: Cli;
let dir: string;
let source: string;
const at = (name: string): string => path.join(dir, name);

beforeAll(() => {
  built = buildSources();
  cli = new Cli(built);
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-json-'));
  source = at('source');
  mkdirSync(at('state'));
  writeFileSync(at('pw'), 'secret\n', { mode: 0o600 });
});
afterAll(() => {
  for (const folder of [dir, built]) rmSync(folder, { recursive: true, force: true });
});

/** The fields of each type; with `...` there may be others. */
function readDocument(): ReadonlyMap<string, readonly string[]> {
  const text = readFileSync(new URL('../../docs/json.md', import.meta.url), 'utf8');
  const [, ...sections] = text.split(/^## /m);
  return new Map(
    sections.map((section) => {
      const [title = ''] = section.split('\n', 1);
      return [title, [...section.matchAll(/^- `([^`]+)`/gm)].flatMap(([, name]) => name ?? [])];
    }),
  );
}

/** What is wrong with a line, if anything is. */
function faultOf(
  line: Readonly<Record<string, unknown>>,
  types: ReadonlyMap<string, readonly string[]>,
): string | undefined {
  const { type, ...rest } = line;
  const fields = types.get(String(type));
  if (fields === undefined) return `unknown type ${String(type)}`;
  const missing = fields.find((name) => !/\?$|^\.\.\.$/.test(name) && !(name in rest));
  if (missing !== undefined) return `${String(type)} without ${missing}`;
  const known = new Set(fields.map((name) => name.replace('?', '')));
  const other = Object.keys(rest).find((key) => !known.has(key.replace(/Base64$/, '')));
  return other === undefined || known.has('...') ? undefined : `${String(type)} with ${other}`;
}

it('is what docs/json.md says', { timeout: 300_000 }, async () => {
  const types = readDocument();
  const seen = new Set<string>();
  const run = async (...words: string[]): Promise<void> => {
    const { stdout } = await cli.run(words.includes('--json') ? words : [...words, '--json'], {
      env: { XDG_STATE_HOME: at('state') },
    });
    const lines = stdout.trimEnd().split('\n');
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.at(-1)).toMatchObject({ type: 'summary' });
    for (const event of events) {
      expect({ words, fault: faultOf(event, types) }).toEqual({ words, fault: undefined });
      seen.add(String(event['type']));
    }
  };
  const inVault = (...words: string[]): Promise<void> => run(...words, '-C', source);
  const keyed = (...words: string[]): Promise<void> => inVault(...words, '--passfile', at('pw'));

  await run('init', source, '--scryptn', '10', '--passfile', at('pw'));
  writeFileSync(path.join(source, 'file'), 'content');
  writeFileSync(Buffer.concat([Buffer.from(`${source}/`), Buffer.from('odd \xff', 'latin1')]), '');
  await inVault('remote', 'add', 'home', at('copy'));
  await inVault('remote', 'list');
  await keyed('push', '-i', '--progress', '--top', '2');
  writeFileSync(path.join(source, 'new'), 'not pushed yet');
  await keyed('verify');
  await keyed('plan');
  await keyed('push', '--all');
  for (const words of [
    ['ls', '-l'],
    ['find', 'f*'],
    ['cat', 'file'],
    ['cat', 'nothing'],
    ['fsck'],
  ]) {
    await keyed(...words);
  }
  mkdirSync(at('copy/unencrypted name'));
  await keyed('fsck');
  await keyed('restore', '-i', '--to', at('restored'));
  await run('clone', at('copy'), at('clone'), '--passfile', at('pw'));
  for (const words of [['status'], ['log'], ['doctor', '--offline'], ['key', 'info']]) {
    await inVault(...words);
  }
  for (const words of [['paper'], ['masterkey'], ['check']]) await keyed('key', ...words);
  await keyed('name', 'encode', 'file');
  appendFileSync(path.join(source, '.ecsync/config.toml'), '\n[push]\nchecksum = false\n');
  for (const words of [
    ['config', 'show'],
    ['config', 'path'],
    ['remote', 'test'],
  ]) {
    await inVault(...words);
  }
  const print = ['schedule', 'install', '--print', '--platform', 'cron', '--json'];
  await run('-C', source, ...print, '--', '--passfile', at('pw'));
  writeFileSync(path.join(source, '.ecsync/lock'), '{"id":"ab","pid":0,"host":"h","since":"then"}');
  await inVault('status');
  await inVault('unlock');
  for (const words of [['completion', 'bash'], ['--version'], ['push', '--help'], ['push']]) {
    await run(...words);
  }
  await run('init', at('gone'), '--scryptn', '10', '--passfile', at('pw'));
  rmSync(at('gone'), { recursive: true });
  await run('status', '--all-vaults');
  const elsewhere = ['authorized-key', 'detail', 'schedule', 'schedule-test', 'warning'];
  const unseen = [...types.keys()].filter((type) => !seen.has(type) && !elsewhere.includes(type));
  expect(unseen).toEqual([]);
});
