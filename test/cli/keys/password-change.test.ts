import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PasswordError } from '../../../src/errors.ts';
import { parseConf } from '../../../src/gocryptfs/conf/config.ts';
import { unlockMasterkey } from '../../../src/gocryptfs/conf/keys.ts';
import { acquireLock } from '../../../src/vault/lock/lock.ts';
import { readVault } from '../../../src/vault/vault.ts';
import { mountStockWith } from '../../support/stock-gocryptfs.ts';
import { buildSources } from '../support/built.ts';
import { Cli, type CliResult } from '../support/cli.ts';

// The password of a vault is changed: what opens it before, after, and when the machine stops
// anywhere in between; and what still opens it when its conf is lost.

let built: string;
let cli: Cli;
let folder: string;
/** Files with the old and the new password. */
let old: string;
let fresh: string;

beforeAll(async () => {
  built = buildSources();
  cli = new Cli(built);
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ecsync-passwd-')));
  old = path.join(folder, 'old');
  fresh = path.join(folder, 'fresh');
  writeFileSync(old, 'old\n', { mode: 0o600 });
  writeFileSync(fresh, 'new\n', { mode: 0o600 });
  const plain = path.join(folder, 'plain');
  const made = await cli.run(['init', plain, '--scryptn', '10', '--passfile', old]);
  expect(made.code).toBe(0);
  const reverse = path.join(folder, 'reverse');
  mkdirSync(reverse);
  const words = ['-init', '-reverse', '-q', '-nosyslog', '-scryptn', '10', '-passfile', old];
  expect(spawnSync('gocryptfs', [...words, reverse]).status).toBe(0);
  expect((await cli.run(['init', reverse, '--layout', 'reverse', '--passfile', old])).code).toBe(0);
  for (const made of [plain, reverse]) writeFileSync(path.join(made, 'file'), 'content\n');
});
afterAll(() => {
  rmSync(built, { recursive: true });
  rmSync(folder, { recursive: true });
});

let count = 0;
let vault: string;
let copy: string;
function useVault(pristine: 'plain' | 'reverse'): void {
  vault = path.join(folder, `vault-${++count}`);
  copy = path.join(folder, `copy-${count}`);
  spawnSync('cp', ['-a', path.join(folder, pristine), vault]);
}
beforeEach(() => useVault('plain'));

const run = (words: readonly string[], more: object = {}): Promise<CliResult> =>
  cli.run(words, { cwd: vault, ...more });
const passwd = (from: string, to: string, more: object = {}): Promise<CliResult> =>
  run(['key', 'passwd', '--scryptn', '10', '--passfile', from, '--new-passfile', to], more);

/** What is read of `file` through stock gocryptfs, mounted with these words. */
async function readByStock(words: readonly string[], name = 'file'): Promise<string> {
  const mountPoint = path.join(folder, `mount-${count}`);
  mkdirSync(mountPoint, { recursive: true });
  const mount = await mountStockWith([...words, mountPoint]);
  try {
    return readFileSync(path.join(mountPoint, name), 'utf8');
  } finally {
    await mount.unmount();
  }
}

/** Which of the two passwords opens the vault. */
async function opening(): Promise<readonly string[]> {
  const conf = parseConf(readVault({ folder: vault }).storedConf.bytes);
  const found: string[] = [];
  for (const password of ['old', 'new']) {
    try {
      await unlockMasterkey(conf, Buffer.from(password));
      found.push(password);
    } catch (error) {
      if (!(error instanceof PasswordError)) throw error;
    }
  }
  return found;
}

describe('key passwd', () => {
  it('changes the password; stock opens the next push with it, and older copies as before', async () => {
    const push = (from: string): Promise<CliResult> => run(['push', copy, '--passfile', from]);
    expect((await push(old)).code).toBe(0);
    const key = await run(['key', 'masterkey', '--passfile', old]);
    const changed = await passwd(old, fresh);
    expect(changed).toMatchObject({ code: 0, stdout: '' });
    expect(changed.stderr).toContain('at the next push');
    expect(changed.stderr).toContain('the old password still opens it');
    expect(await opening()).toEqual(['new']);
    const check = async (from: string): Promise<number | null> => {
      const inCopy = path.join(copy, 'gocryptfs.conf');
      return (await run(['key', 'check', '--conf', inCopy, '--passfile', from])).code;
    };
    expect([await check(old), await check(fresh)]).toEqual([0, 12]);
    expect(await readByStock(['-passfile', old, copy])).toBe('content\n');

    expect((await push(fresh)).code).toBe(0);
    expect([await check(old), await check(fresh)]).toEqual([12, 0]);
    expect(await readByStock(['-passfile', fresh, copy])).toBe('content\n');
    await expect(readByStock(['-passfile', old, copy])).rejects.toThrow('did not mount');
    const after = await run(['key', 'masterkey', '--passfile', fresh]);
    expect(after.stdout).toBe(key.stdout);
  });

  it('changes the conf of gocryptfs -reverse where it is, for stock too', async () => {
    useVault('reverse');
    expect((await passwd(old, fresh)).code).toBe(0);
    expect(readdirSync(vault).sort()).toEqual(['.ecsync', '.gocryptfs.reverse.conf', 'file']);
    const shown = await readByStock(['-reverse', '-passfile', fresh, vault], 'gocryptfs.conf');
    expect(shown).toBe(readFileSync(path.join(vault, '.gocryptfs.reverse.conf'), 'utf8'));
    await expect(readByStock(['-reverse', '-passfile', old, vault])).rejects.toThrow('mount');
  });

  it('raises a low cost of a try to the default, keeps a higher one, or takes what it is told', async () => {
    const words = (from: string, to: string): string[] => [
      ...['key', 'passwd', '--passfile', from, '--new-extpass', `cat '${to}'`],
    ];
    const cost = async (): Promise<string | undefined> =>
      /N = 2\^[0-9]+/.exec((await run(['key', 'info'])).stdout)?.[0];
    expect(await cost()).toBe('N = 2^10');
    expect((await run(words(old, fresh))).code).toBe(0);
    expect(await cost()).toBe('N = 2^16');
    expect((await run([...words(fresh, old), '--scryptn', '17'])).code).toBe(0);
    expect((await run(words(old, fresh))).code).toBe(0);
    expect(await cost()).toBe('N = 2^17');
    expect(await opening()).toEqual(['new']);
  });

  it.each([
    ['no new password', ['--extpass', 'touch asked'], 12, '--new-passfile FILE'],
    ['two new ones', ['--new-passfile', 'a', '--new-extpass', 'b'], 2, 'exclude each other'],
    ['a wrong old one', ['--extpass', 'echo x', '--new-extpass', 'echo y'], 12, 'wrong'],
    ['an empty new one', ['--extpass', 'echo old', '--new-extpass', 'echo'], 12, 'empty'],
    ['a foreign key', ['--masterkey=stdin', '--new-extpass', 'echo y'], 12, 'not the master key'],
  ])('with %s changes nothing', async (_what, options, code, message) => {
    const before = readFileSync(path.join(vault, '.ecsync/config.toml'));
    const result = await run(['key', 'passwd', ...options], { input: 'ab'.repeat(32) });
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(message);
    expect(await opening()).toEqual(['old']);
    expect(existsSync(path.join(vault, 'asked'))).toBe(false);
    expect(readFileSync(path.join(vault, '.ecsync/config.toml'))).toEqual(before);
  });

  it('respects a lock', async () => {
    const lock = acquireLock(path.join(vault, '.ecsync/lock'));
    const result = await passwd(old, fresh);
    lock.release();
    expect(result.code).toBe(11);
    expect(await opening()).toEqual(['old']);
  });

  it('asks for the old one once and for the new one twice on a terminal', async () => {
    const answers = [
      { after: 'Current password', type: 'old\r' },
      { after: 'New password', type: 'new\r' },
      { after: 'same again', type: 'new\r' },
    ];
    const result = await cli.onTerminal(['key', 'passwd'], answers, { cwd: vault });
    expect(result.code).toBe(0);
    expect(await opening()).toEqual(['new']);
  });
});

describe('a change of the password that is cut off', () => {
  const crash = pathToFileURL(path.resolve('test/support/crash-at.mjs')).href;

  it.each(['plain', 'reverse'] as const)(
    'at any change of a file leaves a vault that opens (%s)',
    async (pristine) => {
      const seen: string[] = [];
      for (let step = 1; ; step++) {
        useVault(pristine);
        const env = { NODE_OPTIONS: `--import ${crash}`, CRASH_AT: String(step) };
        const { signal, code } = await passwd(old, fresh, { env });
        const found = await opening();
        expect(found, `step ${step}`).toHaveLength(1);
        if (signal === null) {
          expect({ code, found }).toEqual({ code: 0, found: ['new'] });
          break;
        }
        seen.push(...found);
        // The next change finishes what was begun, and clears away what was left.
        const from = found[0] === 'old' ? old : fresh;
        expect((await passwd(from, fresh)).code, `after step ${step}`).toBe(0);
        expect(await opening()).toEqual(['new']);
        const left = [...readdirSync(vault), ...readdirSync(path.join(vault, '.ecsync'))];
        const stray = left.filter((name) => /\.(?:tmp|new)$/.test(name) && !/lock/.test(name));
        expect(stray, `after step ${step}`).toEqual([]);
        rmSync(vault, { recursive: true });
      }
      // Both halves were met, and the change came once.
      expect(seen.join(' ')).toMatch(/^(?:old )+(?:new ?)+$/);
      expect(seen.length).toBeGreaterThan(12);
    },
    180_000,
  );

  it('is finished by the next push', async () => {
    const conf = path.join(vault, '.ecsync/gocryptfs.conf');
    const before = readFileSync(conf);
    await passwd(old, fresh);
    renameSync(conf, `${conf}.new`);
    writeFileSync(conf, before, { mode: 0o400 });
    expect(await opening()).toEqual(['new']);
    expect((await run(['push', copy, '--passfile', fresh])).code).toBe(0);
    expect(readFileSync(conf)).not.toEqual(before);
    expect(existsSync(`${conf}.new`)).toBe(false);
    expect(readFileSync(path.join(copy, 'gocryptfs.conf'))).toEqual(readFileSync(conf));
  });
});

describe('a vault whose conf is lost', () => {
  let key: string;
  beforeEach(async () => {
    key = (await run(['key', 'masterkey', '--passfile', old])).stdout;
    rmSync(path.join(vault, '.ecsync/gocryptfs.conf'));
  });
  const withKey = (words: readonly string[]): Promise<CliResult> =>
    run([...words, '--masterkey=stdin'], { input: key });

  it('works for what needs none', async () => {
    expect((await withKey(['key', 'paper'])).stdout).toContain(key.slice(0, 36));
    expect((await withKey(['key', 'masterkey'])).stdout).toBe(key);
    expect((await withKey(['key', 'check'])).stdout).toMatch(/^yes/);
    expect((await run(['key', 'info'])).stdout).toContain('is missing');
    expect((await run(['remote', 'list'])).code).toBe(0);
    const { stdout } = await withKey(['name', 'encode', 'file']);
    expect((await withKey(['name', 'decode', `./${stdout}`.trimEnd()])).stdout).toBe('file\n');
  });

  it.each([
    [['push', 'host:p', '--masterkey=stdin'], 'key passwd --masterkey=stdin'],
    [['key', 'paper', '--extpass', 'touch asked'], '--masterkey=stdin'],
    [['key', 'check', '--extpass', 'echo old'], 'check the recovery key'],
    [['key', 'passwd', '--extpass', 'echo old', '--new-extpass', 'echo x'], '--masterkey=stdin'],
  ])('says so where it is needed: %j', async (words, hint) => {
    const result = await run(words, { input: key });
    expect(result.code).toBe(10);
    expect(result.stderr).toContain('gocryptfs.conf is missing');
    expect(result.stderr).toContain(hint);
    expect(existsSync(path.join(vault, 'asked'))).toBe(false);
  });

  it('gets a new one from the recovery key', async () => {
    const options = ['--new-passfile', fresh, '--scryptn', '10'];
    expect((await withKey(['key', 'passwd', ...options])).code).toBe(0);
    expect(await opening()).toEqual(['new']);
    expect((await run(['push', copy, '--passfile', fresh])).code).toBe(0);
    expect(await readByStock(['-passfile', fresh, copy])).toBe('content\n');
  });
});

describe('key check', () => {
  it('says yes and no', async () => {
    const key = (await run(['key', 'masterkey', '--passfile', old])).stdout;
    const check = (options: readonly string[], input = ''): Promise<CliResult> =>
      run(['key', 'check', ...options], { input });
    expect(await check(['--masterkey=stdin'], key)).toMatchObject({ code: 0, stderr: '' });
    const foreign = await check(['--masterkey=stdin'], 'ab'.repeat(32));
    expect(foreign).toMatchObject({ code: 12, stdout: 'no\n' });
    expect(foreign.stderr).toContain('not the master key of this vault');
    expect(await check(['--passfile', old])).toMatchObject({ code: 0 });
    expect(await check(['--passfile', fresh])).toMatchObject({ code: 12, stdout: 'no\n' });
    expect((await check(['--extpass', `echo ${key}`])).stdout).toContain('this master key');
    const json = await check(['--passfile', old, '--json']);
    expect(json.stdout.split('\n')[0]).toBe('{"type":"check","opens":true,"kind":"password"}');
    expect((await check(['--conf', 'x', '--masterkey=stdin'], key)).code).toBe(2);
    const tried = await check(['--conf', '.ecsync/gocryptfs.conf', '--passfile', fresh]);
    expect(tried.stderr).toContain('.ecsync/gocryptfs.conf');
    expect((await check(['--conf', 'x', '--passfile', old])).stderr).toContain('does not exist');
    // Where there is no vault, and in another one.
    const outside = mkdtempSync(path.join(os.tmpdir(), 'ecsync-outside-'));
    const conf = path.join(vault, '.ecsync/gocryptfs.conf');
    const there = (file: string): Promise<CliResult> =>
      cli.run(['key', 'check', '--conf', conf, '--passfile', file], { cwd: outside });
    expect(await there(old)).toMatchObject({
      code: 0,
      stdout: `yes: this password opens ${conf}\n`,
    });
    expect((await there(fresh)).code).toBe(12);
    await cli.run(['init', '--scryptn', '10', '--passfile', fresh, outside]);
    const other = await there(old);
    expect(other.code).toBe(0);
    expect(other.stderr).toContain('another vault');
    rmSync(outside, { recursive: true });
  });

  it('takes both lines of a recovery sheet on a terminal', async () => {
    const key = (await run(['key', 'masterkey', '--passfile', old])).stdout.trimEnd();
    const answers = [
      { after: 'Recovery key or password', type: `${key.slice(0, 36)}\r` },
      { after: 'second line', type: `${key.slice(36)}\r` },
    ];
    const result = await cli.onTerminal(['key', 'check'], answers, { cwd: vault });
    expect(result.code).toBe(0);
    expect(result.stdout).toContain('yes: this master key');
    expect(result.stdout).not.toContain(key.slice(36));
  });

  it.each([
    ['at once', '\u0004'],
    ['after a letter', 'p\u0004'],
  ])('Ctrl-D %s ends a question as Ctrl-C does', async (_, type) => {
    const answers = [{ after: 'Recovery key or password', type }];
    const result = await cli.onTerminal(['key', 'check'], answers, { cwd: vault });
    expect(result.code).toBe(130);
    expect(result.stdout).toContain('ecsync: interrupted');
    expect(result.stdout).toContain('\u001b[?25h'); // the cursor is shown again
  });
});
