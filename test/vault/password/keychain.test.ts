import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EcsyncError, InterruptedError } from '../../../src/errors.ts';
import {
  keychainItemOf,
  readKeychain,
  removeFromKeychain,
  writeKeychain,
  type KeychainSurroundings,
} from '../../../src/vault/password/keychain.ts';
import { keychainCommands } from '../../../src/vault/password/keychain-commands.ts';

// The input of keychain programs, and how their answers are used. The real Secret Service:
// test/cli/keys/keychain.test.ts.

const PASSWORD = Buffer.from('pass "word" \\ ÿ\x00', 'latin1');
const TEXT = PASSWORD.toString('base64');
const ITEM = { account: '0123456789abcdef', label: 'ecsync: /home/me/my "photos"' };

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'ecsync-keychain-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Surroundings in which a program of this name records its words, input and environment. */
function withProgram(name: string, answer: string, more: Partial<KeychainSurroundings> = {}) {
  const file = path.join(folder, name);
  writeFileSync(
    file,
    `#!/bin/sh\nprintf '%s\\n' "$@" >>${folder}/words\ncat >>${folder}/input\nenv >>${folder}/env\n${answer}\n`,
  );
  chmodSync(file, 0o755);
  const surroundings: KeychainSurroundings = {
    platform: 'linux',
    environment: { PATH: `${folder}:/usr/bin:/bin` },
    signal: new AbortController().signal,
    timeoutMs: 20_000,
    ...more,
  };
  return surroundings;
}

const recorded = (name: 'words' | 'input' | 'env'): string =>
  readFileSync(path.join(folder, name), 'latin1');

async function failure(work: Promise<unknown>): Promise<EcsyncError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof EcsyncError) return error;
  throw new Error(`no such error: ${String(error)}`);
}

describe('libsecret', () => {
  it('is given the password on standard input only, and asked for it again', async () => {
    await writeKeychain(ITEM, PASSWORD, withProgram('secret-tool', `printf %s '${TEXT}'`));
    const attributes = 'service\necsync\naccount\n0123456789abcdef\n';
    expect(recorded('words')).toBe(
      `store\n--label=${ITEM.label}\n${attributes}lookup\n${attributes}`,
    );
    expect(recorded('input')).toBe(TEXT);
    expect(recorded('env')).not.toContain(TEXT);
  });

  it('that stores something else is not trusted', async () => {
    const other = withProgram('secret-tool', "printf 'b3RoZXI='");
    expect((await failure(writeKeychain(ITEM, PASSWORD, other))).code).toBe('keychain-not-stored');
    const foreign = withProgram('secret-tool', "printf 'typed by hand'");
    expect((await failure(readKeychain(ITEM, foreign))).code).toBe('keychain-no-entry');
  });

  it.each([
    ['keychain-no-entry', 'exit 1'],
    ['keychain-failed', 'echo no bus >&2; exit 1'],
    ['keychain-failed', 'kill -9 $$'],
  ])('that fails is %s: %s', async (code, answer) => {
    const error = await failure(readKeychain(ITEM, withProgram('secret-tool', answer)));
    expect([error.code, error.exitCode]).toEqual([code, 12]);
    expect(error.hint).toContain('--passfile');
  });

  it('that is not installed has a remedy', async () => {
    const none = withProgram('other', '', { environment: { PATH: folder } });
    const error = await failure(readKeychain(ITEM, none));
    expect([error.code, error.exitCode]).toEqual(['keychain-program-missing', 12]);
    expect(error.hint).toContain('libsecret-tools');
  });

  it('that never answers is abandoned, also on an interrupt', async () => {
    const silent = withProgram('secret-tool', 'sleep 600 & sleep 600; kill $!', { timeoutMs: 300 });
    expect((await failure(readKeychain(ITEM, silent))).code).toBe('keychain-timeout');
    const controller = new AbortController();
    const reason = new InterruptedError('interrupted', 'interrupted');
    setTimeout(() => controller.abort(reason), 200);
    const { signal } = controller;
    const asked = readKeychain(ITEM, withProgram('secret-tool', 'sleep 600', { signal }));
    expect((await failure(asked)).code).toBe('interrupted');
  });

  it('reports whether there was an item to remove', async () => {
    expect(await removeFromKeychain(ITEM, withProgram('secret-tool', 'exit 0'))).toBe(true);
    expect(await removeFromKeychain(ITEM, withProgram('secret-tool', 'exit 1'))).toBe(false);
  });
});

describe('the keychain of macOS', () => {
  const commands = keychainCommands('darwin');

  it('gets the password as a line of `security -i` that needs no quoting', () => {
    const { program, words, input } = commands.write(ITEM, Buffer.from(TEXT));
    expect([program, words]).toEqual(['/usr/bin/security', ['-i']]);
    expect(input?.toString()).toBe(
      `add-generic-password -U -s ecsync -a ${ITEM.account} -l "ecsync: /home/me/my ?photos?" -w ${TEXT}\n`,
    );
  });

  it('puts every password and path into one line that `security` reads completely', () => {
    const longest = Buffer.from(Buffer.alloc(2048).toString('base64'));
    const { input } = commands.write({ ...ITEM, label: 'x'.repeat(5000) }, longest);
    expect(input?.length).toBeLessThan(4096);
  });

  it('is read and cleared by commands without a secret', () => {
    const place = ['-s', 'ecsync', '-a', ITEM.account];
    expect(commands.read(ITEM)).toMatchObject({
      words: ['find-generic-password', ...place, '-w'],
      absentStatuses: [44],
    });
    expect(commands.remove(ITEM).words).toEqual(['delete-generic-password', ...place]);
  });
});

describe('the Credential Manager of Windows', () => {
  const answering = (answer: string): KeychainSurroundings =>
    withProgram('powershell.exe', answer, { platform: 'win32' });

  it('gets the password on standard input; the script is always the same', async () => {
    await writeKeychain(ITEM, PASSWORD, answering(`printf %s '${TEXT}'`));
    const label = Buffer.from(ITEM.label).toString('base64');
    const place = `ecsync:${ITEM.account}\n${label}\n`;
    expect(recorded('input')).toBe(`write\n${place}${TEXT}\nread\n${place}\n`);
    const words = recorded('words').trimEnd().split('\n');
    expect(words.slice(0, 6)).toEqual(
      '-NoLogo -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand'.split(' '),
    );
    const script = Buffer.from(words[6] ?? '', 'base64').toString('utf16le');
    expect(script).toContain('exit [EcsyncKeychain]::Run()');
    expect(words[6]?.length).toBeLessThan(30_000); // of 32,767 that a command line can have
  });

  it('has no such credential, or fails', async () => {
    expect((await failure(readKeychain(ITEM, answering('exit 44')))).code).toBe(
      'keychain-no-entry',
    );
    const error = await failure(readKeychain(ITEM, answering('echo Windows error 5 >&2; exit 1')));
    expect(error.message).toContain('Windows error 5');
  });
});

it('an item stays the same wherever the vault is', () => {
  const config = { version: 1, conf_sha256: 'c'.repeat(64), remotes: [] } as const;
  const here = keychainItemOf({ config: { ...config, key_check: 'ab12' }, source: '/a' });
  const there = keychainItemOf({ config: { ...config, key_check: 'ab12' }, source: '/b' });
  expect([here.account, there.account]).toEqual(['ab12', 'ab12']);
  expect(keychainItemOf({ config, source: '/a' }).account).toBe('c'.repeat(32));
});
