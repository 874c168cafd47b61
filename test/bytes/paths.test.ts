/** Keys of paths: what holds an object, and what it lies below. */
import { expect, test } from 'vitest';
import { isAtOrBelow, isAtOrBelowAny, parentKey } from '../../src/bytes/paths.ts';

test('the folder of a key', () => {
  expect(['a/b/c', 'a/b', 'a', '.'].map(parentKey)).toEqual(['a/b', 'a', '.', '.']);
});

const CASES = [
  ['a', 'a', true],
  ['a/b/c', 'a', true],
  ['a/b/c', 'a/b', true],
  ['a', 'a/b', false],
  ['ab', 'a', false],
  ['a-b/c', 'a', false],
  ['a/b', '.', true],
  ['.', '.', true],
  ['.', 'a', false],
  ['.hidden', '.', true],
] as const;

test.each(CASES)('%s is at or below %s: %s', (key, place, expected) => {
  expect(isAtOrBelow(key, place)).toBe(expected);
  expect(isAtOrBelowAny(key, new Set(['elsewhere', place]))).toBe(expected);
});

test('nothing lies below no place', () => {
  expect(isAtOrBelowAny('a', new Set())).toBe(false);
});
