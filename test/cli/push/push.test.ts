import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildSources } from '../support/built.ts';
import { Cli, type CliResult } from '../support/cli.ts';

// A push as a person runs it, what it prints, and what stock gocryptfs makes of the copy with
// nothing but the recovery sheet.

const PASSWORD = 'a b"c';

let built: string;
let cli: Cli;
let folder: string;
let vault: string;
let copy: string;

beforeAll(() => {
  built = buildSources();
  cli = new Cli(built);
});
afterAll(() => rmSync(built, { recursive: true }));

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ecsync-push-')));
  vault = path.join(folder, 'vault');
  copy = path.join(folder, 'copy');
  writeFileSync(path.join(folder, 'passfile'), `${PASSWORD}\n`, { mode: 0o600 });
  expect((await run(['init', '--scryptn', '10', vault], folder)).code).toBe(0);
  mkdirSync(path.join(vault, 'docs'));
  writeFileSync(path.join(vault, 'docs/one.txt'), 'one');
  writeFileSync(path.join(vault, 'docs/two.log'), 'two');
  writeFileSync(path.join(vault, 'odd \u001b[31m\n'), 'odd');
  symlinkSync('docs/one.txt', path.join(vault, 'link'));
  expect((await run(['remote', 'add', 'usb', copy])).code).toBe(0);
  return () => rmSync(folder, { recursive: true });
});

function run(words: readonly string[], cwd = vault, more: object = {}): Promise<CliResult> {
  return cli.run(words, {
    cwd,
    env: { ECSYNC_PASSWORD_FILE: path.join(folder, 'passfile') },
    ...more,
  });
}

/** Mounts with stock gocryptfs, as the words and the input say, while `look` runs. */
function mounted<T>(words: readonly string[], input: string, look: (mountpoint: string) => T): T {
  const mountpoint = path.join(folder, 'mountpoint');
  mkdirSync(mountpoint, { recursive: true });
  const [program = '', ...rest] = words.map((word) =>
    word === 'CIPHERDIR' ? copy : word === 'MOUNTPOINT' ? mountpoint : word,
  );
  execFileSync(program, ['-q', '-nosyslog', ...rest], {
    input,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  try {
    return look(mountpoint);
  } finally {
    execFileSync('fusermount', ['-u', mountpoint]);
  }
}

describe('push', () => {
  it('prints changes to standard output and the rest to standard error', async () => {
    const first = await run(['push', '-i']);
    expect(first.code).toBe(0);
    expect(first.stdout.split('\n').sort()).toEqual([
      '',
      '<f+++++++++ docs/one.txt',
      '<f+++++++++ docs/two.log',
      '<f+++++++++ odd \\033[31m\\n',
      'cL+++++++++ link -> docs/one.txt',
      'cd+++++++++ ./',
      'cd+++++++++ docs/',
    ]);
    expect(first.stderr).toBe(''); // nobody watches: only trouble is worth a word
    const again = await run(['push', '-i', '-q']);
    expect(again).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(existsSync(path.join(vault, '.ecsync/lock'))).toBe(false);
  });

  it('pushes what the paths and patterns name, and nothing else', async () => {
    expect((await run(['push', 'usb', '*.txt', '-i', '-q'], path.join(vault, 'docs'))).stdout).toBe(
      'cd+++++++++ ./\ncd+++++++++ docs/\n<f+++++++++ docs/one.txt\n',
    );
    expect(
      (await run(['push', 'usb', path.join(vault, 'docs/two.log'), '-i', '-q'])).stdout,
    ).toContain('<f+++++++++ docs/two.log\n');
  });

  it('tells what is deleted by its name, however long, as long as it remembers', async () => {
    const long = 'L'.repeat(200);
    const lines = ['', `${long}/`, `${long}/a`, `${long}/${long}`];
    const makeAndDelete = async (): Promise<string[]> => {
      mkdirSync(path.join(vault, long));
      for (const name of ['a', long]) writeFileSync(path.join(vault, long, name), 'x');
      expect((await run(['push'])).code).toBe(0);
      rmSync(path.join(vault, long), { recursive: true });
      return ['push', '--delete', '-i'];
    };
    const known = await run(await makeAndDelete());
    const deleted = (text: string): string => (text === '' ? text : `*deleting   ${text}`);
    expect(
      known.stdout
        .split('\n')
        .filter((line) => !line.startsWith('.d'))
        .sort(),
    ).toEqual(lines.map(deleted).sort());
    const words = await makeAndDelete();
    rmSync(path.join(vault, '.ecsync/index'), { recursive: true });
    const { stdout } = await run(words);
    expect(stdout.match(/\(.*\)$/gm)?.sort()).toEqual([
      '(a long name, known by its hash only)',
      '(a long name, known by its hash only)',
      '(in a folder with a long name)',
    ]);
  });

  it('takes filters in the order they are given', async () => {
    const rules = ['--include', 'one.*', '--exclude', '/docs/*', '--include', '*.log'];
    const result = await run(['push', '-n', '-i', '-q', ...rules]);
    expect(result.stdout).toContain('docs/one.txt');
    expect(result.stdout).not.toContain('two.log');
    expect(existsSync(copy) ? readdirSync(copy) : []).toEqual([]);
  });

  it('ends with one JSON summary', async () => {
    const { code, stdout } = await run(['push', '--json', '-i']);
    expect(code).toBe(0);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.slice(0, -1).every(({ type }) => type === 'item')).toBe(true);
    const paths = events.map((event) => event['path']);
    expect(paths).toContain('odd \u001b[31m\n');
    expect(events.at(-1)).toMatchObject({
      type: 'summary',
      command: 'push',
      exitCode: 0,
      filesSent: 3,
      warnings: [],
    });
    for (const field of [
      'filesTotal',
      'filesDeleted',
      'literalBytes',
      'matchedBytes',
      'bytesSent',
      'bytesReceived',
      'elapsedMs',
    ]) {
      expect(events.at(-1)?.[field]).toBeTypeOf('number');
    }
  });

  it('shows a status line on a terminal, unless the environment forbids it', async () => {
    const env = { ECSYNC_PASSWORD_FILE: path.join(folder, 'passfile') };
    const escape = '\u001b[K';
    const shown = await cli.onTerminal(['push'], [], { cwd: vault, env });
    expect(shown.stdout).toContain(escape);
    expect(shown.stdout).toMatch(/pushed to .*: 3 of 5 sent; .* over the wire in [0-9.]+ s/);
    expect(shown.code).toBe(0);
    for (const more of [{ NO_COLOR: '1' }, { TERM: 'dumb' }, { CI: 'true' }]) {
      const plain = await cli.onTerminal(['push', '-i'], [], {
        cwd: vault,
        env: { ...env, ...more },
      });
      expect(plain.stdout).not.toContain('\u001b');
    }
  });

  it('prints figures with --stats and moves forward with --progress', async () => {
    const { stdout, stderr } = await run(['push', '--stats', '--progress', '-v']);
    expect(stdout).toContain('docs/one.txt\n');
    expect(stderr).toMatch(/^sent: +3$/m);
    expect(stderr).toMatch(/^pushed to .*: 3 of 5 sent; .* in [0-9.]+ s$/m);
    expect(stderr).toMatch(/^looking at the files/m);
    expect(stderr).not.toContain('\u001b');
  });

  it('starts a remote shell without the password in its environment', async () => {
    const dump = path.join(folder, 'dump');
    const shell = path.join(folder, 'rsh');
    writeFileSync(
      shell,
      `#!/bin/sh\nenv >'${dump}'\ncat /proc/$PPID/cmdline >>'${dump}'\nexit 1\n`,
    );
    chmodSync(shell, 0o755);
    const env = { ECSYNC_PASSWORD: PASSWORD, MARKER: 'here' };
    const words = ['push', 'host:p', '-e', shell];
    const result = await cli.run(words, { cwd: vault, env, alone: true });
    expect(result.code).not.toBe(0);
    const dumped = readFileSync(dump, 'utf8');
    expect(dumped).toContain('MARKER=here');
    expect(dumped).not.toContain(PASSWORD);
    expect(result.stderr).not.toMatch(/^\s+at /m);
  });
});

describe('the recovery sheet', () => {
  it('opens the copy with the commands it shows, with and without the conf', async () => {
    expect((await run(['push'])).code).toBe(0);
    const sheet = (await run(['key', 'paper'])).stdout;
    expect(sheet).toContain(vault);
    expect(sheet).toContain(copy);
    const commands = sheet.split('\n').filter((line) => /^ {4}gocryptfs /.test(line));
    expect(commands).toHaveLength(2);
    const [withPassword = [], withKey = []] = commands.map((line) => line.trim().split(' '));
    const look = (mountpoint: string): string =>
      readFileSync(path.join(mountpoint, 'docs/one.txt'), 'utf8');
    expect(mounted(withPassword, `${PASSWORD}\n`, look)).toBe('one');

    rmSync(path.join(copy, 'gocryptfs.conf'));
    const groups = sheet.match(/^ {4}[0-9a-f]{8}-.*$/gm) ?? [];
    expect(groups).toHaveLength(2);
    const key = groups.map((line) => line.trim()).join('');
    expect(mounted(withKey, `${key}\n`, look)).toBe('one');
    expect(mounted(withKey, `${key.replaceAll('-', '')}\n`, look)).toBe('one');
  });
});

describe('name', () => {
  /** Where everything is in the copy, as stock gocryptfs sees it. */
  function cipherPaths(): readonly string[] {
    return execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P\\n'], {
      cwd: copy,
      encoding: 'utf8',
    })
      .trimEnd()
      .split('\n')
      .filter((name) => !/gocryptfs\.(?:conf|diriv)$|\.name$/.test(name));
  }

  it('translates both ways what is in the copy, one line for each', async () => {
    rmSync(path.join(vault, 'odd \u001b[31m\n'));
    const long = `docs/${'lang '.repeat(40)}`;
    mkdirSync(path.join(vault, long));
    writeFileSync(path.join(vault, long, 'x'), '');
    writeFileSync(Buffer.from(`${vault}/odd \xff`, 'latin1'), 'odd');
    expect((await run(['push'])).code).toBe(0);

    const encrypted = cipherPaths().filter((name) => !name.includes('ecsync-tmp'));
    const decoded = spawnSync(process.execPath, [cli.main, 'name', 'decode'], {
      cwd: vault,
      env: { ECSYNC_PASSWORD: PASSWORD },
      input: encrypted.join('\n'),
    });
    expect(decoded.stderr.toString()).toBe('');
    const plain = decoded.stdout.toString('latin1').split('\n');
    expect(plain.slice(0, -1).sort()).toEqual(
      ['docs', 'docs/one.txt', 'docs/two.log', 'link', long, `${long}/x`, 'odd \xff'].sort(),
    );
    const encoded = spawnSync(process.execPath, [cli.main, 'name', 'encode', '-0'], {
      cwd: vault,
      env: { ECSYNC_PASSWORD: PASSWORD },
      input: Buffer.from(plain.slice(0, -1).join('\0'), 'latin1'),
    });
    expect(encoded.stdout.toString()).toBe(`${encrypted.join('\0')}\0`);
  });

  it('keeps the lines paired when one cannot be translated', async () => {
    const decoded = await run(['name', 'decode', '--', '-x', 'gocryptfs.conf', 'a/b', '../x']);
    expect(decoded).toMatchObject({ code: 26, stdout: '\ngocryptfs.conf\n\n\n' });
    expect(decoded.stderr).toContain('ecsync: -x: not a path that this vault made');
    const encoded = await run(['name', 'encode', '../docs', 'x'.repeat(256), `${vault}/docs/`]);
    expect(encoded.code).toBe(2);
    expect(encoded.stdout).toMatch(/^\n\n[A-Za-z0-9_-]{22}\n$/);
    const deep = await run(['name', 'decode'], vault, { input: 'a/'.repeat(300_000) });
    expect(deep).toMatchObject({ code: 26, stdout: '\n' });
  });

  it('tells pairs in JSON', async () => {
    const { stdout } = await run(['name', 'encode', '--json', 'docs']);
    const [pair, summary] = stdout.trimEnd().split('\n');
    expect(JSON.parse(pair ?? '')).toEqual({
      type: 'name',
      plain: 'docs',
      cipher: expect.any(String) as string,
    });
    expect(JSON.parse(summary ?? '')).toMatchObject({ command: 'name encode', exitCode: 0 });
  });
});
