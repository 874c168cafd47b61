import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildSources } from '../support/built.ts';
import { Cli, type CliResult } from '../support/cli.ts';

// What a scheduler starts, and what is refused before anything is installed.

let built: string;
let cli: Cli;
let folder: string;
let vault: string;
let passfile: string;

beforeAll(() => {
  built = buildSources();
  cli = new Cli(built);
});
afterAll(() => rmSync(built, { recursive: true }));

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ecsync-schedule-')));
  vault = path.join(folder, 'vault');
  passfile = path.join(folder, 'passfile');
  mkdirSync(vault);
  writeFileSync(passfile, 'secret\n', { mode: 0o600 });
  expect((await run(['init', '--scryptn', '10', '--passfile', passfile])).code).toBe(0);
  writeFileSync(path.join(vault, 'one.txt'), 'one');
  await run(['remote', 'add', 'usb', path.join(folder, 'usb')]);
  await run(['remote', 'add', 'box', path.join(folder, 'box')]);
  return () => rmSync(folder, { recursive: true });
});

function run(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  return cli.run(words, { cwd: vault, env: { HOME: folder, ...env } });
}

/** As a scheduler starts it: elsewhere, and with the vault named. */
function scheduled(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const start = ['schedule', 'run', '--json', '--vault-dir', path.join(vault, '.ecsync')];
  return cli.run([...start, ...words], { cwd: '/', env });
}

function summaryOf({ stdout }: CliResult): Record<string, unknown> {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

const isPushed = (remote: string): boolean =>
  existsSync(path.join(folder, remote, 'gocryptfs.conf'));

describe('schedule run', () => {
  it('pushes when that is due, and otherwise ends without a password or the engine', async () => {
    const first = await scheduled(['--every', '1h', '--', '--passfile', passfile]);
    expect([first.code, summaryOf(first)]).toEqual([
      0,
      expect.objectContaining({ command: 'schedule run', filesSent: expect.any(Number) as number }),
    ]);
    expect([isPushed('usb'), isPushed('box')]).toEqual([true, false]);
    const loaded = path.join(folder, 'loaded');
    writeFileSync(path.join(folder, 'list.mjs'), listModules(loaded));
    const NODE_OPTIONS = `--import=file://${folder}/list.mjs`;
    const again = await scheduled(['--every', '1h', '--', '--passfile', '/nowhere'], {
      NODE_OPTIONS,
    });
    expect([again.code, again.stderr]).toEqual([0, '']);
    const modules = readFileSync(loaded, 'utf8');
    expect(modules).toContain('/bin/schedule-run.js');
    expect(modules).not.toMatch(/@noble|hash-wasm|node_modules\/(ssh2|fast-glob)/);
    expect(modules).not.toMatch(/bin\/(sender|encrypted-view|restore|schedule-install)\d*\.js/);
  });

  it('counts a push by hand when it was of everything', async () => {
    const byHand = async (...words: string[]): Promise<void> => {
      expect((await run(['push', 'usb', '--passfile', passfile, ...words])).code).toBe(0);
    };
    const needsPassword = async (): Promise<boolean> =>
      (await scheduled(['--if-older-than', '20h'])).code === 12;
    await byHand('--dry-run');
    await byHand('one.txt');
    await byHand('--exclude', '*.tmp').then(async () => expect(await needsPassword()).toBe(true));
    await byHand();
    expect(await needsPassword()).toBe(false);
    expect((await scheduled([])).code, 'without a rule it is always due').toBe(12);
  });

  it('goes on to the next remote when one fails, and tries the failed one again', async () => {
    writeFileSync(path.join(folder, 'usb'), 'no folder');
    const words = ['--all', '--every', '1d', '--', '--passfile', passfile];
    const first = await scheduled(words);
    expect(first.code).not.toBe(0);
    expect(first.stderr).toMatch(/^ecsync: usb: /m);
    expect([isPushed('box'), summaryOf(first)['exitCode']]).toEqual([true, first.code]);
    rmSync(path.join(folder, 'usb'));
    rmSync(path.join(folder, 'box'), { recursive: true });
    expect((await scheduled(words)).code).toBe(0);
    expect([isPushed('usb'), isPushed('box')]).toEqual([true, false]);
  });

  it('is skipped with 75 when the disk of the vault is not there', async () => {
    rmSync(vault, { recursive: true });
    const away = await scheduled(['--every', '1h']);
    expect([away.code, summaryOf(away)['error']]).toEqual([
      75,
      expect.objectContaining({
        code: 'vault-away',
        hint: expect.stringContaining(`schedule remove --vault-dir ${vault}/.ecsync`) as string,
      }),
    ]);
  });

  it('asks nothing, even on a terminal', async () => {
    const result = await cli.onTerminal(['-C', vault, 'schedule', 'run'], []);
    expect(result.code).toBe(12);
  });

  it('reports another run that holds the lock', async () => {
    const holder = { id: 'a1', pid: process.pid, host: 'elsewhere', since: 'now' };
    writeFileSync(path.join(vault, '.ecsync/lock'), JSON.stringify(holder));
    expect((await scheduled(['--', '--passfile', passfile])).code).toBe(11);
  });
});

describe('schedule install', () => {
  const secret = (): string[] => ['--passfile', passfile];

  it('needs no password for plain mirrors alone', async () => {
    await run(['remote', 'add', '--no-encrypt', 'mirror', path.join(folder, 'mirror')]);
    const install = ['schedule', 'install', '--platform', 'cron'];
    const nowhere = { PATH: '/nowhere' };
    const mirror = await run([...install, 'mirror'], nowhere);
    expect([mirror.code, mirror.stderr]).toEqual([2, expect.stringContaining('crontab')]);
    for (const remotes of [['mirror', 'box'], ['--all'], []]) {
      expect((await run([...install, ...remotes], nowhere)).code).toBe(12);
      expect((await run([...install, '--print', ...remotes])).code).toBe(0);
    }
  });

  it.each<[string, number, string[]]>([
    ['password-missing', 12, []],
    ['schedule-push-words', 2, ['--', '--passfile', 'relative']],
    ['schedule-push-words', 2, ['--', '--delete', 'docs']],
    ['schedule-push-words', 2, ['--', '--no-such-option']],
    ['schedule-push-words', 2, ['--', '--passfile', '/p', '--dry-run']],
    ['schedule-push-words', 2, ['--', '--masterkey=stdin']],
    ['schedule-push-words', 2, ['--', '--passfile', '/p', '--accept-new-host-key']],
    ['no-remote', 2, ['tape', '--', '--passfile', '/p']],
    ['conflicting-options', 2, ['usb', '--all', '--', '--passfile', '/p']],
    ['conflicting-options', 2, ['--every', '1h', '--at', '02:30', '--', '--passfile', '/p']],
    ['every-invalid', 2, ['--every', '7m']],
    ['at-invalid', 2, ['--at', '25:00']],
    ['jitter-too-long', 2, ['--every', '1h', '--jitter', '1h']],
    ['passfile-missing', 2, ['--platform', 'cron', '--', '--passfile', '/nowhere/p']],
    ['platform-elsewhere', 2, ['--platform', 'launchd', '--', '--passfile', '/p']],
    ['credential-unsupported', 2, ['--platform', 'cron', '--print', '--credential', '/p']],
    ['schedule-word-invalid', 2, ['--platform', 'cron', '--print', '--', '--passfile', '/p\n']],
  ])('refuses with %s (%i): %j', async (code, exitCode, words) => {
    const result = await run(['schedule', 'install', '--json', ...words]);
    expect([result.code, summaryOf(result)['error']]).toEqual([
      exitCode,
      expect.objectContaining({ code, hint: expect.stringMatching(/./) as string }),
    ]);
  });

  it('says so on a machine without a scheduler', async () => {
    const words = ['schedule', 'install', '--json', '--', ...secret()];
    const result = await run(words, { PATH: '/nowhere' });
    expect([result.code, summaryOf(result)['error']]).toEqual([
      2,
      expect.objectContaining({ code: 'no-scheduler' }),
    ]);
  });

  it.each(['systemd', 'launchd', 'windows', 'cron'])(
    '--print for %s shows the files and writes none',
    async (platform) => {
      const words = ['schedule', 'install', '--platform', platform, '--print', '--', ...secret()];
      const { code, stdout, stderr } = await run(words);
      expect([code, existsSync(path.join(folder, '.config'))]).toEqual([0, false]);
      const bytes = Buffer.from(stdout);
      expect(platform === 'windows' ? bytes.includes('\0') : stdout.includes(passfile)).toBe(true);
      expect(stderr).toMatch(/ecsync|crontab/);
      expect(existsSync(path.join(folder, 'Library'))).toBe(false);
    },
  );
});

/** A module that writes the address of every module loaded after it into a file. */
function listModules(file: string): string {
  const hook = `import { appendFileSync } from 'node:fs';
export async function load(url, context, next) {
  appendFileSync(${JSON.stringify(file)}, url + '\\n');
  return next(url, context);
}`;
  return `import { register } from 'node:module';
register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}));
`;
}
