import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import { acquireLock } from '../../src/vault/lock/lock.ts';
import { buildSources } from './support/built.ts';
import { Cli, type CliResult } from './support/cli.ts';

// The command line as a person or a scheduler meets it: exit codes, messages, remedies, and where
// the password does not appear.

const PASSWORD = 'correct horse battery staple';
const MASTERKEY_LINE = /^[0-9a-f]{8}(?:-[0-9a-f]{8}){7}$/;

let built: string;
let cli: Cli;
let folder: string;
let passfile: string;
let vault: string;
/** A vault as `init` made it, copied for each test. */
let pristine: string;

beforeAll(async () => {
  built = buildSources();
  cli = new Cli(built);
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ecsync-cli-')));
  passfile = path.join(folder, 'passfile');
  writeFileSync(passfile, `${PASSWORD}\n`, { mode: 0o600 });
  pristine = path.join(folder, 'pristine');
  const made = await cli.run(['init', pristine, '--scryptn', '10', '--passfile', passfile]);
  expect(made).toMatchObject({ code: 0, stdout: '' });
  expect(made.stderr).toContain(`made the folder ${pristine}, which was not there`);
  expect(made.stderr).toContain(`made the vault ${pristine}/.ecsync`);
  expect(made.stderr).toContain('ecsync key paper');
});
afterAll(() => {
  rmSync(built, { recursive: true });
  rmSync(folder, { recursive: true });
});

let count = 0;
beforeEach(() => {
  vault = path.join(folder, `vault-${++count}`);
  spawnSync('cp', ['-a', pristine, vault]);
});

it('without a vault, a missing password is not looked for in one', async () => {
  const { code, stderr } = await cli.run(['init', path.join(folder, 'none')]);
  expect(code).toBe(12);
  expect(stderr).toContain('no password is given and there is no terminal');
  expect(stderr).not.toMatch(/key remember|config\.toml/);
});

const inVault = (words: readonly string[], more: object = {}): Promise<CliResult> =>
  cli.run(words, { cwd: vault, ...more });

const withKey = (words: readonly string[], more: object = {}): Promise<CliResult> =>
  inVault([...words, '--passfile', passfile], more);

const config = (): string => path.join(vault, '.ecsync/config.toml');

/** The last line of `--json`. */
function summary(result: CliResult): Record<string, unknown> {
  const value: unknown = JSON.parse(result.stdout.trimEnd().split('\n').at(-1) ?? '');
  expect(value).toMatchObject({ type: 'summary', exitCode: result.code });
  expect(value).toHaveProperty('warnings');
  return Object.fromEntries(Object.entries(value as object));
}

describe('a command line that cannot be meant', () => {
  it.each([
    [[], 'no command was given', 'ecsync help'],
    [['psuh'], "unknown command 'psuh'", 'Did you mean push?'],
    [['remote', 'ad', 'x', 'y'], "unknown command 'ad'", 'Did you mean add?'],
    [['name', 'decode', '-d6B3x'], "unknown option '-d6B3x'", 'behind --'],
    [['push', '--exclud', 'x'], "unknown option '--exclud'", 'Did you mean --exclude?'],
    [['push', '-B', '1'], "argument '1' is invalid", '700 to 131072'],
    [['push', '-B', '1G'], 'such as 4128 or 32K', 'ecsync help push'],
    [['push', '--timeout', 'soon'], 'from 0 to 86400', 'ecsync help push'],
    [['push', '--max-delete', '-1'], 'whole number', 'ecsync help push'],
    [['push', '--protocol', '28'], '27, 29, 30, 31 or 32', 'ecsync help push'],
    [['push', '--max-changed', '101%'], 'whole number', 'ecsync help push'],
    [['push', '--max-bytes', '0'], 'more than nothing', 'ecsync help push'],
    [['push', '--top', '1001'], 'from 0 to 1000', 'ecsync help push'],
    [['push', '--snapshot'], 'not in this release', 'help push'],
    [['init', '--layout', 'x'], "there is no layout 'x'", 'gcm'],
    [['init', 'new', '--longnamemax', '61'], 'from 62 to 255', 'help init'],
    [['init', 'new', '--plaintextnames', '--deterministic-names'], 'exclude each other', 'Leave'],
    [['init', 'new', '--plaintextnames', '--longnamemax', '100'], 'exclude each other', 'Leave'],
    [['init', '--scryptn', '9'], 'from 10 to 22', 'help init'],
    [['restore'], "required option '--to <dir>' not specified", 'help restore'],
    [['restore', '../x', '--to', 'x', '--from', './x'], 'outside the', 'its top'],
    [['clone', 'nowhere', 'x'], "'nowhere' is not a destination", 'user@host:path'],
    [['clone', '-n', './copy', 'x'], 'a clone has no dry run', 'ecsync restore -n'],
    [['remote', 'add', 'x'], "missing required argument 'url'", 'help remote add'],
    [['remote', 'list', 'x'], 'too many arguments', 'help remote list'],
    [['help', 'nothing'], "no help about 'nothing'", 'ecsync help'],
    [['-C', '/nonexistent', 'push'], '/nonexistent is not a folder', 'existing folder'],
  ])('%j ends with 2, the reason and a remedy', async (words, message, hint) => {
    const result = await inVault(words);
    expect(result.code).toBe(2);
    expect(result.stdout).toBe('');
    expect(result.stderr).toContain(message);
    expect(result.stderr).toContain(hint);
    expect(result.stderr).not.toMatch(/^\s+at /m);
  });

  it('is shown escaped', async () => {
    const result = await inVault(['push', '--\u001b[31m']);
    expect(result.stderr).toContain("'--\\033[31m'");
  });

  it('never repeats a master key that was given as an option', async () => {
    const key = 'deadbeef'.repeat(8);
    const result = await inVault(['key', 'paper', '--masterkey', key, '--json']);
    expect(result.code).toBe(2);
    expect(result.stdout + result.stderr).not.toContain(key);
    expect(summary(result)['error']).toMatchObject({ code: 'masterkey-on-command-line' });
  });
});

describe('a push that cannot start', () => {
  it('says that there is no vault', async () => {
    const result = await cli.run(['push'], { cwd: folder });
    expect(result).toMatchObject({
      code: 10,
      stdout: '',
      stderr: `ecsync: no vault here: ${folder}\nhint: Make one with \`ecsync init\`, or name one with -C DIR.\n`,
    });
  });

  it.each([
    [['push'], 'no-remote', 'remote add'],
    [['push', 'nowhere'], 'no-remote', 'remote add'],
    [['push', '-n', 'host:'], 'destination-invalid', 'user@host:path'],
    [['push', 'ftp://host/x'], 'destination-invalid', 'user@host:path'],
    [['push', 'e:x'], 'destination-invalid', 'ssh://e/path'],
    [['push', 'host::module/a*b'], 'destination-unsupported', 'over ssh'],
    [['push', './inside'], 'destination-overlaps', 'push REMOTE PATH'],
    [['push', '..'], 'destination-overlaps', 'elsewhere'],
    [['push', 'host:p', '..'], 'path-outside', 'inside'],
    [['push', 'host:p', '/etc'], 'path-missing', 'its top'],
    [['push', 'host:p', 'missing'], 'path-missing', '-C DIR'],
    [['push', 'host:p', '*.nothing'], 'path-missing', '-C DIR'],
    [['push', 'host:p', '--filter', '? x'], 'filter-unsupported', ''],
    [['push', 'host:p', '--filter', 'P x', '--delete'], 'filter-unsupported', 'without it'],
    [['push', 'host:p', '--filter', 'P x', '--delete-excluded'], 'filter-unsupported', 'without'],
    [['push', 'host:p', '--exclude-from', '/nonexistent'], 'filter-file-unreadable', ''],
  ])('%j: %s, before anybody is asked for a password', async (words, code, hint) => {
    const result = await inVault([...words, '--json', '--extpass', 'touch asked']);
    expect(result.code).toBe(2);
    expect(summary(result)['error']).toMatchObject({ code });
    expect(result.stderr).toContain(hint);
    expect(existsSync(path.join(vault, 'asked'))).toBe(false);
    expect(existsSync(path.join(vault, '.ecsync/lock'))).toBe(false);
  });

  it('explains how to push a single path', async () => {
    writeFileSync(path.join(vault, 'file'), '');
    await inVault(['remote', 'add', 'usb', '/mnt/usb']);
    const result = await inVault(['push', 'file']);
    expect(result.stderr).toContain('ecsync push usb file');
  });

  it('respects a lock and recovers a stale one', async () => {
    const lock = acquireLock(path.join(vault, '.ecsync/lock'));
    const locked = await withKey(['push', 'host:p', '--json']);
    lock.release();
    expect(locked.code).toBe(11);
    expect(locked.stderr).toContain(`process ${process.pid} since `);
    expect(summary(locked)['error']).toMatchObject({ code: 'locked' });

    writeFileSync(path.join(vault, '.ecsync/lock'), '{"id":"ab","pid":0}\n');
    const free = await inVault(['push', 'host:p', '--passfile', '/nonexistent']);
    expect(free.code).toBe(12);
    expect(existsSync(path.join(vault, '.ecsync/lock'))).toBe(false);
  });

  it('suggests the key that was meant in a config file', async () => {
    appendFileSync(config(), '[pasword]\nfile = "x"\n');
    const result = await inVault(['push', '--json']);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(`${config()}: unknown key 'pasword'`);
    expect(result.stderr).toContain('hint: Did you mean password?');
    expect(summary(result)['error']).toMatchObject({ code: 'config-unknown-key' });
  });

  it('refuses a conf that was changed', async () => {
    const conf = path.join(vault, '.ecsync/gocryptfs.conf');
    chmodSync(conf, 0o600);
    writeFileSync(conf, readFileSync(conf, 'utf8').replace('"DirIV"', '"PlaintextNames"'));
    const result = await withKey(['push', 'host:p']);
    expect(result.code).toBe(10);
    expect(result.stderr).toContain('conf_sha256');
  });
});

describe('a password', () => {
  it.each([
    ['is missing', [], 'there is no terminal'],
    [
      'is in a file that is not there',
      ['--passfile', '/nonexistent'],
      '/nonexistent does not exist',
    ],
    ['comes from a command that fails', ['--extpass', 'false'], 'false ended with 1'],
    ['is wrong', ['--extpass', 'echo wrong'], 'the password is wrong'],
    ['is a master key that is not one', ['--masterkey=stdin'], 'standard input'],
  ])('that %s ends with 12', async (_what, options, message) => {
    const result = await inVault(['key', 'masterkey', ...options]);
    expect(result).toMatchObject({ code: 12, stdout: '' });
    expect(result.stderr).toContain(message);
  });

  it('of another vault is refused even as a master key', async () => {
    const result = await inVault(['key', 'paper', '--masterkey=stdin'], { input: 'ab'.repeat(32) });
    expect(result.code).toBe(12);
    expect(result.stderr).toContain('not the master key of this vault');
  });

  it('opens the vault from every source', async () => {
    const key = (await withKey(['key', 'masterkey'])).stdout;
    expect(key.trimEnd()).toMatch(MASTERKEY_LINE);
    const opened = await Promise.all([
      inVault(['key', 'masterkey', '--extpass', `cat '${passfile}'`]),
      inVault(['key', 'masterkey', '--masterkey=stdin'], { input: key }),
      inVault(['key', 'masterkey'], { env: { ECSYNC_PASSWORD_FILE: passfile } }),
      inVault(['key', 'masterkey'], { env: { ECSYNC_PASSWORD_COMMAND: `cat ${passfile}` } }),
      inVault(['key', 'masterkey'], { env: { ECSYNC_PASSWORD: PASSWORD } }),
    ]);
    expect(opened).toMatchObject(opened.map(() => ({ code: 0, stdout: key, stderr: '' })));
    appendFileSync(config(), `[password]\nfile = "${passfile}"\n`);
    expect((await inVault(['key', 'masterkey'])).stdout).toBe(key);
  });

  it('is in no argument, no child’s environment, no output and no file', async () => {
    const seen = path.join(folder, 'seen');
    const spy = `tr '\\0' '\\n' </proc/*/cmdline 2>/dev/null | cat - >'${seen}'; cat /proc/*/cmdline /proc/self/environ >>'${seen}'; cat '${passfile}'`;
    const results = [
      await inVault(['key', 'info', '-v'], { env: { ECSYNC_PASSWORD: PASSWORD }, alone: true }),
      await inVault(['key', 'paper', '--extpass', `sh -c "${spy}"`, '--json'], {
        env: { ECSYNC_PASSWORD: PASSWORD, ECSYNC_DEBUG: '1' },
        alone: true,
      }),
      await inVault(['push', 'host:p'], {
        env: { ECSYNC_PASSWORD: `${PASSWORD}x`, ECSYNC_DEBUG: '1' },
        alone: true,
      }),
    ];
    expect(results.map(({ code }) => code)).toEqual([0, 0, 12]);
    const everything = results.map(({ stdout, stderr }) => stdout + stderr).join();
    const written = spawnSync('grep', ['-rlF', PASSWORD, vault], { encoding: 'utf8' }).stdout;
    expect(readFileSync(seen, 'utf8')).toContain('main.js');
    for (const text of [everything, readFileSync(seen, 'utf8')])
      expect(text).not.toContain(PASSWORD);
    expect(written).toBe('');
  });

  it('is asked for on a terminal, without echo', async () => {
    const answers = [{ after: 'Password', type: `${PASSWORD}\r` }];
    const result = await cli.onTerminal(['key', 'masterkey'], answers, { cwd: vault });
    expect(result.code).toBe(0);
    const key = (await withKey(['key', 'masterkey'])).stdout.trimEnd();
    expect(result.stdout).toContain(key);
    expect(result.stdout).toContain('Password of the vault');
    expect(result.stdout).not.toContain(PASSWORD);
  });

  it('is asked for twice when a vault is made, which shows the recovery sheet', async () => {
    const fresh = path.join(vault, 'fresh');
    const words = ['init', fresh, '--scryptn', '10'];
    const first = { after: 'New password', type: 'abc\r' };
    const pair = [first, { after: 'same again', type: 'abd\r' }];
    const different = await cli.onTerminal(words, [...pair, ...pair, ...pair]);
    expect(different.code).toBe(12);
    expect(different.stdout.split('the two passwords differ; once more')).toHaveLength(3);
    expect(existsSync(fresh)).toBe(false);

    const made = await cli.onTerminal(words, [first, { after: 'same again', type: 'abc\r' }]);
    expect(made.code).toBe(0);
    expect(made.stdout).toContain('ECSYNC RECOVERY SHEET');
    const key = await cli.run(['key', 'masterkey', '-C', fresh], {
      env: { ECSYNC_PASSWORD: 'abc' },
    });
    expect(made.stdout).toContain(key.stdout.slice(0, 36));
  });

  it('prompt ends with 130 on Ctrl-C', async () => {
    const answers = [{ after: 'Password', type: '\u0003' }];
    const result = await cli.onTerminal(['push', '../out'], answers, { cwd: vault });
    expect(result.code).toBe(130);
    expect(existsSync(path.join(vault, '.ecsync/lock'))).toBe(false);
  });
});

describe('a terminal that is closed at a question', () => {
  it('ends the command, which leaves no lock and does not crash', async () => {
    const status = path.join(folder, 'status');
    // The shell outlives the terminal, to tell how the command ended.
    const line = `trap '' HUP; '${process.execPath}' '${cli.main}' push ../out; echo $? >'${status}'`;
    const child = spawn('script', ['-qefc', line, '/dev/null'], {
      cwd: vault,
      env: { PATH: process.env['PATH'], HOME: '/nonexistent', TERM: 'xterm' },
    });
    let seen = '';
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes('Password')) child.kill('SIGKILL');
    });
    while (!existsSync(status) || readFileSync(status, 'utf8') === '') {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(seen).toContain('Password');
    expect(readFileSync(status, 'utf8')).toBe('129\n'); // SIGHUP, and no abort
    expect(existsSync(path.join(vault, '.ecsync/lock'))).toBe(false);
  });
});

describe('an interruption', () => {
  /** Runs a push until it holds the lock, then sends the signals. */
  async function interrupted(
    words: readonly string[],
    signals: readonly NodeJS.Signals[],
  ): Promise<CliResult> {
    const lock = path.join(vault, '.ecsync/lock');
    const result = await inVault(['push', 'host:p', '--json', ...words], {
      onStart: (child: ChildProcess) => {
        const poll = setInterval(() => {
          if (!existsSync(lock)) return;
          clearInterval(poll);
          signals.forEach((signal, i) => setTimeout(() => child.kill(signal), 150 * (i + 1)));
        }, 20);
      },
    });
    expect(existsSync(lock)).toBe(false);
    return result;
  }

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s ends with 130 and gives the lock back',
    async (signal) => {
      const result = await interrupted(['--extpass', 'sleep 60'], [signal]);
      expect(result.code).toBe(130);
      expect(summary(result)['error']).toMatchObject({ code: 'interrupted' });
    },
  );

  it('works while a named pipe is waited for that nobody writes to', async () => {
    const pipe = path.join(vault, 'pipe');
    spawnSync('mkfifo', [pipe]);
    expect((await interrupted(['--passfile', pipe], ['SIGINT'])).code).toBe(130);
  });

  it('ends at once when it is repeated', async () => {
    const stubborn = `sh -c "trap '' TERM; exec sleep 20 2>/dev/null"`;
    const result = await interrupted(['--extpass', stubborn], ['SIGINT', 'SIGINT']);
    expect(result).toMatchObject({ code: null, signal: 'SIGINT', stdout: '' });
  });
});

describe('remote', () => {
  it('adds, lists and removes; the first stays the default', async () => {
    expect(await inVault(['remote', 'add', 'srv', 'me@host:backup'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    });
    mkdirSync(path.join(vault, 'sub'));
    await cli.run(['-C', path.join(vault, 'sub'), 'remote', 'add', 'usb', '../../elsewhere']);
    expect((await inVault(['remote', 'list'])).stdout).toBe(
      `srv\tme@host:backup\nusb\t${folder}/elsewhere\n`,
    );
    const json = await inVault(['remote', 'list', '--json']);
    expect(json.stdout.split('\n')[0]).toBe(
      '{"type":"remote","name":"srv","url":"me@host:backup","encrypt":true}',
    );
    expect(summary(json)['command']).toBe('remote list');
    expect((await inVault(['remote', 'remove', 'srv'])).code).toBe(0);
    expect((await inVault(['remote', 'list'])).stdout).toBe(`usb\t${folder}/elsewhere\n`);
    expect(readdirSync(path.join(vault, '.ecsync')).sort()).toEqual([
      'config.toml',
      'gocryptfs.conf',
      'index',
      'log',
    ]);
  });

  it.each([
    [['remote', 'add', '-x', 'host:p'], "unknown option '-x'"],
    [['remote', 'add', 'a/b', 'host:p'], "'a/b' cannot be the name"],
    [['remote', 'add', 'x', 'h'], "'h' is not a destination"],
    [['remote', 'add', 'x', 'ssh://u:hunter2@h/p'], 'must not contain a password'],
    [['remote', 'remove', 'x'], "no remote named 'x'"],
  ])('refuses %j', async (words, message) => {
    const result = await inVault(words);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(message);
    expect(result.stderr).not.toContain('hunter2');
  });
});

describe('init', () => {
  it('refuses what is a vault already, before anybody is asked for a password', async () => {
    const again = await inVault(['init', '--extpass', 'touch asked']);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('there is already a vault');
    const inside = await cli.run(['init', '--passfile', passfile], {
      cwd: path.join(vault, '.ecsync'),
    });
    expect(inside.code).toBe(2);
    expect(existsSync(path.join(vault, 'asked'))).toBe(false);
  });

  it('says what to do about a folder that cannot be written to', async () => {
    const disk = path.join(folder, 'read-only');
    mkdirSync(disk);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'none', disk]).status).toBe(0);
    try {
      const result = await cli.run(['init', disk, '--scryptn', '10', '--passfile', passfile]);
      expect(result.code).toBe(10);
      expect(result.stderr).toContain('cannot be made: read-only file system');
      expect(result.stderr).toContain('--vault-dir');
      expect(result.stderr).not.toContain('EROFS');
    } finally {
      spawnSync('umount', [disk]);
    }
  });

  it('leaves no half-made vault when the password is refused', async () => {
    const fresh = path.join(vault, 'fresh');
    expect((await cli.run(['init', fresh, '--extpass', 'echo'])).code).toBe(12);
    expect(existsSync(fresh)).toBe(false);
  });

  it('puts the vault directory elsewhere when told to', async () => {
    const source = path.join(folder, `source-${count}`);
    const keys = path.join(folder, `keys-${count}`);
    mkdirSync(source);
    writeFileSync(path.join(source, 'x'), '');
    const options = ['--vault-dir', keys, '--passfile', passfile];
    const made = await cli.run(['init', source, '--scryptn', '10', '--json', ...options]);
    expect(summary(made)).toMatchObject({ command: 'init', vaultDir: keys });
    expect(readdirSync(source)).toEqual(['x']);
    const info = await cli.run(['key', 'info'], { env: { ECSYNC_DIR: keys } });
    expect(info.stdout).toContain(source);
  });
});

describe('help', () => {
  it('knows every exit code', async () => {
    const { code, stdout } = await cli.run(['help', 'exit-codes']);
    expect(code).toBe(0);
    const codes = stdout
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.trim().split(' ')[0]));
    expect(codes).toEqual(Object.values(ExitCode).sort((a, b) => a - b));
  });

  it('is the same in both spellings, and goes to standard output', async () => {
    const [word, option] = await Promise.all([
      cli.run(['help', 'push']),
      cli.run(['push', '--help']),
    ]);
    expect(word).toEqual(option);
    expect(word.stdout).toContain('--max-delete <n>');
    expect(word.stdout).not.toContain('--snapshot');
    expect((await cli.run(['--help'])).stdout).toContain('Commands:');
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect((await cli.run(['--version'])).stdout).toBe(`${version}\n`);
  });

  it('ends quietly when nobody reads it', () => {
    const line = `set -o pipefail; node '${cli.main}' help push | true; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', line], { encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(['0\n', '']);
  });
});
