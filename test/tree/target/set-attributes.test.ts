// Goal: an owner that is already right is not set again: some file systems refuse even that.
import { expect, it } from 'vitest';
import { trySetAttributes } from '../../../src/tree/target/set-attributes.ts';

it.each([
  [{ uid: 1, gid: 2 }, []],
  [{ uid: 1 }, []],
  [{ gid: 2 }, []],
  [{ uid: 3 }, [[3, -1]]],
  [{ uid: 1, gid: 4 }, [[1, 4]]],
])('%j beside 1:2', (attributes, expected) => {
  const calls: number[][] = [];
  const failure = trySetAttributes(Buffer.from('x'), attributes, {
    owner: () => ({ uid: 1, gid: 2 }),
    chown: (uid, gid) => calls.push([uid, gid]),
    chmod: () => undefined,
    utimes: () => undefined,
  });
  expect(failure).toBe(undefined);
  expect(calls).toEqual(expected);
});
