import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSources } from '../support/built.ts';
import { Cli, type CliResult } from '../support/cli.ts';

// `key remember` and `key forget` against a real Secret Service: GNOME Keyring on a bus of its own.

const PASSWORD = 'correct horse "battery" \\ stäple';
const NEW_PASSWORD = 'another one';

let built: string;
let cli: Cli;
let dir: string;
let session: Readonly<Record<string, string>>;
const children: ChildProcess[] = [];

const at = (name: string): string => path.join(dir, name);
const config = (): string => readFileSync(at('source/.ecsync/config.toml'), 'utf8');

/** A bus, and a keyring on it that is unlocked. */
async function startSession(): Promise<Readonly<Record<string, string>>> {
  mkdirSync(at('home'), { mode: 0o700 });
  mkdirSync(at('run'), { mode: 0o700 });
  const bus = spawn('dbus-daemon', ['--session', '--nofork', '--print-address'], {
    env: { PATH: process.env['PATH'], HOME: at('home'), XDG_RUNTIME_DIR: at('run') },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(bus);
  const [line] = (await once(bus.stdout, 'data')) as [Buffer];
  const env = {
    HOME: at('home'),
    XDG_RUNTIME_DIR: at('run'),
    DBUS_SESSION_BUS_ADDRESS: line.toString().trim(),
  };
  // It goes into the background once it is unlocked, and ends with the bus.
  const started = spawnSync('gnome-keyring-daemon', ['--unlock', '--components=secrets'], {
    env: { PATH: process.env['PATH'], ...env },
    input: 'login password',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  expect(started.status).toBe(0);
  return env;
}

function isLocked(env: Readonly<Record<string, string>>): boolean {
  const { stdout } = secretService(env, 'collection/login', [
    'org.freedesktop.DBus.Properties.Get',
    'string:org.freedesktop.Secret.Collection',
    'string:Locked',
  ]);
  return stdout.includes('boolean true');
}

function secretService(
  env: Readonly<Record<string, string>>,
  object: string,
  words: readonly string[],
) {
  const place = `/org/freedesktop/secrets${object === '' ? '' : `/${object}`}`;
  const call = ['--session', '--print-reply', '--dest=org.freedesktop.secrets', place, ...words];
  const settings = { env: { PATH: process.env['PATH'], ...env }, encoding: 'utf8' } as const;
  return spawnSync('dbus-send', call, settings);
}

beforeAll(async () => {
  built = buildSources();
  cli = new Cli(built);
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-keyring-'));
  writeFileSync(at('pw'), `${PASSWORD}\n`, { mode: 0o600 });
  writeFileSync(at('new'), `${NEW_PASSWORD}\n`, { mode: 0o600 });
  // Records how secret-tool is called, and calls it.
  mkdirSync(at('bin'));
  const real = spawnSync('which', ['secret-tool'], { encoding: 'utf8' }).stdout.trim();
  expect(real).not.toBe('');
  writeFileSync(
    at('bin/secret-tool'),
    `#!/bin/sh\n{ printf '%s ' "$@"; env; } >>${at('calls')}\nexec ${real} "$@"\n`,
  );
  chmodSync(at('bin/secret-tool'), 0o755);
  session = {
    ...(await startSession()),
    PATH: `${at('bin')}:${process.env['PATH'] ?? ''}`,
  };
  await cli.run(['init', at('source'), '--scryptn', '10', '--passfile', at('pw')]);
  await cli.run(['remote', 'add', 'disk', at('copy'), '-C', at('source')]);
  writeFileSync(at('source/file'), 'content');
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of [dir, built]) rmSync(folder, { recursive: true, force: true });
});

function run(words: readonly string[], env = session): Promise<CliResult> {
  return cli.run([...words, '-C', at('source')], { env });
}

describe('a keychain', () => {
  it('has no password at first: 12, and what to do', async () => {
    const before = config();
    writeFileSync(at('source/.ecsync/config.toml'), `${before}\n[password]\nkeychain = true\n`);
    const result = await run(['push']);
    expect(result.code).toBe(12);
    expect(result.stderr).toContain('ecsync key remember');
    writeFileSync(at('source/.ecsync/config.toml'), before);
  });

  it('takes a password only when it opens the vault', async () => {
    writeFileSync(at('wrong'), 'wrong\n', { mode: 0o600 });
    const refused = await run(['key', 'remember', '--passfile', at('wrong')]);
    expect(refused.code).toBe(12);
    expect(config()).not.toContain('keychain = true');
  });

  it('gives it to every command, and it is in no argument and no environment', async () => {
    const before = config();
    expect(await run(['key', 'remember', '--passfile', at('pw')])).toMatchObject({ code: 0 });
    expect(config()).toBe(`${before}\n[password]\nkeychain = true\n`);
    expect(await run(['push'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const calls = readFileSync(at('calls'), 'latin1');
    expect(calls).toContain('store');
    expect(calls).not.toContain(Buffer.from(PASSWORD).toString('base64'));
    expect(calls).not.toContain(Buffer.from(PASSWORD).toString('latin1'));
  });

  it('follows a new password', async () => {
    const changed = await run(['key', 'passwd', '--new-passfile', at('new')]);
    expect(changed).toMatchObject({ code: 0 });
    expect(await run(['push'])).toMatchObject({ code: 0, stderr: '' });
    expect((await run(['key', 'check', '--passfile', at('pw')])).code).toBe(12);
  });

  it('without a bus, or without its program, is 12 with a remedy', async () => {
    const { PATH = '', HOME = '' } = session;
    const unreachable = await run(['push'], { PATH, HOME, XDG_RUNTIME_DIR: at('none') });
    expect(unreachable.code).toBe(12);
    expect(unreachable.stderr).toContain('hint: ');
    const missing = await run(['push'], { ...session, PATH: at('home') });
    expect(missing.code).toBe(12);
    expect(missing.stderr).toContain('secret-tool is missing');
  });

  it('forgets, and the setting goes, too', async () => {
    expect(await run(['push'])).toMatchObject({ code: 0 });
    expect((await run(['key', 'forget'])).stderr).toContain('no longer in the keychain');
    expect(config()).not.toMatch(/^keychain|^\[password\]/m);
    const result = await run(['push']);
    expect(result.code).toBe(12);
    expect(result.stderr).toContain('no password is given');
    expect((await run(['key', 'forget'])).stderr).toContain('has no password for this vault');
  });

  it('that is locked is 12 at once', async () => {
    expect((await run(['key', 'remember', '--passfile', at('new')])).code).toBe(0);
    secretService(session, '', [
      'org.freedesktop.Secret.Service.Lock',
      'array:objpath:/org/freedesktop/secrets/collection/login',
    ]);
    expect(isLocked(session)).toBe(true);
    const result = await run(['push']);
    expect(result.code).toBe(12);
    expect(result.stderr).toMatch(/or is locked\nhint: Unlock it/);
  });
});

it('key remember leaves a vault alone that names another source', async () => {
  const before = config().replace(/^\[password\]\nkeychain = true\n/m, '');
  writeFileSync(
    at('source/.ecsync/config.toml'),
    `${before}\n[password]\nfile = "${at('new')}" # mine\n`,
  );
  const result = await run(['key', 'remember']);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('[password] file');
});
