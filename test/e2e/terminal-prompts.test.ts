// Goal: on a terminal, the question about the host comes before that for the password, both accept
// the usual answers, and a typing error does not end the command.
import * as fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildSources } from '../cli/support/built.ts';
import { Cli, plainText } from '../cli/support/cli.ts';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench } from './support/cli.ts';

let bench: Bench;
let sshd: RunningSshd;
let knownHosts: string;
let hostKeys: string;
let built: string;
let cli: Cli;
beforeAll(async () => {
  built = buildSources();
  cli = new Cli(built);
  bench = await makeBench();
  fs.mkdirSync(bench.source);
  fs.writeFileSync(path.join(bench.source, 'file'), 'content');
  await initVault(bench);
  sshd = await startSshd();
  knownHosts = path.join(sshd.home, '.ssh/known_hosts');
  hostKeys = fs.readFileSync(knownHosts, 'utf8');
});
afterAll(async () => {
  await sshd.stop();
  await bench.remove();
  fs.rmSync(built, { recursive: true });
});
beforeEach(() => {
  fs.writeFileSync(knownHosts, '');
});

/** Runs a command on a terminal. Types each answer when its question is shown. */
async function atTerminal(
  words: readonly string[],
  answers: readonly (readonly [RegExp, string])[],
): Promise<{ readonly code: number | null; readonly text: string }> {
  const typed = answers.map(([after, answer]) => ({ after, type: `${answer}\r` }));
  const options = { cwd: bench.source, env: { HOME: sshd.home } };
  const { code, stdout } = await cli.onTerminal(words, typed, options);
  return { code, text: plainText(stdout) };
}

const url = (): string => `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
const QUESTION = /Is that the right one\?/;
const PASSWORD = /Password of the vault/;

test('the host comes first, is trusted by yes, and is known afterwards', async () => {
  const right: readonly [RegExp, string] = [PASSWORD, bench.password];
  const seen = await atTerminal(['push', url()], [[QUESTION, 'yes'], right]);
  expect(seen.code, seen.text).toBe(0);
  expect(seen.text).toMatch(/is not known here\. Its host key is \S+ SHA256:/);
  expect(seen.text.search(QUESTION)).toBeLessThan(seen.text.search(PASSWORD));
  expect(fs.readFileSync(knownHosts, 'utf8')).toMatch(/ ssh-ed25519 AAAA/);
  const again = await atTerminal(['push', url()], [right]);
  expect(again.code, again.text).toBe(0);
  expect(again.text).not.toMatch(QUESTION);
});

test('no ends it before any password, and a wrong fingerprint is not accepted', async () => {
  const other = `SHA256:${'A'.repeat(43)}`;
  const seen = await atTerminal(
    ['push', `${url()}-2`],
    [
      [QUESTION, other],
      [/That is not its fingerprint[^]*\?/, 'no'],
    ],
  );
  expect(seen.code, seen.text).toBe(13);
  expect(seen.text).not.toMatch(PASSWORD);
  expect(fs.readFileSync(knownHosts, 'utf8')).toBe('');
  expect(fs.existsSync(`${bench.copy}-2`)).toBe(false);
});

test('its fingerprint is an answer; reading a copy asks in the same order', async () => {
  const bare = await ecsync(['push', '-C', bench.source, '--passfile', bench.passfile, url()], {
    env: { HOME: sshd.home },
  });
  expect(bare.code).toBe(13);
  const fingerprint = /SHA256:[A-Za-z0-9+/]{43}/.exec(bare.stderr)?.[0] ?? '';
  const seen = await atTerminal(
    ['push', url()],
    [
      [QUESTION, fingerprint],
      [PASSWORD, bench.password],
    ],
  );
  expect(seen.code, seen.text).toBe(0);
  fs.writeFileSync(knownHosts, '');
  for (const words of [
    ['ls', '--from', url()],
    ['restore', '--from', url(), '--to', path.join(bench.dir, 'back')],
  ]) {
    fs.writeFileSync(knownHosts, '');
    const read = await atTerminal(words, [
      [QUESTION, 'yes'],
      [/Password of /, bench.password],
    ]);
    expect(read.code, read.text).toBe(0);
    expect(read.text.search(QUESTION)).toBeLessThan(read.text.search(/Password of /));
  }
});

test('a wrong password may be typed three times', async () => {
  fs.writeFileSync(knownHosts, hostKeys);
  const seen = await atTerminal(
    ['push', url()],
    [
      [PASSWORD, 'slip'],
      [/wrong\. Once more:[^]*Password of the vault/, bench.password],
    ],
  );
  expect(seen.code, seen.text).toBe(0);
  const wrong = await atTerminal(
    ['push', url()],
    [
      [PASSWORD, 'one'],
      [/Once more:[^]*Password of the vault/, 'two'],
      [/Once more:[^]*Password of the vault/, 'three'],
    ],
  );
  expect(wrong.code, wrong.text).toBe(12);
});

test('a password is accepted in any Unicode form', async () => {
  const folder = path.join(bench.dir, 'accents');
  fs.mkdirSync(folder);
  const passfile = (form: 'NFC' | 'NFD'): string => {
    const file = path.join(bench.dir, form);
    fs.writeFileSync(file, 'größe\n'.normalize(form), { mode: 0o600 });
    return file;
  };
  const words = ['--scryptn', '10', '--passfile', passfile('NFD'), folder];
  expect((await ecsync(['init', ...words])).code).toBe(0);
  const push = ['push', '-C', folder, path.join(bench.dir, 'accented copy'), '--passfile'];
  expect(await ecsync([...push, passfile('NFD')])).toMatchObject({ code: 0, stderr: '' });
  const other = await ecsync([...push, passfile('NFC')]);
  expect(other.code).toBe(0);
  expect(other.stderr).toContain('decomposed (NFD)');
  for (const conf of [[], ['--conf', path.join(bench.dir, 'accented copy/gocryptfs.conf')]]) {
    const check = ['key', 'check', '-C', folder, ...conf, '--passfile', passfile('NFC')];
    const checked = await ecsync(check);
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('yes') as string });
    expect(checked.stderr).toContain('decomposed (NFD)');
  }
  const remote = ['remote', 'add', 'origin', path.join(bench.dir, 'accented copy'), '-C', folder];
  expect((await ecsync(remote)).code).toBe(0);
  const elsewhere = path.join(bench.dir, 'elsewhere');
  fs.cpSync(folder, elsewhere, { recursive: true, preserveTimestamps: true });
  const passwd = ['key', 'passwd', '-C', folder, '--passfile', passfile('NFD')];
  expect((await ecsync([...passwd, '--new-passfile', passfile('NFC')])).code).toBe(0);
  expect((await ecsync([...push, passfile('NFC')])).code).toBe(0);
  const fetch = ['key', 'fetch', '-C', elsewhere, '--passfile', passfile('NFD')];
  const fetched = await ecsync(fetch);
  expect(fetched.code, fetched.stderr).toBe(0);
  expect(fetched.stderr).toContain('composed (NFC)');
});
