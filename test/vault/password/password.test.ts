import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EcsyncError, PasswordError } from '../../../src/errors.ts';
import { splitCommand } from '../../../src/vault/password/split-command.ts';
import {
  readSecret,
  type ConfiguredSecret,
  type SecretSources,
} from '../../../src/vault/password/password.ts';

// The sources of a password, their order, and gocryptfs' rules about its bytes.

let folder: string;
let warnings: string[];
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'ecsync-password-'));
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function passfile(content: string | Uint8Array, name = 'pw'): string {
  const file = path.join(folder, name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

function sources(given: Partial<SecretSources> = {}): SecretSources {
  return {
    environment: {},
    warn: (code) => warnings.push(code),
    signal: new AbortController().signal,
    ...given,
  };
}

async function password(given: Partial<SecretSources>): Promise<string> {
  const secret = await readSecret(sources(given));
  expect(secret.kind).toBe('password');
  return secret.bytes.toString('latin1');
}

/** A configuration; its keychain is locked. */
function configured(password: ConfiguredSecret['password']): ConfiguredSecret {
  const locked = new PasswordError('keychain-no-entry', 'the keychain is locked');
  return { password, folder, keychain: () => Promise.reject(locked) };
}

async function failure(given: Partial<SecretSources>): Promise<EcsyncError> {
  try {
    await readSecret(sources(given));
  } catch (error) {
    if (error instanceof EcsyncError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('readSecret()', () => {
  it('tries the sources in their order', async () => {
    const file = passfile('from file\n');
    const all = {
      config: configured({ file: passfile('from config', 'c') }),
      environment: {
        file: passfile('from environment file', 'e'),
        command: 'echo from environment command',
        password: 'from environment',
      },
      prompt: () => Promise.resolve(Buffer.from('from prompt')),
    };
    expect(await password({ ...all, passfile: file })).toBe('from file');
    expect(await password({ ...all, extpass: `cat '${file}'` })).toBe('from file');
    expect(await password(all)).toBe('from config');
    const { config, ...noConfig } = all;
    expect(config.folder).toBe(folder);
    expect(await password(noConfig)).toBe('from environment file');
    const { command, password: last } = all.environment;
    expect(await password({ ...noConfig, environment: { command, password: last } })).toBe(
      'from environment command',
    );
    expect(await password({ ...noConfig, environment: { password: last } })).toBe(
      'from environment',
    );
    expect(await password({ ...noConfig, environment: {} })).toBe('from prompt');
  });

  it('refuses two options at once', async () => {
    const error = await failure({ passfile: 'a', extpass: 'b' });
    expect([error.code, error.exitCode]).toEqual(['conflicting-options', 2]);
  });

  it('fails at once without any source or terminal', async () => {
    const error = await failure({});
    expect([error.code, error.exitCode]).toEqual(['password-missing', 12]);
  });

  it('resolves a path of the config against its folder, and takes a command as words', async () => {
    passfile('inside\n', 'inside');
    const words = ['printf', 'a b\\nc'];
    expect(await password({ config: configured({ file: 'inside' }) })).toBe('inside');
    expect(await password({ config: configured({ command: words }) })).toBe('a b');
    expect(await password({ config: configured({ command: "echo 'x  y'" }) })).toBe('x  y');
  });

  it('takes a credential from systemd', async () => {
    passfile('handed over\n', 'photos');
    const config = configured({ credential: 'photos' });
    expect(await password({ config: { ...config, credentialsFolder: folder } })).toBe(
      'handed over',
    );
    const absent = await failure({ config: { ...config, credentialsFolder: `${folder}/x` } });
    expect([absent.code, absent.exitCode]).toEqual(['passfile-unreadable', 12]);
    const outside = await failure({ config });
    expect([outside.code, outside.exitCode]).toEqual(['credential-missing', 12]);
    expect(outside.hint).toContain('LoadCredential=photos:FILE');
    const prompt = () => Promise.resolve(Buffer.from('typed'));
    expect(await password({ config, prompt })).toBe('typed');
  });

  it('asks a terminal when the keychain cannot be used, and fails without one', async () => {
    const config = configured({ keychain: true });
    const open = { ...config, keychain: () => Promise.resolve(Buffer.from('kept')) };
    expect(await password({ config: open })).toBe('kept');
    expect((await failure({ config })).code).toBe('keychain-no-entry');
    const warned: string[] = [];
    const prompt = () => Promise.resolve(Buffer.from('typed'));
    expect(await password({ config, prompt, warn: (code) => warned.push(code) })).toBe('typed');
    expect(warned).toEqual(['keychain-no-entry']);
  });

  it.each([
    ['one\ntwo\n', 'one'],
    ['no newline', 'no newline'],
    [' blanks \n', ' blanks '],
    ['\xff\x00\x01\n', '\xff\x00\x01'],
    ['x'.repeat(2048), 'x'.repeat(2048)],
    [`${'x'.repeat(2048)}\nmore`, 'x'.repeat(2048)],
  ])('takes the first line as gocryptfs does: %j', async (content, expected) => {
    expect(await password({ passfile: passfile(Buffer.from(content, 'latin1')) })).toBe(expected);
  });

  it('keeps a carriage return and warns about it', async () => {
    expect(await password({ passfile: passfile('pw\r\n') })).toBe('pw\r');
    expect(warnings).toEqual(['passfile-crlf']);
  });

  it('keeps a UTF-8 byte order mark and warns about it', async () => {
    expect(await password({ passfile: passfile('\ufeffpw\n') })).toBe('\xef\xbb\xbfpw');
    expect(warnings).toEqual(['passfile-mark']);
  });

  it('refuses a password in UTF-16, as PowerShell writes it', async () => {
    const file = passfile('');
    writeFileSync(file, Buffer.from('\ufeffpw\r\n', 'utf16le'));
    await expect(password({ passfile: file })).rejects.toMatchObject({ code: 'password-utf16' });
  });

  it('warns about a file that everybody can read', async () => {
    const file = passfile('pw');
    await password({ passfile: file });
    expect(warnings).toEqual([]);
    chmodSync(file, 0o644);
    await password({ passfile: file });
    expect(warnings).toEqual(['passfile-readable']);
  });

  it.skipIf(process.getuid?.() !== 0)(
    'warns about a file that a group or another user may read or write, and refuses one that everyone may write',
    async () => {
      const file = passfile('pw');
      const told = async (mode: number, uid: number, gid: number): Promise<readonly string[]> => {
        warnings = [];
        chownSync(file, uid, gid);
        chmodSync(file, mode);
        return password({ passfile: file }).then(
          () => warnings,
          (error: unknown) => [(error as EcsyncError).code],
        );
      };
      expect(await told(0o640, 0, 0)).toEqual([]); // as systemd's credentials are
      expect(await told(0o640, 0, 4)).toEqual(['passfile-readable']);
      expect(await told(0o660, 0, 4)).toEqual(['passfile-writable']);
      expect(await told(0o600, 65534, 65534)).toEqual(['passfile-foreign']);
      for (const mode of [0o602, 0o666])
        expect(await told(mode, 0, 0)).toEqual(['passfile-unsafe']);
    },
  );

  it.each([
    ['', 'password-empty'],
    ['\nsecond', 'password-empty'],
    ['x'.repeat(2049), 'password-too-long'],
    ['x'.repeat(1024 * 1024), 'password-too-long'],
  ])('refuses what gocryptfs refuses', async (content, code) => {
    const error = await failure({ passfile: passfile(content) });
    expect([error.code, error.exitCode]).toEqual([code, 12]);
    expect(error.message).not.toContain('xx');
  });

  it.each([path.join('no', 'such'), '.'])('names a file it cannot read: %s', async (name) => {
    const file = path.join(folder, name);
    const error = await failure({ passfile: file });
    expect([error.code, error.exitCode]).toEqual(['passfile-unreadable', 12]);
    expect(error.message).toContain(file);
  });

  it('reads a named pipe up to its first line, even if the writer continues', async () => {
    const fifo = path.join(folder, 'fifo');
    spawnSync('mkfifo', [fifo]);
    const reading = password({ passfile: fifo });
    const writer = spawnSync('timeout', ['10', 'sh', '-c', `(echo secret; sleep 0.1) >'${fifo}'`], {
      stdio: 'ignore',
    });
    expect(writer.status).toBe(0);
    expect(await reading).toBe('secret');
  });

  it.each([
    ['exit 3', 'sh ended with 3'],
    ['kill -9 $$', 'sh ended with SIGKILL'],
  ])('reports a command that fails: %s', async (script, message) => {
    const error = await failure({ extpass: `sh -c 'echo nearly; ${script}'` });
    expect([error.code, error.exitCode]).toEqual(['password-command-failed', 12]);
    expect(error.message).toContain(message);
  });

  it('names the program and never its arguments', async () => {
    const error = await failure({ extpass: '/no/such/program hunter2' });
    expect(error.message).toContain('/no/such/program could not be started');
    expect(JSON.stringify([error.message, error.hint, error.cause, error.stack])).not.toContain(
      'hunter2',
    );
  });

  it('ends a command that prints endlessly', async () => {
    expect((await failure({ extpass: "sh -c 'exec yes 2>/dev/null'" })).code).toBe(
      'password-command-failed',
    );
    expect((await failure({ extpass: 'cat /dev/zero' })).code).toBe('password-too-long');
  });

  it('gives a command no password in its environment', async () => {
    process.env['ECSYNC_PASSWORD'] = 'hunter2';
    try {
      expect(await password({ extpass: 'sh -c "echo x$ECSYNC_PASSWORD"' })).toBe('x');
    } finally {
      delete process.env['ECSYNC_PASSWORD'];
    }
  });

  it('stops waiting for a command on its signal', async () => {
    const controller = new AbortController();
    const reading = readSecret(sources({ extpass: 'sleep 30', signal: controller.signal }));
    controller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
  });

  it('reads a master key with and without dashes, in two lines, in any chunks', async () => {
    const digits = 'a1b2c3d4'.repeat(8);
    const dashed = `${(digits.match(/.{8}/g) ?? []).join('-')}\n`;
    const ofSheet = `    ${dashed.slice(0, 36)}\r\n    ${dashed.slice(36)}`;
    for (const text of [digits, dashed, dashed.toUpperCase(), ofSheet]) {
      const chunks = [...Buffer.from(text)].map((byte) => Buffer.of(byte));
      for (const parts of [[Buffer.from(text)], chunks]) {
        const secret = await readSecret(sources({ masterkeyFrom: Readable.from(parts) }));
        expect([secret.kind, secret.bytes.toString('hex')]).toEqual(['masterkey', digits]);
      }
    }
    for (const wrong of ['', 'abc\n', `${digits}0\n`, `${digits.slice(1)}g\n`]) {
      const error = await failure({ masterkeyFrom: Readable.from([Buffer.from(wrong)]) });
      expect(error.exitCode).toBe(12);
      expect(error.message).not.toContain(digits.slice(1, 9));
      expect(`${error.message} ${error.hint ?? ''}`).not.toContain('password');
    }
  });
});

describe('splitCommandWords()', () => {
  it.each([
    ["a 'b c' d", ['a', 'b c', 'd']],
    ['a"b c"\'d\'\\ e', ['ab cd e']],
    ['  a\tb\nc  ', ['a', 'b', 'c']],
    ['a "" \'\'', ['a', '', '']],
    ['a "\\"\\\\\\$\\x"', ['a', '"\\$\\x']],
    ['a $HOME * ; | &', ['a', '$HOME', '*', ';', '|', '&']],
  ])('splits %j as a shell does, and expands nothing', (text, words) => {
    expect(splitCommand(text, 'x')).toEqual(words);
  });

  it.each(['', '  ', "a 'b", 'a "b', 'a\\', "''"])('refuses %j', (text) => {
    expect(() => splitCommand(text, '--extpass')).toThrow(/--extpass/);
  });

  it('parses any quoted words back', () => {
    const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
    const words = fc
      .tuple(fc.string({ minLength: 1 }), fc.array(fc.string()))
      .map(([a, b]) => [a, ...b]);
    fc.assert(
      fc.property(words, (given) => {
        expect(splitCommand(given.map(quote).join(' '), 'x')).toEqual(given);
      }),
    );
  });

  it('splits as sh does', () => {
    const part = fc.constantFrom(
      'a',
      'b',
      ' ',
      '  ',
      "'",
      '"',
      '\\',
      'x y',
      "'q r'",
      '"s t"',
      '\\"',
    );
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('')),
        (text) => {
          const shell = spawnSync('sh', ['-c', `printf '%s\\0' ${text}\n`], { encoding: 'utf8' });
          let words: readonly string[];
          try {
            words = splitCommand(`printf ${text}`, 'x').slice(1);
          } catch {
            expect(shell.status === 0 && !text.endsWith('\\')).toBe(false);
            return;
          }
          const printed = words.length === 0 ? [''] : words;
          expect(shell.stdout).toBe(printed.map((word) => `${word}\0`).join(''));
        },
      ),
      { numRuns: 150 },
    );
  });
});
