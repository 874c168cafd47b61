// The births of a source by path, which are known only after its walk.
import { expect, test } from 'vitest';
import { BugError } from '../../../../src/errors.ts';
import { Births, PendingBirths } from '../../../../src/sync/push/memory/birth-lookup.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const birth = { path: bytes('old'), counter: 1 };
const births = new Births([{ path: bytes('new'), dev: 1, ino: 2, birthtimeMs: 3, birth }]);

test('a file has the birth of its record, and no other file has one', () => {
  expect(births.of(bytes('new'))).toEqual(birth);
  expect(births.of(bytes('old'))).toBeUndefined();
});

test('no birth is told before the walk has settled them', () => {
  const pending = new PendingBirths();
  expect(() => pending.of(bytes('new'))).toThrow(BugError);
  pending.settle(births);
  expect(pending.of(bytes('new'))).toEqual(birth);
  expect(() => pending.settle(births)).toThrow(BugError);
});
