import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildSources } from '../support/built.ts';
import { Cli, type CliResult } from '../support/cli.ts';

// Who says what a push does, which of them counts, and the limit of deletions that nobody has to set.

let built: string;
let cli: Cli;
let dir: string;
let source: string;
let plainConfig: string;

const vaultConfig = (): string => path.join(source, '.ecsync/config.toml');
const machineConfig = (): string => path.join(dir, 'xdg/ecsync/config.toml');

beforeAll(async () => {
  built = buildSources();
  cli = new Cli(built);
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-config-'));
  source = path.join(dir, 'source');
  writeFileSync(path.join(dir, 'pw'), 'secret\n', { mode: 0o600 });
  mkdirSync(path.dirname(machineConfig()), { recursive: true });
  await run(['init', source, '--scryptn', '10', '--passfile', path.join(dir, 'pw')]);
  await run(['remote', 'add', 'home', path.join(dir, 'copy'), '-C', source]);
  plainConfig = readFileSync(vaultConfig(), 'utf8');
});
afterAll(() => {
  for (const folder of [dir, built]) rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  writeFileSync(vaultConfig(), plainConfig);
  rmSync(machineConfig(), { force: true });
});

function run(words: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  return cli.run(words, { env: { XDG_CONFIG_HOME: path.join(dir, 'xdg'), ...env } });
}

function push(words: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  return run(['push', '-C', source, '--passfile', path.join(dir, 'pw'), ...words], env);
}

interface Setting {
  readonly key: string;
  readonly value: unknown;
  readonly from: string;
}

async function settings(env: Record<string, string> = {}): Promise<readonly Setting[]> {
  const { stdout } = await run(['config', 'show', '-C', source, '--json'], env);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Setting & { type: string })
    .filter(({ type }) => type === 'setting');
}

describe('settings of a push', () => {
  it('count in their order: environment, remote, vault, machine', async () => {
    const delay = async (env: Record<string, string> = {}): Promise<unknown> =>
      (await settings(env)).find(({ key }) => key === 'push.timeout')?.value;
    expect(await delay()).toBeUndefined();
    writeFileSync(machineConfig(), '[push]\ntimeout = 1\n');
    expect(await delay()).toBe(1);
    writeFileSync(vaultConfig(), `${plainConfig}\n[push]\ntimeout = 2\n`);
    expect(await delay()).toBe(2);
    writeFileSync(
      vaultConfig(),
      `${plainConfig}[remotes.push]\ntimeout = 3\n[push]\ntimeout = 2\n`,
    );
    expect(await delay()).toBe(3);
    expect(await delay({ ECSYNC_TIMEOUT: '4' })).toBe('4');
  });

  it('are taken back on the command line, and rules of all count', async () => {
    writeFileSync(machineConfig(), '[push]\npresets = ["os"]\n');
    writeFileSync(vaultConfig(), `${plainConfig}\n[push]\nexclude = "*.tmp"\nmin_size = 1\n`);
    for (const name of ['a', 'a.tmp', 'keep.tmp', '.DS_Store', 'b.bak', 'empty']) {
      writeFileSync(path.join(source, name), name === 'empty' ? '' : name);
    }
    const listed = async (words: readonly string[]): Promise<readonly string[]> => {
      const { stdout } = await push(['-n', '-v', ...words], { ECSYNC_EXCLUDE: '*.bak\nzzz' });
      return stdout
        .trim()
        .split('\n')
        .filter((line) => !line.endsWith('/'))
        .sort();
    };
    expect(await listed([])).toEqual(['a']);
    expect(await listed(['--include', 'keep.tmp', '--min-size', '0'])).toEqual([
      'a',
      'empty',
      'keep.tmp',
    ]);
  });

  it.each([
    ['[push]\nexclud = "x"', 'Did you mean exclude?'],
    ['[push]\nbwlimit = "fast"', 'a rate of 1K or more'],
    ['[push]\nmax_time = "1"', 'a time such as'],
    ['[push]\npresets = "oss"', 'Did you mean os?'],
    ['[push]\nfilter = "x y z"', 'Use include, exclude'],
  ])('are refused by `config check` and by a push: %j', async (text, hint) => {
    writeFileSync(vaultConfig(), `${plainConfig}\n${text}\n`);
    for (const result of [await run(['config', 'check', '-C', source]), await push(['-n'])]) {
      expect(result.code).toBe(2);
      expect(result.stderr).toContain(hint);
    }
  });

  it('name a remote whose URL is invalid, and leave the others alone', async () => {
    // A backslash in double quotes is an escape: this is a tab and a newline.
    const bad = '[[remotes]]\nname = "usb"\nurl = "E:\\temp\\new"\n';
    writeFileSync(vaultConfig(), `${plainConfig}\n${bad}`);
    const check = await run(['config', 'check', '-C', source]);
    expect([check.code, check.stderr]).toEqual([2, expect.stringContaining("remote 'usb': ")]);
    expect((await push(['home', '-n'])).code).toBe(0);
    const named = await push(['usb', '-n']);
    expect([named.code, named.stderr]).toEqual([2, expect.stringContaining("remote 'usb': ")]);
    const status = await run(['status', '-C', source]);
    expect([status.code, status.stderr]).toEqual([4, expect.stringContaining("remote 'usb': ")]);
    expect(status.stdout).toContain('home  ');
    const doctor = await run(['doctor', '-C', source]);
    expect(doctor.stdout + doctor.stderr).toContain("remote 'usb': ");
  });

  it('are those of the remote that is named, also where another has its address', async () => {
    const copy = path.join(dir, 'copy');
    const add = (...words: readonly string[]): Promise<CliResult> =>
      run(['remote', 'add', ...words, '-C', source]);
    expect((await add('kept', copy)).code).toBe(0);
    const added = readFileSync(vaultConfig(), 'utf8');
    writeFileSync(vaultConfig(), `${added}[remotes.push]\nappend_only = true\n`);
    expect((await push(['home', '-n', '--delete'])).code).toBe(0);
    const named = await push(['kept', '-n', '--delete']);
    expect([named.code, named.stderr]).toEqual([2, expect.stringContaining('--append-only')]);
    const { stdout } = await push(['--all', '-n', '--json', '--delete']);
    const ends = stdout.split('\n').flatMap((line) => {
      const event = JSON.parse(line || '{}') as {
        type?: string;
        remote?: string;
        exitCode?: number;
      };
      return event.type === 'push' ? [[event.remote, event.exitCode]] : [];
    });
    expect(ends).toEqual([
      ['home', 0],
      ['kept', 2],
    ]);
    const mirror = await add('mirror', copy, '--no-encrypt');
    expect([mirror.code, mirror.stderr]).toEqual([2, expect.stringContaining("as 'home'")]);
  });

  it('can be looked at without a vault', async () => {
    writeFileSync(machineConfig(), '[push]\nretries = 3\n');
    expect((await run(['config', 'check', '-C', dir])).code).toBe(0);
    expect((await run(['config', 'path', '-C', dir])).stdout.trim()).toBe(machineConfig());
    writeFileSync(machineConfig(), '[push]\nretries = 1000\n');
    expect((await run(['config', 'check', '-C', dir])).code).toBe(2);
  });
});

describe('the limit of deletions that nobody has to set', () => {
  const many = (): string => path.join(source, 'many');
  const fill = (count: number): void => {
    rmSync(many(), { recursive: true, force: true });
    mkdirSync(many());
    for (let i = 0; i < count; i++) writeFileSync(path.join(many(), `f${i}`), String(i));
  };

  it('lets a few dozens go, stops a tenth, and 100% lifts it', async () => {
    fill(300);
    expect((await push(['--delete'])).code).toBe(0);
    fill(260);
    expect((await push(['--delete'])).code).toBe(0);
    fill(160);
    const stopped = await push(['--delete']);
    expect(stopped.code).toBe(25);
    expect(stopped.stderr).toContain('100 objects would go, more than 10% of the copy');
    expect((await push(['--delete', '--max-delete', '30%'])).code).toBe(25);
    expect((await push(['--delete', '--max-delete', '100%'])).code).toBe(0);
  });

  it('counts what a push without --delete has left there, and what a rule no longer keeps', async () => {
    fill(200);
    await push([]);
    fill(100);
    await push([]);
    expect((await push(['--delete'])).code).toBe(25);
    expect((await push(['--delete', '--max-delete', '100'])).code).toBe(0);
    fill(200);
    await push(['--delete']);
    expect((await push(['--delete', '--exclude', '/many/f1*'])).code).toBe(0);
    for (let i = 100; i < 200; i++) rmSync(path.join(many(), `f${i}`));
    const stopped = await push(['--delete']);
    expect(stopped.code).toBe(25);
  });
});

describe('a vault of another user', () => {
  const NOBODY = 65534;

  // As in git's CVE-2022-24765.
  it('no command runs the programs of a vault that another user put above the current folder', async () => {
    const parent = path.join(dir, 'parent');
    const vaultDir = path.join(parent, '.ecsync');
    const below = path.join(parent, 'mine');
    const ran = path.join(dir, 'ran');
    for (const folder of [vaultDir, below]) mkdirSync(folder, { recursive: true });
    const run = `["sh", "-c", "touch ${ran}; echo pw"]`;
    const config = [
      `version = 1\nconf_sha256 = "${'a'.repeat(64)}"\nkey_check = "${'b'.repeat(32)}"`,
      'flags = ["HKDF", "GCMIV128", "DirIV", "EMENames", "LongNames", "Raw64"]',
      `[password]\ncommand = ${run}\n[hooks]\nbefore = ${run}\nafter = ${run}`,
      `[push]\nrsh = "touch ${ran}"\n[[remotes]]\nname = "a"\nurl = "host:copy"\n`,
    ];
    writeFileSync(path.join(vaultDir, 'config.toml'), config.join('\n'));
    const conf = { Creator: 'x', EncryptedKey: '', ScryptObject: {}, Version: 2, FeatureFlags: [] };
    writeFileSync(path.join(vaultDir, 'gocryptfs.conf'), JSON.stringify(conf));
    for (const name of ['', 'config.toml', 'gocryptfs.conf']) {
      chownSync(path.join(vaultDir, name), NOBODY, NOBODY);
    }
    const commands = [
      ...[['ls'], ['push'], ['key', 'check'], ['key', 'info'], ['status'], ['log'], ['plan']],
      ...[
        ['remote', 'list'],
        ['remote', 'test'],
        ['verify'],
        ['config', 'show'],
        ['config', 'path'],
      ],
      ...[['schedule', 'show'], ['schedule', 'run'], ['name', 'encode', 'x'], ['unlock']],
    ];
    for (const words of commands) {
      const { code, stderr } = await cli.run(words, { cwd: below });
      expect([words, code, stderr]).toEqual([
        words,
        10,
        expect.stringContaining(`${vaultDir} belongs to another user (uid ${NOBODY})`) as string,
      ]);
    }
    const named = await cli.run(['ls', '-C', parent]);
    expect([named.code, named.stderr]).toEqual([
      10,
      expect.stringContaining('[password] command') as string,
    ]);
    expect(existsSync(ran)).toBe(false);
  });
});
