import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/errors.ts';
import {
  formatDestination,
  looksLikeDestination,
  parseDestination,
  type Destination,
} from '../../../src/vault/destination/destination.ts';

// Every form of a destination, its meaning, and that its canonical text means the same.

const linux = { platform: 'linux' } as const;
const windows = { platform: 'win32' } as const;

function parts(text: string, context: Parameters<typeof parseDestination>[1]): object {
  const { shown, ...rest } = parseDestination(text, context);
  expect(parseDestination(shown, context)).toEqual({ ...rest, shown });
  return rest;
}

function refusal(
  text: string,
  context: Parameters<typeof parseDestination>[1] = linux,
): UsageError {
  try {
    parseDestination(text, context);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(text)} was accepted`);
}

describe('parseDestination()', () => {
  it.each([
    ['user@host:path', { kind: 'ssh', user: 'user', host: 'host', path: 'path' }],
    ['host:/abs/path', { kind: 'ssh', host: 'host', path: '/abs/path' }],
    ['host://abs', undefined],
    ['host:~/docs', { kind: 'ssh', host: 'host', path: 'docs' }],
    ['host:~', { kind: 'ssh', host: 'host', path: '.' }],
    ['host:.', { kind: 'ssh', host: 'host', path: '.' }],
    ['host:a b:c', { kind: 'ssh', host: 'host', path: 'a b:c' }],
    ['host:100%', { kind: 'ssh', host: 'host', path: '100%' }],
    ['u@dom.org@host:p', { kind: 'ssh', user: 'u@dom.org', host: 'host', path: 'p' }],
    ['me@[::1]:p', { kind: 'ssh', user: 'me', host: '::1', path: 'p' }],
    ['[fe80::1%eth0]:p', { kind: 'ssh', host: 'fe80::1%eth0', path: 'p' }],
    ['ssh://host/p', { kind: 'ssh', host: 'host', path: '/p' }],
    ['ssh://host/./p', { kind: 'ssh', host: 'host', path: 'p' }],
    ['ssh://host/~/p/q', { kind: 'ssh', host: 'host', path: 'p/q' }],
    ['ssh://host/.', { kind: 'ssh', host: 'host', path: '.' }],
    ['ssh://host//~/p', { kind: 'ssh', host: 'host', path: '/~/p' }],
    ['ssh://h:2222/p', { kind: 'ssh', host: 'h', port: 2222, path: '/p' }],
    ['SSH://u@h:1/./~x', { kind: 'ssh', user: 'u', host: 'h', port: 1, path: '~x' }],
    ['ssh://u@[::1]:22/p', { kind: 'ssh', user: 'u', host: '::1', port: 22, path: '/p' }],
    ['ssh://[fe80::1%25eth0]/p', { kind: 'ssh', host: 'fe80::1%eth0', path: '/p' }],
    ['ssh://h/a%20b%25', { kind: 'ssh', host: 'h', path: '/a b%' }],
    ['ssh://a/p', { kind: 'ssh', host: 'a', path: '/p' }],
    ['rsync://h/mod', { kind: 'daemon', host: 'h', module: 'mod', path: '' }],
    [
      'rsync://u@h:8730/m/a%20b',
      { kind: 'daemon', user: 'u', host: 'h', port: 8730, module: 'm', path: 'a b' },
    ],
    ['h::mod/p/q', { kind: 'daemon', host: 'h', module: 'mod', path: 'p/q' }],
    ['u@[::1]::mod', { kind: 'daemon', user: 'u', host: '::1', module: 'mod', path: '' }],
    ['/mnt/usb', { kind: 'local', path: '/mnt/usb' }],
    ['/mnt/a:b', { kind: 'local', path: '/mnt/a:b' }],
    ['./rel', { kind: 'local', path: './rel' }],
    ['..', { kind: 'local', path: '..' }],
    ['file:///mnt/a%20b', { kind: 'local', path: '/mnt/a b' }],
    ['file://localhost/mnt', { kind: 'local', path: '/mnt' }],
  ])('reads %s', (text, expected) => {
    if (expected === undefined) refusal(text);
    else expect(parts(text, linux)).toEqual(expected);
  });

  it.each([
    ['E:\\backup', { kind: 'local', path: 'E:\\backup' }],
    ['e:/backup', { kind: 'local', path: 'e:/backup' }],
    ['\\\\server\\share', { kind: 'local', path: '\\\\server\\share' }],
    ['.\\x', { kind: 'local', path: '.\\x' }],
    ['file:///E:/b%20c', { kind: 'local', path: 'E:\\b c' }],
    ['host:p', { kind: 'ssh', host: 'host', path: 'p' }],
  ])('reads %s on Windows', (text, expected) => {
    expect(parts(text, windows)).toEqual(expected);
  });

  it('resolves relative local paths against the given folder', () => {
    expect(parseDestination('../x', { ...linux, folder: '/a/b' }).path).toBe('/a/x');
    expect(parseDestination('..\\x', { ...windows, folder: 'C:\\a\\b' }).path).toBe('C:\\a\\x');
  });

  it.each([
    '',
    'plain',
    '-oProxyCommand=x:p',
    'host:',
    ':path',
    '@host:p',
    'u@:p',
    '-u@host:p',
    'u@-host:p',
    'host:-rf',
    'ho st:p',
    'ho;st:p',
    'host$(x):p',
    'u`x`@host:p',
    'host:a\nb',
    'host:a\rb',
    'host:a\0b',
    'host:~bob/x',
    'ssh://host/~bob/x',
    'ssh://host',
    'ssh:///p',
    'ssh://host:0/p',
    'ssh://host:65536/p',
    'ssh://host:/p',
    'ssh://host:x/p',
    'ssh://::1/p',
    'ssh://[::1/p',
    'ssh://[name]/p',
    'ssh://host/%',
    'ssh://host/%0a',
    'ssh://host/%00',
    'ssh://host/%ff',
    'ssh://-h/p',
    'ssh://%2dh/p',
    'ssh://h/./-x',
    'rsync://host',
    'rsync://host/',
    'host::',
    'host::-m',
    'ftp://host/p',
    'file://other/p',
    'file:///a%2Fb',
    'file:///a?b',
    'E:\\x',
    'c:/x',
    'a\uFFFDb:p',
    'host:\uD800',
  ])('refuses %j with a remedy', (text) => {
    const error = refusal(text);
    expect(error.code).toBe('destination-invalid');
    expect(error.exitCode).toBe(2);
    expect(error.hint).toMatch(/\S/);
  });

  it('suggests what to write when a letter was meant as a host, or a drive lacks its backslash', () => {
    expect(refusal('e:backup').hint).toContain('ssh://e/path');
    expect(refusal('E:backup', windows).hint).toContain('E:\\folder');
  });

  it.each([
    'ssh://u:hunter2@h/p',
    'ssh://u:hunter2@h',
    'ssh://u:hun/ter2@h/p',
    'ftp://u:hunter2@h/p',
  ])('never repeats a password: %s', (text) => {
    expect(refusal(text).message).not.toMatch(/hun\/?ter2/);
  });
});

describe('formatDestination()', () => {
  const word = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,8}$/);
  const host = fc.oneof(word, fc.ipV6(), fc.constantFrom('fe80::1%eth0', 'a', 'Ü-host'));
  const user = fc.stringMatching(/^[a-zA-Z0-9_.@%\\+][a-zA-Z0-9_.@%\\+-]{0,8}[a-z@%]$/);
  const pathText = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    .filter((text) => !/^[-~]|[\r\n\0\uFFFD]|\p{Surrogate}/u.test(text));
  const absolute = pathText
    .map((text) => `/${text}`)
    .map((text) => text.replace(/^\/+(?:\.(?:\/+|$))*/, '/'));
  const relative = fc
    .oneof(pathText, fc.constantFrom(':x', '~x', './-x', '.', '~'))
    .filter((text) => !text.startsWith('/') && text !== '');
  const port = fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined });

  it('is the inverse of parseDestination() for every ssh and daemon destination', () => {
    const ssh = fc.record({
      kind: fc.constant('ssh' as const),
      user: fc.option(user, { nil: undefined }),
      host,
      port,
      path: fc.oneof(absolute, relative),
    });
    const daemon = fc.record({
      kind: fc.constant('daemon' as const),
      user: fc.option(user, { nil: undefined }),
      host,
      port,
      module: word,
      path: relative,
    });
    fc.assert(
      fc.property(fc.oneof(ssh, daemon), (given) => {
        const destination = withoutUndefined(given);
        const { shown, ...rest } = parseDestination(formatted(destination), linux);
        expect(rest).toEqual(destination);
        expect(shown).toBe(formatted(destination));
      }),
      { numRuns: 500 },
    );
  });

  it('never throws anything but a UsageError, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.constantFrom(linux, windows),
        (text, context) => {
          let destination: Destination;
          try {
            destination = parseDestination(text, context);
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
            return;
          }
          expect(parseDestination(destination.shown, context)).toEqual(destination);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('looksLikeDestination()', () => {
  it.each(['host:p', 'a:b/c', '/x', './x', '../x', '.', '..', '\\\\s\\x', 'C:\\x', 'ssh://h/p'])(
    'is true for %s',
    (text) => {
      expect(looksLikeDestination(text)).toBe(true);
    },
  );
  it.each(['usb', 'my-server.org', '.hidden', 'photos/2020', '...'])('is false for %s', (text) => {
    expect(looksLikeDestination(text)).toBe(false);
  });
});

function formatted(destination: object): string {
  return formatDestination(destination as Parameters<typeof formatDestination>[0]);
}

function withoutUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
