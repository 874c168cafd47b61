/** Goal: patterns match as in OpenSSH. Method: comparison with equivalent regular expressions. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  matchesPattern,
  matchesPatternList,
} from '../../../../src/transport/ssh/config/pattern.ts';

const letters = (alphabet: string, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...Array.from(alphabet)), maxLength });

test('matchesPattern() agrees with a regular expression', () => {
  fc.assert(
    fc.property(letters('ab.', 8), letters('ab.*?', 8), (text, pattern) => {
      const source = pattern.replace(
        /[.*?]/g,
        (c) => ({ '.': '\\.', '*': '.*', '?': '.' })[c] ?? c,
      );
      expect(matchesPattern(text, pattern)).toBe(new RegExp(`^${source}$`).test(text));
    }),
    { numRuns: 5000 },
  );
});

test('a hostile pattern does not take exponential time', () => {
  expect(matchesPattern('a'.repeat(2000), `${'*a'.repeat(500)}b`)).toBe(false);
});

test('a negated match overrides all others', () => {
  expect(matchesPatternList('db.lan', ['*.lan'])).toBe(true);
  expect(matchesPatternList('db.lan', ['*.lan', '!db.*'])).toBe(false);
  expect(matchesPatternList('db.lan', ['!db.*', '*'])).toBe(false);
  expect(matchesPatternList('db.lan', ['!x'])).toBe(false);
});
