import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendHistory, readHistory, type Run } from '../../../src/vault/memory/history.ts';
import { noteFullPush } from '../../../src/vault/memory/push-record.ts';
import { buildSources } from '../support/built.ts';
import { Cli, type CliResult } from '../support/cli.ts';

// What is noted of a run, and what `status`, `log` and the exit codes make of it.

let built: string;
let cli: Cli;
let dir: string;
let source: string;
let vaultDir: string;

beforeAll(async () => {
  built = buildSources();
  cli = new Cli(built);
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-status-'));
  source = path.join(dir, 'source');
  vaultDir = path.join(source, '.ecsync');
  writeFileSync(path.join(dir, 'pw'), 'secret\n', { mode: 0o600 });
  await ecsync('init', source, '--scryptn', '10', '--passfile', path.join(dir, 'pw'));
  writeFileSync(path.join(source, 'file'), 'content');
  await ecsync('remote', 'add', 'home', path.join(dir, 'copy'), '-C', source);
});
afterAll(() => {
  for (const folder of [dir, built]) rmSync(folder, { recursive: true, force: true });
});

function ecsync(...words: string[]): Promise<CliResult> {
  return cli.run(words);
}

function withKey(...words: string[]): Promise<CliResult> {
  return ecsync(...words, '-C', source, '--passfile', path.join(dir, 'pw'));
}

function last(): Run | undefined {
  return readHistory(vaultDir).at(-1);
}

async function event(type: string, ...words: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await ecsync(...words, '-C', source, '--json');
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return events.find((one) => one['type'] === type) ?? {};
}

describe('status --metrics', () => {
  it('writes what a collector reads, whole, and says where it cannot', async () => {
    const file = path.join(dir, 'metrics.prom');
    const words = ['status', '-C', source, '--metrics', file];
    expect((await ecsync(...words, '--max-age', '1d')).code).toBe(4);
    const text = readFileSync(file, 'utf8');
    expect(text).toContain(`ecsync_overdue{vault="${source}",remote="home"} 1\n`);
    expect(text).not.toContain('ecsync_last_good_push_timestamp_seconds{');
    const sample = /^[a-z_]+\{vault="(?:[^"\\\n]|\\.)*",remote="[^"]*"\} -?\d+(?:\.\d+)?$/;
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(line.startsWith('#') ? /^# (?:HELP|TYPE) ecsync_\w+ \S/ : sample);
    }
    const nowhere = await ecsync('status', '-C', source, '--metrics', path.join(dir, 'no/where'));
    expect(nowhere.code).toBe(23);
    expect(nowhere.stderr).toContain('no/where: no such file or directory');
  });
});

describe('the history on the command line', () => {
  it('has nothing at first, and status says never', async () => {
    expect((await ecsync('log', '-C', source)).stdout).toBe('');
    const status = await ecsync('status', '-C', source);
    expect(status.code).toBe(0);
    expect(status.stdout).toContain('last good push  never');
    expect((await ecsync('status', '-C', source, '--max-age', '1d')).code).toBe(4);
  });

  it('notes pushes, verifications, restores and checks, and no dry run', async () => {
    await withKey('push', '-n');
    expect(last()).toBeUndefined();
    await withKey('push');
    expect(last()).toMatchObject({ command: 'push', remote: 'home', exitCode: 0 });
    expect(last()?.figures?.['filesSent']).toBe(1);
    await withKey('push', 'home', 'file');
    expect(last()).toMatchObject({ command: 'push', part: true });
    await withKey('verify');
    expect(last()?.command).toBe('verify');
    await withKey('fsck');
    expect(last()?.command).toBe('fsck');
    await withKey('restore', '--to', path.join(dir, 'restored'));
    expect(last()?.command).toBe('restore');
    const log = await ecsync('log', '-C', source, '-n', '2');
    expect(
      log.stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/)[2]),
    ).toEqual(['restore', 'fsck']);
  });

  it('tells a recent push from an old one', async () => {
    expect((await ecsync('status', '-C', source, '--max-age', '1h')).code).toBe(0);
    const old = { ...(last() as Run), command: 'push', start: '2020-01-01T00:00:00.000Z' };
    appendHistory(vaultDir, old);
    expect(await event('status', 'status', '--max-age', '1h')).toMatchObject({ overdue: false });
  });

  it('does not trust a push that is dated in the future', async () => {
    const from2040 = { ...(last() as Run), command: 'push', start: '2040-01-01T00:00:00.000Z' };
    appendHistory(vaultDir, { ...from2040, exitCode: 0 });
    noteFullPush(vaultDir, from2040.destination, Date.parse(from2040.start));
    const status = await ecsync('status', '-C', source);
    expect(status.code).toBe(4);
    expect(status.stdout).toContain('in the future: the clock was wrong');
    await withKey('push');
    expect((await ecsync('status', '-C', source)).code).toBe(0);
  });

  it('fails when the last run did, until the next good one', async () => {
    const failed = await ecsync('push', '-C', source);
    expect(failed.code).toBe(12);
    expect(last()).toMatchObject({ exitCode: 12, error: { code: 'password-missing' } });
    const status = await ecsync('status', '-C', source);
    expect(status.code).toBe(4);
    expect(status.stderr).toContain('the last run failed: home');
    // What was skipped or interrupted says nothing about the copy.
    for (const exitCode of [11, 75, 130]) appendHistory(vaultDir, { ...(last() as Run), exitCode });
    expect((await ecsync('status', '-C', source)).code).toBe(4);
    await withKey('push');
    expect((await ecsync('status', '-C', source)).code).toBe(0);
    // What a verification has found a push does not take back.
    appendHistory(vaultDir, { ...(last() as Run), command: 'verify', exitCode: 26 });
    await withKey('push');
    const found = await ecsync('status', '-C', source);
    expect([found.code, found.stderr]).toEqual([4, expect.stringContaining('`ecsync verify`.')]);
    await withKey('verify');
    expect((await ecsync('status', '-C', source)).code).toBe(0);
  });

  it('shows who holds the lock', async () => {
    const holder = { id: 'ab', pid: 1, host: 'elsewhere.example', since: '2026-01-01T00:00:00Z' };
    const lock = path.join(vaultDir, 'lock');
    writeFileSync(lock, JSON.stringify({ ...holder, pidSpace: '', started: '' }));
    expect((await ecsync('status', '-C', source)).stdout).toContain('on elsewhere.example since');
    expect(await event('lock', 'status')).toMatchObject({ pid: 1, gone: false });
    rmSync(lock);
  });
});

describe('--log-file', () => {
  const line = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[\d+\] (.*)$/;
  const linesOf = (file: string): (string | undefined)[] =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((text) => line.exec(text)?.[1]);

  it('has every line with its time, also with -q, and grows', async () => {
    const file = path.join(dir, 'log');
    const said = await withKey('push', '-q', '--log-file', file);
    expect(said).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const failed = await withKey('push', 'nowhere', '-q', '--log-file', file);
    expect(failed.code).toBe(2);
    const lines = linesOf(file);
    expect(lines).not.toContain(undefined);
    expect(lines[0]).toContain('pushed');
    expect(lines.slice(1).join('\n')).toBe(failed.stderr.trimEnd());
    expect(readFileSync(file, 'utf8')).not.toContain('secret');
  });

  it('is named by the environment and the configuration, also for a scheduled push', async () => {
    const [own, env, job] = ['own', 'env', 'job'].map((name) => path.join(dir, name));
    const config = path.join(vaultDir, 'config.toml');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, `log_file = ${JSON.stringify(own)}\n${text}`);
    await withKey('push', '-q');
    expect(linesOf(own ?? '')).toHaveLength(1);
    const words = ['push', '-q', '-C', source, '--passfile', path.join(dir, 'pw')];
    await cli.run(words, { env: { ECSYNC_LOG_FILE: env ?? '' } });
    expect(linesOf(env ?? '')).toHaveLength(1);
    const start = ['schedule', 'run', '-q', '--vault-dir', vaultDir, '--'];
    await ecsync(...start, '--passfile', path.join(dir, 'pw'), '--log-file', job ?? '');
    expect(linesOf(job ?? '')).toHaveLength(1);
    expect(linesOf(own ?? '')).toHaveLength(1);
    writeFileSync(config, text);
  });

  it('that cannot be written is a warning', async () => {
    const reasons = [
      [path.join(dir, 'no/where'), 'no such file or directory'],
      [dir, 'it is not a file'],
      ['/dev/full', 'it is not a file'],
    ] as const;
    for (const [file, reason] of reasons) {
      const said = await withKey('push', '--log-file', file);
      expect(said.code).toBe(0);
      expect(said.stderr).toBe(
        `warning: this run is not logged: cannot write ${file}: ${reason}; name a file of yours in a folder that you may write to\n`,
      );
    }
  });

  it('that others may write, or that is among the own files of a vault, is a warning', async () => {
    const open = path.join(dir, 'open-to-all');
    writeFileSync(open, '');
    chmodSync(open, 0o666);
    const config = path.join(vaultDir, 'config.toml');
    const before = readFileSync(config, 'utf8');
    const cases = [
      [open, 'it can be written by every user'],
      [config, 'in a folder .ecsync the name has to end in .log'],
      [path.join(vaultDir, 'new'), 'in a folder .ecsync the name has to end in .log'],
    ] as const;
    for (const [file, why] of cases) {
      const said = await withKey('push', '--log-file', file);
      expect(said.code).toBe(0);
      expect(said.stderr).toContain(
        `warning: this run is not logged: cannot write ${file}: ${why}`,
      );
    }
    expect(readFileSync(open, 'utf8')).toBe('');
    expect(readFileSync(config, 'utf8')).toBe(before);
    expect(existsSync(path.join(vaultDir, 'new'))).toBe(false);
    const own = path.join(vaultDir, 'own.log');
    expect((await withKey('push', '--log-file', own)).stderr).toBe('');
    expect(existsSync(own)).toBe(true);
  });

  it.skipIf(process.getuid?.() !== 0)('that somebody else owns is a warning', async () => {
    const file = path.join(dir, 'of-nobody');
    writeFileSync(file, '', { mode: 0o600 });
    chownSync(file, 65_534, 65_534);
    const said = await withKey('push', '--log-file', file);
    expect(said.code).toBe(0);
    expect(said.stderr).toContain('belongs to another user (uid 65534)');
    expect(readFileSync(file, 'utf8')).toBe('');
  });
});

describe('status --all-vaults', () => {
  const home = (): string => path.join(dir, 'home');
  const list = (): string => path.join(home(), '.local/state/ecsync/vaults.json');
  const inHome = (...words: string[]): Promise<CliResult> =>
    cli.run(words, { env: { HOME: home() } });
  const pw = (): string => path.join(dir, 'pw');

  it('shows what was made or pushed here, and remembers nothing but where it is', async () => {
    mkdirSync(home());
    expect(await inHome('status', '--all-vaults')).toMatchObject({ code: 0, stdout: '' });
    const second = path.join(dir, 'second');
    await inHome('init', second, '--scryptn', '10', '--passfile', pw());
    await inHome('remote', 'add', 'disk', path.join(dir, 'copy2'), '-C', second);
    await inHome('push', '-C', source, '--passfile', pw());
    const vaults = [path.join(second, '.ecsync'), vaultDir].map((one) => realpathSync(one));
    expect(JSON.parse(readFileSync(list(), 'utf8'))).toEqual({ version: 1, vaults });
    expect(statSync(list()).mode & 0o777).toBe(0o600);
    const file = path.join(dir, 'all.prom');
    const shown = await inHome('status', '--all-vaults', '--max-age', '1d', '--metrics', file);
    expect(shown).toMatchObject({ code: 4 });
    expect(shown.stderr).toContain(`a push is overdue: disk of ${second}`);
    expect(shown.stdout).toMatch(/^vault .*second\ndisk .*\n.*never[^]*\nvault .*source\nhome /);
    const text = readFileSync(file, 'utf8');
    expect(text).toContain(`ecsync_overdue{vault="${second}",remote="disk"} 1\n`);
    expect(text).toContain(`ecsync_overdue{vault="${source}",remote="home"} 0\n`);
  });

  it('names a vault that is gone until it is forgotten, and follows none of somebody else', async () => {
    rmSync(path.join(dir, 'second'), { recursive: true });
    const gone = await inHome('status', '--all-vaults', '--json');
    expect(gone.code).toBe(4);
    expect(gone.stdout).toContain('"state":"gone"');
    expect(gone.stdout).toContain('"code":"vault-gone"');
    const forgotten = await inHome('status', '--all-vaults', '--forget-gone');
    expect(forgotten.code).toBe(0);
    expect(await inHome('status', '--all-vaults')).toMatchObject({ code: 0 });
    chmodSync(vaultDir, 0o777);
    const foreign = await inHome('status', '--all-vaults');
    chmodSync(vaultDir, 0o700);
    expect(foreign).toMatchObject({ code: 10 });
    expect(foreign.stdout).toContain('can be written by every user');
    chmodSync(list(), 0o666);
    expect((await inHome('status', '--all-vaults')).stderr).toContain('Remove it');
    expect(await inHome('status', '--all-vaults', '-C', source)).toMatchObject({ code: 2 });
  });
});
