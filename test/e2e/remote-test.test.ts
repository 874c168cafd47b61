// Goal: `remote test` correctly reports what a destination allows, and leaves nothing there.
import * as fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSshd } from '../support/sshd.ts';
import { ecsync, makeBench, type Bench } from './support/cli.ts';

interface Ability {
  readonly type: string;
  readonly ability: string;
  readonly allowed: boolean | null;
}

/** `push delta …`: the allowed abilities, with a question mark for untested ones. */
function allowedIn(stdout: string): string {
  const lines = stdout.trimEnd().split('\n');
  const events = lines.map((line) => JSON.parse(line) as Ability);
  return events
    .filter(({ type, allowed }) => type === 'ability' && allowed !== false)
    .map(({ ability, allowed }) => (allowed === null ? `${ability}?` : ability))
    .join(' ');
}

/**
 * Names, kinds and contents below a folder, and the attributes of the folder itself that a push
 * would keep.
 */
function photograph(folder: string): string[] {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();
  const { mode, uid } = fs.statSync(folder);
  return [
    `${mode} ${uid}`,
    ...names.map((name) => {
      const stats = fs.lstatSync(path.join(folder, name));
      return `${name} ${stats.mode} ${stats.isFile() ? fs.readFileSync(path.join(folder, name), 'latin1') : ''}`;
    }),
  ];
}

let bench: Bench;
beforeAll(async () => {
  bench = await makeBench();
});
afterAll(() => bench.remove());

const TEMPORARY = 'gocryptfs.longname.ecsync-tmp.name';
const ALL = 'push delta delete pull';

describe.each([
  ['an empty folder', []],
  ['a folder with unfinished files', [`${TEMPORARY}/unfinished`, 'other/file', 'file']],
])('%s', (_what, files) => {
  test.each([
    ['on this machine', undefined, ALL],
    ['at a plain account', {}, `${ALL} sftp`],
    ['at rrsync', 'rrsync', ALL],
    ['at rrsync -ro', 'rrsync -ro', 'delta? delete? pull'],
    ['at rrsync -wo', 'rrsync -wo', 'push delta delete'],
    ['at rrsync -no-del', 'rrsync -no-del', 'push delta? pull'],
  ] as const)('%s', async (_where, account, expected) => {
    const folder = path.join(bench.dir, 'folder');
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder);
    for (const name of files) {
      fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      fs.writeFileSync(path.join(folder, name), name);
    }
    const before = photograph(folder);
    const forced = typeof account === 'string' ? { forcedCommand: `${account} ${bench.dir}` } : {};
    const sshd = account === undefined ? undefined : await startSshd(forced);
    try {
      const place = typeof account === 'string' ? '/folder' : folder;
      const where = sshd ? `ssh://${sshd.user}@127.0.0.1:${sshd.port}${place}` : place;
      const env = sshd === undefined ? {} : { HOME: sshd.home };
      const result = await ecsync(['remote', 'test', where, '--json'], { env });
      const mayPush = expected.startsWith('push');
      expect(result.code).toBe(mayPush ? 0 : 5);
      expect(result.stderr).toMatch(mayPush ? /^$/ : /a push is not possible: .*read-only/);
      expect(allowedIn(result.stdout)).toBe(expected);
      expect(photograph(folder)).toEqual(before);
    } finally {
      await sshd?.stop();
    }
  });
});

test('a missing folder is not made', async () => {
  const sshd = await startSshd();
  try {
    const folder = path.join(bench.dir, 'not there');
    const where = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${folder.replaceAll(' ', '%20')}`;
    const result = await ecsync(['remote', 'test', where, '--json'], { env: { HOME: sshd.home } });
    expect(allowedIn(result.stdout)).toBe('push delta? delete pull? sftp');
    expect(fs.existsSync(folder)).toBe(false);
  } finally {
    await sshd.stop();
  }
});

test('a missing machine is an error', async () => {
  const result = await ecsync(['remote', 'test', 'ssh://127.0.0.1:1/x']);
  expect(result.code).toBe(30);
});
