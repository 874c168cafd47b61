/**
 * Goal: words arrive verbatim through the two readers that a server may have: a shell, and rrsync.
 * Method: random words through the real `sh` and `bash`, and through rrsync's own expressions.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { quoteWord, remoteCommandLine, splitWords } from '../../src/transport/quote.ts';

const sendable = fc
  .oneof(
    fc.string({ unit: 'binary-ascii' }),
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '*',
      '?[a]',
      '~',
      '~root/x',
      '-rf',
      '$HOME',
      '`id`',
      "it's",
      'a\\b',
      '=ls',
      'x=~',
    ),
  )
  .filter((word) => !/[\r\n\0\p{Surrogate}]/u.test(word) && !word.startsWith('~/'));

/** Runs a command line in a shell that prints each argument followed by a NUL. */
function throughShell(shell: string, words: readonly string[]): string[] {
  const line = remoteCommandLine("printf '%s\\0'", words);
  const out = execFileSync(shell, ['-c', line], { env: { HOME: '/home/x', LC_ALL: 'C.UTF-8' } });
  return out.toString('utf8').split('\0').slice(0, -1);
}

/** The two expressions by which rrsync parses its command; a test below checks them. */
const RRSYNC_PY = String.raw`
import os, re, sys
DE_BACKSLASH_RE = re.compile(r'\\(.)')
command = os.fsdecode(sys.stdin.buffer.read())
for arg in re.findall(r'(?:[^\s\\]+|\\.[^\s\\]*)+', command):
    sys.stdout.buffer.write(os.fsencode(DE_BACKSLASH_RE.sub(r'\1', arg)) + b'\0')
`;

function throughRrsync(words: readonly string[]): string[] {
  const input = words.map(quoteWord).join(' ');
  const out = execFileSync('python3', ['-c', RRSYNC_PY], {
    input,
    env: { LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] },
  });
  return out.toString('utf8').split('\0').slice(0, -1);
}

describe('quoteWord()', () => {
  test.each(['sh', 'bash'])('words arrive verbatim through %s', (shell) => {
    fc.assert(
      fc.property(fc.array(sendable, { minLength: 1, maxLength: 40 }), (words) => {
        expect(throughShell(shell, words)).toEqual(words);
      }),
      { numRuns: 60 },
    );
  });

  test('every character that is not a line break arrives through sh and rrsync', () => {
    const words = Array.from({ length: 0x3100 }, (_, code) => String.fromCodePoint(code))
      .filter((char) => !/[\r\n\0]/.test(char))
      .map((char) => `a${char}b`);
    for (let i = 0; i < words.length; i += 3000) {
      const some = words.slice(i, i + 3000);
      expect(throughShell('sh', some)).toEqual(some);
      expect(throughRrsync(some)).toEqual(some);
    }
  });

  test('all words except the empty one arrive verbatim through rrsync', () => {
    const nonEmpty = sendable.filter((word) => word !== '');
    fc.assert(
      fc.property(fc.array(nonEmpty, { minLength: 1, maxLength: 40 }), (words) => {
        expect(throughRrsync(words)).toEqual(words);
      }),
      { numRuns: 40 },
    );
  });

  test('the reader in this test is rrsync’s', () => {
    const rrsync = readFileSync('/usr/bin/rrsync', 'utf8');
    expect(rrsync).toContain(String.raw`re.findall(r'(?:[^\s\\]+|\\.[^\s\\]*)+', command)`);
    expect(rrsync).toContain(String.raw`DE_BACKSLASH_RE = re.compile(r'\\(.)')`);
  });

  test('a leading ~/ is left to the server, any other tilde is not', () => {
    expect(throughShell('sh', ['~/a b/*', '~', '~root', 'a/~/b'])).toEqual([
      '/home/x/a b/*',
      '~',
      '~root',
      'a/~/b',
    ]);
  });

  test.each(['a\nb', 'a\rb', 'a\0b', '\ud800'])('refuses %j', (word) => {
    expect(() => quoteWord(word)).toThrow(UsageError);
    expect(() => remoteCommandLine(word, [])).toThrow(UsageError);
  });
});

describe('splitWords()', () => {
  test('splits as sh does', () => {
    const shellWords = fc
      .array(fc.constantFrom('a', ' ', '  ', '"', "'", '\\', 'b c', '\t', '-o', '$', 'é'))
      .map((parts) => `x${parts.join('')}`);
    let compared = 0;
    fc.assert(
      fc.property(shellWords, (text) => {
        let expected: string[];
        try {
          // sh would expand a variable: escape its sign by a backslash.
          if (/[$]|\\$/.test(text)) return;
          const out = execFileSync('sh', ['-c', `printf '%s\\0' ${text}`], { stdio: 'pipe' });
          expected = out.toString('utf8').split('\0').slice(0, -1);
        } catch {
          expect(() => splitWords(text, true)).toThrow(UsageError);
          return;
        }
        compared++;
        expect(splitWords(text, true)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
    expect(compared).toBeGreaterThan(50);
  });

  test('keeps backslashes on Windows', () => {
    expect(splitWords(String.raw`"C:\Program Files\ssh.exe" -i C:\k\id`, false)).toEqual([
      String.raw`C:\Program Files\ssh.exe`,
      '-i',
      String.raw`C:\k\id`,
    ]);
  });

  test.each(['', '   ', "''", '"a', "a 'b"])('refuses %j', (text) => {
    expect(() => splitWords(text, true)).toThrow(UsageError);
  });
});
