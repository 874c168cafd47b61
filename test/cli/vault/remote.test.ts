import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildSources } from '../support/built.ts';
import { Cli, type CliResult } from '../support/cli.ts';

// What `remote add` and `remote set-url` say about an address before anything is pushed to it.

let built: string;
let cli: Cli;
let dir: string;
let source: string;
const at = (...words: readonly string[]): string => path.join(dir, ...words);

beforeAll(() => {
  built = buildSources();
  cli = new Cli(built);
});
afterAll(() => {
  rmSync(built, { recursive: true, force: true });
});
beforeEach(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'ecsync-remote-'));
  source = at('around', 'source');
  mkdirSync(path.join(source, 'inside'), { recursive: true });
  writeFileSync(path.join(source, 'a'), 'content');
  writeFileSync(at('pw'), 'secret\n', { mode: 0o600 });
  await cli.run(['init', source, '--scryptn', '10', '--passfile', at('pw')]);
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const remote = (...words: readonly string[]): Promise<CliResult> =>
  cli.run(['remote', ...words, '-C', source]);
const push = (...words: readonly string[]): Promise<CliResult> =>
  cli.run(['push', '-C', source, '--passfile', at('pw'), ...words]);
const config = (): string => readFileSync(path.join(source, '.ecsync/config.toml'), 'utf8');

describe('an address that no push can use', () => {
  it.each([
    ['inside the vault', 'around/source/inside', 'lies inside'],
    ['of a folder to come in the vault', 'around/source/new/copy', 'lies inside'],
    ['of the vault itself', 'around/source', 'lies inside'],
    ['around the vault', 'around', 'contains'],
  ])('%s is refused, as a copy and as a mirror', async (_where, folder, what) => {
    await remote('add', 'other', 'me@server:copy');
    const before = config();
    for (const words of [
      ['add', 'x'],
      ['add', '--no-encrypt', 'x'],
      ['set-url', 'other'],
    ]) {
      const refused = await remote(...words, at(folder));
      expect(refused).toMatchObject({
        code: 2,
        stderr: `ecsync: ${at(folder)} ${what} ${source}, the folder that is pushed\nhint: Choose a folder elsewhere. To push only a part: ecsync push REMOTE PATH\n`,
      });
    }
    expect(config()).toBe(before);
  });

  it.each([
    ['me@server:copy', 'me@server:copy/inner', 'lies inside'],
    ['me@server:copy/inner', 'server:copy', 'contains'],
    ['ssh://server:22/srv/copy', 'ssh://you@server:22/srv/copy/a/b', 'lies inside'],
    ['me@server::module/copy', 'rsync://server/module/copy/inner', 'lies inside'],
    ['/mnt/disk/copy', '/mnt/disk', 'contains'],
  ])('beside %s, as %s, is refused', async (one, other, how) => {
    expect(await remote('add', 'one', one)).toMatchObject({ code: 0 });
    const refused = await remote('add', 'other', other);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`${how} the folder of the remote 'one'`);
  });

  it.each([
    ['me@server:copy', 'me@server:copy2'],
    ['me@server:copy', 'me@server:/copy/inner'],
    ['me@server:copy', 'me@else:copy/inner'],
    ['me@server:copy', '/copy/inner'],
    ['me@server:copy', 'me@server:.'],
  ])('beside %s, as %s, is none', async (one, other) => {
    expect(await remote('add', 'one', one)).toMatchObject({ code: 0 });
    expect(await remote('add', 'other', other)).toMatchObject({ code: 0 });
  });

  it('is warned of when its folder holds a copy of another kind, or of another vault', async () => {
    expect((await push(at('copy'))).code).toBe(0);
    expect((await remote('add', 'same', at('copy'))).stderr).toBe('');
    await remote('remove', 'same');
    const mirror = await remote('add', '--no-encrypt', 'disk', at('copy'));
    expect(mirror.stderr).toBe(
      `warning: ${at('copy')} holds an encrypted copy: a push of a plain mirror into it is refused\n`,
    );
    expect(await push('disk')).toMatchObject({ code: 10 });
    mkdirSync(at('theirs'));
    writeFileSync(at('theirs', 'gocryptfs.conf'), 'another');
    expect((await remote('add', 'theirs', at('theirs'))).stderr).toContain(
      "holds a gocryptfs.conf that is not this vault's",
    );
    mkdirSync(at('plain'));
    writeFileSync(at('plain', '.ecsync-mirror'), '');
    expect((await remote('add', 'plain', at('plain'))).stderr).toContain('holds a plain mirror');
  });
});

it('a place that cannot be looked at, or is not there yet, is no obstacle', async () => {
  for (const place of ['pw/folder/copy', 'not/there/yet']) {
    expect(await remote('add', place.slice(0, 2), at(place))).toMatchObject({
      code: 0,
      stderr: '',
    });
  }
});

describe('remote set-url', () => {
  it('keeps the other settings, and takes over nothing of the old place', async () => {
    await remote('add', 'home', at('copy'));
    writeFileSync(
      path.join(source, '.ecsync/config.toml'),
      `${config()}# a slow line\n[remotes.push]\ntimeout = 77\n`,
    );
    await remote('add', 'second', 'me@server:copy');
    expect((await push()).code).toBe(0);
    const before = config();
    const moved = await remote('set-url', 'home', at('new'));
    expect(moved).toMatchObject({ code: 0, stdout: '' });
    expect(moved.stderr).toBe(
      `warning: ${at('new')} holds no copy yet: the next push makes a new one there. To go on with the copy in ${at('copy')}, move it there before\n`,
    );
    expect(config()).toBe(before.replace(`"${at('copy')}"`, `"${at('new')}"`));
    // The copy that was moved is continued: nothing is sent again.
    renameSync(at('copy'), at('new'));
    const continued = await push('--json');
    expect(continued.code).toBe(0);
    expect(continued.stdout).toContain('"filesSent":0');
    expect((await remote('set-url', 'home', at('new'))).stderr).toBe(
      `home is ${at('new')} already.\n`,
    );
    // An address over the network is looked at by the next push.
    const far = await remote('set-url', 'home', 'me@server:copy');
    expect(far.stderr).toContain('looks at it as at a new destination');
  });

  it('does not take a remote for one that was never pushed to', async () => {
    await remote('add', 'home', at('copy'));
    const moved = await remote('set-url', 'home', at('new'));
    expect(moved.stderr).not.toContain('warning');
    expect(await push('home')).toMatchObject({ code: 0 });
  });

  it.each([
    [['nowhere', 'me@server:copy'], 'no-remote'],
    [['home', 'ftp://server/x'], 'destination-invalid'],
    [['home'], 'missing required argument'],
  ])('%j ends with 2: %s', async (words, said) => {
    await remote('add', 'home', 'me@server:copy');
    const before = config();
    const refused = await remote('set-url', ...words, '--json');
    expect(refused.code).toBe(2);
    expect(refused.stdout + refused.stderr).toContain(said);
    expect(config()).toBe(before);
  });

  it('refuses to make one folder an encrypted copy and a mirror', async () => {
    await remote('add', '--no-encrypt', 'disk', at('disk'));
    await remote('add', 'home', 'me@server:copy');
    expect(await remote('set-url', 'home', at('disk'))).toMatchObject({ code: 2 });
    expect(await remote('set-url', 'disk', 'me@server:copy')).toMatchObject({ code: 2 });
  });
});

describe('a remote and a path in one word', () => {
  it('is refused where it would be a machine, with the two words that are meant', async () => {
    await remote('add', 'bk', at('copy'));
    const words = ['push', 'plan', 'verify'].map((command) => [command, 'bk:a']);
    const copies = ['ls', 'fsck'].map((command) =>
      command === 'fsck' ? [command, 'bk:a'] : [command, 'a', '--from', 'bk:a'],
    );
    for (const line of [...words, ...copies]) {
      const refused = await cli.run([...line, '-C', source, '--extpass', 'false']);
      expect(refused).toMatchObject({
        code: 2,
        stderr:
          "ecsync: 'bk:a' would be a folder on a machine called bk, but bk is a remote here\n" +
          'hint: Write the remote and the path as two words (ecsync push bk a; ecsync restore a --from bk). For a machine of that name: ssh://bk/./a\n',
      });
    }
  });

  it('is explained where it is looked for in the copy', async () => {
    await remote('add', 'bk', at('copy'));
    expect((await push('bk')).code).toBe(0);
    for (const line of [
      ['ls', 'bk:a'],
      ['cat', 'bk:a'],
      ['restore', 'bk:a', '--to', at('restored')],
    ]) {
      const missing = await cli.run([...line, '-C', source, '--passfile', at('pw')]);
      expect(missing.code).toBe(2);
      expect(missing.stderr).toContain('hint: To name the remote, too: a --from bk\n');
    }
  });

  it('is a machine where a remote is on one of that name, or it is no remote', async () => {
    await remote('add', 'localhost', 'localhost:copy');
    for (const [word, host] of [
      ['localhost:a', 'localhost'],
      ['nohost.invalid:a', 'nohost.invalid'],
    ] as const) {
      const tried = await cli.run(
        ['push', word, '-C', source, '--passfile', at('pw'), '--rsh', 'false'],
        { alone: true },
      );
      expect(tried.code).not.toBe(2);
      expect(tried.stderr).not.toContain(`machine called ${host}`);
    }
  });
});
